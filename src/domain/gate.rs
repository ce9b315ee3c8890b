//! The heart: one pure function from facts to gates. The page, the API, the command line, the release and the
//! redemption of tokens all ask it; there is no second opinion in the tree.

use super::blocker::{Blocker, GateKey, WaitsFor};
use super::checklist;
use super::digest::Digest;
use super::earliest::{Earliest, earliest};
use super::evidence::{self, Evidence};
use super::facts::{Choice, Facts, Intent, Purpose, Vote};
use super::named::named;
use super::run::{Health, Method, RunStatus};
use super::ticket::TicketState;
use super::time::Timestamp;
use super::window::Span;

named! {
    /// How a gate stands.
    GateStatus, "gate status" { Open = "open", Blocked = "blocked", Waived = "waived" }
}

/// One gate, with every reason why it is shut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    pub key: GateKey,
    pub status: GateStatus,
    /// What shuts it, or what was waived.
    pub blockers: Vec<Blocker>,
    /// Plain words, whatever the status.
    pub reason: String,
    /// Who can clear it, while it is blocked.
    pub cleared_by: Option<String>,
    /// When it clears by itself, if it does.
    pub clears_at: Option<Timestamp>,
}

impl Gate {
    /// What a shut gate waits for: the worst of its reasons.
    pub fn waits_for(&self) -> Option<WaitsFor> {
        if self.status != GateStatus::Blocked {
            return None;
        }
        let kinds: Vec<_> = self.blockers.iter().map(Blocker::waits_for).collect();
        if kinds.contains(&WaitsFor::Stopped) {
            Some(WaitsFor::Stopped)
        } else if kinds.contains(&WaitsFor::Person) {
            Some(WaitsFor::Person)
        } else {
            Some(WaitsFor::Time)
        }
    }
}

/// Approvals, rejections and votes that do not count, person by person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub approvals: Vec<Vote>,
    pub rejections: Vec<Vote>,
    /// Approvals of evidence that is no longer current.
    pub stale: Vec<Vote>,
    /// Approvals of current evidence by people who can't approve.
    pub barred: Vec<Vote>,
}

/// What the evaluator says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateReport {
    pub gates: Vec<Gate>,
    pub intent: Intent,
    pub evidence: Evidence,
    pub tally: Tally,
    pub quorum: u32,
    pub earliest: Earliest,
    pub evaluated_at: Timestamp,
    /// The window that is open now.
    pub window: Option<Span>,
    /// Windows don't bind it: an emergency or a rollback, whose token lives for the policy's time alone (RULES 13).
    unbound: bool,
}

/// Proof that every gate was open or lawfully waived at one instant. Only [`GateReport::clear`] makes one, and
/// releasing or redeeming a token takes one by value.
#[derive(Debug)]
pub struct Clearance {
    evidence: Evidence,
    waived: Vec<GateKey>,
    intent: Intent,
    window_ends: Option<Timestamp>,
    at: Timestamp,
}

impl Clearance {
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }
    pub fn waived(&self) -> &[GateKey] {
        &self.waived
    }
    pub const fn intent(&self) -> Intent {
        self.intent
    }
    /// When the window that it lies in ends; none where the window is waived.
    pub const fn window_ends(&self) -> Option<Timestamp> {
        self.window_ends
    }
    pub const fn at(&self) -> Timestamp {
        self.at
    }
}

impl GateReport {
    /// Whether everything is open or lawfully waived.
    pub fn applicable(&self) -> bool {
        self.gates.len() == GateKey::ALL.len() && self.gates.iter().all(|g| g.status != GateStatus::Blocked)
    }

    pub fn gate(&self, key: GateKey) -> Option<&Gate> {
        self.gates.iter().find(|g| g.key == key)
    }

    pub fn blocked(&self) -> impl Iterator<Item = &Gate> {
        self.gates.iter().filter(|g| g.status == GateStatus::Blocked)
    }

    pub fn open_count(&self) -> usize {
        self.gates.iter().filter(|g| g.status != GateStatus::Blocked).count()
    }

    /// The only way to a [`Clearance`].
    ///
    /// # Errors
    /// The report itself, when a gate is shut.
    pub fn clear(self) -> Result<Clearance, Box<Self>> {
        if !self.applicable() {
            return Err(Box::new(self));
        }
        let waived: Vec<GateKey> =
            self.gates.iter().filter(|g| g.status == GateStatus::Waived).map(|g| g.key).collect();
        Ok(Clearance {
            window_ends: if self.unbound { None } else { self.window.map(|w| w.end) },
            evidence: self.evidence,
            waived,
            intent: self.intent,
            at: self.evaluated_at,
        })
    }
}

/// Evaluates every gate. Total and deterministic.
///
/// # Errors
/// When the evidence has no canonical form, which facts from the database always have.
pub fn evaluate(facts: &Facts) -> Result<GateReport, serde_json::Error> {
    let evidence = evidence::of(facts)?;
    let tally = tally(facts, evidence.digest);
    let gates = GateKey::ALL
        .iter()
        .map(|key| {
            let blockers = blockers(facts, *key, &tally);
            judge(facts, *key, blockers, &tally)
        })
        .collect();
    Ok(GateReport {
        gates,
        intent: facts.intent,
        quorum: facts.quorum(),
        earliest: earliest(facts),
        evaluated_at: facts.now,
        window: facts.this.policy.windows.span_at(facts.now),
        unbound: facts.emergency() || facts.intent != Intent::Upgrade,
        evidence,
        tally,
    })
}

/// Sorts the standing votes by what they are worth against this evidence.
pub fn tally(facts: &Facts, evidence: Digest) -> Tally {
    let mut tally = Tally::default();
    for vote in facts.standing_votes() {
        let current = vote.evidence == evidence;
        match vote.choice {
            // A rejection outlives its voter's membership: deactivating somebody must not open a gate.
            Choice::Reject if current => tally.rejections.push(vote.clone()),
            Choice::Reject | Choice::Withdraw => {}
            Choice::Approve if !current => tally.stale.push(vote.clone()),
            Choice::Approve if facts.approval_bar(vote.user, vote.person).is_some() => {
                tally.barred.push(vote.clone());
            }
            Choice::Approve => tally.approvals.push(vote.clone()),
        }
    }
    tally
}

fn blockers(facts: &Facts, key: GateKey, tally: &Tally) -> Vec<Blocker> {
    // The board approved the downgrade, the backup and the prior tag together with the run that is being undone.
    if facts.rides_on_approved_run()
        && matches!(key, GateKey::Checklist | GateKey::DryRun | GateKey::Review | GateKey::Approvals)
    {
        return Vec::new();
    }
    match key {
        GateKey::Checklist => checklist::preflight(facts)
            .into_iter()
            .filter(|item| !item.done)
            .map(|item| Blocker::ItemOpen { label: item.label, attested: item.attested, why: item.why })
            .collect(),
        GateKey::DryRun if facts.intent == Intent::Rollback(Method::Restore) => Vec::new(),
        GateKey::DryRun => checklist::dry_run(facts),
        GateKey::Review => checklist::review(facts),
        GateKey::Approvals => approvals(facts, tally),
        GateKey::PreviousStage => previous_stage(facts),
        GateKey::Incidents => facts
            .incidents
            .iter()
            .filter(|i| i.resolved_at.is_none())
            .map(|i| Blocker::IncidentOpen { id: i.id, number: i.number, title: i.title.clone() })
            .collect(),
        GateKey::Freeze => facts
            .freezes
            .iter()
            .filter(|f| f.concerns(&facts.this.stage.name) && f.covers(facts.now))
            .map(|f| Blocker::Frozen { reason: f.reason.clone(), until: f.ends_at })
            .collect(),
        GateKey::Window => match facts.this.policy.windows.span_at(facts.now) {
            Some(_) => Vec::new(),
            None => vec![Blocker::WindowShut {
                opens: facts.this.policy.windows.next_span(facts.now).map(|s| s.start),
            }],
        },
        GateKey::SingleRun => single_run(facts),
    }
}

fn approvals(facts: &Facts, tally: &Tally) -> Vec<Blocker> {
    let mut blockers: Vec<Blocker> =
        tally.rejections.iter().map(|v| Blocker::Rejected { by: v.name.clone() }).collect();
    let need = facts.quorum();
    if (tally.approvals.len() as u64) < u64::from(need) {
        blockers.push(Blocker::QuorumMissing {
            have: tally.approvals.len(),
            need,
            barred: tally.barred.len(),
            stale: tally.stale.len(),
        });
    }
    blockers
}

fn previous_stage(facts: &Facts) -> Vec<Blocker> {
    let Some(previous) = &facts.previous else { return Vec::new() };
    let stage = previous.stage.name.clone();
    let Some(run) = previous.last_upgrade() else { return vec![Blocker::PreviousNotRun { stage }] };
    let status = run.status_at(facts.now);
    if status != RunStatus::Succeeded {
        return vec![Blocker::PreviousEnded { stage, status }];
    }
    if previous.standing_upgrade().is_none() {
        return vec![Blocker::PreviousNotRun { stage }];
    }
    if let Some(rollback) = previous.half_undone(run.id) {
        return vec![Blocker::PreviousEnded { stage, status: rollback.status_at(facts.now) }];
    }
    let mut blockers = Vec::new();
    if !previous.smoke_passed(run) {
        blockers.push(Blocker::PreviousSmokeMissing { stage: stage.clone() });
    }
    match previous.health(run) {
        Some(Health::Unhealthy) => blockers.push(Blocker::PreviousUnhealthy { stage: stage.clone() }),
        None => blockers.push(Blocker::PreviousUnjudged { stage: stage.clone() }),
        Some(Health::Healthy) => {}
    }
    match previous.soaked_at(run) {
        Some(until) if facts.now < until => blockers.push(Blocker::PreviousObserving { stage, until }),
        Some(_) => {}
        None => blockers
            .push(Blocker::CannotTell { why: format!("the end of the run on {stage} is not recorded.") }),
    }
    blockers
}

fn single_run(facts: &Facts) -> Vec<Blocker> {
    let mut blockers = Vec::new();
    if facts.ticket.state != TicketState::Open {
        blockers.push(Blocker::TicketShut);
    }
    match facts.intent {
        Intent::Upgrade => {
            if let Some(run) = facts.this.standing_upgrade() {
                blockers.push(Blocker::AlreadyApplied { status: run.status });
            }
        }
        Intent::Rollback(_) => {
            let last = facts.this.runs.iter().max_by_key(|r| r.act);
            if last.is_some_and(|r| r.awaits_verdict(facts.now)) {
                blockers.push(Blocker::VerdictFirst);
            } else if facts.undone().is_none() && !last.is_some_and(|r| r.unsettled(facts.now)) {
                blockers.push(Blocker::NothingToRollBack);
            }
            if let (Some(undone), Some(later)) = (facts.undone(), &facts.environment_last)
                && later.ticket != facts.ticket.number
                && later.started_at > undone.started_at
            {
                blockers.push(Blocker::AppliedSince { ticket: later.ticket });
            }
        }
    }
    for token in &facts.environment_tokens {
        let mine = matches!(facts.purpose, Purpose::Redeem(id) if id == token.id);
        if !mine && token.outstanding(facts.now) {
            blockers.push(Blocker::TokenOutstanding { ticket: token.ticket, until: token.expires_at });
        }
    }
    for run in &facts.environment_runs {
        if run.unsettled(facts.now) {
            blockers.push(Blocker::RunUnsettled { ticket: run.ticket, status: run.status_at(facts.now) });
        }
    }
    blockers
}

/// What the kind of ticket or a rollback lawfully sets aside. Evidence, checklist, review and approvals never are.
fn waivable(facts: &Facts, blocker: &Blocker) -> bool {
    let rollback = matches!(facts.intent, Intent::Rollback(_));
    match blocker {
        Blocker::WindowShut { .. } | Blocker::Frozen { .. } | Blocker::PreviousObserving { .. } => {
            rollback || facts.emergency()
        }
        Blocker::IncidentOpen { id, .. } => {
            rollback || facts.ticket.content.emergency.as_ref().is_some_and(|e| e.incident == Some(*id))
        }
        Blocker::PreviousNotRun { .. }
        | Blocker::PreviousEnded { .. }
        | Blocker::PreviousSmokeMissing { .. }
        | Blocker::PreviousUnjudged { .. }
        | Blocker::PreviousUnhealthy { .. } => rollback,
        Blocker::ItemOpen { .. }
        | Blocker::FileMissing { .. }
        | Blocker::ReportMissing
        | Blocker::ReportUnreadable { .. }
        | Blocker::ReportFailed { .. }
        | Blocker::ReportOfOther { .. }
        | Blocker::SnapshotStale { .. }
        | Blocker::ReportStale { .. }
        | Blocker::DatedAhead { .. }
        | Blocker::FindingsOpen { .. }
        | Blocker::ThreadsOpen { .. }
        | Blocker::QuorumMissing { .. }
        | Blocker::Rejected { .. }
        | Blocker::TicketShut
        | Blocker::AlreadyApplied { .. }
        | Blocker::TokenOutstanding { .. }
        | Blocker::RunUnsettled { .. }
        | Blocker::NothingToRollBack
        | Blocker::AppliedSince { .. }
        | Blocker::VerdictFirst
        | Blocker::CannotTell { .. } => false,
    }
}

fn judge(facts: &Facts, key: GateKey, blockers: Vec<Blocker>, tally: &Tally) -> Gate {
    let (waived, standing): (Vec<_>, Vec<_>) = blockers.into_iter().partition(|b| waivable(facts, b));
    let join = |list: &[Blocker]| list.iter().map(Blocker::words).collect::<Vec<_>>().join(" ");
    if !standing.is_empty() {
        let mut people: Vec<&str> = standing.iter().map(Blocker::cleared_by).collect();
        people.dedup();
        let clears_at = standing
            .iter()
            .map(Blocker::clears_at)
            .collect::<Option<Vec<_>>>()
            .and_then(|all| all.into_iter().max());
        return Gate {
            key,
            status: GateStatus::Blocked,
            reason: join(&standing),
            cleared_by: Some(people.join("; ")),
            clears_at,
            blockers: standing,
        };
    }
    let (status, reason) = if waived.is_empty() {
        (GateStatus::Open, open_words(facts, key, tally))
    } else {
        let by = if facts.intent == Intent::Upgrade { "an emergency" } else { "a rollback" };
        (GateStatus::Waived, format!("Waived for {by}. {}", join(&waived)))
    };
    Gate { key, status, blockers: waived, reason, cleared_by: None, clears_at: None }
}

fn open_words(facts: &Facts, key: GateKey, tally: &Tally) -> String {
    if facts.rides_on_approved_run()
        && matches!(key, GateKey::Checklist | GateKey::DryRun | GateKey::Review | GateKey::Approvals)
    {
        return "Carried by the approved run that is being undone.".to_owned();
    }
    match key {
        GateKey::Checklist => format!("All {} items hold.", checklist::preflight(facts).len()),
        GateKey::DryRun => match facts.this.report() {
            Some(report) => format!("Passed {} on this SQL and this snapshot.", report.finished_at.words()),
            None => "Not needed to put a backup back.".to_owned(),
        },
        GateKey::Review => {
            let notes = facts.this.findings.len();
            match notes {
                0 => "No findings.".to_owned(),
                1 => "1 finding, not in the way.".to_owned(),
                _ => format!("{notes} findings, none of them in the way."),
            }
        }
        GateKey::Approvals => {
            let names: Vec<&str> = tally.approvals.iter().map(|v| v.name.as_str()).collect();
            format!("{} of {} approvals: {}.", names.len(), facts.quorum(), names.join(", "))
        }
        GateKey::PreviousStage => match &facts.previous {
            None => "Nothing comes before this stage.".to_owned(),
            Some(previous) => format!("{} ran, passed smoke and was judged healthy.", previous.stage.name),
        },
        GateKey::Incidents => format!("None on {}.", facts.ticket.application_name),
        GateKey::Freeze => {
            match facts
                .freezes
                .iter()
                .filter(|f| f.concerns(&facts.this.stage.name) && f.starts_at > facts.now)
                .map(|f| f.starts_at)
                .min()
            {
                Some(next) => format!("None now; the next starts {}.", next.words()),
                None => "None.".to_owned(),
            }
        }
        GateKey::Window => match facts.this.policy.windows.span_at(facts.now) {
            Some(span) => format!("Open until {}.", span.end.words()),
            None => "Open.".to_owned(),
        },
        GateKey::SingleRun => "Not applied yet; no token or run is under way here.".to_owned(),
    }
}
