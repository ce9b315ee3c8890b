//! What SPEC and RULES say, told a second time and as plainly as possible: the oracle. It knows nothing of the
//! evaluator, of digests or of the database; evidence is a counter, a file is what it was made of.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::action::{Place, Who};
use crate::domain::facts::{Choice, Intent};
use crate::domain::id::{FindingId, ThreadId};
use crate::domain::run::RunStatus;
use crate::domain::time::Timestamp;
use crate::domain::user::{Role, Scope};

pub(super) const STAGES: [&str; 2] = ["staging", "production"];

/// Attested items of the runbook's policy: before a run, and after it.
pub(super) const PREFLIGHT: [&[&str]; 2] = [&["release-frozen", "application-smoke"], &["release-frozen"]];
pub(super) const SMOKE: [&[&str]; 2] = [
    &["smoke-api-health", "smoke-scheduler", "smoke-risk"],
    &["smoke-health-endpoints", "smoke-trade-log-writer", "smoke-scheduler-loop"],
];

/// Who there is: address, person, roles.
pub(super) const ACCOUNTS: [(&str, usize, &[Role]); 10] = [
    ("priya", 0, &[Role::Engineer]),
    ("noah", 1, &[Role::Engineer]),
    ("daniel", 2, &[Role::Board]),
    ("marta", 3, &[Role::Board]),
    ("lena", 4, &[Role::Board]),
    ("ines", 5, &[Role::Board, Role::Engineer]),
    ("admin", 6, &[Role::Admin]),
    ("auditor", 7, &[Role::Auditor]),
    ("daniel.second", 2, &[Role::Board]),
    ("root", 8, &[Role::Admin, Role::Engineer]),
];

/// API tokens: the owner and the scopes.
pub(super) const BEARERS: [(usize, &[Scope]); 7] = [
    (0, Scope::ALL),
    (1, &[Scope::Apply]),
    (0, &[Scope::ArtifactsWrite, Scope::TicketsWrite]),
    (5, Scope::ALL),
    (3, &[Scope::Apply, Scope::TicketsWrite]),
    (6, Scope::ALL),
    (0, &[Scope::Apply]),
];

/// Everybody and everything that acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Being {
    Session(usize),
    Bearer(usize),
}
use Being::{Bearer, Session};

pub(super) const WHO: [Being; 17] = [
    Session(0),
    Session(1),
    Session(2),
    Session(3),
    Session(4),
    Session(5),
    Session(6),
    Session(7),
    Session(8),
    Session(9),
    Bearer(0),
    Bearer(1),
    Bearer(2),
    Bearer(3),
    Bearer(4),
    Bearer(5),
    Bearer(6),
];

/// Roles that somebody may be given.
pub(super) const MENU: [&[Role]; 5] = [
    &[Role::Board],
    &[Role::Engineer],
    &[Role::Board, Role::Engineer],
    &[Role::Auditor],
    &[Role::Admin, Role::Board],
];

/// A policy as far as tickets can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub quorum: usize,
    pub standard: usize,
    /// Of both windows, in hours.
    pub window: i64,
    /// Of voters, in hours.
    pub age: i64,
    pub database: bool,
}

pub(super) const POLICIES: [Policy; 4] = [
    Policy { quorum: 2, standard: 2, window: 2, age: 0, database: false },
    Policy { quorum: 1, standard: 1, window: 2, age: 0, database: true },
    Policy { quorum: 3, standard: 1, window: 30, age: 0, database: false },
    Policy { quorum: 2, standard: 1, window: 2, age: 30, database: false },
];

/// What a file was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Upgrade(u8),
    Downgrade,
    /// The upgrade's text, uploaded as downgrade.
    WrongDowngrade,
    Report {
        variant: u8,
        place: usize,
        taken: Timestamp,
        passed: bool,
    },
    History,
    Manifest,
    Backup {
        place: usize,
        taken: Timestamp,
    },
    Other(u8),
    Smoke(bool),
}

/// Kinds in the order of a kit, then the others: an index into [`Stage::files`].
pub(super) const OTHER: usize = 6;
pub(super) const SMOKE_REPORT: usize = 7;

#[derive(Clone, Debug)]
pub(super) struct Account {
    pub person: usize,
    pub roles: BTreeSet<Role>,
    /// Every role it ever had: what a request that began long ago still believes.
    pub ever: BTreeSet<Role>,
    pub active: bool,
    pub shaped: BTreeSet<usize>,
    pub since: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Evidence {
    /// Raised by whatever changes the evidence and by every ended run.
    pub epoch: u64,
    /// The run on the stage before that it builds on.
    pub previous: Option<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Vote {
    pub account: usize,
    pub choice: Choice,
    pub evidence: Evidence,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Stage {
    /// All versions by kind, with the upgrade run they came after.
    pub files: BTreeMap<usize, Vec<(Content, Option<usize>)>>,
    /// Findings of a kind's newest version: which, whether it blocks, which account accepted it last.
    pub findings: BTreeMap<usize, Vec<(FindingId, bool, Option<usize>)>>,
    /// Which, blocking, resolved, opened by.
    pub threads: Vec<(ThreadId, bool, bool, usize)>,
    pub epoch: u64,
    pub votes: Vec<Vote>,
    /// Preflight ticks with the epoch they were made in; smoke ticks with their run.
    pub ticks: BTreeMap<&'static str, (u64, bool)>,
    pub smoke_ticks: BTreeMap<(&'static str, usize), bool>,
    /// The health verdict of a run: an unhealthy one stays.
    pub health: BTreeMap<usize, bool>,
}

#[derive(Clone, Debug)]
pub(super) struct Ticket {
    pub kind: u8,
    pub incident: Option<usize>,
    pub author: Option<usize>,
    pub policy: usize,
    pub open: bool,
    pub contributors: BTreeSet<usize>,
    pub stages: [Stage; 2],
}

/// Tickets of one sequence.
pub(super) const MOST_TICKETS: usize = 3;

/// Kinds of tickets; 0 is a normal one.
pub(super) const STANDARD: u8 = 1;
pub(super) const EMERGENCY: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Issued,
    Used,
    Revoked,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub at: Place,
    pub intent: Intent,
    pub evidence: Evidence,
    pub expires: Timestamp,
    /// Policy named a database.
    pub database: bool,
    pub state: State,
    /// What a repeated redemption has to say again: who, the key, what was presented.
    pub used: Option<(usize, u8, super::action::Presents)>,
    pub run: Option<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Run {
    pub at: Place,
    pub intent: Intent,
    pub started: Timestamp,
    pub via: usize,
    pub undoes: Option<usize>,
    /// The variant of the upgrade SQL that was approved.
    pub variant: u8,
    pub lease: Timestamp,
    /// It has said once that it goes on.
    pub heard: bool,
    pub status: RunStatus,
    pub finished: Option<Timestamp>,
    pub after: Option<String>,
    /// Settled by a person.
    pub verdict: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub now: Timestamp,
    pub accounts: Vec<Account>,
    /// Versions of the policy, as indices into [`POLICIES`].
    pub policies: Vec<usize>,
    /// Whether each is open.
    pub incidents: Vec<bool>,
    /// The account that declared each.
    pub declared_by: Vec<usize>,
    pub freezes: Vec<(Option<usize>, Timestamp, Timestamp)>,
    pub tickets: Vec<Ticket>,
    pub tokens: Vec<Token>,
    pub runs: Vec<Run>,
}

pub(super) fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

impl Model {
    pub fn new(now: Timestamp) -> Self {
        let account = |(_, person, roles): &(&str, usize, &[Role])| Account {
            person: *person,
            roles: roles.iter().copied().collect(),
            ever: roles.iter().copied().collect(),
            active: true,
            shaped: BTreeSet::new(),
            since: now,
        };
        Self {
            now,
            accounts: ACCOUNTS.iter().map(account).collect(),
            policies: vec![0],
            incidents: Vec::new(),
            declared_by: Vec::new(),
            freezes: Vec::new(),
            tickets: Vec::new(),
            tokens: Vec::new(),
            runs: Vec::new(),
        }
    }

    pub fn account(who: Who) -> usize {
        match WHO[who] {
            Session(account) => account,
            Bearer(bearer) => BEARERS[bearer].0,
        }
    }

    pub fn person(&self, who: Who) -> usize {
        self.accounts[Self::account(who)].person
    }

    pub fn bearer(who: Who) -> Option<usize> {
        if let Bearer(bearer) = WHO[who] { Some(bearer) } else { None }
    }

    /// Whether the account is active, holds one of the roles now, and acts in person or, with a scope, by a token.
    pub fn may(&self, who: Who, roles: &[Role], scope: Option<Scope>) -> bool {
        let account = &self.accounts[Self::account(who)];
        let way = match (WHO[who], scope) {
            (Session(_), _) => true,
            (Bearer(_), None) => false,
            (Bearer(bearer), Some(scope)) => BEARERS[bearer].1.contains(&scope),
        };
        account.active && way && roles.iter().any(|role| account.roles.contains(role))
    }

    pub fn stage(&self, at: Place) -> &Stage {
        &self.tickets[at.ticket].stages[at.stage]
    }

    pub fn policy(&self, ticket: usize) -> Policy {
        POLICIES[self.policies[self.tickets[ticket].policy]]
    }

    pub fn newest(&self, at: Place, kind: usize) -> Option<Content> {
        self.stage(at).files.get(&kind)?.last().map(|file| file.0)
    }

    /// What a run is at this instant: silent for longer than its lease is unknown.
    pub fn status(&self, run: usize) -> RunStatus {
        let run = &self.runs[run];
        if run.status == RunStatus::Running && self.now >= run.lease {
            RunStatus::Unknown
        } else {
            run.status
        }
    }

    /// It ended badly without naming a revision, and nobody has looked yet.
    pub fn unverified(&self, run: usize) -> bool {
        let run = &self.runs[run];
        matches!(run.status, RunStatus::Failed | RunStatus::Partial) && run.after.is_none() && !run.verdict
    }

    pub fn unsettled(&self, run: usize) -> bool {
        matches!(self.status(run), RunStatus::Running | RunStatus::Unknown) || self.unverified(run)
    }

    /// A person has to say what it did.
    pub fn awaits_verdict(&self, run: usize) -> bool {
        let half = self.status(run) == RunStatus::Partial && !self.runs[run].verdict;
        half || self.status(run) == RunStatus::Unknown || self.unverified(run)
    }

    pub fn runs_at(&self, at: Place) -> impl DoubleEndedIterator<Item = usize> {
        (0..self.runs.len()).filter(move |run| self.runs[*run].at == at)
    }

    pub fn last_upgrade(&self, at: Place) -> Option<usize> {
        self.runs_at(at).rfind(|run| self.runs[*run].intent == Intent::Upgrade)
    }

    /// Rollbacks of a run, oldest first.
    pub fn undoings(&self, run: usize) -> impl DoubleEndedIterator<Item = usize> {
        (0..self.runs.len()).filter(move |other| self.runs[*other].undoes == Some(run))
    }

    /// The last upgrade, if the database still shows it.
    pub fn standing(&self, at: Place) -> Option<usize> {
        let last = self.last_upgrade(at)?;
        let changed = matches!(self.runs[last].status, RunStatus::Succeeded | RunStatus::Partial);
        let undone = self.undoings(last).any(|run| self.runs[run].status == RunStatus::Succeeded);
        (changed && !undone).then_some(last)
    }

    /// A rollback of it is under way, or stopped between two revisions.
    pub fn half_undone(&self, run: usize) -> bool {
        let failed = |other: usize| self.runs[other].status == RunStatus::Failed && !self.unverified(other);
        self.undoings(run).any(|other| !failed(other))
    }

    /// Where a run and the rollbacks of it before another run have left the database.
    pub fn left_at(&self, run: usize, before: usize) -> &str {
        let last = self.undoings(run).rfind(|other| *other < before).unwrap_or(run);
        self.runs[last].after.as_deref().unwrap_or(crate::demo::kit::TO)
    }

    /// A rollback rides on the approvals of a run that ended whole and is whole.
    pub fn rides(&self, at: Place, intent: Intent) -> bool {
        intent != Intent::Upgrade
            && self.standing(at).is_some_and(|run| {
                self.runs[run].status == RunStatus::Succeeded
                    && !self.runs[run].verdict
                    && !self.half_undone(run)
                    && self.undoings(run).all(|other| !self.runs[other].verdict)
            })
    }

    pub fn evidence(&self, at: Place) -> Evidence {
        let before = at.stage.checked_sub(1).map(|stage| Place { stage, ..at });
        let previous = before
            .and_then(|before| self.standing(before))
            .filter(|run| self.runs[*run].status == RunStatus::Succeeded);
        Evidence { epoch: self.stage(at).epoch, previous }
    }

    pub fn outstanding(&self, token: usize) -> bool {
        self.tokens[token].state == State::Issued && self.now < self.tokens[token].expires
    }

    pub fn outstanding_at(&self, at: Place) -> Option<usize> {
        (0..self.tokens.len()).find(|token| self.tokens[*token].at == at && self.outstanding(*token))
    }

    /// People who touched the content, and the named author.
    pub fn contributors(&self, ticket: usize) -> BTreeSet<usize> {
        let ticket = &self.tickets[ticket];
        let author = ticket.author.map(|account| self.accounts[account].person);
        ticket.contributors.iter().copied().chain(author).collect()
    }

    pub fn barred(&self, ticket: usize, account: usize) -> bool {
        let age = hours(self.policy(ticket).age);
        self.excluded(ticket, account) || self.now < self.accounts[account].since + age
    }

    /// As [`barred`](Self::barred), at any age.
    fn excluded(&self, ticket: usize, account: usize) -> bool {
        let contributors = self.contributors(ticket);
        let account = &self.accounts[account];
        !account.active
            || !account.roles.contains(&Role::Board)
            || contributors.contains(&account.person)
            || !account.shaped.is_disjoint(&contributors)
    }

    /// Whether the word of whoever accepted a finding counts: for good once that was applied.
    pub fn counts(&self, at: Place, accepted: Option<usize>) -> bool {
        let decided = !self.tickets[at.ticket].open || self.standing(at).is_some();
        accepted.is_some_and(|account| decided || !self.excluded(at.ticket, account))
    }

    /// Each person's latest vote, by account or another.
    pub fn standing_votes(&self, at: Place) -> BTreeMap<usize, &Vote> {
        self.stage(at).votes.iter().map(|vote| (self.accounts[vote.account].person, vote)).collect()
    }

    pub fn smoke_passed(&self, at: Place, run: usize) -> bool {
        let stage = self.stage(at);
        let report = stage.files.get(&SMOKE_REPORT).and_then(|all| all.iter().rfind(|f| f.1 == Some(run)));
        let items = SMOKE[at.stage].iter().all(|item| stage.smoke_ticks.get(&(item, run)) == Some(&true));
        match report {
            Some((Content::Smoke(passed), _)) => *passed,
            _ => items,
        }
    }
}
