//! Accounts: adding them, changing their roles, closing them. There is no default account: the first one is
//! added at the server's own command line.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::change::still;
use super::{ServiceError, Services};
use crate::domain::audit::Event;
use crate::domain::id::{PersonId, SessionId, UserId};
use crate::domain::ticket::{FieldFault, text_rule};
use crate::domain::time::Timestamp;
use crate::domain::user::{Actor, Role, User};
use crate::domain::{address, authority};
use crate::secret::token::PlainToken;
use crate::store::users::{self, Account, AccountAct};
use crate::store::{Conn, Tx, api_tokens, gate_epoch, sessions};

/// Accounts that one page of the list holds.
pub const USERS_PER_PAGE: i64 = 200;

/// An account to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    pub email: String,
    pub name: String,
    pub roles: BTreeSet<Role>,
    /// The person, if this is another account of somebody known.
    pub person: Option<PersonId>,
}

/// A new account with the link that its owner chooses a password with. Only its hash is kept, so this shows it once.
#[derive(Debug)]
pub struct Created {
    pub user: User,
    pub enrolment: PlainToken,
    pub expires_at: Timestamp,
}

/// A line of the list of accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub user: User,
    /// Whether a password was ever chosen.
    pub enrolled: bool,
}

impl Services {
    /// Adds an account and makes its enrolment link, good for `link_life` or
    /// [`ENROLMENT_LIFE`](super::enrolment::ENROLMENT_LIFE).
    ///
    /// # Errors
    /// Refused to all but administrators and the operator; invalid fields; conflicts `email-taken` and `own-account`.
    pub async fn add_user(
        &self,
        actor: Option<&Actor>,
        new: NewUser,
        link_life: Option<SignedDuration>,
    ) -> Result<Created, ServiceError> {
        authority::administers(actor)?;
        let user = self.new_user(new)?;
        if actor.is_some_and(|actor| actor.person == user.person) {
            return Err(own_account());
        }
        let mut tx = self.db.write().await?;
        self.still_administers(&mut tx, actor).await?;
        if !users::insert(&mut tx, &user).await? {
            return Err(ServiceError::conflict(
                "email-taken",
                "There is an account with this email address already.",
            ));
        }
        self.note_shaper(&mut tx, actor, user.id, AccountAct::Created).await?;
        if !user.roles.is_empty() {
            self.note_shaper(&mut tx, actor, user.id, AccountAct::RoleGranted).await?;
        }
        let (enrolment, expires_at) = self.new_link(&mut tx, user.id, link_life).await?;
        let event = self
            .administrative("user.added", actor, user.id)
            .with("person", user.person.to_string())
            .with("roles", names(&user.roles))
            .with("link_expires_at", expires_at.to_string());
        tx.commit(&[self.with_text(event, &format!("{} <{}>", user.name, user.email))]).await?;
        Ok(Created { user, enrolment, expires_at })
    }

    /// Gives an account these roles and no others. The same roles again change and record nothing.
    ///
    /// # Errors
    /// Refused to all but administrators and the operator; the field `roles` for none at all; conflicts `own-account`,
    /// `last-admin` and `deactivated`.
    pub async fn set_roles(
        &self,
        actor: Option<&Actor>,
        user: UserId,
        roles: BTreeSet<Role>,
    ) -> Result<User, ServiceError> {
        authority::administers(actor)?;
        if let Some(message) = roles_rule(&roles) {
            return Err(ServiceError::field("roles", message));
        }
        let mut tx = self.db.write().await?;
        // Also keeps two administrators from demoting each other at once.
        gate_epoch::raise(&mut tx).await?;
        self.still_administers(&mut tx, actor).await?;
        let mut user = existing(&mut tx, user).await?.user;
        if actor.is_some_and(|actor| actor.person == user.person) {
            return Err(own_account());
        }
        if !users::hold_active(&mut tx, user.id).await? {
            return Err(deactivated());
        }
        if user.roles == roles {
            return Ok(user);
        }
        if !roles.contains(&Role::Admin) {
            keep_an_administrator(&mut tx, &user).await?;
        }
        users::set_roles(&mut tx, user.id, &roles).await?;
        if !roles.is_subset(&user.roles) {
            self.note_shaper(&mut tx, actor, user.id, AccountAct::RoleGranted).await?;
        }
        let event = self
            .administrative("user.roles-changed", actor, user.id)
            .with("before", names(&user.roles))
            .with("roles", names(&roles));
        tx.commit(&[event]).await?;
        user.roles = roles;
        Ok(user)
    }

    /// Closes an account for ever: its sessions, links and API tokens end with it. Again changes and records nothing.
    ///
    /// # Errors
    /// Refused to all but administrators and the operator; conflict `last-admin`.
    pub async fn deactivate_user(&self, actor: Option<&Actor>, user: UserId) -> Result<User, ServiceError> {
        authority::administers(actor)?;
        let mut tx = self.db.write().await?;
        gate_epoch::raise(&mut tx).await?;
        self.still_administers(&mut tx, actor).await?;
        let mut user = existing(&mut tx, user).await?.user;
        if !user.active {
            return Ok(user);
        }
        keep_an_administrator(&mut tx, &user).await?;
        if !users::deactivate(&mut tx, user.id).await? {
            return Err(ServiceError::Busy);
        }
        let now = self.now();
        users::expire_enrolments(&mut tx, user.id, now).await?;
        let ended = sessions::end_all(&mut tx, user.id, None).await?;
        let revoked = api_tokens::revoke_all(&mut tx, user.id, now).await?;
        let mut events = vec![self.administrative("user.deactivated", actor, user.id)];
        events.extend(self.sessions_ended(actor, user.id, &ended, "deactivated"));
        events.extend(revoked.iter().map(|token| {
            self.administrative("api-token.revoked", actor, user.id).with("api_token", token.to_string())
        }));
        tx.commit(&events).await?;
        user.active = false;
        Ok(user)
    }

    /// Accounts in the order of their addresses, at most [`USERS_PER_PAGE`]; the next page follows the last address.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list_users(&self, after_email: Option<&str>) -> Result<Vec<Listed>, ServiceError> {
        let mut read = self.db.read().await?;
        // What is no address is no cursor either: the list begins at its beginning.
        let after = after_email.and_then(|email| address::normal(email).ok()).unwrap_or_default();
        let accounts = users::list(&mut read, &after, USERS_PER_PAGE).await?;
        let listed = |Account { user, password }| Listed { user, enrolled: password.is_some() };
        Ok(accounts.into_iter().map(listed).collect())
    }

    /// The account with this id.
    ///
    /// # Errors
    /// Not found.
    pub async fn user(&self, id: UserId) -> Result<User, ServiceError> {
        Ok(existing(&mut self.db.read().await?, id).await?.user)
    }

    /// The account with this address, however it is spelled.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn find_user(&self, email: &str) -> Result<Option<User>, ServiceError> {
        let Ok(email) = address::normal(email) else { return Ok(None) };
        Ok(users::by_email(&mut self.db.read().await?, &email).await?.map(|account| account.user))
    }

    fn new_user(&self, new: NewUser) -> Result<User, ServiceError> {
        let mut faults = Vec::new();
        let mut fault = |field, message| faults.push(FieldFault { field, message });
        let email = address::normal(&new.email).unwrap_or_else(|message| {
            fault("email", message);
            String::new()
        });
        let name = new.name.trim().to_owned();
        text_rule(&name, 1, 120, false).unwrap_or_else(|message| fault("name", message));
        if let Some(message) = roles_rule(&new.roles) {
            fault("roles", message.to_owned());
        }
        if !faults.is_empty() {
            return Err(ServiceError::Invalid { faults });
        }
        Ok(User {
            id: UserId(self.env.uuid()),
            person: new.person.unwrap_or_else(|| PersonId(self.env.uuid())),
            email,
            name,
            active: true,
            roles: new.roles,
            created_at: self.now(),
        })
    }

    /// Asks again under the lock: a right that was taken away in the meantime is gone.
    pub(super) async fn still_administers(
        &self,
        tx: &mut Tx,
        actor: Option<&Actor>,
    ) -> Result<(), ServiceError> {
        let Some(actor) = actor else { return Ok(()) };
        let actor = still(tx, actor, self.now()).await?;
        Ok(authority::administers(Some(&actor))?)
    }

    /// The operator is no person, so what the operator did bars nobody from voting.
    pub(super) async fn note_shaper(
        &self,
        tx: &mut Tx,
        actor: Option<&Actor>,
        user: UserId,
        act: AccountAct,
    ) -> Result<(), ServiceError> {
        if let Some(actor) = actor {
            users::record_act(tx, self.env.uuid(), user, act, actor.person, self.now()).await?;
        }
        Ok(())
    }

    /// An event about an account; without an actor it was the operator's.
    pub(super) fn administrative(&self, kind: &'static str, actor: Option<&Actor>, user: UserId) -> Event {
        by_operator(self.event(kind, actor)).with("user", user.to_string())
    }

    /// One event for each session that ended.
    pub(super) fn sessions_ended(
        &self,
        actor: Option<&Actor>,
        user: UserId,
        ended: &[SessionId],
        why: &'static str,
    ) -> impl Iterator<Item = Event> {
        ended.iter().map(move |session| {
            self.event("session.ended", actor)
                .with("user", user.to_string())
                .with("session", session.to_string())
                .with("why", why)
        })
    }
}

/// Marks an event without an actor as done at the command line.
pub(super) fn by_operator(event: Event) -> Event {
    if event.actor.is_none() { event.with("by", "console") } else { event }
}

/// Reads an account that has to be there.
pub(super) async fn existing(conn: &mut impl Conn, id: UserId) -> Result<Account, ServiceError> {
    users::by_id(conn, id).await?.ok_or(ServiceError::NotFound("account"))
}

pub(super) fn deactivated() -> ServiceError {
    ServiceError::conflict("deactivated", "This account is deactivated.")
}

fn own_account() -> ServiceError {
    ServiceError::conflict("own-account", "Nobody changes their own roles. Ask another administrator.")
}

fn roles_rule(roles: &BTreeSet<Role>) -> Option<&'static str> {
    roles.is_empty().then_some("Choose at least one role. To take all of them away, deactivate the account.")
}

fn names(roles: &BTreeSet<Role>) -> Vec<&'static str> {
    roles.iter().map(|role| role.as_str()).collect()
}

/// Somebody has to be able to manage accounts. Needs the lock on the gate epoch, or two could leave at once.
async fn keep_an_administrator(tx: &mut Tx, leaving: &User) -> Result<(), ServiceError> {
    if leaving.roles.contains(&Role::Admin) && users::other_administrators(tx, leaving.id).await? == 0 {
        let message = "This is the last active administrator. Make somebody else one first.";
        return Err(ServiceError::conflict("last-admin", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
