//! Why an act is refused. Like a blocker it is data with a stable code, and its words live here.

use super::blocker::Blocker;
use super::digest::Digest;
use super::facts::ApprovalBar;
use super::gate::GateReport;
use super::time::Timestamp;
use super::user::{Role, Scope};

/// How a refusal is answered: forbidden, in conflict with the state, or not to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    Forbidden,
    Conflict,
    NotFound,
    Invalid,
}

/// Why an act is refused.
#[derive(Debug)]
pub enum Refusal {
    NeedsRole(&'static [Role]),
    /// Only a person in a browser does this; no token can.
    NeedsSession,
    NeedsScope(Scope),
    TicketClosed,
    RunHappened,
    /// The reader saw other evidence than the current one.
    EvidenceChanged {
        seen: Digest,
        current: Digest,
    },
    EvidenceIncomplete(Vec<Blocker>),
    NotEligible(ApprovalBar),
    NothingToWithdraw,
    DifferenceUnacknowledged,
    GatesClosed(Box<GateReport>),
    UnknownItem,
    AutomaticItem,
    NoRunYet,
    WrittenByRun,
    UnknownFinding,
    AlreadyAccepted,
    UnknownThread,
    ThreadSettled,
    NotYourThread,
    NoTokenOutstanding,
    UnknownToken,
    NotRedeemer,
    RunEnded,
    RunNotUnknown,
    RunUnsettled,
    RunNotSucceeded,
    ObservationTooEarly {
        until: Timestamp,
    },
    SmokeNotPassed,
    JudgedUnhealthy,
    StagesUnfinished {
        stage: String,
    },
    NeedsText {
        field: &'static str,
        why: &'static str,
    },
    PolicyCurrent,
}

impl Refusal {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NeedsRole(_) => "needs-role",
            Self::NeedsSession => "session-only",
            Self::NeedsScope(_) => "missing-scope",
            Self::TicketClosed => "ticket-not-open",
            Self::RunHappened => "run-happened",
            Self::EvidenceChanged { .. } => "evidence-changed",
            Self::EvidenceIncomplete(_) => "evidence-incomplete",
            Self::NotEligible(_) => "not-eligible",
            Self::NothingToWithdraw => "nothing-to-withdraw",
            Self::DifferenceUnacknowledged => "difference-unacknowledged",
            Self::GatesClosed(_) => "gates-closed",
            Self::UnknownItem => "unknown-item",
            Self::AutomaticItem => "automatic-item",
            Self::NoRunYet => "no-run",
            Self::WrittenByRun => "written-by-run",
            Self::UnknownFinding => "unknown-finding",
            Self::AlreadyAccepted => "already-accepted",
            Self::UnknownThread => "unknown-thread",
            Self::ThreadSettled => "thread-settled",
            Self::NotYourThread => "not-your-thread",
            Self::NoTokenOutstanding => "no-token-outstanding",
            Self::UnknownToken => "unknown-token",
            Self::NotRedeemer => "not-redeemer",
            Self::RunEnded => "run-ended",
            Self::RunNotUnknown => "run-not-unknown",
            Self::RunUnsettled => "run-unsettled",
            Self::RunNotSucceeded => "run-not-succeeded",
            Self::ObservationTooEarly { .. } => "observation-too-early",
            Self::SmokeNotPassed => "smoke-not-passed",
            Self::JudgedUnhealthy => "judged-unhealthy",
            Self::StagesUnfinished { .. } => "stages-unfinished",
            Self::NeedsText { .. } => "text-missing",
            Self::PolicyCurrent => "policy-current",
        }
    }

    pub const fn kind(&self) -> RefusalKind {
        match self {
            Self::NeedsRole(_)
            | Self::NeedsSession
            | Self::NeedsScope(_)
            | Self::NotEligible(_)
            | Self::NotYourThread
            | Self::NotRedeemer => RefusalKind::Forbidden,
            Self::UnknownItem | Self::UnknownFinding | Self::UnknownThread | Self::UnknownToken => {
                RefusalKind::NotFound
            }
            Self::NeedsText { .. } => RefusalKind::Invalid,
            Self::TicketClosed
            | Self::RunHappened
            | Self::EvidenceChanged { .. }
            | Self::EvidenceIncomplete(_)
            | Self::NothingToWithdraw
            | Self::DifferenceUnacknowledged
            | Self::GatesClosed(_)
            | Self::AutomaticItem
            | Self::NoRunYet
            | Self::WrittenByRun
            | Self::AlreadyAccepted
            | Self::ThreadSettled
            | Self::NoTokenOutstanding
            | Self::RunEnded
            | Self::RunNotUnknown
            | Self::RunUnsettled
            | Self::RunNotSucceeded
            | Self::ObservationTooEarly { .. }
            | Self::SmokeNotPassed
            | Self::JudgedUnhealthy
            | Self::StagesUnfinished { .. }
            | Self::PolicyCurrent => RefusalKind::Conflict,
        }
    }

    /// What keeps it, where gates or evidence do.
    pub fn blockers(&self) -> Vec<Blocker> {
        match self {
            Self::GatesClosed(report) => report.blocked().flat_map(|g| g.blockers.clone()).collect(),
            Self::EvidenceIncomplete(missing) => missing.clone(),
            _ => Vec::new(),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NeedsRole(roles) => {
                let names: Vec<&str> = roles.iter().map(|r| r.as_str()).collect();
                write!(f, "This needs the role {}.", names.join(" or "))
            }
            Self::NeedsSession => f.write_str("Only a signed-in person in a browser does this; an API token can't."),
            Self::NeedsScope(scope) => write!(f, "The API token lacks the scope {scope}."),
            Self::TicketClosed => f.write_str("The ticket is not open any more."),
            Self::RunHappened => f.write_str("A run has taken place, so this can't be changed any more."),
            Self::EvidenceChanged { .. } => f.write_str(
                "The evidence changed after you opened the page. Nothing was recorded; look at what changed and decide again.",
            ),
            Self::EvidenceIncomplete(missing) => {
                let words: Vec<String> = missing.iter().map(Blocker::words).collect();
                write!(f, "The evidence is not complete yet. {}", words.join(" "))
            }
            Self::NotEligible(bar) => f.write_str(bar.words()),
            Self::NothingToWithdraw => f.write_str("You have no standing vote to withdraw here."),
            Self::DifferenceUnacknowledged => f.write_str(
                "The SQL differs from what ran on the stage before. Tick that you have seen the difference.",
            ),
            Self::GatesClosed(report) => {
                let keys: Vec<&str> = report.blocked().map(|g| g.key.as_str()).collect();
                write!(f, "{} of {} gates are closed: {}.", keys.len(), report.gates.len(), keys.join(", "))
            }
            Self::UnknownItem => f.write_str("This stage's checklist has no such item."),
            Self::AutomaticItem => f.write_str("Evidence decides this item; nobody can tick it."),
            Self::NoRunYet => f.write_str("There has been no run here yet."),
            Self::WrittenByRun => f.write_str("A run writes its own log; nobody uploads one."),
            Self::UnknownFinding => f.write_str("There is no such finding on the current files."),
            Self::AlreadyAccepted => f.write_str("This finding is accepted already."),
            Self::UnknownThread => f.write_str("There is no such thread here."),
            Self::ThreadSettled => f.write_str("The thread is in that state already."),
            Self::NotYourThread => f.write_str("Only whoever opened the thread, or the board, settles it."),
            Self::NoTokenOutstanding => f.write_str("No apply token is outstanding here."),
            Self::UnknownToken => f.write_str("There is no such apply token here."),
            Self::NotRedeemer => f.write_str("Only whoever redeemed the token reports on its run."),
            Self::RunEnded => f.write_str("The run has ended."),
            Self::RunNotUnknown => f.write_str("The run's end is known; there is nothing to settle."),
            Self::RunUnsettled => f.write_str("A run is in progress, or nobody knows how it ended. Settle it first."),
            Self::RunNotSucceeded => f.write_str("The last run here did not succeed, or was rolled back."),
            Self::ObservationTooEarly { until } => {
                write!(f, "The watch lasts until {}; “healthy” can't be said before.", until.words())
            }
            Self::SmokeNotPassed => f.write_str("Smoke checks of this run have not passed yet."),
            Self::JudgedUnhealthy => f.write_str("This run was judged unhealthy; only a new run can change that."),
            Self::StagesUnfinished { stage } => {
                write!(f, "{stage} has not run and been judged healthy yet, so the ticket can't be completed.")
            }
            Self::NeedsText { why, .. } => f.write_str(why),
            Self::PolicyCurrent => f.write_str("The ticket is on the newest policy already."),
        }
    }
}

impl std::error::Error for Refusal {}
