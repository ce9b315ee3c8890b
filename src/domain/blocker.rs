//! Why a gate is shut. A blocker is data with a stable code; its words live here and nowhere else.

use super::artifact::ArtifactKind;
use super::id::IncidentId;
use super::id::TicketNumber;
use super::named::named;
use super::run::RunStatus;
use super::time::Timestamp;

named! {
    /// The gates of a stage, in their one order.
    GateKey, "gate" {
        Checklist = "checklist",
        DryRun = "dry-run",
        Review = "review",
        Approvals = "approvals",
        PreviousStage = "previous-stage",
        Incidents = "incidents",
        Freeze = "freeze",
        Window = "window",
        SingleRun = "single-run",
    }
}

impl GateKey {
    /// What people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Checklist => "Preflight checklist",
            Self::DryRun => "Dry run",
            Self::Review => "Review settled",
            Self::Approvals => "Board approval",
            Self::PreviousStage => "Previous stage healthy",
            Self::Incidents => "No open incident",
            Self::Freeze => "No freeze",
            Self::Window => "Change window",
            Self::SingleRun => "One run at a time",
        }
    }
}

/// What a shut gate waits for: the three kinds of "no".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    Person,
    Time,
    /// A fault, an incident, a freeze, a rejection.
    Stopped,
}

/// One reason why a gate is shut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocker {
    /// A checklist item is not done; `why` says what is missing where evidence decides it.
    ItemOpen {
        label: String,
        attested: bool,
        why: Option<String>,
    },
    FileMissing {
        kind: ArtifactKind,
    },
    ReportMissing,
    ReportUnreadable {
        problem: String,
    },
    ReportFailed {
        problem: Option<String>,
    },
    /// The report is of other bytes than the ones attached.
    ReportOfOther {
        what: &'static str,
    },
    SnapshotStale {
        taken_at: Timestamp,
        expired_at: Timestamp,
    },
    ReportStale {
        expired_at: Timestamp,
    },
    DatedAhead {
        what: &'static str,
        at: Timestamp,
    },
    FindingsOpen {
        count: usize,
        rule: String,
        line: i64,
    },
    ThreadsOpen {
        count: usize,
    },
    QuorumMissing {
        have: usize,
        need: u32,
        barred: usize,
        stale: usize,
    },
    Rejected {
        by: String,
    },
    PreviousNotRun {
        stage: String,
    },
    PreviousEnded {
        stage: String,
        status: RunStatus,
    },
    PreviousSmokeMissing {
        stage: String,
    },
    PreviousObserving {
        stage: String,
        until: Timestamp,
    },
    PreviousUnjudged {
        stage: String,
    },
    PreviousUnhealthy {
        stage: String,
    },
    IncidentOpen {
        id: IncidentId,
        number: i64,
        title: String,
    },
    Frozen {
        reason: String,
        until: Timestamp,
    },
    WindowShut {
        opens: Option<Timestamp>,
    },
    TicketShut,
    AlreadyApplied {
        status: RunStatus,
    },
    TokenOutstanding {
        ticket: TicketNumber,
        until: Timestamp,
    },
    RunUnsettled {
        ticket: TicketNumber,
        status: RunStatus,
    },
    NothingToRollBack,
    /// Another ticket changed this environment after the run that a rollback would undo.
    AppliedSince {
        ticket: TicketNumber,
    },
    VerdictFirst,
    /// Something that the gate needs can't be read.
    CannotTell {
        why: String,
    },
}

impl Blocker {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ItemOpen { .. } => "checklist-item-open",
            Self::FileMissing { .. } => "artifact-missing",
            Self::ReportMissing => "dry-run-missing",
            Self::ReportUnreadable { .. } => "dry-run-unreadable",
            Self::ReportFailed { .. } => "dry-run-failed",
            Self::ReportOfOther { .. } => "dry-run-of-other",
            Self::SnapshotStale { .. } => "snapshot-stale",
            Self::ReportStale { .. } => "dry-run-stale",
            Self::DatedAhead { .. } => "dated-ahead",
            Self::FindingsOpen { .. } => "findings-open",
            Self::ThreadsOpen { .. } => "threads-open",
            Self::QuorumMissing { .. } => "quorum-missing",
            Self::Rejected { .. } => "rejected",
            Self::PreviousNotRun { .. } => "previous-stage-not-run",
            Self::PreviousEnded { .. } => "previous-stage-not-succeeded",
            Self::PreviousSmokeMissing { .. } => "previous-stage-smoke-missing",
            Self::PreviousObserving { .. } => "previous-stage-observing",
            Self::PreviousUnjudged { .. } => "previous-stage-not-judged",
            Self::PreviousUnhealthy { .. } => "previous-stage-unhealthy",
            Self::IncidentOpen { .. } => "incident-open",
            Self::Frozen { .. } => "frozen",
            Self::WindowShut { .. } => "window-closed",
            Self::TicketShut => "ticket-not-open",
            Self::AlreadyApplied { .. } => "already-applied",
            Self::TokenOutstanding { .. } => "token-outstanding",
            Self::RunUnsettled { .. } => "run-unsettled",
            Self::NothingToRollBack => "nothing-to-roll-back",
            Self::AppliedSince { .. } => "applied-since",
            Self::VerdictFirst => "verdict-first",
            Self::CannotTell { .. } => "cannot-evaluate",
        }
    }

    /// One sentence, in plain words.
    pub fn words(&self) -> String {
        match self {
            Self::ItemOpen { label, attested: true, .. } => format!("“{label}” is not stated yet."),
            Self::ItemOpen { label, why: Some(why), .. } => format!("“{label}”: {why}"),
            Self::ItemOpen { label, .. } => format!("“{label}” does not hold yet."),
            Self::FileMissing { kind } => format!("{} is not attached.", kind.label()),
            Self::ReportMissing => "No dry-run report is attached.".to_owned(),
            Self::ReportUnreadable { problem } => format!("The dry-run report can't be read: {problem}"),
            Self::ReportFailed { problem: Some(problem) } => format!("The dry run did not pass: {problem}"),
            Self::ReportFailed { problem: None } => "The dry run did not pass.".to_owned(),
            Self::ReportOfOther { what } => {
                format!("The dry run rehearsed another {what} than the one attached.")
            }
            Self::SnapshotStale { taken_at, expired_at } => {
                format!("The snapshot of {} was too old from {}.", taken_at.words(), expired_at.words())
            }
            Self::ReportStale { expired_at } => {
                format!("The dry run was too old from {}.", expired_at.words())
            }
            Self::DatedAhead { what, at } => {
                format!("The {what} says {}, which is still to come.", at.words())
            }
            Self::FindingsOpen { count: 1, rule, line } => {
                format!("1 blocking finding is not accepted: {rule}, line {line}.")
            }
            Self::FindingsOpen { count, rule, line } => {
                format!("{count} blocking findings are not accepted; the first is {rule}, line {line}.")
            }
            Self::ThreadsOpen { count: 1 } => "1 blocking thread is not resolved.".to_owned(),
            Self::ThreadsOpen { count } => format!("{count} blocking threads are not resolved."),
            Self::QuorumMissing { have, need, barred, stale } => {
                let mut text = format!("{have} of {need} approvals.");
                if *stale > 0 {
                    text.push_str(if *stale == 1 {
                        " 1 approval is stale: the evidence changed after it."
                    } else {
                        " Some approvals are stale: the evidence changed after them."
                    });
                }
                if *barred > 0 {
                    text.push_str(
                        " An approval does not count: its voter touched the change or left the board.",
                    );
                }
                text
            }
            Self::Rejected { by } => format!("{by} rejected this evidence."),
            Self::PreviousNotRun { stage } => format!("Nothing has been applied to {stage} yet."),
            Self::PreviousEnded { stage, status } => format!("The last run on {stage} ended {status}."),
            Self::PreviousSmokeMissing { stage } => format!("Smoke checks on {stage} have not passed."),
            Self::PreviousObserving { stage, until } => {
                format!("{stage} is under observation until {}.", until.words())
            }
            Self::PreviousUnjudged { stage } => format!("Nobody has judged {stage} healthy yet."),
            Self::PreviousUnhealthy { stage } => format!("{stage} was judged unhealthy; it needs a new run."),
            Self::IncidentOpen { number, title, .. } => format!("INC-{number} is open: {title}."),
            Self::Frozen { reason, until } => format!("Frozen until {}: {reason}.", until.words()),
            Self::WindowShut { opens: Some(opens) } => format!("The window opens {}.", opens.words()),
            Self::WindowShut { opens: None } => "Policy has no window in the next 400 days.".to_owned(),
            Self::TicketShut => "The ticket is not open.".to_owned(),
            Self::AlreadyApplied { status: RunStatus::Succeeded } => "Already applied here.".to_owned(),
            Self::AlreadyApplied { status } => {
                format!("The last run here ended {status} and is not rolled back.")
            }
            Self::TokenOutstanding { ticket, until } => {
                format!("An apply token of {ticket} is outstanding until {}.", until.words())
            }
            Self::RunUnsettled { ticket, status: RunStatus::Running } => {
                format!("A run of {ticket} is in progress.")
            }
            Self::RunUnsettled { ticket, status: RunStatus::Unknown } => {
                format!("A run of {ticket} stopped reporting; a person has to say what it did.")
            }
            Self::RunUnsettled { ticket, status } => format!(
                "A run of {ticket} ended {status} without naming the revision; a person has to say where the database is."
            ),
            Self::NothingToRollBack => "There is no run here to undo.".to_owned(),
            Self::AppliedSince { ticket } => {
                format!("{ticket} was applied here afterwards: roll that back first.")
            }
            Self::VerdictFirst => {
                "The last run did not end cleanly: a person has to say what it did first.".to_owned()
            }
            Self::CannotTell { why } => format!("This gate can't be evaluated: {why}"),
        }
    }

    /// Who can clear it.
    pub const fn cleared_by(&self) -> &'static str {
        match self {
            Self::ItemOpen { attested: true, .. } => "a release engineer",
            Self::ItemOpen { attested: false, .. }
            | Self::FileMissing { .. }
            | Self::ReportMissing
            | Self::ReportUnreadable { .. }
            | Self::ReportFailed { .. }
            | Self::ReportOfOther { .. }
            | Self::SnapshotStale { .. }
            | Self::ReportStale { .. }
            | Self::DatedAhead { .. } => "a release engineer or CI, with new evidence",
            Self::FindingsOpen { .. } => "a board member who did not touch the change, or new SQL",
            Self::ThreadsOpen { .. } => "whoever opened the thread, or the board",
            Self::QuorumMissing { .. } => "board members who did not touch the change",
            Self::Rejected { .. } => "the board member who rejected, or new evidence",
            Self::PreviousNotRun { .. }
            | Self::PreviousEnded { .. }
            | Self::PreviousSmokeMissing { .. }
            | Self::PreviousUnjudged { .. }
            | Self::PreviousUnhealthy { .. } => "a release engineer, on the stage before",
            Self::IncidentOpen { .. } => "whoever runs the incident",
            Self::PreviousObserving { .. } | Self::Frozen { .. } | Self::WindowShut { .. } => "time",
            Self::TicketShut | Self::AlreadyApplied { .. } => "nobody: a rollback is the only way back",
            Self::TokenOutstanding { .. } => "its run, its expiry, or whoever revokes it",
            Self::RunUnsettled { .. } | Self::VerdictFirst => "a release engineer, on the run's page",
            Self::NothingToRollBack => "nobody",
            Self::AppliedSince { .. } => "a release engineer, on the ticket that came after",
            Self::CannotTell { .. } => "an administrator",
        }
    }

    /// When it clears by itself, if it does.
    pub const fn clears_at(&self) -> Option<Timestamp> {
        match self {
            Self::PreviousObserving { until, .. }
            | Self::Frozen { until, .. }
            | Self::TokenOutstanding { until, .. } => Some(*until),
            Self::WindowShut { opens } => *opens,
            Self::ItemOpen { .. }
            | Self::FileMissing { .. }
            | Self::ReportMissing
            | Self::ReportUnreadable { .. }
            | Self::ReportFailed { .. }
            | Self::ReportOfOther { .. }
            | Self::SnapshotStale { .. }
            | Self::ReportStale { .. }
            | Self::DatedAhead { .. }
            | Self::FindingsOpen { .. }
            | Self::ThreadsOpen { .. }
            | Self::QuorumMissing { .. }
            | Self::Rejected { .. }
            | Self::PreviousNotRun { .. }
            | Self::PreviousEnded { .. }
            | Self::PreviousSmokeMissing { .. }
            | Self::PreviousUnjudged { .. }
            | Self::PreviousUnhealthy { .. }
            | Self::IncidentOpen { .. }
            | Self::TicketShut
            | Self::AlreadyApplied { .. }
            | Self::RunUnsettled { .. }
            | Self::NothingToRollBack
            | Self::AppliedSince { .. }
            | Self::VerdictFirst
            | Self::CannotTell { .. } => None,
        }
    }

    pub const fn waits_for(&self) -> WaitsFor {
        match self {
            Self::PreviousObserving { .. } | Self::WindowShut { .. } => WaitsFor::Time,
            Self::ItemOpen { .. }
            | Self::FileMissing { .. }
            | Self::ReportMissing
            | Self::ReportUnreadable { .. }
            | Self::ReportOfOther { .. }
            | Self::SnapshotStale { .. }
            | Self::ReportStale { .. }
            | Self::DatedAhead { .. }
            | Self::FindingsOpen { .. }
            | Self::ThreadsOpen { .. }
            | Self::QuorumMissing { .. }
            | Self::PreviousNotRun { .. }
            | Self::PreviousEnded { .. }
            | Self::PreviousSmokeMissing { .. }
            | Self::PreviousUnjudged { .. }
            | Self::TicketShut
            | Self::AlreadyApplied { .. }
            | Self::TokenOutstanding { .. }
            | Self::RunUnsettled { status: RunStatus::Running, .. }
            | Self::NothingToRollBack
            | Self::AppliedSince { .. } => WaitsFor::Person,
            Self::Rejected { .. }
            | Self::ReportFailed { .. }
            | Self::PreviousUnhealthy { .. }
            | Self::IncidentOpen { .. }
            | Self::Frozen { .. }
            | Self::CannotTell { .. }
            | Self::RunUnsettled { .. }
            | Self::VerdictFirst => WaitsFor::Stopped,
        }
    }
}
