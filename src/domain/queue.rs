//! What waits for somebody: the one thing to do next on a ticket, asked only of those whom the domain would let do it.

use super::blocker::GateKey;
use super::checklist;
use super::facts::{Choice, Facts};
use super::gate::{Gate, GateReport, GateStatus};
use super::run::{Health, Run, RunStatus};
use super::ticket::TicketState;
use super::time::Timestamp;
use super::transition::{self, Action, TicketAction};
use super::user::{Actor, Role};

/// What is asked, the most pressing first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// A run stopped reporting: say what the database holds.
    SettleRun,
    /// A run ended partly, or was judged unhealthy.
    RollBack,
    /// Every gate is open: release the apply token.
    Release,
    /// Accept findings, or reject.
    Accept { count: usize },
    /// Settle threads that the reader opened.
    Settle { count: usize },
    /// Sign; `again` if the reader's earlier signature is stale.
    Sign { have: usize, need: u32, again: bool },
    /// The watch is over: say whether it is healthy.
    Judge,
    /// Prove the smoke checks of a run.
    Verify,
    /// The board rejected: bring new evidence.
    Revise { by: String },
    /// Attach or renew files.
    Attach { items: usize },
    /// State items of the checklist.
    Attest { items: usize },
    /// File the completion notes.
    Complete,
}

/// One thing that is asked of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The stage it is about; the ticket's last one where it is about the ticket.
    pub stage: String,
    pub ask: Ask,
}

/// A stage with what the evaluator says of it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub facts: &'a Facts,
    pub report: &'a GateReport,
}

/// The most pressing thing that a ticket asks of this person, if anything. `stages` are in the order of the pipeline.
pub fn asked(stages: &[Seen<'_>], actor: &Actor) -> Option<Asked> {
    let ticket = &stages.first()?.facts.ticket;
    if ticket.state != TicketState::Open {
        return None;
    }
    let own = concerns(stages, actor);
    let mut asks: Vec<Asked> = Vec::new();
    for stage in stages {
        let ask = of_stage(*stage, actor, own);
        asks.extend(ask.into_iter().map(|ask| Asked { stage: stage.facts.this.stage.name.clone(), ask }));
        // What comes after a stage that nothing stands in is not due yet.
        if stage.facts.this.standing_upgrade().is_none() {
            break;
        }
    }
    if own && completable(stages, actor) {
        let stage = stages.last().map(|stage| stage.facts.this.stage.name.clone()).unwrap_or_default();
        asks.push(Asked { stage, ask: Ask::Complete });
    }
    asks.into_iter().min_by(|a, b| a.ask.cmp(&b.ask))
}

/// Whether the ticket is this person's work: they filed it, or touched its content.
pub fn concerns(stages: &[Seen<'_>], actor: &Actor) -> bool {
    stages.first().is_some_and(|stage| {
        let facts = stage.facts;
        actor.has(Role::Engineer)
            && (facts.ticket.requester == actor.user || facts.contributors.contains(&actor.person))
    })
}

fn completable(stages: &[Seen<'_>], actor: &Actor) -> bool {
    // Most tickets are far from their end; their facts need not be copied.
    if stages.iter().all(|stage| stage.facts.this.runs.is_empty()) {
        return false;
    }
    let facts: Vec<Facts> = stages.iter().map(|stage| stage.facts.clone()).collect();
    let complete = TicketAction::Complete { notes: ".", retrospective: Some(".") };
    transition::decide_ticket(&facts, actor, complete).is_ok()
}

fn of_stage(stage: Seen<'_>, actor: &Actor, own: bool) -> Option<Ask> {
    let record = &stage.facts.this;
    let unknown = record.runs.iter().find(|run| run.status_at(stage.facts.now) == RunStatus::Unknown);
    if let Some(run) = unknown {
        let settle = Action::SettleRun { run: run.id, note: "." };
        return (actor.has(Role::Engineer) && may(stage, actor, &settle)).then_some(Ask::SettleRun);
    }
    if record.runs.iter().any(|run| run.unsettled(stage.facts.now))
        || record.tokens.iter().any(|token| token.outstanding(stage.facts.now))
    {
        return None;
    }
    match record.standing_upgrade() {
        Some(run) => after_run(stage, actor, own, run),
        None => before_run(stage, actor, own),
    }
}

fn may(stage: Seen<'_>, actor: &Actor, action: &Action<'_>) -> bool {
    transition::decide(stage.facts, actor, action).is_ok()
}

fn after_run(stage: Seen<'_>, actor: &Actor, own: bool, run: &Run) -> Option<Ask> {
    if !own {
        return None;
    }
    let record = &stage.facts.this;
    match (run.status, record.health(run)) {
        (RunStatus::Succeeded, Some(Health::Healthy)) => None,
        (RunStatus::Succeeded, None) if record.smoke_passed(run) => {
            may(stage, actor, &Action::Observe { verdict: Health::Healthy, note: "." }).then_some(Ask::Judge)
        }
        (RunStatus::Succeeded, None) => Some(Ask::Verify),
        _ => Some(Ask::RollBack),
    }
}

fn before_run(stage: Seen<'_>, actor: &Actor, own: bool) -> Option<Ask> {
    let (facts, report) = (stage.facts, stage.report);
    if report.applicable() {
        return may(stage, actor, &Action::Authorise).then_some(Ask::Release);
    }
    let shut = |key: GateKey| report.gate(key).is_some_and(|gate: &Gate| gate.status == GateStatus::Blocked);
    if shut(GateKey::Review) {
        let accept = |id| Action::AcceptFinding { finding: id, note: "." };
        let blocking = facts.this.findings.iter().filter(|finding| finding.blocks());
        let count = blocking.filter(|finding| may(stage, actor, &accept(finding.id))).count();
        // Reviewing what is still being put together, or was rejected, would be done twice.
        let settled = checklist::missing_evidence(facts).is_empty() && report.tally.rejections.is_empty();
        if count > 0 && settled {
            return Some(Ask::Accept { count });
        }
        let mine = facts.this.threads.iter().filter(|thread| {
            thread.blocking && thread.resolved_at.is_none() && thread.opened_by == actor.user
        });
        let count = mine.count();
        if count > 0 {
            return Some(Ask::Settle { count });
        }
    }
    if shut(GateKey::Approvals)
        && let Some(ask) = signature(stage, actor)
    {
        return Some(ask);
    }
    if !own {
        return None;
    }
    if let Some(vote) = report.tally.rejections.first() {
        return Some(Ask::Revise { by: vote.name.clone() });
    }
    let open: Vec<_> = checklist::preflight(facts).into_iter().filter(|item| !item.done).collect();
    // The board's findings and threads are an automatic item, and not the engineer's to attach.
    let files = open.iter().filter(|item| !item.attested && item.key != "findings-documented").count();
    let files = files.max(usize::from(shut(GateKey::DryRun)));
    if files > 0 {
        return Some(Ask::Attach { items: files });
    }
    let items = open.iter().filter(|item| item.attested).count();
    (items > 0).then_some(Ask::Attest { items })
}

fn signature(stage: Seen<'_>, actor: &Actor) -> Option<Ask> {
    let (facts, report) = (stage.facts, stage.report);
    let tally = &report.tally;
    // Somebody rejected: it is the engineers' turn.
    if !tally.rejections.is_empty() || tally.approvals.iter().any(|vote| vote.person == actor.person) {
        return None;
    }
    let ballot = Action::Vote {
        choice: Choice::Approve,
        seen: report.evidence.digest,
        comment: "",
        acknowledged: true,
    };
    may(stage, actor, &ballot).then(|| Ask::Sign {
        have: tally.approvals.len(),
        need: report.quorum,
        again: facts.standing_votes().iter().any(|vote| {
            vote.person == actor.person
                && vote.choice == Choice::Approve
                && vote.evidence != report.evidence.digest
        }),
    })
}

/// When the thing asked stops being useful: the window's opening, where one is waited for.
pub fn deadline(report: &GateReport) -> Option<Timestamp> {
    match &report.earliest {
        super::earliest::Earliest::At(at) => Some(*at),
        super::earliest::Earliest::Never { .. } => None,
    }
}
