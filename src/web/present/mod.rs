//! From what the domain says to what a page shows: gates, stages, signatures, files, findings, log lines in words.
//!
//! Pure: everything is derived from [`Facts`] and the [`GateReport`] on them, and what a reader may do is asked of
//! [`transition::decide`], the function that the write path asks.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;
use crate::domain::dossier::Dossier;
use crate::domain::facts::{Choice, Facts, Purpose, Vote};
use crate::domain::gate::{self, GateReport};
use crate::domain::id::{PersonId, UserId};
use crate::domain::queue::Seen;
use crate::domain::refusal::Refusal;
use crate::domain::run::{Health, Run, RunStatus};
use crate::domain::ticket::TicketState;
use crate::domain::time::Timestamp;
use crate::domain::transition::{self, Action};
use crate::domain::user::{Actor, Via};
use crate::web::paths;
use crate::web::view::work::StageRef;

pub mod about;
pub mod actions;
pub mod checklist;
pub mod files;
pub mod gates;
pub mod rail;
pub mod review;
pub mod signatures;
pub mod timeline;
pub mod verdict;

/// A stage, judged once: what every part of its page is drawn from.
#[derive(Clone, Debug)]
pub struct Judged {
    pub facts: Facts,
    pub report: GateReport,
}

impl Judged {
    /// Judges the facts of one stage.
    ///
    /// # Errors
    /// When the evidence has no canonical form, which facts from the database always have.
    pub fn new(facts: Facts) -> Result<Self, serde_json::Error> {
        let report = gate::evaluate(&facts)?;
        Ok(Self { facts, report })
    }

    /// Every stage of a ticket, in the order of the pipeline.
    ///
    /// # Errors
    /// As [`Judged::new`].
    pub fn all(dossier: &Dossier) -> Result<Vec<Self>, serde_json::Error> {
        dossier.all_facts().into_iter().map(Self::new).collect()
    }

    /// The stage that a page opens with: the first one that is not finished, else the last.
    pub fn first_unfinished(stages: &[Self]) -> Option<&Self> {
        stages.iter().find(|stage| !stage.finished()).or(stages.last())
    }

    /// The stage as the queue looks at it.
    pub const fn seen(&self) -> Seen<'_> {
        Seen { facts: &self.facts, report: &self.report }
    }

    pub const fn now(&self) -> Timestamp {
        self.facts.now
    }

    /// The environment's name, as in addresses: `production`.
    pub fn name(&self) -> &str {
        &self.facts.this.stage.name
    }

    /// For the beginning of a sentence: "Production".
    pub fn label(&self) -> String {
        capital(self.name())
    }

    /// `/tickets/CHG-42/stages/production`.
    pub fn href(&self) -> String {
        paths::stage(self.facts.ticket.number, self.name())
    }

    pub const fn evidence(&self) -> Digest {
        self.report.evidence.digest
    }

    /// Whether everything that can be voted on is there.
    pub fn evidence_complete(&self) -> bool {
        crate::domain::checklist::missing_evidence(&self.facts).is_empty()
    }

    /// The stage as forms and headings name it.
    pub fn stage_ref(&self) -> StageRef {
        StageRef {
            number: self.facts.ticket.number.to_string(),
            name: self.name().to_owned(),
            label: self.label(),
            evidence_digest: self.evidence().to_string(),
        }
    }

    /// Asks the domain whether this reader may do this now.
    ///
    /// # Errors
    /// The refusal that the write path would answer.
    pub fn may(&self, reader: &Actor, action: &Action<'_>) -> Result<(), Refusal> {
        transition::decide(&self.facts, reader, action).map(drop)
    }

    /// Whether this reader may approve now, the difference to the stage before acknowledged.
    ///
    /// # Errors
    /// The refusal, whose words go beside the disabled button.
    pub fn may_approve(&self, reader: &Actor) -> Result<(), Refusal> {
        let ballot =
            Action::Vote { choice: Choice::Approve, seen: self.evidence(), comment: "", acknowledged: true };
        self.may(reader, &ballot)
    }

    /// Whether this reader may release an apply token now.
    ///
    /// # Errors
    /// The refusal, with the gates that are shut.
    pub fn may_release(&self, reader: &Actor) -> Result<(), Refusal> {
        let facts = Facts { purpose: Purpose::Release, ..self.facts.clone() };
        transition::decide(&facts, reader, &Action::Authorise).map(drop)
    }

    pub fn may_upload(&self, reader: &Actor, kind: ArtifactKind) -> bool {
        // A run's log is written by the run.
        kind != ArtifactKind::RunLog && self.may(reader, &Action::Upload(kind)).is_ok()
    }

    /// The reader's own vote on the current evidence, if they have one.
    pub fn own_vote(&self, reader: &Actor) -> Option<&Vote> {
        let tally = &self.report.tally;
        tally.approvals.iter().chain(&tally.rejections).find(|vote| vote.person == reader.person)
    }

    /// The stage at the instant at which its standing run began, for whoever asks what was approved then. Only if the
    /// evidence put together again has the very digest that the run was authorised with; else nobody could vouch for it.
    pub fn as_applied(&self) -> Option<Self> {
        let run = self.facts.this.standing_upgrade()?.clone();
        let mut facts = self.facts.clone();
        facts.now = run.started_at;
        facts.ticket.state = TicketState::Open;
        facts.this.stage.generation = run.generation;
        facts.this.artifacts.retain(|file| file.generation <= run.generation);
        facts.this.runs.retain(|other| other.started_at < run.started_at);
        facts.this.votes.retain(|vote| vote.at <= run.started_at);
        facts.this.tokens.clear();
        facts.environment_tokens.clear();
        facts.environment_runs.clear();
        facts.incidents.retain(|incident| incident.opened_at <= run.started_at);
        // Who may approve was judged at that instant, and may have changed since.
        facts.contributors.clear();
        for voter in facts.voters.values_mut() {
            (voter.active, voter.board) = (true, true);
        }
        let then = Self::new(facts).ok()?;
        (then.evidence() == run.evidence).then_some(then)
    }

    /// The last run of either direction.
    pub fn last_run(&self) -> Option<&Run> {
        self.facts.this.runs.iter().max_by_key(|run| (run.started_at, run.id))
    }

    /// Ran, was watched, and is healthy by a person's word.
    pub fn finished(&self) -> bool {
        let record = &self.facts.this;
        record.standing_upgrade().is_some_and(|run| {
            run.status == RunStatus::Succeeded && record.health(run) == Some(Health::Healthy)
        })
    }
}

/// Somebody who may do nothing: what is over is shown without forms.
pub fn nobody() -> Actor {
    let nil = Uuid::nil();
    Actor {
        user: UserId(nil),
        person: PersonId(nil),
        name: String::new(),
        roles: BTreeSet::new(),
        via: Via::Console,
    }
}

/// The first letter in upper case.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// "one" to "nine", for the counts of sentences; digits beyond.
pub fn number_word(number: usize) -> String {
    const WORDS: [&str; 10] =
        ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    WORDS.get(number).map_or_else(|| number.to_string(), |word| (*word).to_owned())
}

#[cfg(test)]
mod tests;
