//! Who may do what is not bound to one ticket: accounts and policy, incidents, freezes.

use super::id::UserId;
use super::refusal::Refusal;
use super::user::{Actor, Role, Scope};

/// Managing accounts and policy. The operator at the server's command line (`None`) may always; a person needs to be an
/// administrator in front of a browser.
///
/// # Errors
/// What the actor lacks.
pub fn administers(actor: Option<&Actor>) -> Result<(), Refusal> {
    let Some(actor) = actor else { return Ok(()) };
    if !actor.has(Role::Admin) {
        return Err(Refusal::NeedsRole(&[Role::Admin]));
    }
    in_person(actor)
}

/// What no token does for its owner.
///
/// # Errors
/// [`Refusal::NeedsSession`].
pub const fn in_person(actor: &Actor) -> Result<(), Refusal> {
    if actor.is_session() { Ok(()) } else { Err(Refusal::NeedsSession) }
}

/// Declaring that something is wrong with an application, or that it is well again.
///
/// # Errors
/// What the actor lacks.
pub fn declares_incidents(actor: &Actor) -> Result<(), Refusal> {
    declares(actor, &[Role::Engineer, Role::Board, Role::Admin])
}

/// Saying that an incident is over. Through a token only for whoever declared it: a pipeline may not clear away what
/// keeps its own change from being applied.
///
/// # Errors
/// What the actor lacks.
pub fn resolves_incident(actor: &Actor, opened_by: UserId) -> Result<(), Refusal> {
    declares_incidents(actor)?;
    if actor.user == opened_by { Ok(()) } else { in_person(actor) }
}

/// Declaring a span in which nothing is applied, or ending it early.
///
/// # Errors
/// What the actor lacks.
pub fn declares_freezes(actor: &Actor) -> Result<(), Refusal> {
    declares(actor, &[Role::Board, Role::Admin])
}

fn declares(actor: &Actor, roles: &'static [Role]) -> Result<(), Refusal> {
    if !roles.iter().any(|role| actor.has(*role)) {
        return Err(Refusal::NeedsRole(roles));
    }
    if actor.may(Scope::TicketsWrite) { Ok(()) } else { Err(Refusal::NeedsScope(Scope::TicketsWrite)) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use uuid::Uuid;

    use super::*;
    use crate::domain::id::{ApiTokenId, PersonId, SessionId};
    use crate::domain::user::Via;

    fn actor(role: Role, via: Via) -> Actor {
        let nobody = Uuid::nil();
        Actor {
            user: UserId(nobody),
            person: PersonId(nobody),
            name: String::new(),
            roles: [role].into(),
            via,
        }
    }

    fn session(role: Role) -> Actor {
        actor(role, Via::Session(SessionId(Uuid::nil())))
    }

    fn token(role: Role, scopes: &[Scope]) -> Actor {
        let scopes: BTreeSet<Scope> = scopes.iter().copied().collect();
        actor(role, Via::Token { id: ApiTokenId(Uuid::nil()), name: String::new(), scopes })
    }

    #[test]
    fn only_an_administrator_in_a_browser_or_the_operator_administers() {
        assert!(administers(None).is_ok());
        for role in Role::ALL {
            assert_eq!(administers(Some(&session(*role))).is_ok(), *role == Role::Admin, "{role}");
            let with_all = token(*role, Scope::ALL);
            assert!(administers(Some(&with_all)).is_err(), "{role}");
        }
        let refused = administers(Some(&token(Role::Admin, Scope::ALL)));
        assert!(matches!(refused, Err(Refusal::NeedsSession)), "{refused:?}");
    }

    #[test]
    fn incidents_and_freezes_need_a_role_and_of_a_token_its_scope() {
        for (role, incidents, freezes) in [
            (Role::Engineer, true, false),
            (Role::Board, true, true),
            (Role::Auditor, false, false),
            (Role::Admin, true, true),
        ] {
            for actor in [session(role), token(role, &[Scope::TicketsWrite])] {
                assert_eq!(declares_incidents(&actor).is_ok(), incidents, "{role}");
                assert_eq!(declares_freezes(&actor).is_ok(), freezes, "{role}");
            }
            let without = token(role, &[Scope::TicketsRead, Scope::Apply]);
            assert!(declares_incidents(&without).is_err() && declares_freezes(&without).is_err(), "{role}");
        }
    }
}
