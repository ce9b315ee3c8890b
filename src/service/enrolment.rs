//! Enrolment links: how people choose their first password, or their next one after a reset.

use jiff::SignedDuration;

use super::users::{Created, deactivated, existing};
use super::{ServiceError, Services};
use crate::domain::authority;
use crate::domain::id::UserId;
use crate::domain::time::Timestamp;
use crate::domain::user::{Actor, User};
use crate::secret::password::PlainPassword;
use crate::secret::token::{PlainToken, TokenKind};
use crate::store::users::{self, AccountAct};
use crate::store::{Tx, gate_epoch, sessions};

/// How long an enrolment link is good, unless said otherwise.
pub const ENROLMENT_LIFE: SignedDuration = SignedDuration::from_hours(1);

/// Whom an enrolment link is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    pub name: String,
    pub email: String,
    pub expires_at: Timestamp,
}

impl Services {
    /// Whom a link is for, to be shown before a password is asked.
    ///
    /// # Errors
    /// Not found for what is no link of ours; gone (`link-used`, `link-expired`) for one that was.
    pub async fn enrolment_of(&self, link: &str) -> Result<Enrolment, ServiceError> {
        let found = self.good_link(&parsed_link(link)?).await?;
        Ok(Enrolment { name: found.name, email: found.email, expires_at: found.expires_at })
    }

    /// Sets the password of whoever holds the link, uses it up and ends the account's sessions. It starts none: the next
    /// step is to sign in.
    ///
    /// # Errors
    /// As [`enrolment_of`](Self::enrolment_of); the field `password` for one that is not accepted.
    pub async fn enrol(&self, link: &str, password: String) -> Result<User, ServiceError> {
        let link = parsed_link(link)?;
        let found = self.good_link(&link).await?;
        let password = PlainPassword::chosen(password, &found.email)
            .map_err(|why| ServiceError::field("password", why.to_string()))?;
        let hash = self.hasher.hash(&password).await?;
        let now = self.now();
        let mut tx = self.db.write().await?;
        if !users::set_password(&mut tx, found.user_id, hash.as_phc()).await? {
            return Err(no_link());
        }
        if !users::use_enrolment(&mut tx, link.hash().digest(), now).await? {
            // Somebody was faster, or the hour is over.
            drop(tx);
            self.good_link(&link).await?;
            return Err(ServiceError::Busy);
        }
        users::expire_enrolments(&mut tx, found.user_id, now).await?;
        let ended = sessions::end_all(&mut tx, found.user_id, None).await?;
        let user = existing(&mut tx, found.user_id).await?.user;
        let mut events = vec![self.event("user.enrolled", None).with("user", user.id.to_string())];
        events.extend(self.sessions_ended(None, user.id, &ended, "enrolled"));
        tx.commit(&events).await?;
        Ok(user)
    }

    /// Makes a new link for somebody who can't sign in any more. The old password stays until the link is used, but all
    /// sessions and earlier links end.
    ///
    /// # Errors
    /// Refused to all but administrators and the operator; conflict `deactivated`.
    pub async fn reset_user(
        &self,
        actor: Option<&Actor>,
        user: UserId,
        link_life: Option<SignedDuration>,
    ) -> Result<Created, ServiceError> {
        authority::administers(actor)?;
        let mut tx = self.db.write().await?;
        // Who reset an account can't have its vote counted: gates may close.
        gate_epoch::raise(&mut tx).await?;
        self.still_administers(&mut tx, actor).await?;
        let user = existing(&mut tx, user).await?.user;
        if !users::hold_active(&mut tx, user.id).await? {
            return Err(deactivated());
        }
        users::expire_enrolments(&mut tx, user.id, self.now()).await?;
        let (enrolment, expires_at) = self.new_link(&mut tx, user.id, link_life).await?;
        let ended = sessions::end_all(&mut tx, user.id, None).await?;
        self.note_shaper(&mut tx, actor, user.id, AccountAct::Reset).await?;
        let reset =
            self.administrative("user.reset", actor, user.id).with("link_expires_at", expires_at.to_string());
        let mut events = vec![reset];
        events.extend(self.sessions_ended(actor, user.id, &ended, "reset"));
        tx.commit(&events).await?;
        Ok(Created { user, enrolment, expires_at })
    }

    /// Makes a link for an account and keeps its hash.
    pub(super) async fn new_link(
        &self,
        tx: &mut Tx,
        user: UserId,
        life: Option<SignedDuration>,
    ) -> Result<(PlainToken, Timestamp), ServiceError> {
        let link = PlainToken::generate(TokenKind::Invite, &self.env);
        let now = self.now();
        let expires_at = now + life.unwrap_or(ENROLMENT_LIFE);
        users::insert_enrolment(tx, link.hash().digest(), user, now, expires_at).await?;
        Ok((link, expires_at))
    }

    async fn good_link(&self, link: &PlainToken) -> Result<users::Enrolment, ServiceError> {
        let mut read = self.db.read().await?;
        let found = users::enrolment(&mut read, link.hash().digest()).await?;
        let found = found.filter(|found| found.active).ok_or_else(no_link)?;
        let gone = |code, message: &str| Err(ServiceError::Gone { code, message: message.to_owned() });
        if found.used_at.is_some() {
            return gone(
                "link-used",
                "This link was used already. Sign in, or ask an administrator for a new one.",
            );
        }
        if found.expires_at <= self.now() {
            return gone("link-expired", "This link has expired. Ask an administrator for a new one.");
        }
        Ok(found)
    }
}

fn no_link() -> ServiceError {
    ServiceError::NotFound("enrolment link")
}

fn parsed_link(link: &str) -> Result<PlainToken, ServiceError> {
    PlainToken::parse(TokenKind::Invite, link).map_err(|_| no_link())
}
