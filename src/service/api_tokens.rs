//! API tokens: bearer secrets that act for the person who owns them, within their scopes.

use std::collections::BTreeSet;

use super::sign_in::TOUCH_EVERY;
use super::users::deactivated;
use super::{ServiceError, Services};
use crate::domain::id::{ApiTokenId, UserId};
use crate::domain::ticket::{FieldFault, text_rule};
use crate::domain::time::Timestamp;
use crate::domain::user::{Actor, Role, Scope, Via};
use crate::domain::{address, authority};
use crate::secret::token::{PlainToken, TokenKind};
use crate::store::{Json, api_tokens, users};

pub use crate::store::api_tokens::ApiToken;

/// Tokens that one person may hold at once.
const MOST_PER_USER: i64 = 100;

/// An API token to be made.
#[derive(Clone, Debug)]
pub struct NewApiToken {
    pub name: String,
    pub scopes: BTreeSet<Scope>,
    /// Its end; without one it lives until it is revoked.
    pub expires_at: Option<Timestamp>,
}

impl Services {
    /// Makes an API token for the actor. Only its hash is kept, so this shows it once.
    ///
    /// # Errors
    /// Refused to API tokens; the fields `name`, `scopes` and `expires_at`; conflict `too-many-tokens`.
    pub async fn create_api_token(
        &self,
        actor: &Actor,
        new: NewApiToken,
    ) -> Result<(ApiTokenId, PlainToken), ServiceError> {
        authority::in_person(actor)?;
        self.make_api_token(Some(actor), actor.user, new).await
    }

    /// Makes an API token for the account with this address, at the server's command line.
    ///
    /// # Errors
    /// As [`create_api_token`](Self::create_api_token); not found.
    pub async fn create_api_token_for(
        &self,
        email: &str,
        new: NewApiToken,
    ) -> Result<(ApiTokenId, PlainToken), ServiceError> {
        let email = address::normal(email).map_err(|message| ServiceError::field("email", message))?;
        let owner = users::by_email(&mut self.db.read().await?, &email).await?;
        let owner = owner.ok_or(ServiceError::NotFound("account"))?.user.id;
        self.make_api_token(None, owner, new).await
    }

    async fn make_api_token(
        &self,
        actor: Option<&Actor>,
        owner: UserId,
        new: NewApiToken,
    ) -> Result<(ApiTokenId, PlainToken), ServiceError> {
        let now = self.now();
        let name = new.name.trim().to_owned();
        let mut faults = Vec::new();
        let mut fault = |field, message: &str| faults.push(FieldFault { field, message: message.to_owned() });
        text_rule(&name, 1, 80, false).unwrap_or_else(|message| fault("name", &message));
        if new.scopes.is_empty() {
            fault("scopes", "Choose at least one scope.");
        }
        if new.expires_at.is_some_and(|end| end <= now) {
            fault("expires_at", "This is in the past.");
        }
        if !faults.is_empty() {
            return Err(ServiceError::Invalid { faults });
        }
        let token = PlainToken::generate(TokenKind::Api, &self.env);
        let kept = ApiToken {
            id: ApiTokenId(self.env.uuid()),
            user_id: owner,
            name,
            scopes: Json(new.scopes),
            created_at: now,
            expires_at: new.expires_at,
            revoked_at: None,
            used_at: None,
        };
        let mut tx = self.db.write().await?;
        if !users::hold_active(&mut tx, owner).await? {
            return Err(deactivated());
        }
        if api_tokens::live_count(&mut tx, owner, now).await? >= MOST_PER_USER {
            let message = format!("Nobody holds more than {MOST_PER_USER} API tokens. Revoke one first.");
            return Err(ServiceError::conflict("too-many-tokens", message));
        }
        api_tokens::insert(&mut tx, token.hash().digest(), &kept).await?;
        let scopes: Vec<&str> = kept.scopes.0.iter().map(|scope| scope.as_str()).collect();
        let mut event = self
            .administrative("api-token.created", actor, owner)
            .with("api_token", kept.id.to_string())
            .with("scopes", scopes);
        if let Some(end) = kept.expires_at {
            event = event.with("expires_at", end.to_string());
        }
        tx.commit(&[self.with_text(event, &kept.name)]).await?;
        Ok((kept.id, token))
    }

    /// Revokes an API token: one's own, or anybody's as an administrator or the operator. Again changes nothing.
    ///
    /// # Errors
    /// Refused to API tokens; not found, also for those of others.
    pub async fn revoke_api_token(&self, actor: Option<&Actor>, id: ApiTokenId) -> Result<(), ServiceError> {
        if let Some(actor) = actor {
            authority::in_person(actor)?;
        }
        let mut tx = self.db.write().await?;
        let owner = api_tokens::owner(&mut tx, id).await?;
        let visible = |owner: &UserId| actor.is_none_or(|a| a.user == *owner || a.has(Role::Admin));
        let owner = owner.filter(visible).ok_or(ServiceError::NotFound("API token"))?;
        if api_tokens::revoke(&mut tx, id, self.now()).await? {
            let event = self.administrative("api-token.revoked", actor, owner);
            tx.commit(&[event.with("api_token", id.to_string())]).await?;
        }
        Ok(())
    }

    /// A user's API tokens, at most 200: those that are not revoked first, then the newest.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list_api_tokens(&self, user: UserId) -> Result<Vec<ApiToken>, ServiceError> {
        Ok(api_tokens::list(&mut self.db.read().await?, user).await?)
    }

    /// Who acts through this bearer token, with the owner's roles of this moment.
    ///
    /// # Errors
    /// Unauthenticated (`bad-token`), whatever is wrong with it.
    pub async fn bearer_actor(&self, token: &str) -> Result<Actor, ServiceError> {
        let token = PlainToken::parse(TokenKind::Api, token).map_err(|_| bad_token())?;
        let now = self.now();
        let mut read = self.db.read().await?;
        let found = api_tokens::bearer(&mut read, token.hash().digest(), now).await?.ok_or_else(bad_token)?;
        drop(read);
        if found.used_at.is_none_or(|used| now.since(used) >= TOUCH_EVERY) {
            self.touch_api_token(found.id, now).await;
        }
        Ok(Actor {
            user: found.user,
            person: found.person,
            name: found.name,
            roles: found.roles,
            via: Via::Token { id: found.id, name: found.token_name, scopes: found.scopes },
        })
    }

    /// A request must not fail because the time of it can't be noted just now.
    async fn touch_api_token(&self, id: ApiTokenId, now: Timestamp) {
        let touched = async {
            let mut tx = self.db.write().await?;
            api_tokens::touch(&mut tx, id, now).await?;
            tx.commit_unaudited("the time of last use is not an act").await
        };
        if let Err(error) = touched.await {
            tracing::warn!(%error, "could not note that an API token was used");
        }
    }
}

fn bad_token() -> ServiceError {
    let message = "The API token is unknown, revoked or expired.".to_owned();
    ServiceError::Unauthenticated { code: "bad-token", message }
}

#[cfg(test)]
mod tests;
