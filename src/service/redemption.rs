//! What a client has to know about redemptions without making one: what its token is for, and which run it opened.

use super::{ServiceError, Services};
use crate::domain::id::{RunId, TicketNumber};
use crate::domain::run::{Direction, Method};
use crate::domain::user::Actor;
use crate::secret::token::{PlainToken, TokenKind};
use crate::store::{apply_tokens, runs};

/// What an apply token was released for. It never changes, so it may be read before anything is locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    pub ticket: TicketNumber,
    pub stage: String,
    pub direction: Direction,
    pub method: Option<Method>,
}

impl Services {
    /// What a token is for; none if the portal released no such token.
    pub async fn token_purpose(&self, secret: &str) -> Result<Option<Purpose>, ServiceError> {
        let Ok(secret) = PlainToken::parse(TokenKind::Apply, secret) else { return Ok(None) };
        let mut read = self.db.glance().await?;
        let found = apply_tokens::find(&mut read, secret.hash().digest()).await?;
        Ok(found.map(|f| Purpose {
            ticket: f.ticket,
            stage: f.stage,
            direction: f.direction,
            method: f.method,
        }))
    }

    /// The run that this API token's owner opened, with whichever API token, on a stage with an idempotency key: the answer to a redemption that got lost.
    pub async fn redeemed_run(
        &self,
        actor: &Actor,
        number: TicketNumber,
        stage: &str,
        key: &str,
    ) -> Result<RunId, ServiceError> {
        let mut read = self.db.glance().await?;
        runs::by_key(&mut read, number, stage, actor.person, key).await?.ok_or(ServiceError::NotFound("run"))
    }
}
