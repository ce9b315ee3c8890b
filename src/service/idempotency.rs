//! Answers kept under keys that clients choose, so that a request repeated after a lost answer acts once (RULES 16).

use jiff::SignedDuration;

use super::{ServiceError, Services};
use crate::domain::digest::Digest;
use crate::domain::id::ApiTokenId;
use crate::store::idempotency;

/// How long a key is remembered.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What taking a key came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenKey {
    /// The key is the caller's: the request may act, and then has to keep its answer or give the key back.
    Fresh,
    /// A request with this key has been answered.
    Answered { status: u16, body: String },
    /// A request with this key has not been answered yet.
    Pending,
    /// The key stands for another request.
    OtherRequest,
}

impl Services {
    /// Takes a key of an API token for a request, told by its digest.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn take_key(
        &self,
        owner: ApiTokenId,
        key: &str,
        request: Digest,
    ) -> Result<TakenKey, ServiceError> {
        let mut tx = self.db.write().await?;
        if idempotency::reserve(&mut tx, owner.0, key, request, self.now()).await? {
            tx.commit_unaudited("a key alone changes nothing; what is done under it is audited").await?;
            return Ok(TakenKey::Fresh);
        }
        let Some(kept) = idempotency::find(&mut tx, owner.0, key).await? else {
            // Given back between the two statements: the client tries again.
            return Ok(TakenKey::Pending);
        };
        if kept.request_sha256 != request {
            return Ok(TakenKey::OtherRequest);
        }
        match (kept.status.map(u16::try_from), kept.body) {
            (Some(Ok(status)), Some(body)) => Ok(TakenKey::Answered { status, body }),
            _ => Ok(TakenKey::Pending),
        }
    }

    /// Keeps the answer to the request that took the key.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn keep_answer(
        &self,
        owner: ApiTokenId,
        key: &str,
        status: u16,
        body: &str,
    ) -> Result<(), ServiceError> {
        let mut tx = self.db.write().await?;
        idempotency::answer(&mut tx, owner.0, key, status.into(), body).await?;
        Ok(tx.commit_unaudited("the act is audited; this is its answer, for a repetition").await?)
    }

    /// Gives a key back whose request failed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn give_key_back(&self, owner: ApiTokenId, key: &str) -> Result<(), ServiceError> {
        let mut tx = self.db.write().await?;
        idempotency::release(&mut tx, owner.0, key).await?;
        Ok(tx.commit_unaudited("the request failed and changed nothing").await?)
    }

    /// Forgets keys that are a week old. Says how many.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn forget_keys(&self) -> Result<u64, ServiceError> {
        let before = self.now() - KEPT;
        let mut tx = self.db.write().await?;
        let forgotten = idempotency::forget(&mut tx, before).await?;
        tx.commit_unaudited("answers for repetitions are not kept for ever").await?;
        Ok(forgotten)
    }
}
