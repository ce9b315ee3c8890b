//! What people say of the evidence: ticks, threads, accepted findings, votes.

use super::change::Lock;
use super::{ServiceError, Services};
use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;
use crate::domain::evidence;
use crate::domain::facts::{Choice, Tick, Vote};
use crate::domain::id::{FindingId, ThreadId, TicketNumber, UserId, VoteId};
use crate::domain::policy::ChecklistWhen;
use crate::domain::refusal::Refusal;
use crate::domain::ticket::text_rule;
use crate::domain::transition::Action;
use crate::domain::user::Actor;
use crate::sql::dialect::Dialect;
use crate::sql::excerpt;
use crate::sql::split::statements;
use crate::store::{artifacts, decisions};

/// Proof that somebody has just shown their password again. Only re-authentication makes one.
#[derive(Debug)]
pub struct Reauthenticated(UserId);

impl Reauthenticated {
    pub(super) const fn as_user(user: UserId) -> Self {
        Self(user)
    }
}

/// A vote as somebody casts it.
#[derive(Clone, Debug)]
pub struct Ballot {
    pub choice: Choice,
    /// The evidence digest that was on the page.
    pub seen: Digest,
    pub comment: String,
    /// The difference from what ran on the stage before was ticked as seen.
    pub acknowledged: bool,
}

/// A thread as somebody opens it.
#[derive(Clone, Debug)]
pub struct NewThread {
    pub kind: ArtifactKind,
    pub version: i64,
    pub line: i64,
    pub blocking: bool,
    pub body: String,
}

impl Services {
    /// Ticks an attested item, or takes the tick back.
    pub async fn tick(
        &self,
        actor: &Actor,
        number: TicketNumber,
        stage: &str,
        item: &str,
        done: bool,
        note: &str,
    ) -> Result<(), ServiceError> {
        text_rule(note, 0, 2_000, true).map_err(|m| ServiceError::field("note", m))?;
        let mut change = self.change(actor, number, Lock::Ticket).await?;
        let facts = change.facts(stage)?;
        let decision = change.decide(&facts, &Action::Tick { item })?;
        if done && note.trim().is_empty() {
            let why = "Say how you know, or name what the item asks for.";
            return Err(Refusal::NeedsText { field: "note", why }.into());
        }
        let smoke =
            facts.this.policy.checklist.iter().any(|i| i.key == item && i.when == ChecklistWhen::Smoke);
        let tick = Tick {
            item: item.to_owned(),
            generation: facts.this.stage.generation,
            run: if smoke { facts.this.last_upgrade().map(|r| r.id) } else { None },
            done,
            note: note.to_owned(),
            by: change.actor.user,
            by_name: change.actor.name.clone(),
            via: change.actor.token(),
            at: change.now,
            act: change.ticket().version,
        };
        decisions::insert_tick(&mut change.tx, self.env.uuid(), facts.this.stage.id, &tick).await?;
        change.entail(self, facts.this.stage.id, &decision, "attested").await?;
        let event = self
            .event("checklist.attested", Some(&change.actor))
            .of_ticket(change.ticket())
            .of_stage(stage)
            .with("item", item)
            .with("done", done)
            .with("generation", tick.generation);
        let event = self.with_text(event, note);
        change.record(event);
        self.commit(change).await
    }

    /// Opens a thread on a line of a file.
    pub async fn open_thread(
        &self,
        actor: &Actor,
        number: TicketNumber,
        stage: &str,
        new: NewThread,
    ) -> Result<ThreadId, ServiceError> {
        text_rule(&new.body, 1, 5_000, true).map_err(|m| ServiceError::field("body", m))?;
        let (artifact, bytes) = self.artifact(actor, number, stage, new.kind, Some(new.version)).await?;
        let text = String::from_utf8_lossy(&bytes);
        let quote = quote(&text, new.line, new.kind.is_sql())
            .ok_or_else(|| ServiceError::field("line", "The file has no such line."))?;
        let mut change = self.change(actor, number, Lock::Ticket).await?;
        let facts = change.facts(stage)?;
        let decision = change.decide(&facts, &Action::OpenThread)?;
        let id = ThreadId(self.env.uuid());
        let (by, at) = (change.actor.user, change.now);
        let thread = artifacts::NewThread {
            id,
            stage: facts.this.stage.id,
            artifact: artifact.id,
            line: new.line,
            quote: &quote,
            blocking: new.blocking,
            by,
            at,
        };
        artifacts::insert_thread(&mut change.tx, &thread).await?;
        artifacts::insert_post(&mut change.tx, self.env.uuid(), id, by, &new.body, at).await?;
        change.entail(self, facts.this.stage.id, &decision, "discussed").await?;
        let event = self
            .event("thread.opened", Some(&change.actor))
            .of_ticket(change.ticket())
            .of_stage(stage)
            .with("thread", id.to_string())
            .with("artifact", artifact.id.to_string())
            .with("line", new.line)
            .with("blocking", new.blocking);
        let event = self.with_text(event, &new.body);
        change.record(event);
        self.commit(change).await?;
        Ok(id)
    }

    /// Answers in a thread.
    pub async fn reply(
        &self,
        actor: &Actor,
        number: TicketNumber,
        stage: &str,
        thread: ThreadId,
        body: &str,
    ) -> Result<(), ServiceError> {
        text_rule(body, 1, 5_000, true).map_err(|m| ServiceError::field("body", m))?;
        let mut change = self.change(actor, number, Lock::Ticket).await?;
        let facts = change.facts(stage)?;
        let decision = change.decide(&facts, &Action::ReplyThread(thread))?;
        let (by, at) = (change.actor.user, change.now);
        artifacts::insert_post(&mut change.tx, self.env.uuid(), thread, by, body, at).await?;
        change.entail(self, facts.this.stage.id, &decision, "discussed").await?;
        let event = self
            .event("thread.answered", Some(&change.actor))
            .of_ticket(change.ticket())
            .of_stage(stage)
            .with("thread", thread.to_string());
        let event = self.with_text(event, body);
        change.record(event);
        self.commit(change).await
    }

    /// Resolves a thread, saying how it was settled, or opens it again.
    pub async fn settle_thread(
        &self,
        actor: &Actor,
        number: TicketNumber,
        stage: &str,
        thread: ThreadId,
        resolve: bool,
        note: &str,
    ) -> Result<(), ServiceError> {
        text_rule(note, 0, 5_000, true).map_err(|m| ServiceError::field("text", m))?;
        let mut change = self.change(actor, number, Lock::Ticket).await?;
        let facts = change.facts(stage)?;
        let decision = change.decide(&facts, &Action::SettleThread { thread, resolve, note })?;
        let (by, at) = (change.actor.user, change.now);
        if !note.trim().is_empty() {
            artifacts::insert_post(&mut change.tx, self.env.uuid(), thread, by, note, at).await?;
        }
        artifacts::settle_thread(&mut change.tx, thread, resolve.then_some((by, at))).await?;
        change.entail(self, facts.this.stage.id, &decision, "discussed").await?;
        let kind = if resolve { "thread.resolved" } else { "thread.reopened" };
        let event = self
            .event(kind, Some(&change.actor))
            .of_ticket(change.ticket())
            .of_stage(stage)
            .with("thread", thread.to_string());
        let event = self.with_text(event, note);
        change.record(event);
        self.commit(change).await
    }

    /// A board member takes a known risk: part of what is voted on from then on.
    pub async fn accept_finding(
        &self,
        actor: &Actor,
        number: TicketNumber,
        stage: &str,
        finding: FindingId,
        note: &str,
    ) -> Result<(), ServiceError> {
        text_rule(note, 0, 2_000, true).map_err(|m| ServiceError::field("note", m))?;
        let mut change = self.change(actor, number, Lock::Gates).await?;
        let facts = change.facts(stage)?;
        let decision = change.decide(&facts, &Action::AcceptFinding { finding, note })?;
        let (by, now) = (change.actor.clone(), change.now);
        decisions::accept_finding(&mut change.tx, finding, &by, note, now).await?;
        change.entail(self, facts.this.stage.id, &decision, "accepted").await?;
        let rule = facts.this.findings.iter().find(|f| f.id == finding).map(|f| f.rule.clone());
        let event = self
            .event("finding.accepted", Some(&by))
            .of_ticket(change.ticket())
            .of_stage(stage)
            .with("finding", finding.to_string())
            .with("rule", rule.unwrap_or_default());
        let event = self.with_text(event, note);
        change.record(event);
        self.commit(change).await
    }

    /// Records a vote, bound to the evidence that its voter saw.
    pub async fn vote(
        &self,
        actor: &Actor,
        proof: Reauthenticated,
        number: TicketNumber,
        stage: &str,
        ballot: Ballot,
    ) -> Result<VoteId, ServiceError> {
        if proof.0 != actor.user {
            return Err(ServiceError::Internal("a vote with somebody else's proof".to_owned()));
        }
        text_rule(&ballot.comment, 0, 5_000, true).map_err(|m| ServiceError::field("comment", m))?;
        if ballot.choice == Choice::Approve {
            self.check_shown(actor, number, stage).await?;
        }
        let mut change = self.change(actor, number, Lock::Gates).await?;
        let facts = change.facts(stage)?;
        let Ballot { choice, seen, comment, acknowledged } = ballot;
        let action = Action::Vote { choice, seen, comment: &comment, acknowledged };
        let decision = change.decide(&facts, &action)?;
        let current = evidence::of(&facts)?;
        let same =
            |v: &&Vote| v.user == change.actor.user && v.choice == choice && v.evidence == current.digest;
        if let Some(standing) = facts.standing_votes().into_iter().find(same) {
            // Two tabs, two clicks, one vote.
            return Ok(standing.id);
        }
        decisions::keep_evidence(&mut change.tx, &current).await?;
        let vote = Vote {
            id: VoteId(self.env.uuid()),
            user: change.actor.user,
            person: change.actor.person,
            name: change.actor.name.clone(),
            choice,
            evidence: current.digest,
            comment,
            at: change.now,
            act: change.ticket().version,
        };
        decisions::insert_vote(&mut change.tx, facts.this.stage.id, &vote).await?;
        change.entail(self, facts.this.stage.id, &decision, "voted").await?;
        let event = self
            .event("vote.recorded", Some(&change.actor))
            .of_ticket(change.ticket())
            .of_stage(stage)
            .with("vote", vote.id.to_string())
            .with("choice", choice.as_str())
            .with("evidence", current.digest.to_string())
            .with("acknowledged_difference", acknowledged);
        let event = self.with_text(event, &vote.comment);
        change.record(event);
        self.commit(change).await?;
        Ok(vote.id)
    }

    /// Nothing can be approved that was not shown. Asked before the lock: files never change, and with another file the
    /// evidence is another one, which the vote is refused for.
    async fn check_shown(
        &self,
        actor: &Actor,
        number: TicketNumber,
        stage: &str,
    ) -> Result<(), ServiceError> {
        let dossier = self.dossier(actor, number).await?;
        let record = dossier.stage(stage).ok_or(ServiceError::NotFound("stage"))?;
        let missing = self.to_download(record, actor.person).await?;
        let missing: Vec<String> = missing
            .iter()
            .filter(|(_, downloaded)| !downloaded)
            .map(|(file, _)| format!("{} v{}", file.kind.label(), file.version))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(ServiceError::conflict(
            "not-shown",
            format!(
                "Nothing can be approved that was not shown. No page shows all of {}: download it and read it first.",
                missing.join(", ")
            ),
        ))
    }

    /// Every post of a stage's threads.
    pub async fn posts(
        &self,
        stage: crate::domain::id::StageId,
    ) -> Result<Vec<artifacts::Post>, ServiceError> {
        let mut read = self.db.glance().await?;
        Ok(artifacts::posts(&mut read, stage).await?)
    }
}

/// What a thread on a line is about: the statement that the line is part of if it is short, else the line.
fn quote(text: &str, line: i64, sql: bool) -> Option<String> {
    let at = usize::try_from(line).ok()?.checked_sub(1)?;
    let whole = text.split('\n').nth(at)?;
    let wanted = u32::try_from(line).ok()?;
    let mut statements = statements(text, Dialect::likely(text));
    let statement = statements.find(|one| one.last_line >= wanted).filter(|one| sql && one.line <= wanted);
    let short = statement.map(|one| one.text()).filter(|text| text.chars().nth(excerpt::MAX).is_none());
    Some(excerpt::excerpt(short.unwrap_or(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_quotes_the_statement_or_the_line() {
        let long = format!("INSERT INTO a VALUES\n{}  (2);\n", "  (1),\n".repeat(100));
        let text = format!("-- first\nUPDATE a\n   SET b = 1;\n\n{long}");
        assert_eq!(quote(&text, 1, true).as_deref(), Some("-- first"));
        assert_eq!(quote(&text, 3, true).as_deref(), Some("UPDATE a\n   SET b = 1"));
        assert_eq!(quote(&text, 3, false).as_deref(), Some("SET b = 1;"));
        assert_eq!(quote(&text, 7, true).as_deref(), Some("(1),"));
        assert_eq!(quote(&text, 4, true).as_deref(), Some(""));
        for beyond in [0, -1, 1_000] {
            assert_eq!(quote(&text, beyond, true), None);
        }
    }
}
