//! Who may call what: one table, and nothing is open that is not in it.

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::problem::Problem;
use super::{ApiState, PREFIX};
use crate::domain::user::{Actor, Scope};

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: the answer is the same for everybody.
    Public,
    /// An API token with at least one of these scopes.
    AnyOf(&'static [Scope]),
}

const READ: Access = Access::AnyOf(&[Scope::TicketsRead]);
const WRITE: Access = Access::AnyOf(&[Scope::TicketsWrite]);
const UPLOAD: Access = Access::AnyOf(&[Scope::ArtifactsWrite]);
const APPLY: Access = Access::AnyOf(&[Scope::Apply]);
const AUDIT: Access = Access::AnyOf(&[Scope::AuditRead]);
/// A runner may read the run that it reports on.
const RUN: Access = Access::AnyOf(&[Scope::TicketsRead, Scope::Apply]);

/// Method, path below [`PREFIX`], what the call needs.
pub const ACCESS: &[(&str, &str, Access)] = &[
    ("GET", "/tickets", READ),
    ("POST", "/tickets", WRITE),
    ("GET", "/tickets/{number}", READ),
    ("GET", "/tickets/{number}/stages/{stage}/artifacts", READ),
    ("GET", "/tickets/{number}/stages/{stage}/artifacts/{kind}", READ),
    ("PUT", "/tickets/{number}/stages/{stage}/artifacts/{kind}", UPLOAD),
    ("GET", "/tickets/{number}/stages/{stage}/diff", READ),
    ("GET", "/tickets/{number}/stages/{stage}/gates", READ),
    ("POST", "/tickets/{number}/stages/{stage}/checklist/{item}", WRITE),
    ("POST", "/tickets/{number}/stages/{stage}/apply-tokens", APPLY),
    ("DELETE", "/tickets/{number}/stages/{stage}/apply-tokens", APPLY),
    ("POST", "/tickets/{number}/stages/{stage}/observation", WRITE),
    ("POST", "/tickets/{number}/completion", WRITE),
    ("POST", "/apply-tokens/redeem", APPLY),
    ("GET", "/tickets/{number}/stages/{stage}/redemptions/{key}", RUN),
    ("GET", "/runs/{id}", RUN),
    ("POST", "/runs/{id}/log", APPLY),
    ("POST", "/runs/{id}/heartbeat", APPLY),
    ("POST", "/runs/{id}/finish", APPLY),
    ("GET", "/incidents", READ),
    ("POST", "/incidents", WRITE),
    ("POST", "/incidents/{id}/resolve", WRITE),
    ("GET", "/freezes", READ),
    ("POST", "/freezes", WRITE),
    ("GET", "/audit", AUDIT),
    ("GET", "/keys/grant", Access::Public),
    ("GET", "/openapi.json", Access::Public),
];

/// What this call needs; none if nobody said.
pub(super) fn of(method: &str, path: &str) -> Option<Access> {
    let method = if method == "HEAD" { "GET" } else { method };
    ACCESS.iter().find(|(m, p, _)| *m == method && *p == path).map(|(_, _, access)| *access)
}

/// Whoever calls, with roles as they are now.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub Actor);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::internal("a handler wants a caller on a call that is public"))
    }
}

/// Lets a call through that its token may make.
pub(super) async fn guard(
    State(state): State<ApiState>,
    path: MatchedPath,
    mut request: Request,
    next: Next,
) -> Response {
    let path = path.as_str();
    let path = path.strip_prefix(PREFIX).unwrap_or(path);
    let access = match of(request.method().as_str(), path) {
        Some(access) => access,
        // A known address with another method: the router says which ones it takes.
        None if ACCESS.iter().any(|(_, known, _)| *known == path) => return next.run(request).await,
        None => return Problem::internal(format!("nobody said who may call {path}")).into_response(),
    };
    let Access::AnyOf(scopes) = access else { return next.run(request).await };
    match identify(&state, request.headers(), scopes).await {
        Ok(actor) => {
            request.extensions_mut().insert(Caller(actor));
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn identify(state: &ApiState, headers: &HeaderMap, scopes: &[Scope]) -> Result<Actor, Problem> {
    let actor = state.services.bearer_actor(bearer(headers)?).await?;
    if scopes.iter().any(|scope| actor.may(*scope)) {
        return Ok(actor);
    }
    let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let first = names.first().copied().unwrap_or_default();
    Err(Problem::missing_scope(first, format!("The API token lacks the scope {}.", names.join(" or "))))
}

/// The token of the one Authorization header.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let bad = |detail| Err(Problem::new(StatusCode::UNAUTHORIZED, "bad-bearer", detail));
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = given.next() else {
        return bad("An API token is needed: Authorization: Bearer csp_…");
    };
    if given.next().is_some() {
        return bad("There is more than one Authorization header.");
    }
    match value.to_str().ok().and_then(|text| text.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_matches(' ')),
        Some(_) | None => bad("The Authorization header has to read: Bearer csp_…"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table and the router know the same calls: one that is missing here can't be made by anybody, one too many
    /// hides a typing error.
    #[test]
    fn every_call_has_a_rule_and_every_rule_a_call() {
        let openapi = super::super::openapi();
        let mut described: Vec<(String, String)> = Vec::new();
        for (path, item) in &openapi.paths.paths {
            for (method, operation) in [
                ("GET", &item.get),
                ("PUT", &item.put),
                ("POST", &item.post),
                ("DELETE", &item.delete),
                ("PATCH", &item.patch),
                ("HEAD", &item.head),
                ("OPTIONS", &item.options),
            ] {
                if operation.is_some() {
                    described.push((method.to_owned(), path.clone()));
                }
            }
        }
        let mut ruled: Vec<(String, String)> =
            ACCESS.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
        described.sort();
        ruled.sort();
        assert_eq!(described, ruled);
    }

    #[test]
    fn no_call_can_vote() {
        assert!(ACCESS.iter().all(|(_, path, _)| !path.contains("vote") && !path.contains("decide")));
    }

    #[test]
    fn only_one_well_formed_bearer_is_taken() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            bearer(&headers).map(str::to_owned).map_err(|problem| problem.code.clone())
        };
        assert_eq!(read(&["Bearer csp_x"]).unwrap(), "csp_x");
        assert_eq!(read(&["bearer   csp_x "]).unwrap(), "csp_x");
        for wrong in [&[][..], &["Basic abc"], &["csp_x"], &["Bearer a", "Bearer a"], &["Bearer"]] {
            assert_eq!(read(wrong).unwrap_err(), "bad-bearer", "{wrong:?}");
        }
    }
}
