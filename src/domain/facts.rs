//! Everything a gate may look at, gathered by one loader and judged by one evaluator.

use std::collections::{BTreeMap, BTreeSet};

use super::artifact::{self, Artifact, ArtifactFacts, ArtifactKind, Finding, ReportFacts, Thread};
use super::digest::Digest;
use super::id::{
    ApiTokenId, ApplyTokenId, EnvironmentId, FreezeId, IncidentId, PersonId, RunId, StageId, UserId, VoteId,
};
use super::named::named;
use super::policy::EnvironmentPolicy;
use super::run::{self, ApplyToken, Direction, Health, Method, Observation, Run, RunStatus};
use super::ticket::{Ticket, TicketKind};
use super::time::Timestamp;

/// Why the gates are being asked (RULES 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A page or a call shows them.
    View,
    /// A token is about to be released.
    Release,
    /// This token is about to be redeemed: `single-run` ignores it, and nothing else.
    Redeem(ApplyTokenId),
}

/// What is to be authorised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    Upgrade,
    Rollback(Method),
}

impl Intent {
    pub const fn direction(self) -> Direction {
        match self {
            Self::Upgrade => Direction::Upgrade,
            Self::Rollback(_) => Direction::Rollback,
        }
    }

    pub const fn method(self) -> Option<Method> {
        match self {
            Self::Upgrade => None,
            Self::Rollback(method) => Some(method),
        }
    }
}

named! {
    /// What a board member records.
    Choice, "vote" { Approve = "approve", Reject = "reject", Withdraw = "withdraw" }
}

/// One recorded vote. Votes are never changed; a person's latest one stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    pub id: VoteId,
    pub user: UserId,
    pub person: PersonId,
    pub name: String,
    pub choice: Choice,
    /// The digest of the evidence that the voter saw.
    pub evidence: Digest,
    pub comment: String,
    pub at: Timestamp,
    /// The ticket's version that the vote made: its place in the order of acts.
    pub act: i64,
}

/// What the database says of an account that voted, at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    pub active: bool,
    pub board: bool,
    pub created_at: Timestamp,
    /// The people who created the account, granted it a role or reset it.
    pub shaped_by: BTreeSet<PersonId>,
}

/// A tick of an attested checklist item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    pub item: String,
    /// The generation of evidence it was made for.
    pub generation: i64,
    /// The run it was made for, where the item is a smoke item.
    pub run: Option<RunId>,
    pub done: bool,
    pub note: String,
    pub by: UserId,
    pub by_name: String,
    pub via: Option<ApiTokenId>,
    pub at: Timestamp,
    /// The ticket's version that the tick made: its place in the order of acts.
    pub act: i64,
}

/// An incident of the ticket's application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    pub id: IncidentId,
    pub number: i64,
    pub title: String,
    pub opened_by_name: String,
    pub opened_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
}

/// A span in which nothing is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    pub id: FreezeId,
    /// The environment it covers; all of them if none is named.
    pub environment: Option<String>,
    pub starts_at: Timestamp,
    /// First instant after the freeze; an early end moves it.
    pub ends_at: Timestamp,
    pub reason: String,
}

impl Freeze {
    pub fn concerns(&self, environment: &str) -> bool {
        self.environment.as_deref().is_none_or(|name| name == environment)
    }

    /// Half-open: the last instant is free again.
    pub fn covers(&self, now: Timestamp) -> bool {
        self.starts_at <= now && now < self.ends_at
    }
}

/// A ticket's passage through one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    pub id: StageId,
    pub environment: EnvironmentId,
    /// The environment's name, which is the stage's name too.
    pub name: String,
    /// 0 for the first environment of the pipeline.
    pub position: i64,
    pub generation: i64,
}

/// Everything recorded of one stage.
#[derive(Clone, Debug)]
pub struct StageRecord {
    pub stage: Stage,
    pub policy: EnvironmentPolicy,
    pub artifacts: Vec<Artifact>,
    /// Findings of the artifacts that stand.
    pub findings: Vec<Finding>,
    pub threads: Vec<Thread>,
    pub ticks: Vec<Tick>,
    pub votes: Vec<Vote>,
    pub tokens: Vec<ApplyToken>,
    pub runs: Vec<Run>,
    pub observations: Vec<Observation>,
}

/// The facts of one stage at one instant.
#[derive(Clone, Debug)]
pub struct Facts {
    pub now: Timestamp,
    pub purpose: Purpose,
    pub intent: Intent,
    pub ticket: Ticket,
    pub policy_version: i64,
    pub policy_sha256: Digest,
    pub this: StageRecord,
    /// The stage before this one in the pipeline.
    pub previous: Option<StageRecord>,
    pub voters: BTreeMap<UserId, Voter>,
    /// People who touched the content, by act or as declared authors.
    pub contributors: BTreeSet<PersonId>,
    /// Open incidents of the application.
    pub incidents: Vec<Incident>,
    /// Freezes that concern the application and have not ended, of any of its environments.
    pub freezes: Vec<Freeze>,
    /// Outstanding tokens of this application and environment, of any ticket.
    pub environment_tokens: Vec<ApplyToken>,
    /// Runs of this application and environment that are running or unknown, of any ticket.
    pub environment_runs: Vec<Run>,
    /// The newest upgrade that stands in this application and environment, of any ticket.
    pub environment_last: Option<Run>,
    /// Whether no stage comes after this one.
    pub is_last: bool,
}

impl StageRecord {
    /// The newest version of a kind.
    pub fn newest(&self, kind: ArtifactKind) -> Option<&Artifact> {
        self.artifacts.iter().filter(|a| a.kind == kind).max_by_key(|a| a.version)
    }

    /// The version of a kind that a run was approved with.
    pub fn as_of(&self, run: &Run, kind: ArtifactKind) -> Option<&Artifact> {
        self.artifacts
            .iter()
            .filter(|a| a.kind == kind && a.generation <= run.generation)
            .max_by_key(|a| a.version)
    }

    pub fn report(&self) -> Option<&ReportFacts> {
        match &self.newest(ArtifactKind::DryRunReport)?.facts {
            ArtifactFacts::Report(report) => Some(report),
            ArtifactFacts::Sql(_)
            | ArtifactFacts::History(_)
            | ArtifactFacts::Manifest(_)
            | ArtifactFacts::Backup(_)
            | ArtifactFacts::Smoke(_)
            | ArtifactFacts::Unreadable { .. }
            | ArtifactFacts::Opaque => None,
        }
    }

    /// The newest report, if it is about the upgrade SQL that stands: of other SQL it says nothing.
    pub fn report_of_upgrade(&self) -> Option<&ReportFacts> {
        let file = self.newest(ArtifactKind::UpgradeSql)?;
        self.report().filter(|report| report.upgrade_sha256 == Some(file.sha256))
    }

    /// The newest report, if it is about the downgrade SQL that stands.
    pub fn report_of_downgrade(&self) -> Option<&ReportFacts> {
        let file = self.newest(ArtifactKind::DowngradeSql)?;
        self.report().filter(|report| report.downgrade_sha256 == Some(file.sha256))
    }

    /// The files that stand and that an approval covers.
    pub fn evidence_files(&self) -> Vec<&Artifact> {
        artifact::current(&self.artifacts).into_iter().filter(|a| a.kind.is_evidence()).collect()
    }

    /// The evidence that a run was approved with, whatever was uploaded since.
    pub fn evidence_files_of(&self, run: &Run) -> Vec<&Artifact> {
        let then = self.artifacts.iter().filter(|a| a.kind.is_evidence() && a.generation <= run.generation);
        artifact::current(then)
    }

    /// The approvals that carried a run: what each person last said before it, of its evidence.
    pub fn approvals_of(&self, run: &Run) -> Vec<&Vote> {
        let said = latest_votes(self.votes.iter().filter(|v| v.act < run.act));
        said.into_iter().filter(|v| v.choice == Choice::Approve && v.evidence == run.evidence).collect()
    }

    pub fn last_upgrade(&self) -> Option<&Run> {
        run::last_upgrade(&self.runs)
    }

    /// The last upgrade, if it changed the database and nothing has put that back.
    pub fn standing_upgrade(&self) -> Option<&Run> {
        let last = self.last_upgrade()?;
        let changed = matches!(last.status, RunStatus::Succeeded | RunStatus::Partial);
        (changed && run::rollback_of(&self.runs, last.id).is_none()).then_some(last)
    }

    /// Rollbacks of this run that did not put it back, whatever else became of them.
    fn attempts_to_undo(&self, undone: RunId) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |r| r.undoes == Some(undone) && r.status != RunStatus::Succeeded)
    }

    /// A rollback of this run that is under way, or that left the database between two revisions.
    pub fn half_undone(&self, undone: RunId) -> Option<&Run> {
        self.attempts_to_undo(undone).filter(|r| r.status != RunStatus::Failed).max_by_key(|r| r.act)
    }

    /// The revision that this run, and the rollbacks of it that `before` counts as earlier, left the database at.
    pub fn left_at(&self, run: &Run, before: impl Fn(&Run) -> bool) -> Option<String> {
        self.attempts_to_undo(run.id)
            .filter(|r| r.status == RunStatus::Partial && before(r))
            .max_by_key(|r| r.act)
            .unwrap_or(run)
            .revision_after
            .clone()
    }

    /// The standing upgrade, if it ended whole and no attempt to undo it has changed anything since.
    pub fn untouched_upgrade(&self) -> Option<&Run> {
        let standing = self.standing_upgrade()?;
        let whole = standing.status == RunStatus::Succeeded && standing.verdict.is_none();
        let mut attempts = self.runs.iter().filter(|r| r.undoes == Some(standing.id));
        let untouched =
            attempts.all(|r| r.status == RunStatus::Failed && r.verdict.is_none() && !r.unverified());
        (whole && untouched).then_some(standing)
    }

    /// The revision that the database is at while an upgrade stands.
    pub fn stands_at(&self) -> Option<&str> {
        run::left_at(&self.runs, self.standing_upgrade()?.id, i64::MAX)
    }

    /// Whether smoke checks of this run passed, as policy wants them proven.
    pub fn smoke_passed(&self, run: &Run) -> bool {
        self.policy.smoke.passed(self.smoke_report_passed(run), self.smoke_items_done(run))
    }

    /// The newest smoke report of this run passed. No report is no pass; a failed one is one failure for all.
    pub fn smoke_report_passed(&self, run: &Run) -> Option<bool> {
        self.artifacts
            .iter()
            .filter(|a| a.kind == ArtifactKind::SmokeReport && a.run == Some(run.id))
            .max_by_key(|a| a.version)
            .map(|a| matches!(&a.facts, ArtifactFacts::Smoke(smoke) if smoke.passed()))
    }

    fn smoke_items_done(&self, run: &Run) -> bool {
        let mut items = self.policy.smoke_items().peekable();
        items.peek().is_some() && items.all(|item| self.smoke_tick(&item.key, run.id).is_some_and(|t| t.done))
    }

    /// The tick of a smoke item that stands for this run.
    pub fn smoke_tick(&self, item: &str, run: RunId) -> Option<&Tick> {
        self.ticks.iter().filter(|t| t.item == item && t.run == Some(run)).max_by_key(|t| t.act)
    }

    /// The tick of a preflight item that stands for the current generation (RULES 14).
    pub fn preflight_tick(&self, item: &str) -> Option<&Tick> {
        self.ticks
            .iter()
            .filter(|t| t.item == item && t.run.is_none() && t.generation == self.stage.generation)
            .max_by_key(|t| t.act)
    }

    /// Healthy only by a person's word, and by no other word on the same run (RULES 12).
    pub fn health(&self, run: &Run) -> Option<Health> {
        let mut words = self.observations.iter().filter(|o| o.run == run.id).map(|o| o.verdict).peekable();
        words.peek()?;
        Some(if words.all(|w| w == Health::Healthy) { Health::Healthy } else { Health::Unhealthy })
    }

    /// When “healthy” may be said of this run.
    pub fn watched_until(&self, run: &Run) -> Option<Timestamp> {
        run.finished_at.map(|end| end + self.policy.observe)
    }

    /// When the run lies far enough back for the next stage: soak counts from the server's receipt of its end (RULES 12).
    pub fn soaked_at(&self, run: &Run) -> Option<Timestamp> {
        run.finished_at.map(|end| end + self.policy.observe.max(self.policy.soak))
    }

    /// Accepted findings of the files that stand.
    pub fn accepted_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| f.accepted.is_some())
    }
}

impl Facts {
    pub fn emergency(&self) -> bool {
        self.ticket.content.kind == TicketKind::Emergency
    }

    /// Approvals needed here.
    pub fn quorum(&self) -> u32 {
        self.this.policy.quorum_for(self.ticket.content.kind == TicketKind::Standard).max(1)
    }

    /// The run that a rollback would undo.
    pub fn undone(&self) -> Option<&Run> {
        self.this.standing_upgrade()
    }

    /// The run whose approvals carry a rollback. Without one the board is asked anew (RULES 20).
    pub fn ridden_run(&self) -> Option<&Run> {
        self.this.untouched_upgrade().filter(|_| matches!(self.intent, Intent::Rollback(_)))
    }

    pub fn rides_on_approved_run(&self) -> bool {
        self.ridden_run().is_some()
    }

    /// The files that this authorisation covers: those that stand, or those of the run that a rollback rides on.
    pub fn authorised_files(&self) -> Vec<&Artifact> {
        self.ridden_run().map_or_else(|| self.this.evidence_files(), |run| self.this.evidence_files_of(run))
    }

    /// The revisions that the run to be authorised starts from and leads to.
    pub fn range(&self) -> (String, String) {
        let content = &self.ticket.content;
        match self.intent {
            Intent::Upgrade => (content.from_revision.clone(), content.to_revision.clone()),
            Intent::Rollback(_) => {
                let actual = self.this.stands_at();
                (actual.unwrap_or(&content.to_revision).to_owned(), content.from_revision.clone())
            }
        }
    }

    /// Whether this stage's upgrade SQL is other than what ran on the stage before.
    pub fn differs_from_previous(&self) -> bool {
        let Some(previous) = &self.previous else { return false };
        let Some(run) = previous.last_upgrade() else { return false };
        let ran = previous.as_of(run, ArtifactKind::UpgradeSql).map(|a| a.sha256);
        let here = self.this.newest(ArtifactKind::UpgradeSql).map(|a| a.sha256);
        ran.is_some() && here.is_some() && ran != here
    }

    /// The latest vote of each person, newest last.
    pub fn standing_votes(&self) -> Vec<&Vote> {
        latest_votes(&self.this.votes)
    }

    /// Why this account can't approve this ticket, if it can't. The same function serves the vote, the count and the page.
    pub fn approval_bar(&self, user: UserId, person: PersonId) -> Option<ApprovalBar> {
        let bar = self
            .voters
            .get(&user)
            .map_or(Some(ApprovalBar::NotOnBoard), |v| v.bar(person, &self.contributors));
        bar.or_else(|| {
            let voter = self.voters.get(&user)?;
            let young = self.now.since(voter.created_at) < self.this.policy.minimum_account_age;
            young.then_some(ApprovalBar::TooYoung)
        })
    }
}

impl Voter {
    /// Why this account's word does not count on a ticket that these people touched, if it doesn't.
    pub fn bar(&self, person: PersonId, contributors: &BTreeSet<PersonId>) -> Option<ApprovalBar> {
        if !self.active {
            Some(ApprovalBar::Deactivated)
        } else if !self.board {
            Some(ApprovalBar::NotOnBoard)
        } else if contributors.contains(&person) {
            Some(ApprovalBar::Contributor)
        } else if !self.shaped_by.is_disjoint(contributors) {
            Some(ApprovalBar::ShapedByContributor)
        } else {
            None
        }
    }
}

fn latest_votes<'a>(votes: impl IntoIterator<Item = &'a Vote>) -> Vec<&'a Vote> {
    let mut latest: BTreeMap<PersonId, &Vote> = BTreeMap::new();
    for vote in votes {
        match latest.get(&vote.person) {
            Some(known) if known.act >= vote.act => {}
            Some(_) | None => {
                latest.insert(vote.person, vote);
            }
        }
    }
    let mut votes: Vec<&Vote> = latest.into_values().collect();
    votes.sort_by_key(|v| v.act);
    votes
}

/// Why an account's approval would not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalBar {
    NotOnBoard,
    Deactivated,
    /// Filed, edited, uploaded or wrote the change: four eyes.
    Contributor,
    /// A contributor created the account, granted it a role or reset it.
    ShapedByContributor,
    TooYoung,
}

impl ApprovalBar {
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotOnBoard => "Only members of the change board vote.",
            Self::Deactivated => "This account is deactivated.",
            Self::Contributor => {
                "You touched this change, so somebody else has to approve it: four eyes, always."
            }
            Self::ShapedByContributor => {
                "Somebody who touched this change created, promoted or reset this account, so it can't approve it."
            }
            Self::TooYoung => "This account is younger than policy allows for approving.",
        }
    }
}
