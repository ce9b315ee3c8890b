//! Problem details (RFC 9457): the one place where what a service refuses becomes an HTTP answer.

use std::ops::{Deref, DerefMut};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::blocker::Blocker;
use crate::domain::id::ApplyTokenId;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::ticket::FieldFault;
use crate::domain::time::Timestamp;
use crate::service::ServiceError;

/// A failure. Boxed, since most answers are none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Problem(Box<Details>);

impl Deref for Problem {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.0
    }
}

/// A failure, for programs by its `code` and for people by its `detail`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Details {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    kind: String,
    /// What the status means.
    title: String,
    pub status: u16,
    /// Stable; what a program looks at.
    #[schema(example = "gates-closed")]
    pub code: String,
    /// One or two sentences for a person.
    pub detail: String,
    /// The operation, under which the portal's log has more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Fields that don't keep their rules, every one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
    /// What keeps gates shut, or evidence from being complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blockers: Vec<BlockerBody>,
    /// The digest of the current evidence, where it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence_digest: Option<String>,
    /// Of the token that was released under the same key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// That token, for whoever wants to revoke it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub token_id: Option<ApplyTokenId>,
    /// For the log only.
    #[serde(skip)]
    pub cause: Option<String>,
    #[serde(skip)]
    retry_after: Option<u64>,
    #[serde(skip)]
    scope: Option<&'static str>,
}

/// A field that does not keep its rule.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct FieldProblem {
    pub field: String,
    pub message: String,
}

/// One reason why a gate is shut.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct BlockerBody {
    /// The gate; none where it is not a gate that refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gate: Option<String>,
    #[schema(example = "window-closed")]
    code: String,
    message: String,
    cleared_by: String,
    /// When it clears by itself, if it does.
    #[schema(value_type = Option<String>, format = DateTime)]
    clears_at: Option<Timestamp>,
}

impl BlockerBody {
    pub fn of(gate: Option<&str>, blocker: &Blocker) -> Self {
        Self {
            gate: gate.map(str::to_owned),
            code: blocker.code().to_owned(),
            message: blocker.words(),
            cleared_by: blocker.cleared_by().to_owned(),
            clears_at: blocker.clears_at(),
        }
    }
}

impl Problem {
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: detail.into(),
            instance: None,
            errors: Vec::new(),
            blockers: Vec::new(),
            evidence_digest: None,
            expires_at: None,
            token_id: None,
            cause: None,
            retry_after: None,
            scope: None,
        }))
    }

    pub fn bad_request(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", format!("There is no such {what}."))
    }

    pub fn internal(cause: impl Into<String>) -> Self {
        let detail = "The portal failed. Nothing more can be said here; its log has the cause under the operation \
                      that `instance` names.";
        let mut problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail);
        problem.cause = Some(cause.into());
        problem
    }

    /// One field that does not keep its rule.
    pub fn field(field: &'static str, message: impl Into<String>) -> Self {
        ServiceError::field(field, message).into()
    }

    /// Names a field where the shape of the request is wrong.
    pub fn at(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.errors.push(FieldProblem { field: field.into(), message: message.into() });
        self
    }

    /// The API token lacks a scope.
    pub fn missing_scope(scope: &'static str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::FORBIDDEN, "missing-scope", detail);
        problem.scope = Some(scope);
        problem
    }

    /// What an answer carries besides its body.
    fn headers(&self, response: &mut Response) {
        let headers = response.headers_mut();
        let challenge = match (self.status, self.scope) {
            (401, _) if self.code == "bad-bearer" => Some(
                "Bearer realm=\"countersign\", error=\"invalid_token\", error_description=\"an API token (csp_) is needed\""
                    .to_owned(),
            ),
            (401, _) => Some("Bearer realm=\"countersign\"".to_owned()),
            (_, Some(scope)) => {
                Some(format!("Bearer realm=\"countersign\", error=\"insufficient_scope\", scope=\"{scope}\""))
            }
            _ => None,
        };
        if let Some(value) = challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(header::WWW_AUTHENTICATE, value);
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

impl IntoResponse for Problem {
    /// Without a body as yet: the envelope writes it, since it knows the operation.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        self.headers(&mut response);
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let words = error.to_string();
        match error {
            ServiceError::Refused(refusal) => refused(&refusal, words),
            ServiceError::Invalid { faults } => invalid(faults),
            ServiceError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "not-found", words),
            ServiceError::Conflict { code, message } => Self::new(StatusCode::CONFLICT, code, message),
            ServiceError::Gone { code, message } => Self::new(StatusCode::GONE, code, message),
            ServiceError::Mismatch { code, message } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
            }
            // Two codes, so that a pipeline can tell which of its two secrets is wrong (RULES 25).
            ServiceError::Unauthenticated { code: code @ "unknown-apply-token", message } => {
                Self::new(StatusCode::UNAUTHORIZED, code, message)
            }
            ServiceError::Unauthenticated { message, .. } => {
                Self::new(StatusCode::UNAUTHORIZED, "bad-bearer", message)
            }
            ServiceError::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", words),
            ServiceError::Throttled { seconds } => {
                let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "throttled", words);
                problem.retry_after = Some(seconds);
                problem
            }
            ServiceError::ClockBehind => Self::new(StatusCode::SERVICE_UNAVAILABLE, "clock-uncertain", words),
            ServiceError::Busy => {
                let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", words);
                problem.retry_after = Some(1);
                problem
            }
            ServiceError::Store(error) => Self::internal(error.to_string()),
            ServiceError::Internal(cause) => Self::internal(cause),
        }
    }
}

fn invalid(faults: Vec<FieldFault>) -> Problem {
    let detail = match faults.as_slice() {
        [] => "The input is not valid.".to_owned(),
        [only] => format!("{}: {}", only.field, only.message),
        [first, rest @ ..] => format!("{}: {} ({} more in errors)", first.field, first.message, rest.len()),
    };
    let mut problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail);
    problem.errors = faults
        .into_iter()
        .map(|fault| FieldProblem { field: fault.field.to_owned(), message: fault.message })
        .collect();
    problem
}

fn refused(refusal: &Refusal, words: String) -> Problem {
    let status = match refusal.kind() {
        RefusalKind::Forbidden => StatusCode::FORBIDDEN,
        RefusalKind::Conflict => StatusCode::CONFLICT,
        RefusalKind::NotFound => StatusCode::NOT_FOUND,
        RefusalKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let mut problem = Problem::new(status, refusal.code(), words);
    match refusal {
        Refusal::NeedsScope(scope) => problem.scope = Some(scope.as_str()),
        Refusal::NeedsText { field, why } => return problem.at(*field, *why),
        Refusal::EvidenceChanged { current, .. } => problem.evidence_digest = Some(current.to_string()),
        Refusal::GatesClosed(report) => {
            problem.evidence_digest = Some(report.evidence.digest.to_string());
            problem.blockers = report
                .blocked()
                .flat_map(|gate| gate.blockers.iter().map(|b| BlockerBody::of(Some(gate.key.as_str()), b)))
                .collect();
        }
        Refusal::EvidenceIncomplete(missing) => {
            problem.blockers = missing.iter().map(|b| BlockerBody::of(None, b)).collect();
        }
        _ => {}
    }
    problem
}
