//! The only place that says whether somebody may do something. Pages draw their buttons from the same function that
//! the write path asks, so a page can't offer what the server refuses.

use super::artifact::ArtifactKind;
use super::checklist;
use super::digest::Digest;
use super::evidence;
use super::facts::{Choice, Facts};
use super::gate::{self, Clearance};
use super::id::{ApplyTokenId, FindingId, RunId, ThreadId};
use super::policy::{ChecklistItem, ChecklistWhen};
use super::refusal::Refusal;
use super::run::{Health, RunStatus};
use super::ticket::{TicketKind, TicketOutcome, TicketState};
use super::user::{Actor, Role, Scope};

/// What somebody wants to do to a stage.
#[derive(Clone, Debug)]
pub enum Action<'a> {
    Upload(ArtifactKind),
    Tick {
        item: &'a str,
    },
    OpenThread,
    ReplyThread(ThreadId),
    SettleThread {
        thread: ThreadId,
        resolve: bool,
        /// How it was settled; needed to resolve it.
        note: &'a str,
    },
    AcceptFinding {
        finding: FindingId,
        note: &'a str,
    },
    /// `acknowledged`: the voter ticked that the SQL differs from what ran on the stage before.
    Vote {
        choice: Choice,
        seen: Digest,
        comment: &'a str,
        acknowledged: bool,
    },
    /// Release or redeem, as the facts' purpose and intent say.
    Authorise,
    /// The stage's outstanding token; or this one, whatever has become of it.
    RevokeToken(Option<ApplyTokenId>),
    /// Log, heartbeat or finish, by whoever redeemed: with any API token of theirs, since that which redeemed may be gone.
    Report(RunId),
    SettleRun {
        run: RunId,
        note: &'a str,
    },
    Observe {
        verdict: Health,
        note: &'a str,
    },
}

/// What an allowed act entails, besides its own record.
#[derive(Debug, Default)]
#[must_use]
pub struct Decision {
    /// The evidence changes: the stage's generation goes up, so that no earlier vote can count again (RULES 2).
    pub raises_generation: bool,
    /// The actor touched the content and can't approve it from now on (RULES 4).
    pub makes_contributor: bool,
    /// An outstanding token dies in the same transaction, for this reason (RULES 3).
    pub revokes_token: Option<&'static str>,
    /// Every gate was open: the right to release or redeem.
    pub clearance: Option<Clearance>,
}

/// Decides about one stage.
///
/// # Errors
/// The refusal, with its code and words.
pub fn decide(facts: &Facts, actor: &Actor, action: &Action<'_>) -> Result<Decision, Refusal> {
    if facts.ticket.state != TicketState::Open && !matches!(action, Action::Report(_)) {
        return Err(Refusal::TicketClosed);
    }
    match action {
        Action::Upload(kind) => upload(facts, actor, *kind),
        Action::Tick { item } => tick(facts, actor, item),
        Action::OpenThread | Action::ReplyThread(_) => {
            needs_role(actor, &[Role::Engineer, Role::Board])?;
            needs_session(actor)?;
            if let Action::ReplyThread(thread) = action {
                known_thread(facts, *thread)?;
            }
            Ok(Decision::default())
        }
        Action::SettleThread { thread, resolve, note } => {
            settle_thread(facts, actor, *thread, *resolve, note)
        }
        Action::AcceptFinding { finding, note } => accept(facts, actor, *finding, note),
        Action::Vote { choice, seen, comment, acknowledged } => {
            let decision = vote(facts, actor, *choice, *seen, comment)?;
            if *choice == Choice::Approve && !acknowledged && facts.differs_from_previous() {
                return Err(Refusal::DifferenceUnacknowledged);
            }
            Ok(decision)
        }
        Action::Authorise => authorise(facts, actor),
        Action::RevokeToken(which) => revoke(facts, actor, *which),
        Action::Report(run) => report(facts, actor, *run),
        Action::SettleRun { run, note } => settle_run(facts, actor, *run, note),
        Action::Observe { verdict, note } => observe(facts, actor, *verdict, note),
    }
}

fn needs_role(actor: &Actor, roles: &'static [Role]) -> Result<(), Refusal> {
    if roles.iter().any(|r| actor.has(*r)) { Ok(()) } else { Err(Refusal::NeedsRole(roles)) }
}

const fn needs_session(actor: &Actor) -> Result<(), Refusal> {
    if actor.is_session() { Ok(()) } else { Err(Refusal::NeedsSession) }
}

fn needs_scope(actor: &Actor, scope: Scope) -> Result<(), Refusal> {
    if actor.may(scope) { Ok(()) } else { Err(Refusal::NeedsScope(scope)) }
}

fn needs_text(text: &str, field: &'static str, why: &'static str) -> Result<(), Refusal> {
    if text.trim().is_empty() { Err(Refusal::NeedsText { field, why }) } else { Ok(()) }
}

fn upload(facts: &Facts, actor: &Actor, kind: ArtifactKind) -> Result<Decision, Refusal> {
    needs_role(actor, &[Role::Engineer])?;
    needs_scope(actor, Scope::ArtifactsWrite)?;
    if kind.is_evidence() {
        if facts.this.runs.iter().any(|r| r.unsettled(facts.now)) {
            return Err(Refusal::RunUnsettled);
        }
        return Ok(Decision {
            raises_generation: true,
            makes_contributor: true,
            revokes_token: Some("the evidence changed"),
            clearance: None,
        });
    }
    match kind {
        ArtifactKind::RunLog => return Err(Refusal::WrittenByRun),
        ArtifactKind::MonitoringSnapshot => {
            facts.this.last_upgrade().ok_or(Refusal::NoRunYet)?;
        }
        ArtifactKind::SmokeReport => {
            let run = facts.this.last_upgrade().ok_or(Refusal::NoRunYet)?;
            // Smoke checks come after the run: what was checked before it ended says nothing about it.
            if run.unsettled(facts.now) {
                return Err(Refusal::RunUnsettled);
            }
        }
        _ => {}
    }
    Ok(Decision::default())
}

fn tick(facts: &Facts, actor: &Actor, key: &str) -> Result<Decision, Refusal> {
    needs_role(actor, &[Role::Engineer])?;
    needs_scope(actor, Scope::TicketsWrite)?;
    let item: &ChecklistItem =
        facts.this.policy.checklist.iter().find(|i| i.key == key).ok_or(Refusal::UnknownItem)?;
    if !item.is_attested() {
        return Err(Refusal::AutomaticItem);
    }
    if item.session_only() {
        needs_session(actor)?;
    }
    if item.when == ChecklistWhen::Smoke {
        let last = facts.this.last_upgrade().ok_or(Refusal::NoRunYet)?;
        if last.unsettled(facts.now) {
            return Err(Refusal::RunUnsettled);
        }
    }
    Ok(Decision::default())
}

fn known_thread(facts: &Facts, thread: ThreadId) -> Result<&super::artifact::Thread, Refusal> {
    facts.this.threads.iter().find(|t| t.id == thread).ok_or(Refusal::UnknownThread)
}

fn settle_thread(
    facts: &Facts,
    actor: &Actor,
    thread: ThreadId,
    resolve: bool,
    note: &str,
) -> Result<Decision, Refusal> {
    needs_role(actor, &[Role::Engineer, Role::Board])?;
    needs_session(actor)?;
    let known = known_thread(facts, thread)?;
    if known.resolved_at.is_some() == resolve {
        return Err(Refusal::ThreadSettled);
    }
    // The board, but not whoever touched the change: nobody clears objections to their own work.
    let board = actor.has(Role::Board) && !facts.contributors.contains(&actor.person);
    if known.opened_by == actor.user || board {
        if resolve {
            needs_text(note, "text", "Say how it was settled.")?;
        }
        Ok(Decision::default())
    } else {
        Err(Refusal::NotYourThread)
    }
}

fn may_approve(facts: &Facts, actor: &Actor) -> Result<(), Refusal> {
    needs_role(actor, &[Role::Board])?;
    needs_session(actor)?;
    facts.approval_bar(actor.user, actor.person).map_or(Ok(()), |bar| Err(Refusal::NotEligible(bar)))
}

fn accept(facts: &Facts, actor: &Actor, finding: FindingId, note: &str) -> Result<Decision, Refusal> {
    may_approve(facts, actor)?;
    let known = facts.this.findings.iter().find(|f| f.id == finding).ok_or(Refusal::UnknownFinding)?;
    if known.is_accepted() {
        return Err(Refusal::AlreadyAccepted);
    }
    needs_text(note, "note", "Say why the risk can be taken.")?;
    Ok(Decision {
        raises_generation: true,
        revokes_token: Some("a finding was accepted"),
        ..Decision::default()
    })
}

fn vote(
    facts: &Facts,
    actor: &Actor,
    choice: Choice,
    seen: Digest,
    comment: &str,
) -> Result<Decision, Refusal> {
    needs_session(actor)?;
    if choice == Choice::Withdraw {
        // Possible at any time, also for somebody who has left the board since (RULES 3).
        let standing = facts.standing_votes().into_iter().find(|v| v.person == actor.person);
        return match standing {
            Some(vote) if vote.choice != Choice::Withdraw => {
                Ok(Decision { revokes_token: Some("a vote was withdrawn"), ..Decision::default() })
            }
            Some(_) | None => Err(Refusal::NothingToWithdraw),
        };
    }
    needs_role(actor, &[Role::Board])?;
    let current = evidence::of(facts).map_err(|_| Refusal::EvidenceIncomplete(Vec::new()))?.digest;
    if choice == Choice::Approve {
        may_approve(facts, actor)?;
        let missing = checklist::missing_evidence(facts);
        if !missing.is_empty() {
            return Err(Refusal::EvidenceIncomplete(missing));
        }
    }
    if seen != current {
        return Err(Refusal::EvidenceChanged { seen, current });
    }
    if choice == Choice::Reject {
        needs_text(comment, "comment", "A rejection needs a reason: say what has to change.")?;
        return Ok(Decision { revokes_token: Some("the evidence was rejected"), ..Decision::default() });
    }
    Ok(Decision::default())
}

fn authorise(facts: &Facts, actor: &Actor) -> Result<Decision, Refusal> {
    if matches!(facts.purpose, super::facts::Purpose::Redeem(_)) {
        // Any active token with the scope, plus the secret (RULES 15).
        if actor.token().is_none() {
            return Err(Refusal::NeedsScope(Scope::Apply));
        }
    } else {
        needs_role(actor, &[Role::Engineer])?;
    }
    needs_scope(actor, Scope::Apply)?;
    let report = gate::evaluate(facts).map_err(|_| Refusal::EvidenceIncomplete(Vec::new()))?;
    let clearance = report.clear().map_err(Refusal::GatesClosed)?;
    Ok(Decision { clearance: Some(clearance), ..Decision::default() })
}

fn revoke(facts: &Facts, actor: &Actor, which: Option<ApplyTokenId>) -> Result<Decision, Refusal> {
    needs_role(actor, &[Role::Engineer, Role::Board])?;
    needs_scope(actor, Scope::Apply)?;
    let meant = |id: ApplyTokenId| which.is_none_or(|wanted| wanted == id);
    let mut meant = facts.this.tokens.iter().filter(|token| meant(token.id)).peekable();
    if which.is_some() && meant.peek().is_none() {
        return Err(Refusal::UnknownToken);
    }
    if meant.any(|token| token.outstanding(facts.now)) {
        return Ok(Decision { revokes_token: Some("revoked by hand"), ..Decision::default() });
    }
    // Whoever names a token wants that one gone, which it is.
    which.map_or(Err(Refusal::NoTokenOutstanding), |_| Ok(Decision::default()))
}

fn report(facts: &Facts, actor: &Actor, run: RunId) -> Result<Decision, Refusal> {
    needs_scope(actor, Scope::Apply)?;
    let run = facts.this.runs.iter().find(|r| r.id == run).ok_or(Refusal::NoRunYet)?;
    if actor.token().is_some() && run.redeemed_person == actor.person {
        Ok(Decision::default())
    } else {
        Err(Refusal::NotRedeemer)
    }
}

fn settle_run(facts: &Facts, actor: &Actor, run: RunId, note: &str) -> Result<Decision, Refusal> {
    needs_role(actor, &[Role::Engineer, Role::Board])?;
    needs_session(actor)?;
    let run = facts.this.runs.iter().find(|r| r.id == run).ok_or(Refusal::NoRunYet)?;
    if !run.awaits_verdict(facts.now) {
        return Err(Refusal::RunNotUnknown);
    }
    needs_text(note, "note", "Say how you know what the run did.")?;
    Ok(Decision { raises_generation: true, ..Decision::default() })
}

fn observe(facts: &Facts, actor: &Actor, verdict: Health, note: &str) -> Result<Decision, Refusal> {
    needs_role(actor, &[Role::Engineer, Role::Board])?;
    needs_scope(actor, Scope::TicketsWrite)?;
    let run = facts.this.last_upgrade().ok_or(Refusal::NoRunYet)?;
    if run.unsettled(facts.now) {
        return Err(Refusal::RunUnsettled);
    }
    let standing = facts.this.standing_upgrade().is_some() && facts.this.half_undone(run.id).is_none();
    if run.status != RunStatus::Succeeded || !standing {
        return Err(Refusal::RunNotSucceeded);
    }
    if facts.this.health(run) == Some(Health::Unhealthy) {
        return Err(Refusal::JudgedUnhealthy);
    }
    match verdict {
        Health::Unhealthy => needs_text(note, "note", "Say what is wrong.")?,
        Health::Healthy => {
            if !facts.this.smoke_passed(run) {
                return Err(Refusal::SmokeNotPassed);
            }
            let until = facts.this.watched_until(run).ok_or(Refusal::RunUnsettled)?;
            // An emergency waives the time that the next stage waits for, nothing else (RULES 13).
            let hurried = facts.emergency() && !facts.is_last;
            if facts.now < until && !hurried {
                return Err(Refusal::ObservationTooEarly { until });
            }
        }
    }
    Ok(Decision::default())
}

/// What somebody wants to do to a whole ticket.
#[derive(Clone, Copy, Debug)]
pub enum TicketAction<'a> {
    Edit,
    MovePolicy { newest: bool },
    Abandon { reason: &'a str },
    Complete { notes: &'a str, retrospective: Option<&'a str> },
}

/// Decides about a ticket, given the facts of each of its stages in the order of the pipeline.
///
/// # Errors
/// The refusal, with its code and words.
pub fn decide_ticket(
    stages: &[Facts],
    actor: &Actor,
    action: TicketAction<'_>,
) -> Result<Option<TicketOutcome>, Refusal> {
    let open = stages.first().is_some_and(|f| f.ticket.state == TicketState::Open);
    if !open {
        return Err(Refusal::TicketClosed);
    }
    needs_role(actor, &[Role::Engineer])?;
    needs_scope(actor, Scope::TicketsWrite)?;
    let ran = stages.iter().any(|f| !f.this.runs.is_empty());
    let unsettled = stages.iter().any(|f| f.this.runs.iter().any(|r| r.unsettled(f.now)));
    match action {
        TicketAction::Edit if ran => Err(Refusal::RunHappened),
        TicketAction::MovePolicy { newest: true } => Err(Refusal::PolicyCurrent),
        TicketAction::MovePolicy { .. } | TicketAction::Abandon { .. } if unsettled => {
            Err(Refusal::RunUnsettled)
        }
        TicketAction::Edit | TicketAction::MovePolicy { .. } => Ok(None),
        TicketAction::Abandon { .. } if stages.iter().any(|f| f.this.standing_upgrade().is_some()) => {
            Err(Refusal::RunHappened)
        }
        TicketAction::Abandon { reason } => {
            needs_text(reason, "reason", "Say why the change is given up.")?;
            Ok(None)
        }
        TicketAction::Complete { notes, retrospective } => {
            if unsettled {
                return Err(Refusal::RunUnsettled);
            }
            let outcome = outcome(stages)?;
            needs_text(notes, "notes", "Completion notes can't be empty.")?;
            if stages.iter().any(|f| f.ticket.content.kind == TicketKind::Emergency) {
                needs_text(
                    retrospective.unwrap_or_default(),
                    "retrospective",
                    "An emergency closes with a retrospective: what happened, and what changes so that it doesn't again.",
                )?;
            }
            Ok(Some(outcome))
        }
    }
}

/// Promoted when every stage ran and was judged healthy; rolled back when every stage that ran was undone.
fn outcome(stages: &[Facts]) -> Result<TicketOutcome, Refusal> {
    let undone = |f: &Facts| {
        f.this.standing_upgrade().is_none()
            && f.this
                .runs
                .iter()
                .any(|r| r.direction == super::run::Direction::Rollback && r.status == RunStatus::Succeeded)
    };
    let never_changed = |f: &Facts| f.this.standing_upgrade().is_none() && !undone(f);
    if stages.iter().any(undone) && stages.iter().all(|f| undone(f) || never_changed(f)) {
        return Ok(TicketOutcome::RolledBack);
    }
    for facts in stages {
        let healthy = facts.this.standing_upgrade().is_some_and(|run| {
            run.status == RunStatus::Succeeded
                && facts.this.half_undone(run.id).is_none()
                && facts.this.health(run) == Some(Health::Healthy)
        });
        if !healthy {
            return Err(Refusal::StagesUnfinished { stage: facts.this.stage.name.clone() });
        }
    }
    Ok(TicketOutcome::Promoted)
}
