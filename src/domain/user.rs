//! People, their roles, and who is acting.

use std::collections::BTreeSet;

use super::id::{ApiTokenId, PersonId, SessionId, UserId};
use super::named::named;
use super::time::Timestamp;

named! {
    /// What an account may do. One account may hold several.
    Role, "role" {
        /// Files tickets, uploads evidence, releases tokens, applies.
        Engineer = "engineer",
        /// Votes, accepts findings.
        Board = "board",
        /// Reads everything, changes nothing.
        Auditor = "auditor",
        /// Manages people and policy. Opens no gate by being one.
        Admin = "admin",
    }
}

named! {
    /// What an API token may do on behalf of its owner.
    Scope, "scope" {
        TicketsRead = "tickets:read",
        TicketsWrite = "tickets:write",
        ArtifactsWrite = "artifacts:write",
        Apply = "apply",
        AuditRead = "audit:read",
    }
}

/// An account as the database knows it at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub person: PersonId,
    pub email: String,
    pub name: String,
    pub active: bool,
    pub roles: BTreeSet<Role>,
    pub created_at: Timestamp,
}

/// How somebody came to act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// Signed in with a browser.
    Session(SessionId),
    /// A bearer token that the user owns.
    Token { id: ApiTokenId, name: String, scopes: BTreeSet<Scope> },
    /// The operator at the server's own command line.
    Console,
}

/// Who is acting, with roles read from the database for this very request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub user: UserId,
    pub person: PersonId,
    pub name: String,
    pub roles: BTreeSet<Role>,
    pub via: Via,
}

impl Actor {
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// A person in front of a browser, as against a token.
    pub const fn is_session(&self) -> bool {
        matches!(self.via, Via::Session(_))
    }

    /// The API token that is speaking, if one is.
    pub const fn token(&self) -> Option<ApiTokenId> {
        match &self.via {
            Via::Token { id, .. } => Some(*id),
            Via::Session(_) | Via::Console => None,
        }
    }

    /// Whether the way of acting carries this scope. A session carries all of them.
    pub fn may(&self, scope: Scope) -> bool {
        match &self.via {
            Via::Token { scopes, .. } => scopes.contains(&scope),
            Via::Session(_) | Via::Console => true,
        }
    }
}
