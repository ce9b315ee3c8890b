//! A whole ticket as loaded at one moment: the source of the facts of each of its stages.

use std::collections::{BTreeMap, BTreeSet};

use super::digest::Digest;
use super::facts::{Facts, Freeze, Incident, Intent, Purpose, StageRecord, Voter};
use super::id::{EnvironmentId, PersonId, UserId};
use super::run::{ApplyToken, Run};
use super::ticket::{Ticket, TicketState};
use super::time::Timestamp;

/// Everything that is recorded of a ticket and of what surrounds it.
#[derive(Clone, Debug)]
pub struct Dossier {
    pub now: Timestamp,
    pub ticket: Ticket,
    pub policy_version: i64,
    pub policy_sha256: Digest,
    /// The newest version of the application's policy, which the ticket may not be on.
    pub newest_policy_version: i64,
    /// In the order of the pipeline.
    pub stages: Vec<StageRecord>,
    pub voters: BTreeMap<UserId, Voter>,
    pub contributors: BTreeSet<PersonId>,
    pub incidents: Vec<Incident>,
    pub freezes: Vec<Freeze>,
    /// Outstanding tokens of the environments, of any ticket.
    pub tokens: Vec<ApplyToken>,
    /// Unsettled runs of the environments, of any ticket.
    pub runs: Vec<Run>,
    /// The newest upgrade that stands in each of this ticket's environments, of any ticket.
    pub standing: Vec<Run>,
    pub alarms: Vec<Alarm>,
}

/// Something that means that a secret leaked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    pub stage: super::id::StageId,
    pub kind: String,
    pub detail: String,
    pub at: Timestamp,
}

impl Dossier {
    /// Marks what was accepted by somebody whose word has stopped counting, as it does for votes (RULES 4, 23). What has
    /// been applied stays as it was decided.
    #[must_use]
    pub fn with_acceptances_weighed(mut self) -> Self {
        if self.ticket.state != TicketState::Open {
            return self;
        }
        for stage in self.stages.iter_mut().filter(|stage| stage.standing_upgrade().is_none()) {
            for acceptance in stage.findings.iter_mut().filter_map(|finding| finding.accepted.as_mut()) {
                let voter = self.voters.get(&acceptance.by);
                acceptance.counts =
                    voter.is_some_and(|voter| voter.bar(acceptance.person, &self.contributors).is_none());
            }
        }
        self
    }

    pub fn stage(&self, name: &str) -> Option<&StageRecord> {
        self.stages.iter().find(|s| s.stage.name == name)
    }

    /// The facts of one stage, to show or to authorise an upgrade.
    pub fn facts(&self, stage: &str) -> Option<Facts> {
        self.facts_for(stage, Purpose::View, Intent::Upgrade)
    }

    /// The facts of one stage for a purpose.
    pub fn facts_for(&self, stage: &str, purpose: Purpose, intent: Intent) -> Option<Facts> {
        let at = self.stages.iter().position(|s| s.stage.name == stage)?;
        let this = self.stages[at].clone();
        let environment: EnvironmentId = this.stage.environment;
        Some(Facts {
            now: self.now,
            purpose,
            intent,
            ticket: self.ticket.clone(),
            policy_version: self.policy_version,
            policy_sha256: self.policy_sha256,
            previous: at.checked_sub(1).map(|before| self.stages[before].clone()),
            this,
            voters: self.voters.clone(),
            contributors: self.contributors.clone(),
            incidents: self.incidents.clone(),
            freezes: self.freezes.clone(),
            environment_tokens: self
                .tokens
                .iter()
                .filter(|t| t.environment == environment)
                .cloned()
                .collect(),
            environment_runs: self.runs.iter().filter(|r| r.environment == environment).cloned().collect(),
            environment_last: self.standing.iter().find(|r| r.environment == environment).cloned(),
            is_last: at + 1 == self.stages.len(),
        })
    }

    /// The facts of every stage, in the order of the pipeline.
    pub fn all_facts(&self) -> Vec<Facts> {
        self.stages.iter().filter_map(|s| self.facts(&s.stage.name)).collect()
    }
}
