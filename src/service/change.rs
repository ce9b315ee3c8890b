//! The frame of every act on a ticket: lock, load under the lock, let the domain decide, write, audit, commit.

use jiff::SignedDuration;

use super::{ServiceError, Services};
use crate::domain::audit::Event;
use crate::domain::dossier::Dossier;
use crate::domain::facts::{Facts, Intent, Purpose};
use crate::domain::id::{ApplyTokenId, EnvironmentId, StageId, TicketNumber};
use crate::domain::refusal::Refusal;
use crate::domain::run::RunStatus;
use crate::domain::ticket::Ticket;
use crate::domain::time::Timestamp;
use crate::domain::transition::{self, Action, Decision};
use crate::domain::user::{Actor, Via};
use crate::store::dossier::{self, Which};
use crate::store::{Conn, Tx, actors, apply_tokens, audit, gate_epoch, runs, tickets};

/// What an act has to keep still.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lock<'a> {
    /// The ticket alone.
    Ticket,
    /// The ticket, and the row that whatever closes gates for many tickets goes through.
    Gates,
    /// The ticket, this stage's environment, and that row: releasing and redeeming.
    Environment(&'a str),
}

/// How far replicas' clocks may differ before windows and lifetimes mean nothing.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(5);

/// An act under way. Dropping it undoes everything.
pub(crate) struct Change {
    pub tx: Tx,
    pub dossier: Dossier,
    /// The actor, with roles as they are under the lock.
    pub actor: Actor,
    pub now: Timestamp,
    events: Vec<Event>,
}

impl Services {
    /// Begins an act on a ticket. Locks are taken in one order everywhere: ticket, environment, gate epoch, audit head.
    pub(crate) async fn change(
        &self,
        actor: &Actor,
        number: TicketNumber,
        lock: Lock<'_>,
    ) -> Result<Change, ServiceError> {
        let mut tx = self.db.write().await?;
        let id = tickets::lock(&mut tx, number, self.now()).await?.ok_or(ServiceError::NotFound("ticket"))?;
        let mut events = Vec::new();
        match lock {
            Lock::Ticket => {}
            Lock::Gates => gate_epoch::raise(&mut tx).await.map(drop)?,
            Lock::Environment(stage) => {
                let environment: EnvironmentId = tickets::environment_of(&mut tx, id, stage)
                    .await?
                    .ok_or(ServiceError::NotFound("stage"))?;
                tickets::lock_environment(&mut tx, environment).await?;
                gate_epoch::raise(&mut tx).await.map(drop)?;
                // A clock that was set back would open a window again that has closed.
                if audit::newest_at(&mut tx).await?.is_some_and(|last| self.now() + CLOCK_SLACK < last) {
                    return Err(ServiceError::ClockBehind);
                }
                // Expired tokens hold the one place that an outstanding token has; make room for the next.
                for token in apply_tokens::expire(&mut tx, environment, self.now()).await? {
                    events.push(self.event("token.expired", None).with("token", token.to_string()));
                }
            }
        }
        // The clock is read after the lock: waiting for it must not let anybody act in the past (RULES 10).
        let now = self.now();
        let actor = still(&mut tx, actor, now).await?;
        let dossier = self.load_one(&mut tx, number, &actor, now).await?;
        Ok(Change { tx, dossier, actor, now, events })
    }

    async fn load_one(
        &self,
        conn: &mut impl Conn,
        number: TicketNumber,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Dossier, ServiceError> {
        dossier::load(conn, &self.policies, Which::Number(number), &[actor.user], now)
            .await?
            .pop()
            .ok_or(ServiceError::NotFound("ticket"))
    }

    /// A ticket as it stands, for reading.
    pub async fn dossier(&self, actor: &Actor, number: TicketNumber) -> Result<Dossier, ServiceError> {
        let mut read = self.db.glance().await?;
        self.dossier_in(&mut read, actor, number).await
    }

    /// The same, in a read that goes on.
    pub(crate) async fn dossier_in(
        &self,
        read: &mut impl Conn,
        actor: &Actor,
        number: TicketNumber,
    ) -> Result<Dossier, ServiceError> {
        self.load_one(read, number, actor, self.now()).await
    }

    /// Commits with the events that gathered.
    pub(crate) async fn commit(&self, change: Change) -> Result<(), ServiceError> {
        let Change { tx, events, .. } = change;
        Ok(tx.commit(&events).await?)
    }
}

/// The actor as the database knows it under the lock; nobody can take that away until the transaction ends.
///
/// # Errors
/// Unauthenticated for an account or token that does not stand any more.
pub(super) async fn still(tx: &mut Tx, actor: &Actor, now: Timestamp) -> Result<Actor, ServiceError> {
    let gone = || ServiceError::Unauthenticated {
        code: "not-signed-in",
        message: "This account or token is not valid any more.".to_owned(),
    };
    if matches!(actor.via, Via::Console) {
        return Ok(actor.clone());
    }
    let roles = actors::roles(tx, actor.user).await?.ok_or_else(gone)?;
    if let Some(token) = actor.token()
        && !actors::token_stands(tx, token, now).await?
    {
        return Err(gone());
    }
    Ok(Actor { roles, ..actor.clone() })
}

impl Change {
    pub fn ticket(&self) -> &Ticket {
        &self.dossier.ticket
    }

    /// The facts of a stage, to look at.
    pub fn facts(&self, stage: &str) -> Result<Facts, ServiceError> {
        self.dossier.facts(stage).ok_or(ServiceError::NotFound("stage"))
    }

    /// The facts of a stage, for a purpose.
    pub fn facts_for(&self, stage: &str, purpose: Purpose, intent: Intent) -> Result<Facts, ServiceError> {
        self.dossier.facts_for(stage, purpose, intent).ok_or(ServiceError::NotFound("stage"))
    }

    /// Asks the domain.
    pub fn decide(&self, facts: &Facts, action: &Action<'_>) -> Result<Decision, Refusal> {
        transition::decide(facts, &self.actor, action)
    }

    /// Writes what a decision entails besides the act itself.
    pub async fn entail(
        &mut self,
        services: &Services,
        stage: StageId,
        decision: &Decision,
        act: &'static str,
    ) -> Result<(), ServiceError> {
        if decision.raises_generation {
            tickets::raise_generation(&mut self.tx, stage).await?;
        }
        if decision.makes_contributor {
            let id = self.dossier.ticket.id;
            tickets::add_contributor(&mut self.tx, id, self.actor.person, act, self.now).await?;
        }
        if let Some(why) = decision.revokes_token {
            self.revoke(services, stage, why).await?;
        }
        Ok(())
    }

    /// Ends the outstanding tokens of a stage.
    pub async fn revoke(
        &mut self,
        services: &Services,
        stage: StageId,
        why: &str,
    ) -> Result<Vec<ApplyTokenId>, ServiceError> {
        let ended = apply_tokens::revoke(&mut self.tx, stage, why, self.now).await?;
        let name = self.dossier.stages.iter().find(|s| s.stage.id == stage).map(|s| s.stage.name.clone());
        for token in &ended {
            let event = services
                .event("token.revoked", Some(&self.actor))
                .of_ticket(&self.dossier.ticket)
                .of_stage(name.as_deref().unwrap_or_default())
                .with("token", token.to_string())
                .with("why", why);
            self.record(event);
        }
        Ok(ended)
    }

    /// After a run that changed what the next stage builds on: the evidence there is new too, for good. Without this, a
    /// rollback here would bring back the digest of before the run, and with it votes of that time (RULES 1, 2).
    pub async fn renew_next_stage(
        &mut self,
        services: &Services,
        facts: &Facts,
        ended: RunStatus,
    ) -> Result<(), ServiceError> {
        let position = facts.this.stage.position;
        let next = self.dossier.stages.iter().find(|s| s.stage.position > position).map(|s| s.stage.id);
        if let Some(next) = next.filter(|_| ended == RunStatus::Succeeded) {
            tickets::raise_generation(&mut self.tx, next).await?;
            self.revoke(services, next, "what it builds on changed").await?;
        }
        Ok(())
    }

    /// Writes down that runs whose lease has lapsed are unknown, so that an index can hold the line.
    pub async fn note_lapsed_runs(&mut self, services: &Services) -> Result<(), ServiceError> {
        let lapsed: Vec<_> = self
            .dossier
            .stages
            .iter()
            .flat_map(|s| s.runs.iter().map(|r| (s.stage.name.clone(), r.clone())))
            .filter(|(_, r)| {
                r.status == RunStatus::Running && r.unsettled(self.now) && self.now >= r.lease_until
            })
            .collect();
        for (stage, run) in lapsed {
            if runs::mark_unknown(&mut self.tx, run.id, self.now).await? {
                let event = services
                    .event("run.lost", None)
                    .of_ticket(&self.dossier.ticket)
                    .of_stage(&stage)
                    .with("run", run.id.to_string());
                self.record(event);
            }
        }
        Ok(())
    }

    /// Adds what the log will say.
    pub fn record(&mut self, event: Event) {
        self.events.push(event);
    }
}
