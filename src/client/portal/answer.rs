//! What the portal refuses, and what went wrong on the way to it, each as a sentence with a way on.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;

use crate::client::output::{Blocker, Exit, Failure};
use crate::domain::id::ApplyTokenId;
use crate::domain::time::Timestamp;

/// Problem details (RFC 9457) as the portal writes them.
#[derive(Clone, Debug, Deserialize)]
pub struct Problem {
    pub status: u16,
    pub code: String,
    pub detail: String,
    /// The operation, under which the portal's log has more.
    #[serde(default)]
    pub instance: Option<String>,
    #[serde(default)]
    pub errors: Vec<FieldProblem>,
    #[serde(default)]
    pub blockers: Vec<Blocker>,
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// The token that was released under the same key.
    #[serde(default)]
    pub token_id: Option<ApplyTokenId>,
}

/// A field that does not keep its rule.
#[derive(Clone, Debug, Deserialize)]
pub struct FieldProblem {
    pub field: String,
    pub message: String,
}

/// Why a call has no answer that could be used.
#[derive(Clone, Debug)]
pub enum PortalError {
    /// Nobody answered, or not to the end.
    Unreachable {
        base: String,
        why: String,
    },
    /// Somebody answered who is no portal, such as a proxy on the way.
    NotAPortal {
        status: u16,
        base: String,
        after: Option<Duration>,
    },
    Refused {
        problem: Box<Problem>,
        after: Option<Duration>,
    },
    /// The answer is none that this release can read.
    Unreadable(String),
    /// A file of this machine can't be read.
    Local(String),
}

impl PortalError {
    pub(super) fn unreachable(base: &str, error: &ureq::Error) -> Self {
        Self::Unreachable { base: base.to_owned(), why: error.to_string() }
    }

    /// Whether the same call may do better in a moment.
    pub fn passes(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::NotAPortal { status, .. } => matches!(status, 429 | 502 | 503 | 504),
            Self::Refused { problem, .. } => {
                matches!(problem.status, 429 | 503) || problem.code == "idempotency-in-progress"
            }
            Self::Unreadable(_) | Self::Local(_) => false,
        }
    }

    /// How long the portal asks to wait, within reason.
    pub(super) fn pause(&self) -> Option<Duration> {
        match self {
            Self::NotAPortal { after, .. } | Self::Refused { after, .. } => {
                after.map(|length| length.min(Duration::from_secs(10)))
            }
            Self::Unreachable { .. } | Self::Unreadable(_) | Self::Local(_) => None,
        }
    }

    /// The code of what the portal refused.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { problem, .. } => Some(&problem.code),
            Self::Unreachable { .. } | Self::NotAPortal { .. } | Self::Unreadable(_) | Self::Local(_) => None,
        }
    }

    /// The portal refused because of who asked.
    pub fn is_about_the_caller(&self) -> bool {
        matches!(self, Self::Refused { problem, .. } if matches!(problem.status, 401 | 403))
    }

    /// Nothing is known of what the portal did: the call never came to an answer.
    pub fn leaves_open(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NotAPortal { .. } | Self::Unreadable(_) => true,
            Self::Refused { problem, .. } => {
                problem.status >= 500 || problem.code == "idempotency-in-progress"
            }
            Self::Local(_) => false,
        }
    }
}

impl From<PortalError> for Failure {
    fn from(error: PortalError) -> Self {
        match error {
            PortalError::Unreachable { base, why } => Self::new(
                Exit::Unreachable,
                "unreachable",
                format!("{base} does not answer: {why}."),
            )
            .advise(
                "Check COUNTERSIGN_URL and the network; behind a private authority set COUNTERSIGN_CA_FILE. \
                             Running the same command again is safe.",
            ),
            PortalError::NotAPortal { status, base, .. } => Self::new(
                Exit::Unreachable,
                "not-a-portal",
                format!("{base} answers with status {status}, but not as a portal does."),
            )
            .advise("Check COUNTERSIGN_URL, and what stands between here and the portal."),
            PortalError::Refused { problem, .. } => refused(*problem),
            PortalError::Unreadable(why) => {
                Self::failed("unreadable-answer", format!("The portal's answer can't be read: {why}."))
                    .advise("Use the same release of countersign on both sides.")
            }
            PortalError::Local(why) => Self::failed("file", why),
        }
    }
}

/// One sentence for each kind of no, and what to do about it.
fn refused(problem: Problem) -> Failure {
    let mut message = problem.detail;
    for error in problem.errors.iter().skip(1) {
        let _ = write!(message, "\n  {}: {}", error.field, error.message);
    }
    if let Some(at) = problem.expires_at {
        let _ = write!(message, " It expires {}.", at.words());
    }
    let (exit, advice) = advice(problem.status, &problem.code);
    let advice = advice.map(str::to_owned).or_else(|| {
        let operation = problem.instance.filter(|_| problem.status >= 500)?;
        Some(format!("The portal's log has more under the operation {operation}."))
    });
    Failure { advice, ..Failure::new(exit, &problem.code, message).blocked_by(problem.blockers) }
}

fn advice(status: u16, code: &str) -> (Exit, Option<&'static str>) {
    let (exit, advice) = match (status, code) {
        (401, "unknown-apply-token") => {
            (Exit::Refused, "Check that the whole apply token was handed over, and that it is this portal's.")
        }
        (401, _) => (
            Exit::Failed,
            "Set COUNTERSIGN_API_TOKEN, or COUNTERSIGN_API_TOKEN_FILE, to an API token that is neither expired nor revoked.",
        ),
        (403, "missing-scope") => (
            Exit::Failed,
            "Make an API token with that scope on the page Account, or with `countersign token add`.",
        ),
        (403, "not-redeemer") => {
            (Exit::Failed, "Use an API token of the person who redeemed the token, with the scope apply.")
        }
        (403, _) => {
            (Exit::Failed, "The owner of the API token may not do this; the portal's page says who may.")
        }
        (404, _) => (Exit::Failed, "Check the ticket's number, the stage's name and COUNTERSIGN_URL."),
        (409, "gates-closed") => (Exit::Refused, "`countersign ticket wait` waits for the gates."),
        (409, "evidence-changed") => {
            (Exit::Refused, "Have the evidence approved as it is now, and release another token.")
        }
        (409, "already-redeemed") => {
            (Exit::Refused, "Look at the ticket's runs before anything else; then release another token.")
        }
        (409, "already-released") => {
            (Exit::Refused, "Revoke the token on the stage's page and release another one.")
        }
        (409, _) => (Exit::Refused, "`countersign ticket show` says where the ticket stands."),
        (410, _) => (Exit::Refused, "Release another apply token, on the stage's page or with --release."),
        (413, _) => (Exit::Failed, "The operator can raise max_upload_bytes."),
        (
            422,
            "sql-digest-mismatch"
            | "manifest-mismatch"
            | "database-mismatch"
            | "other-purpose"
            | "raw-digest-not-accepted",
        ) => (
            Exit::Refused,
            "Apply from the commit that was approved, or rehearse this one and have it approved.",
        ),
        (429 | 503, _) => (Exit::Failed, "Try again in a moment; nothing was recorded."),
        _ => return (Exit::Failed, None),
    };
    (exit, Some(advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, code: &str) -> Failure {
        let problem = Problem {
            status,
            code: code.to_owned(),
            detail: "No.".to_owned(),
            instance: Some("op-7".to_owned()),
            errors: Vec::new(),
            blockers: Vec::new(),
            expires_at: None,
            token_id: None,
        };
        PortalError::Refused { problem: Box::new(problem), after: None }.into()
    }

    #[test]
    fn every_refusal_has_its_exit_code_and_a_way_on() {
        for (status, code, exit) in [
            (401, "bad-bearer", Exit::Failed),
            (401, "unknown-apply-token", Exit::Refused),
            (403, "missing-scope", Exit::Failed),
            (404, "not-found", Exit::Failed),
            (409, "gates-closed", Exit::Refused),
            (410, "token-expired", Exit::Refused),
            (422, "sql-digest-mismatch", Exit::Refused),
            (503, "busy", Exit::Failed),
        ] {
            let failure = failure(status, code);
            assert_eq!(failure.exit, exit, "{status} {code}");
            assert!(failure.advice.is_some(), "{status} {code}");
        }
        assert!(failure(500, "internal").advice.is_some_and(|advice| advice.contains("op-7")));
    }

    #[test]
    fn only_what_leads_nowhere_is_tried_again() {
        let lost = PortalError::Unreachable { base: String::new(), why: String::new() };
        assert!(lost.passes() && lost.leaves_open());
        let gateway = PortalError::NotAPortal {
            status: 502,
            base: String::new(),
            after: Some(Duration::from_mins(15)),
        };
        assert!(gateway.passes());
        assert_eq!(gateway.pause(), Some(Duration::from_secs(10)));
        let login = PortalError::NotAPortal { status: 302, base: String::new(), after: None };
        assert!(!login.passes());
    }
}
