//! Signing in and out, sessions, and proving once more who is at the keyboard.

use std::net::IpAddr;

use jiff::SignedDuration;

use super::review::Reauthenticated;
use super::throttle::{Bucket, Tries};
use super::users::existing;
use super::{ServiceError, Services};
use crate::domain::audit::Event;
use crate::domain::digest::Digest;
use crate::domain::id::{SessionId, UserId};
use crate::domain::time::Timestamp;
use crate::domain::user::{Actor, Via};
use crate::domain::{address, authority};
use crate::secret::Secret;
use crate::secret::hasher::{PasswordError, PasswordHash};
use crate::secret::password::PlainPassword;
use crate::secret::token::{PlainToken, TokenKind};
use crate::store::sessions::{self, NewSession};
use crate::store::users::{self, Account};

pub use crate::store::sessions::Listed as SessionLine;

/// Longer names of browsers are cut, in characters.
const LONGEST_AGENT: usize = 200;

/// How often the time of last use is written down.
pub(super) const TOUCH_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// A session that has just begun. Only the hash of its token is kept.
#[derive(Debug)]
pub struct SignedIn {
    pub token: PlainToken,
    pub actor: Actor,
    /// Its end, however much it is used.
    pub expires_at: Timestamp,
}

/// Who is behind a session's cookie, with the roles of this moment.
#[derive(Clone, Debug)]
pub struct SessionActor {
    pub actor: Actor,
    pub email: String,
    pub expires_at: Timestamp,
    /// What this session's forms carry: computed from the session's token, which the database doesn't hold.
    pub csrf: Secret<String>,
}

impl From<PasswordError> for ServiceError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Busy,
            PasswordError::Stopped | PasswordError::Unreadable | PasswordError::Failed(_) => {
                Self::Internal(error.to_string())
            }
        }
    }
}

impl Services {
    /// Begins a session. Whatever is wrong with address or password, the answer and its cost are the same.
    ///
    /// # Errors
    /// Unauthenticated (`bad-credentials`); throttled per account and per network.
    pub async fn sign_in(
        &self,
        email: &str,
        password: PlainPassword,
        client: IpAddr,
        agent: &str,
    ) -> Result<SignedIn, ServiceError> {
        // What is no address is nobody's, and costs what an unknown one costs.
        let email = address::normal(email).unwrap_or_default();
        let tries = self.try_once(Bucket::of_sign_in(&email, client)).await?;
        let account = users::by_email(&mut self.db.read().await?, &email).await?;
        let user = account.as_ref().map(|account| account.user.id);
        if let Some((account, hash)) = self.verified(&tries, account, &password).await?
            && let Some(signed_in) = self.begin_session(&tries, &account, &hash, client, agent).await?
        {
            return Ok(signed_in);
        }
        let mut event = self.event("sign-in.failed", None);
        if let Some(user) = user {
            event = event.with("user", user.to_string());
        }
        self.db.write().await?.commit(&[self.with_network(event, client)]).await?;
        Err(bad_credentials())
    }

    /// The account and its hash if it may sign in and this is its password. Always costs one hash.
    async fn verified(
        &self,
        tries: &Tries,
        account: Option<Account>,
        password: &PlainPassword,
    ) -> Result<Option<(Account, PasswordHash)>, ServiceError> {
        let stored = account.as_ref().and_then(|a| a.password.clone()).map(PasswordHash::from_stored);
        match self.hasher.verify(password, stored.as_ref()).await {
            Ok(matches) => Ok(account.zip(stored).filter(|(account, _)| matches && account.user.active)),
            Err(error) => {
                self.take_back(tries).await?;
                Err(error.into())
            }
        }
    }

    /// Begins the session, unless the account or its password changed since it was read.
    async fn begin_session(
        &self,
        tries: &Tries,
        account: &Account,
        hash: &PasswordHash,
        client: IpAddr,
        agent: &str,
    ) -> Result<Option<SignedIn>, ServiceError> {
        let user = &account.user;
        let token = PlainToken::generate(TokenKind::Session, &self.env);
        let id = SessionId(self.env.uuid());
        let now = self.now();
        let expires_at = now + self.limits.session_max;
        let mut tx = self.db.write().await?;
        if !users::hold(&mut tx, user.id, hash.as_phc()).await? {
            return Ok(None);
        }
        tries.take_back(&mut tx).await?;
        tries.forget_older(&mut tx).await?;
        sessions::forget_ended(&mut tx, user.id, now, now - self.limits.session_idle).await?;
        let agent: String = agent.chars().filter(|c| !c.is_control()).take(LONGEST_AGENT).collect();
        let session = NewSession {
            id,
            token: token.hash().digest(),
            user: user.id,
            created_at: now,
            expires_at,
            agent: &agent,
        };
        sessions::insert(&mut tx, &session).await?;
        let actor = Actor {
            user: user.id,
            person: user.person,
            name: user.name.clone(),
            roles: user.roles.clone(),
            via: Via::Session(id),
        };
        let event = self.event("session.started", Some(&actor)).with("expires_at", expires_at.to_string());
        tx.commit(&[self.with_network(event, client)]).await?;
        Ok(Some(SignedIn { token, actor, expires_at }))
    }

    /// Who is behind this cookie, in one query; nobody, if the session has ended or never was.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn session_actor(&self, token: &str) -> Result<Option<SessionActor>, ServiceError> {
        let Ok(token) = PlainToken::parse(TokenKind::Session, token) else { return Ok(None) };
        let now = self.now();
        let idle_since = now - self.limits.session_idle;
        let mut read = self.db.read().await?;
        let Some(live) = sessions::live(&mut read, token.hash().digest(), now, idle_since).await? else {
            return Ok(None);
        };
        drop(read);
        if now.since(live.seen_at) >= TOUCH_EVERY.min(self.limits.session_idle / 4) {
            self.touch_session(live.id, now).await;
        }
        Ok(Some(SessionActor {
            actor: Actor {
                user: live.user,
                person: live.person,
                name: live.name,
                roles: live.roles,
                via: Via::Session(live.id),
            },
            email: live.email,
            expires_at: live.expires_at,
            csrf: csrf(&token),
        }))
    }

    /// A request must not fail because the time of it can't be noted just now.
    async fn touch_session(&self, id: SessionId, now: Timestamp) {
        let touched = async {
            let mut tx = self.db.write().await?;
            sessions::touch(&mut tx, id, now).await?;
            tx.commit_unaudited("the time of last use is not an act").await
        };
        if let Err(error) = touched.await {
            tracing::warn!(%error, "could not note that a session was used");
        }
    }

    /// Where the actor is signed in, the session last used first.
    ///
    /// # Errors
    /// Refused to API tokens.
    pub async fn own_sessions(&self, actor: &Actor) -> Result<Vec<SessionLine>, ServiceError> {
        authority::in_person(actor)?;
        let now = self.now();
        let mut read = self.db.read().await?;
        Ok(sessions::standing(&mut read, actor.user, now, now - self.limits.session_idle).await?)
    }

    /// Ends the actor's own session. One that has ended already stays so.
    ///
    /// # Errors
    /// Refused to API tokens.
    pub async fn sign_out(&self, actor: &Actor) -> Result<(), ServiceError> {
        let session = own_session(actor)?;
        let mut tx = self.db.write().await?;
        if sessions::end(&mut tx, session).await? {
            let ended: Vec<Event> =
                self.sessions_ended(Some(actor), actor.user, &[session], "signed out").collect();
            tx.commit(&ended).await?;
        }
        Ok(())
    }

    /// Ends all sessions of a user, one's own or as an administrator, and says how many there were.
    ///
    /// # Errors
    /// Refused to API tokens, and to others than the user and administrators.
    pub async fn sign_out_everywhere(&self, actor: &Actor, user: UserId) -> Result<usize, ServiceError> {
        authority::in_person(actor)?;
        if actor.user != user {
            authority::administers(Some(actor))?;
        }
        let mut tx = self.db.write().await?;
        let ended = sessions::end_all(&mut tx, user, None).await?;
        if !ended.is_empty() {
            let events: Vec<Event> =
                self.sessions_ended(Some(actor), user, &ended, "signed out everywhere").collect();
            tx.commit(&events).await?;
        }
        Ok(ended.len())
    }

    /// Sets a new password for the actor, and ends all sessions but this one, and open enrolment links.
    ///
    /// # Errors
    /// As [`reauthenticate`](Self::reauthenticate) for the old one; the field `new_password` for a new one that is not accepted.
    pub async fn change_password(
        &self,
        actor: &Actor,
        old: PlainPassword,
        new: String,
    ) -> Result<(), ServiceError> {
        let session = own_session(actor)?;
        let (account, old) = self.own_password(actor, &old).await?;
        let new = PlainPassword::chosen(new, &account.user.email)
            .map_err(|why| ServiceError::field("new_password", why.to_string()))?;
        let new = self.hasher.hash(&new).await?;
        let mut tx = self.db.write().await?;
        if !users::hold(&mut tx, actor.user, old.as_phc()).await?
            || !users::set_password(&mut tx, actor.user, new.as_phc()).await?
        {
            return Err(wrong_password());
        }
        users::expire_enrolments(&mut tx, actor.user, self.now()).await?;
        let ended = sessions::end_all(&mut tx, actor.user, Some(session)).await?;
        let mut events = vec![self.event("user.password-changed", Some(actor))];
        events.extend(self.sessions_ended(Some(actor), actor.user, &ended, "password changed"));
        tx.commit(&events).await?;
        Ok(())
    }

    /// Proves that the actor's owner is at the keyboard, for acts that a stolen session must not do.
    ///
    /// # Errors
    /// Refused to API tokens; mismatch (`wrong-password`); throttled per account.
    pub async fn reauthenticate(
        &self,
        actor: &Actor,
        password: &PlainPassword,
    ) -> Result<Reauthenticated, ServiceError> {
        self.own_password(actor, password).await?;
        Ok(Reauthenticated::as_user(actor.user))
    }

    async fn own_password(
        &self,
        actor: &Actor,
        password: &PlainPassword,
    ) -> Result<(Account, PasswordHash), ServiceError> {
        authority::in_person(actor)?;
        let tries = self.try_once(Bucket::of_own_password(actor.user)).await?;
        let account = existing(&mut self.db.read().await?, actor.user).await?;
        if let Some(found) = self.verified(&tries, Some(account), password).await? {
            self.take_back(&tries).await?;
            return Ok(found);
        }
        let failed = self.event("sign-in.failed", Some(actor)).with("user", actor.user.to_string());
        self.db.write().await?.commit(&[failed]).await?;
        Err(wrong_password())
    }

    /// From where, for whoever looks into an attack. It tells of a person, so it can be erased.
    fn with_network(&self, event: Event, client: IpAddr) -> Event {
        self.with_text(event, &super::throttle::network(client))
    }
}

fn own_session(actor: &Actor) -> Result<SessionId, ServiceError> {
    authority::in_person(actor)?;
    match actor.via {
        Via::Session(session) => Ok(session),
        Via::Token { .. } | Via::Console => Err(ServiceError::NotFound("session")),
    }
}

/// Nobody who knows only what the database holds can compute it.
fn csrf(session: &PlainToken) -> Secret<String> {
    let text = format!("countersign csrf/1\n{}", session.reveal());
    Secret::new(Digest::of(text.as_bytes()).to_string())
}

fn bad_credentials() -> ServiceError {
    let message = "Email or password is not right, or the account is closed.".to_owned();
    ServiceError::Unauthenticated { code: "bad-credentials", message }
}

fn wrong_password() -> ServiceError {
    ServiceError::Mismatch { code: "wrong-password", message: "This is not your password.".to_owned() }
}

#[cfg(test)]
mod tests;
