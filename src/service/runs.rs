//! What happens to a run after its token was redeemed: log, heartbeat, end, a person's verdict, the watch after it.

use super::change::{Change, Lock, still};
use super::{ServiceError, Services};
use crate::domain::digest::Digest;
use crate::domain::facts::Facts;
use crate::domain::id::{RunId, TicketNumber};
use crate::domain::refusal::Refusal;
use crate::domain::run::{
    self, Direction, Health, Method, Observation, Outcome, Run, RunStatus, RunVerdict, Verdict,
};
use crate::domain::ticket::text_rule;
use crate::domain::transition::Action;
use crate::domain::user::Actor;
use crate::store::{Tx, decisions, runs, tickets};

/// How a client says that a run ended.
#[derive(Clone, Debug)]
pub struct Finish {
    pub outcome: Outcome,
    pub exit_code: Option<i64>,
    pub revision_before: Option<String>,
    pub revision_after: Option<String>,
    /// For a restore: the backup is back.
    pub backup_restored: bool,
    /// For a restore: the prior tag runs again.
    pub prior_tag_redeployed: bool,
}

/// How far a log has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogState {
    /// The offset at which the next bytes belong.
    pub next: i64,
    /// The log went over its cap and is kept up to it.
    pub cut: bool,
}

impl Services {
    /// A run with the facts of its stage.
    pub async fn run(&self, actor: &Actor, id: RunId) -> Result<(Run, Facts), ServiceError> {
        let mut read = self.db.glance().await?;
        let place = runs::place(&mut read, id).await?.ok_or(ServiceError::NotFound("run"))?;
        let dossier = self.dossier_in(&mut read, actor, place.ticket).await?;
        let facts = dossier.facts(&place.stage).ok_or(ServiceError::NotFound("stage"))?;
        let run =
            facts.this.runs.iter().find(|r| r.id == id).cloned().ok_or(ServiceError::NotFound("run"))?;
        Ok((run, facts))
    }

    /// The signed grant that a run was opened with.
    pub async fn grant_of(&self, id: RunId) -> Result<String, ServiceError> {
        let mut read = self.db.glance().await?;
        Ok(runs::place(&mut read, id).await?.ok_or(ServiceError::NotFound("run"))?.grant_text)
    }

    /// Extends the lease of a running run.
    pub async fn heartbeat(&self, actor: &Actor, id: RunId) -> Result<Run, ServiceError> {
        let (run, facts) = self.reporting(actor, id).await?;
        let mut tx = self.db.write().await?;
        still(&mut tx, actor, self.now()).await?;
        // Read after the right to write: waiting for it must not bring a lapsed lease back.
        let now = self.now();
        match run.status_at(now) {
            RunStatus::Running => {}
            RunStatus::Unknown => return Err(run_unknown()),
            RunStatus::Succeeded | RunStatus::Failed | RunStatus::Partial => {
                return Err(Refusal::RunEnded.into());
            }
        }
        let until = now + facts.this.policy.run_lease;
        if !runs::extend_lease(&mut tx, id, now, until).await? {
            return Err(run_unknown());
        }
        tx.commit_unaudited("a heartbeat decides nothing; its absence is audited").await?;
        Ok(Run { lease_until: until, ..run })
    }

    /// Appends to a run's log at an offset. Bytes that are there already are not kept twice.
    pub async fn append_log(
        &self,
        actor: &Actor,
        id: RunId,
        offset: i64,
        body: &[u8],
    ) -> Result<LogState, ServiceError> {
        let (run, _) = self.reporting(actor, id).await?;
        if !matches!(run.status, RunStatus::Running | RunStatus::Unknown) {
            return Err(Refusal::RunEnded.into());
        }
        let length = i64::try_from(body.len()).unwrap_or(i64::MAX);
        if offset < 0 || offset > run.log_bytes {
            return Err(ServiceError::conflict(
                "log-gap",
                format!("The log has {} bytes so far; the next ones belong there.", run.log_bytes),
            ));
        }
        if run.log_cut || offset.saturating_add(length) <= run.log_bytes {
            return Ok(LogState { next: run.log_bytes, cut: run.log_cut });
        }
        let known = usize::try_from(run.log_bytes - offset).unwrap_or_default();
        let room = i64::try_from(self.limits.log).unwrap_or(i64::MAX) - run.log_bytes;
        let fresh = body.get(known..).unwrap_or_default();
        let kept = fresh.get(..usize::try_from(room.max(0)).unwrap_or_default()).unwrap_or(fresh);
        let cut = kept.len() < fresh.len();
        let mut tx = self.db.write().await?;
        super::change::still(&mut tx, actor, self.now()).await?;
        // Its end seals a log: what comes after that belongs to nothing.
        if !runs::keep_open(&mut tx, id).await? {
            return Err(Refusal::RunEnded.into());
        }
        if kept.is_empty() {
            runs::cut_log(&mut tx, id).await?;
        } else if !runs::append_log(&mut tx, id, run.log_bytes, kept, cut).await? {
            return Err(ServiceError::conflict(
                "log-gap",
                "Somebody else wrote to this log at the same time.",
            ));
        }
        tx.commit_unaudited("log bytes are counted and sealed when the run ends").await?;
        Ok(LogState { next: run.log_bytes + i64::try_from(kept.len()).unwrap_or_default(), cut })
    }

    /// The end of a log: at most `chunks` of its newest pieces, as text.
    pub async fn log_tail(&self, id: RunId, chunks: i64) -> Result<String, ServiceError> {
        let mut read = self.db.glance().await?;
        let mut pieces = runs::log_tail(&mut read, id, chunks).await?;
        pieces.reverse();
        Ok(String::from_utf8_lossy(&pieces.concat()).into_owned())
    }

    /// A whole log; its size is capped.
    pub async fn log_bytes(&self, id: RunId) -> Result<Vec<u8>, ServiceError> {
        let mut read = self.db.glance().await?;
        let chunks = runs::log_chunks(&mut read, id, 0, i64::MAX).await?;
        Ok(chunks.into_iter().flat_map(|(_, body)| body).collect())
    }

    /// Who reports on a run has to be the one who redeemed its token.
    async fn reporting(&self, actor: &Actor, id: RunId) -> Result<(Run, Facts), ServiceError> {
        let (run, facts) = self.run(actor, id).await?;
        let decision = crate::domain::transition::decide(&facts, actor, &Action::Report(id))?;
        drop(decision);
        Ok((run, facts))
    }

    /// Ends a run. Saying the same end twice is one end; an end after the lease is kept as evidence and decides nothing.
    pub async fn finish(&self, actor: &Actor, id: RunId, finish: Finish) -> Result<Run, ServiceError> {
        for (field, revision) in
            [("revision_before", &finish.revision_before), ("revision_after", &finish.revision_after)]
        {
            if let Some(text) = revision {
                text_rule(text, 1, 64, false).map_err(|m| ServiceError::field(field, m))?;
            }
        }
        let place = {
            let mut read = self.db.glance().await?;
            runs::place(&mut read, id).await?.ok_or(ServiceError::NotFound("run"))?
        };
        let mut change = self.change(actor, place.ticket, Lock::Ticket).await?;
        let facts = change.facts(&place.stage)?;
        let run =
            facts.this.runs.iter().find(|r| r.id == id).cloned().ok_or(ServiceError::NotFound("run"))?;
        let decision = change.decide(&facts, &Action::Report(id))?;
        drop(decision);
        let status = end_status(&facts, &run, &finish)?;
        match run.status_at(change.now) {
            RunStatus::Running => {}
            RunStatus::Unknown => return self.keep_late(change, &place.stage, run, &finish).await,
            _ if run.verdict.is_some() => {
                return self.keep_late(change, &place.stage, run, &finish).await;
            }
            RunStatus::Succeeded | RunStatus::Failed | RunStatus::Partial
                if run.status == status && run.revision_after == finish.revision_after =>
            {
                return Ok(run);
            }
            RunStatus::Succeeded | RunStatus::Failed | RunStatus::Partial => {
                return Err(Refusal::RunEnded.into());
            }
        }
        let overran = place.window_ends.is_some_and(|end| change.now > end);
        let end = runs::End {
            status,
            finished_at: change.now,
            exit_code: finish.exit_code,
            revision_before: finish.revision_before.as_deref(),
            revision_after: finish.revision_after.as_deref(),
            overran,
        };
        if !runs::finish(&mut change.tx, id, &end).await? {
            return Err(Refusal::RunEnded.into());
        }
        tickets::raise_generation(&mut change.tx, facts.this.stage.id).await?;
        let log = log_digest(&mut change.tx, id).await?;
        change.renew_next_stage(self, &facts, status).await?;
        let event = self
            .event("run.finished", Some(&change.actor))
            .of_ticket(change.ticket())
            .of_stage(&place.stage)
            .with("run", id.to_string())
            .with("said", finish.outcome.as_str())
            .with("status", status.as_str())
            .with("exit_code", finish.exit_code)
            .with("revision_before", finish.revision_before.clone())
            .with("revision_after", finish.revision_after.clone())
            .with("overran", overran)
            .with("log_sha256", log);
        change.record(event);
        let now = change.now;
        self.commit(change).await?;
        Ok(Run {
            status,
            finished_at: Some(now),
            exit_code: finish.exit_code,
            revision_before: finish.revision_before,
            revision_after: finish.revision_after,
            overran,
            ..run
        })
    }

    /// Keeps what a client says of a run whose end is a person's to tell. The first such word stands.
    async fn keep_late(
        &self,
        mut change: Change,
        stage: &str,
        run: Run,
        finish: &Finish,
    ) -> Result<Run, ServiceError> {
        let status = run.status_at(change.now);
        change.note_lapsed_runs(self).await?;
        let report = serde_json::json!({
            "outcome": finish.outcome, "exit_code": finish.exit_code,
            "revision_before": finish.revision_before, "revision_after": finish.revision_after,
            "received_at": change.now,
        });
        if runs::keep_late_report(&mut change.tx, run.id, &report.to_string()).await? {
            let event = self
                .event("run.late-report", Some(&change.actor))
                .of_ticket(change.ticket())
                .of_stage(stage)
                .with("run", run.id.to_string())
                .with("outcome", finish.outcome.as_str());
            change.record(event);
            self.commit(change).await?;
        }
        Ok(Run { status, ..run })
    }

    /// A person says what a run did that stopped reporting, ended half-way, or failed without naming a revision.
    pub async fn settle_run(
        &self,
        actor: &Actor,
        id: RunId,
        verdict: RunVerdict,
        revision: Option<&str>,
        note: &str,
    ) -> Result<(), ServiceError> {
        text_rule(note, 0, 5_000, true).map_err(|m| ServiceError::field("note", m))?;
        if let Some(revision) = revision {
            text_rule(revision, 1, 64, false).map_err(|m| ServiceError::field("revision", m))?;
        }
        let place = {
            let mut read = self.db.glance().await?;
            runs::place(&mut read, id).await?.ok_or(ServiceError::NotFound("run"))?
        };
        let mut change = self.change(actor, place.ticket, Lock::Ticket).await?;
        let facts = change.facts(&place.stage)?;
        let decision = change.decide(&facts, &Action::SettleRun { run: id, note })?;
        let run = facts.this.runs.iter().find(|r| r.id == id).ok_or(ServiceError::NotFound("run"))?;
        let (from, to) = run_range(&facts, run);
        let after = match verdict {
            RunVerdict::Applied => to.clone(),
            RunVerdict::NotApplied => from.clone(),
            RunVerdict::Partly => revision
                .ok_or_else(|| {
                    ServiceError::field("revision", "Name the revision that the database is at now.")
                })?
                .to_owned(),
        };
        if verdict == RunVerdict::Partly && (after == from || after == to) {
            let meant = if after == to { "applied" } else { "not applied" };
            return Err(ServiceError::field("revision", format!("At {after} the verdict is “{meant}”.")));
        }
        change.note_lapsed_runs(self).await?;
        let record = Verdict {
            verdict,
            note: note.to_owned(),
            by: change.actor.user,
            by_name: change.actor.name.clone(),
            at: change.now,
        };
        runs::settle(&mut change.tx, id, &record, Some(&after)).await?;
        let log = log_digest(&mut change.tx, id).await?;
        change.entail(self, facts.this.stage.id, &decision, "settled").await?;
        change.renew_next_stage(self, &facts, verdict.status()).await?;
        let event = self
            .event("run.settled", Some(&change.actor))
            .of_ticket(change.ticket())
            .of_stage(&place.stage)
            .with("run", id.to_string())
            .with("verdict", verdict.as_str())
            .with("revision_after", after)
            .with("log_sha256", log);
        let event = self.with_text(event, note);
        change.record(event);
        self.commit(change).await
    }

    /// A health verdict on the last upgrade of a stage.
    pub async fn observe(
        &self,
        actor: &Actor,
        number: TicketNumber,
        stage: &str,
        verdict: Health,
        note: &str,
    ) -> Result<(), ServiceError> {
        text_rule(note, 0, 5_000, true).map_err(|m| ServiceError::field("note", m))?;
        let mut change = self.change(actor, number, Lock::Ticket).await?;
        let facts = change.facts(stage)?;
        let decision = change.decide(&facts, &Action::Observe { verdict, note })?;
        let run = facts.this.last_upgrade().ok_or(Refusal::NoRunYet)?.id;
        let observation = Observation {
            run,
            verdict,
            note: note.to_owned(),
            by: change.actor.user,
            by_name: change.actor.name.clone(),
            at: change.now,
        };
        let via = change.actor.token();
        let id = self.env.uuid();
        decisions::insert_observation(&mut change.tx, id, facts.this.stage.id, &observation, via).await?;
        change.entail(self, facts.this.stage.id, &decision, "observed").await?;
        let event = self
            .event("stage.judged", Some(&change.actor))
            .of_ticket(change.ticket())
            .of_stage(stage)
            .with("run", run.to_string())
            .with("verdict", verdict.as_str());
        let event = self.with_text(event, note);
        change.record(event);
        self.commit(change).await
    }

    /// Writes down runs whose lease has lapsed. Says how many.
    pub async fn sweep(&self) -> Result<usize, ServiceError> {
        let lapsed = {
            let mut read = self.db.glance().await?;
            runs::lapsed(&mut read, self.now()).await?
        };
        let mut noted = 0;
        for run in lapsed {
            let mut tx = self.db.write().await?;
            let Some(ticket) = tickets::lock(&mut tx, run.ticket, self.now()).await? else { continue };
            if runs::mark_unknown(&mut tx, run.id, self.now()).await? {
                let mut event =
                    self.event("run.lost", None).of_stage(&run.stage).with("run", run.id.to_string());
                event.ticket = Some((ticket, run.ticket));
                tx.commit(&[event]).await?;
                noted += 1;
            }
        }
        Ok(noted)
    }
}

fn run_unknown() -> ServiceError {
    ServiceError::conflict(
        "run-unknown",
        "The run was silent for longer than its lease; a person has to say what it did.",
    )
}

/// What seals a log in the event that ends its run.
async fn log_digest(tx: &mut Tx, id: RunId) -> Result<String, ServiceError> {
    let chunks = runs::log_chunks(tx, id, 0, i64::MAX).await?;
    let bytes: Vec<u8> = chunks.into_iter().flat_map(|(_, body)| body).collect();
    Ok(Digest::of(&bytes).to_string())
}

/// From where to where this run goes.
fn run_range(facts: &Facts, run: &Run) -> (String, String) {
    let content = &facts.ticket.content;
    match run.direction {
        Direction::Upgrade => (content.from_revision.clone(), content.to_revision.clone()),
        Direction::Rollback => {
            let start = run.undoes.and_then(|undone| run::left_at(&facts.this.runs, undone, run.act));
            (start.unwrap_or(&content.to_revision).to_owned(), content.from_revision.clone())
        }
    }
}

fn end_status(facts: &Facts, run: &Run, finish: &Finish) -> Result<RunStatus, ServiceError> {
    let restored = finish.backup_restored && finish.prior_tag_redeployed;
    if run.method == Some(Method::Restore) && finish.outcome == Outcome::Succeeded && !restored {
        return Err(ServiceError::field(
            "backup_restored",
            "A restore ends with both statements: backup_restored and prior_tag_redeployed.",
        ));
    }
    let (from, to) = run_range(facts, run);
    Ok(run::settle(finish.outcome, finish.revision_after.as_deref(), &from, &to))
}
