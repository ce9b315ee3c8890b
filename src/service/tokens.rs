//! Releasing, revoking and redeeming apply tokens. Both ends take a clearance by value: a token without open gates
//! does not type-check.

use super::change::{Change, Lock};
use super::grant::Granted;
use super::{ServiceError, Services};
use crate::domain::digest::Digest;
use crate::domain::facts::{Facts, Intent, Purpose, Vote};
use crate::domain::gate::{self, Clearance};
use crate::domain::id::{ApplyTokenId, RunId, TicketNumber};
use crate::domain::presented::{self, Expected};
use crate::domain::run::{ApplyToken, Method, Run, RunStatus, TokenState};
use crate::domain::sql_digest::SqlDigest;
use crate::domain::time::Timestamp;
use crate::domain::transition::Action;
use crate::domain::user::Actor;
use crate::secret::token::{PlainToken, TokenKind};
use crate::store::{apply_tokens, decisions, runs};

/// A token as it is shown, once.
#[derive(Debug)]
pub struct Released {
    pub id: ApplyTokenId,
    pub secret: PlainToken,
    pub expires_at: Timestamp,
    /// What redemption has to present.
    pub expected: Expected,
    pub intent: Intent,
}

/// What a client presents to redeem a token.
#[derive(Clone, Debug)]
pub struct Presented {
    pub sql_digest: SqlDigest,
    pub manifest: Option<Digest>,
    pub database: Option<String>,
}

/// The run that a redemption opened.
#[derive(Clone, Debug)]
pub struct Redeemed {
    pub run: RunId,
    /// The signed grant, JSON, the same bytes each time.
    pub grant: String,
    /// The answer to an earlier request with the same key.
    pub replayed: bool,
}

/// So many redemptions with other digests than were approved end a token: somebody tries them out.
const WRONG_TRIES: i64 = 5;

/// Why it ended then.
const TRIED_OUT: &str = "it was presented five times with something else than was approved";

impl Services {
    /// Releases a token, if every gate is open at this instant.
    ///
    /// # Errors
    /// Refused with the gate report when a gate is shut.
    pub async fn release(
        &self,
        actor: &Actor,
        number: TicketNumber,
        stage: &str,
        intent: Intent,
    ) -> Result<Released, ServiceError> {
        let mut change = self.change(actor, number, Lock::Environment(stage)).await?;
        change.note_lapsed_runs(self).await?;
        let facts = change.facts_for(stage, Purpose::Release, intent)?;
        let decision = change.decide(&facts, &Action::Authorise)?;
        let clearance = decision
            .clearance
            .ok_or_else(|| ServiceError::Internal("authorised without a clearance".to_owned()))?;
        let expected = presented::expected(&facts).ok_or_else(|| {
            ServiceError::conflict(
                "no-approved-file",
                "The approved evidence holds no file that this run would apply.",
            )
        })?;
        let secret = PlainToken::generate(TokenKind::Apply, &self.env);
        let token = self.issue(&mut change, &facts, clearance, &secret).await?;
        self.commit(change).await?;
        Ok(Released { id: token.id, secret, expires_at: token.expires_at, expected, intent })
    }

    async fn issue(
        &self,
        change: &mut Change,
        facts: &Facts,
        clearance: Clearance,
        secret: &PlainToken,
    ) -> Result<ApplyToken, ServiceError> {
        let now = clearance.at();
        let longest = now + facts.this.policy.token_ttl;
        let token = ApplyToken {
            id: ApplyTokenId(self.env.uuid()),
            stage: facts.this.stage.id,
            ticket: facts.ticket.number,
            environment: facts.this.stage.environment,
            direction: clearance.intent().direction(),
            method: clearance.intent().method(),
            undoes: match clearance.intent() {
                Intent::Upgrade => None,
                Intent::Rollback(_) => facts.undone().map(|r| r.id),
            },
            evidence: clearance.evidence().digest,
            released_by: change.actor.user,
            released_by_name: change.actor.name.clone(),
            released_at: now,
            expires_at: clearance.window_ends().map_or(longest, |end| end.min(longest)),
            state: TokenState::Issued,
            ended_at: None,
            ended_why: None,
        };
        let waived: Vec<&'static str> = clearance.waived().iter().map(|k| k.as_str()).collect();
        decisions::keep_evidence(&mut change.tx, clearance.evidence()).await?;
        let via = change.actor.token();
        let new =
            apply_tokens::NewToken { token: &token, hash: secret.hash().digest(), waived: &waived, via };
        apply_tokens::insert(&mut change.tx, &new).await?;
        let event = self
            .event("token.released", Some(&change.actor))
            .of_ticket(change.ticket())
            .of_stage(&facts.this.stage.name)
            .with("token", token.id.to_string())
            .with("direction", token.direction.as_str())
            .with("method", token.method.map(Method::as_str))
            .with("evidence", token.evidence.to_string())
            .with("waived", waived)
            .with("expires_at", token.expires_at.to_string());
        change.record(event);
        Ok(token)
    }

    /// Revokes the outstanding token of a stage; or this one only, which may be gone already.
    pub async fn revoke_token(
        &self,
        actor: &Actor,
        number: TicketNumber,
        stage: &str,
        which: Option<ApplyTokenId>,
    ) -> Result<(), ServiceError> {
        let mut change = self.change(actor, number, Lock::Ticket).await?;
        let facts = change.facts(stage)?;
        let decision = change.decide(&facts, &Action::RevokeToken(which))?;
        if decision.revokes_token.is_none() {
            return Ok(());
        }
        change.entail(self, facts.this.stage.id, &decision, "revoked").await?;
        self.commit(change).await
    }

    /// Redeems a token: opens its one run.
    ///
    /// # Errors
    /// Unauthenticated for an unknown secret, gone when revoked or expired, a mismatch for other digests, refused with
    /// the gate report when a gate has shut since, conflict when it was used before.
    pub async fn redeem(
        &self,
        actor: &Actor,
        secret: &str,
        presented: Presented,
        key: Option<&str>,
    ) -> Result<Redeemed, ServiceError> {
        let unknown = || ServiceError::Unauthenticated {
            code: "unknown-apply-token",
            message: "This is no apply token that this portal has released.".to_owned(),
        };
        let secret = PlainToken::parse(TokenKind::Apply, secret).map_err(|_| unknown())?;
        let found = {
            let mut read = self.db.glance().await?;
            apply_tokens::find(&mut read, secret.hash().digest()).await?.ok_or_else(unknown)?
        };
        let request = request_digest(&presented)?;
        let mut change = self.change(actor, found.ticket, Lock::Environment(&found.stage)).await?;
        let record = change.dossier.stage(&found.stage).ok_or_else(unknown)?;
        let token = record.tokens.iter().find(|t| t.id == found.id).cloned().ok_or_else(unknown)?;
        match token.state {
            TokenState::Used => return self.used_before(change, &token, request, key).await,
            TokenState::Revoked => {
                let why = token.ended_why.as_deref().unwrap_or("revoked");
                return Err(gone("token-revoked", &format!("The apply token was revoked: {why}.")));
            }
            TokenState::Expired => return Err(gone("token-expired", "The apply token has expired.")),
            TokenState::Issued if change.now >= token.expires_at => {
                return Err(gone("token-expired", "The apply token has expired."));
            }
            TokenState::Issued => {}
        }
        if let Some(key) = key
            && runs::used_key(&mut change.tx, actor.token(), key).await?
        {
            return Err(other_redemption());
        }
        let intent = token.method.map_or(Intent::Upgrade, Intent::Rollback);
        let facts = change.facts_for(&found.stage, Purpose::Redeem(token.id), intent)?;
        let decision = change.decide(&facts, &Action::Authorise)?;
        let clearance = decision
            .clearance
            .ok_or_else(|| ServiceError::Internal("authorised without a clearance".to_owned()))?;
        if clearance.evidence().digest != token.evidence {
            return Err(ServiceError::conflict(
                "evidence-changed",
                "The evidence changed after the token was released. Release another one.",
            ));
        }
        let expected = presented::expected(&facts).ok_or_else(|| {
            ServiceError::conflict(
                "no-approved-file",
                "The approved evidence holds no file that this run would apply.",
            )
        })?;
        if let Err(mismatch) =
            expected.check(presented.sql_digest, presented.manifest, presented.database.as_deref())
        {
            let event = self
                .event("token.refused", Some(&change.actor))
                .of_ticket(change.ticket())
                .of_stage(&found.stage)
                .with("token", token.id.to_string())
                .with("why", mismatch.code());
            change.record(event);
            let mut message = mismatch.words().to_owned();
            if apply_tokens::count_wrong_try(&mut change.tx, token.id).await? >= WRONG_TRIES {
                change.revoke(self, token.stage, TRIED_OUT).await?;
                message.push_str(" That was tried too often: the token is revoked.");
            }
            self.commit(change).await?;
            return Err(ServiceError::Mismatch { code: mismatch.code(), message });
        }
        let opening = Opening {
            facts: &facts,
            token: &token,
            expected: &expected,
            presented: &presented,
            request,
            key,
        };
        let redeemed = self.open_run(&mut change, opening, clearance).await?;
        self.commit(change).await?;
        Ok(redeemed)
    }

    async fn open_run(
        &self,
        change: &mut Change,
        opening: Opening<'_>,
        clearance: Clearance,
    ) -> Result<Redeemed, ServiceError> {
        let Opening { facts, token, expected, presented, request, key } = opening;
        let now = clearance.at();
        if !apply_tokens::mark_used(&mut change.tx, token.id, now).await? {
            return Err(ServiceError::conflict("already-redeemed", "The apply token was redeemed already."));
        }
        let run = Run {
            id: RunId(self.env.uuid()),
            token: token.id,
            stage: token.stage,
            ticket: facts.ticket.number,
            environment: token.environment,
            direction: token.direction,
            method: token.method,
            undoes: token.undoes,
            redeemed_by: change.actor.user,
            redeemed_by_name: change.actor.name.clone(),
            redeemed_person: change.actor.person,
            redeemed_via: change.actor.token(),
            sql_digest: presented.sql_digest.to_string(),
            evidence: token.evidence,
            act: change.ticket().version,
            generation: facts.this.stage.generation,
            started_at: now,
            lease_until: now + facts.this.policy.run_lease,
            status: RunStatus::Running,
            finished_at: None,
            exit_code: None,
            revision_before: None,
            revision_after: None,
            verdict: None,
            log_bytes: 0,
            log_cut: false,
            overran: false,
        };
        let tally = gate::tally(facts, token.evidence);
        let approvals: Vec<&Vote> = match facts.ridden_run() {
            Some(undone) => facts.this.approvals_of(undone),
            None => tally.approvals.iter().collect(),
        };
        let grant = self.sign_grant(&Granted {
            facts,
            token,
            run: &run,
            expected,
            clearance: &clearance,
            approvals: &approvals,
        })?;
        let new = runs::NewRun {
            run: &run,
            idempotency_key: key,
            request_sha256: request,
            grant: &grant,
            window_ends: clearance.window_ends(),
        };
        runs::insert(&mut change.tx, &new).await?;
        let waived: Vec<&'static str> = clearance.waived().iter().map(|k| k.as_str()).collect();
        let event = self
            .event("token.redeemed", Some(&change.actor))
            .of_ticket(change.ticket())
            .of_stage(&facts.this.stage.name)
            .with("token", token.id.to_string())
            .with("run", run.id.to_string())
            .with("direction", run.direction.as_str())
            .with("sql_digest", run.sql_digest.as_str())
            .with("manifest_sha256", presented.manifest.map(|d| d.to_string()))
            .with("evidence", run.evidence.to_string())
            .with("approvals", approvals.iter().map(|v| v.id.to_string()).collect::<Vec<_>>())
            .with("waived", waived)
            .with("grant_sha256", Digest::of(grant.as_bytes()).to_string());
        change.record(event);
        Ok(Redeemed { run: run.id, grant, replayed: false })
    }

    /// A second use: the lost answer again for the same key and request, else a sign that the secret leaked.
    async fn used_before(
        &self,
        mut change: Change,
        token: &ApplyToken,
        request: Digest,
        key: Option<&str>,
    ) -> Result<Redeemed, ServiceError> {
        let replay = runs::of_token(&mut change.tx, token.id).await?;
        if let (Some(key), Some(replay)) = (key, &replay)
            && replay.idempotency_key.as_deref() == Some(key)
            && replay.redeemed_via == change.actor.token()
        {
            if replay.request_sha256 != request {
                return Err(other_redemption());
            }
            return Ok(Redeemed { run: replay.id, grant: replay.grant_text.clone(), replayed: true });
        }
        let known =
            change.dossier.alarms.iter().any(|a| a.kind == "token-reuse" && a.detail == token.id.to_string());
        if !known {
            let (ticket, now) = (change.ticket().id, change.now);
            let detail = token.id.to_string();
            let id = self.env.uuid();
            decisions::insert_alarm(&mut change.tx, id, ticket, token.stage, "token-reuse", &detail, now)
                .await?;
        }
        let stage =
            change.dossier.stages.iter().find(|s| s.stage.id == token.stage).map(|s| s.stage.name.clone());
        let event = self
            .event("token.reuse", Some(&change.actor))
            .of_ticket(change.ticket())
            .of_stage(stage.as_deref().unwrap_or_default())
            .with("token", token.id.to_string());
        change.record(event);
        self.commit(change).await?;
        Err(ServiceError::conflict(
            "already-redeemed",
            "The apply token was redeemed already. If that was not you, the secret leaked: the ticket now shows an alarm.",
        ))
    }
}

struct Opening<'a> {
    facts: &'a Facts,
    token: &'a ApplyToken,
    expected: &'a Expected,
    presented: &'a Presented,
    request: Digest,
    key: Option<&'a str>,
}

fn other_redemption() -> ServiceError {
    ServiceError::Mismatch {
        code: "idempotency-mismatch",
        message: "This key was used for another redemption.".to_owned(),
    }
}

fn gone(code: &'static str, message: &str) -> ServiceError {
    ServiceError::Gone { code, message: message.to_owned() }
}

fn request_digest(presented: &Presented) -> Result<Digest, ServiceError> {
    let canonical = crate::domain::digest::canonical_json(&serde_json::json!({
        "sql_digest": presented.sql_digest,
        "manifest_sha256": presented.manifest,
        "database": presented.database,
    }))?;
    Ok(Digest::of(&canonical))
}
