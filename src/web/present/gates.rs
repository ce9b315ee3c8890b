//! The gate board: every gate in words, with who clears it or when it clears by itself.

use super::{Judged, capital};
use crate::domain::artifact::ArtifactKind;
use crate::domain::blocker::{Blocker, GateKey, WaitsFor};
use crate::domain::checklist;
use crate::domain::gate::{Gate, GateStatus};
use crate::domain::id::TicketNumber;
use crate::domain::run::RunStatus;
use crate::domain::transition::Action;
use crate::domain::user::{Actor, Role};
use crate::web::paths;
use crate::web::view::format::{Time, and, hours};
use crate::web::view::parts::{GateBoard, GateRow};
use crate::web::view::prose::Prose;
use crate::web::view::state::{Pips, State};

/// The state of a gate: open, waived, or what it waits for.
pub fn state(gate: &Gate) -> State {
    match (gate.status, gate.waits_for()) {
        (GateStatus::Open, _) => State::Open,
        (GateStatus::Waived, _) => State::Stale,
        (GateStatus::Blocked, Some(WaitsFor::Stopped)) => State::Stop,
        (GateStatus::Blocked, Some(WaitsFor::Time)) => State::Time,
        (GateStatus::Blocked, Some(WaitsFor::Person) | None) => State::Who,
    }
}

/// The nine gates at a glance. A stage that was applied had all of them open, or it would not have been.
pub fn pips(stage: &Judged) -> Pips {
    if stage.facts.this.standing_upgrade().is_some_and(|run| run.status == RunStatus::Succeeded) {
        return match stage.as_applied() {
            Some(then) if then.report.applicable() => Pips(then.report.gates.iter().map(state).collect()),
            _ => Pips(vec![State::Open; GateKey::ALL.len()]),
        };
    }
    Pips(stage.report.gates.iter().map(state).collect())
}

/// The nine gates in words, for this reader.
pub fn board(stage: &Judged, reader: &Actor) -> GateBoard {
    GateBoard::new(stage.report.gates.iter().map(|gate| row(stage, reader, gate)).collect())
}

fn row(stage: &Judged, reader: &Actor, gate: &Gate) -> GateRow {
    let now = state(gate);
    let key = gate.key.as_str();
    let words = |blockers: &[Blocker]| blockers.iter().map(Blocker::words).collect::<Vec<_>>().join(" ");
    match gate.status {
        GateStatus::Open => GateRow {
            key,
            state: now,
            lead: String::new(),
            rest: gate.reason.as_str().into(),
            who: place(stage, gate.key),
            note: Prose::new(),
        },
        GateStatus::Waived => GateRow {
            key,
            state: now,
            lead: if stage.facts.emergency() {
                "Waived for an emergency.".into()
            } else {
                "Waived for a rollback.".into()
            },
            rest: words(&gate.blockers).into(),
            who: place(stage, gate.key),
            note: Prose::new(),
        },
        GateStatus::Blocked => {
            let (lead, rest) = blocked_words(stage, gate);
            let (who, note) = who(stage, reader, gate);
            GateRow { key, state: now, lead, rest, who, note }
        }
    }
}

/// The strong first words of a blocked gate, and the rest.
fn blocked_words(stage: &Judged, gate: &Gate) -> (String, Prose) {
    if let (Some(WaitsFor::Time), Some(at)) = (gate.waits_for(), gate.clears_at) {
        let lead = format!("Opens {} UTC.", Time::short(at, stage.now()).words);
        return (lead, time_words(stage, gate).into());
    }
    match gate.key {
        GateKey::Checklist => {
            let items = checklist::preflight(&stage.facts);
            let done = items.iter().filter(|item| item.done).count();
            (format!("Blocked: {done} of {} items.", items.len()), shortened(&gate.blockers).into())
        }
        GateKey::Approvals => approval_words(stage, gate),
        GateKey::DryRun
        | GateKey::Review
        | GateKey::PreviousStage
        | GateKey::Incidents
        | GateKey::Freeze
        | GateKey::Window
        | GateKey::SingleRun => {
            let mut blockers = gate.blockers.iter().map(Blocker::words);
            let lead = format!("Blocked: {}", capital(&blockers.next().unwrap_or_default()));
            (lead, blockers.collect::<Vec<_>>().join(" ").into())
        }
    }
}

/// The first thing that is missing, and how many more the checklist below names.
fn shortened(blockers: &[Blocker]) -> String {
    match blockers {
        [] => String::new(),
        [only] => only.words(),
        [first, second] => format!("{} {}", first.words(), second.words()),
        [first, rest @ ..] => format!("{} {} more are below.", first.words(), rest.len()),
    }
}

/// What is being waited for where only time is.
fn time_words(stage: &Judged, gate: &Gate) -> String {
    let facts = &stage.facts;
    match gate.key {
        GateKey::Window => gate
            .clears_at
            .and_then(|at| facts.this.policy.windows.span_at(at))
            .map(|span| format!("Stays open for {}.", hours(span.end.since(span.start))))
            .unwrap_or_default(),
        GateKey::PreviousStage => facts
            .previous
            .as_ref()
            .and_then(|previous| {
                let run = previous.standing_upgrade()?;
                let (end, until) = (run.finished_at?, previous.soaked_at(run)?);
                let name = capital(&previous.stage.name);
                let (gone, whole) = (hours(facts.now.since(end)), hours(until.since(end)));
                Some(format!("{name} ran and has been watched for {gone} of {whole}."))
            })
            .unwrap_or_default(),
        _ => gate.blockers.iter().map(Blocker::words).collect::<Vec<_>>().join(" "),
    }
}

fn approval_words(stage: &Judged, gate: &Gate) -> (String, Prose) {
    let tally = &stage.report.tally;
    let rejected: Vec<String> = tally.rejections.iter().map(|vote| vote.name.clone()).collect();
    let signed: Vec<String> = tally.approvals.iter().map(|vote| vote.name.clone()).collect();
    let counted = format!("{} of {} approvals.", signed.len(), stage.report.quorum);
    if !rejected.is_empty() {
        return (format!("Rejected by {}.", and(&rejected)), counted.into());
    }
    let mut rest = match signed.len() {
        0 => String::new(),
        1 => format!("{} has signed. ", signed[0]),
        _ => format!("{} have signed. ", and(&signed)),
    };
    // The sentences of the blocker after its count: what was stale, what did not count.
    for blocker in &gate.blockers {
        if let Some((_, more)) = blocker.words().split_once("approvals. ") {
            rest.push_str(more);
        }
    }
    if !stage.evidence_complete() {
        rest.push_str("Signing opens when the evidence is complete.");
    } else if rest.is_empty() {
        rest.push_str("Board members who touched none of the content sign.");
    }
    (format!("Blocked: {counted}"), rest.into())
}

/// Who clears a blocked gate: the reader by a link, or others by name of what they are; or time.
fn who(stage: &Judged, reader: &Actor, gate: &Gate) -> (Prose, Prose) {
    if gate.waits_for() == Some(WaitsFor::Time) {
        return match gate.clears_at {
            Some(at) => (Prose::new().until(Time::until(at, stage.now())), Prose::new()),
            None => (Prose::new(), Prose::new()),
        };
    }
    let others = match gate.key {
        GateKey::Checklist => "A release engineer or CI".to_owned(),
        _ => capital(gate.cleared_by.as_deref().unwrap_or_default()),
    };
    if let Some((words, href)) = yours(stage, reader, gate) {
        let note = if is_mine(stage, reader, gate) { Prose::new() } else { others.into() };
        return (Prose::new().link(words, href), note);
    }
    let note = match gate.clears_at {
        Some(at) => Prose::from("by itself ").until(Time::until(at, stage.now())),
        None => place(stage, gate.key),
    };
    (others.into(), note)
}

/// Where a gate's facts are kept, where that is a page.
/// The board stands on other pages too, so its links name the page.
fn place(stage: &Judged, key: GateKey) -> Prose {
    match key {
        GateKey::Incidents => Prose::new().link("Incidents", "/incidents"),
        GateKey::Freeze => Prose::new().link("Freezes", "/freezes"),
        GateKey::DryRun => Prose::new().link("Files", format!("{}#artifacts", stage.href())),
        GateKey::Checklist
        | GateKey::Review
        | GateKey::Approvals
        | GateKey::PreviousStage
        | GateKey::Window
        | GateKey::SingleRun => Prose::new(),
    }
}

/// Whether a blocked gate waits for this reader, as against offering them a page to look at.
pub fn is_mine(stage: &Judged, reader: &Actor, gate: &Gate) -> bool {
    let leads_somewhere = yours(stage, reader, gate).is_some();
    match gate.key {
        GateKey::SingleRun => {
            let lost = |blocker: &Blocker| {
                matches!(blocker, Blocker::RunUnsettled { status: RunStatus::Unknown, .. })
            };
            reader.has(Role::Engineer) && gate.blockers.iter().any(lost)
        }
        // What is incomplete or rejected is not reviewed yet, or any more.
        GateKey::Review => {
            leads_somewhere && stage.evidence_complete() && stage.report.tally.rejections.is_empty()
        }
        GateKey::Checklist
        | GateKey::DryRun
        | GateKey::Approvals
        | GateKey::PreviousStage
        | GateKey::Incidents
        | GateKey::Freeze
        | GateKey::Window => leads_somewhere,
    }
}

/// The way on for a reader who can clear this gate, or look at what shuts it: words and address.
pub fn yours(stage: &Judged, reader: &Actor, gate: &Gate) -> Option<(&'static str, String)> {
    if gate.status != GateStatus::Blocked {
        return None;
    }
    let facts = &stage.facts;
    match gate.key {
        GateKey::Approvals => (stage.own_vote(reader).is_none() && stage.may_approve(reader).is_ok())
            .then(|| ("Yours to give", format!("{}/decide", stage.href()))),
        GateKey::Checklist => {
            let open = checklist::preflight(facts).into_iter().filter(|item| !item.done);
            let mut stated = open.filter(|item| item.attested);
            if stated.any(|item| stage.may(reader, &Action::Tick { item: &item.key }).is_ok()) {
                Some(("Yours to state", format!("{}#checklist", stage.href())))
            } else {
                stage
                    .may_upload(reader, ArtifactKind::UpgradeSql)
                    .then(|| ("Yours to attach", format!("{}#artifacts", stage.href())))
            }
        }
        GateKey::DryRun => stage
            .may_upload(reader, ArtifactKind::DryRunReport)
            .then(|| ("Yours to attach", format!("{}#artifacts", stage.href()))),
        GateKey::Review => {
            let finding = facts.this.findings.iter().any(|finding| {
                let accept = Action::AcceptFinding { finding: finding.id, note: "." };
                finding.blocks() && stage.may(reader, &accept).is_ok()
            });
            let thread = facts.this.threads.iter().any(|thread| {
                let settle = Action::SettleThread { thread: thread.id, resolve: true, note: "." };
                thread.blocking && stage.may(reader, &settle).is_ok()
            });
            if finding {
                Some(("Yours to accept", format!("{}#findings", stage.href())))
            } else {
                thread.then(|| ("Yours to settle", format!("{}#threads", stage.href())))
            }
        }
        GateKey::PreviousStage => {
            let previous = facts.previous.as_ref().filter(|_| reader.has(Role::Engineer))?;
            let page = paths::stage(facts.ticket.number, &previous.stage.name);
            let run = if previous.runs.is_empty() { "" } else { "/run" };
            Some(("Go to the stage before", format!("{page}{run}")))
        }
        GateKey::SingleRun => gate.blockers.iter().find_map(|blocker| {
            let at =
                |ticket: &TicketNumber, page: &str| format!("{}/{page}", paths::stage(*ticket, stage.name()));
            match blocker {
                Blocker::RunUnsettled { ticket, .. } => Some(("Open the run", at(ticket, "run"))),
                Blocker::TokenOutstanding { ticket, .. } => Some(("Open the token", at(ticket, "token"))),
                _ => None,
            }
        }),
        GateKey::Incidents => reader.has(Role::Engineer).then(|| ("Incidents", "/incidents".into())),
        GateKey::Freeze | GateKey::Window => None,
    }
}
