//! The stages of a ticket as a track, and where each of them is.

use super::Judged;
use super::gates::{pips, state};
use crate::domain::blocker::GateKey;
use crate::domain::gate::{Gate, GateStatus};
use crate::domain::run::{Direction, Health, Run, RunStatus};
use crate::domain::ticket::TicketState;
use crate::domain::time::Timestamp;
use crate::domain::user::Actor;
use crate::web::view::format::{Time, duration, hours};
use crate::web::view::parts::{Leg, Progress, Rail, Stop};
use crate::web::view::prose::Prose;
use crate::web::view::state::{State, Status};

/// Where a stage is, derived from its facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing has run, and gates are blocked.
    Preparing,
    /// Every gate is open or waived.
    Ready,
    /// An apply token is out.
    Released {
        until: Timestamp,
    },
    Running,
    /// A run stopped reporting, or ended badly without saying where.
    Lost,
    /// Applied; smoke checks have not passed.
    Verifying,
    /// Applied, smoke passed; the watch is on.
    Observing {
        since: Timestamp,
        until: Timestamp,
    },
    /// The watch is over; nobody has judged it.
    Judging,
    Healthy,
    Unhealthy,
    /// The last run changed nothing.
    Failed,
    Partial,
    RolledBack,
}

/// Where a stage is at the instant of its facts.
pub fn standing(stage: &Judged) -> Standing {
    let (record, now) = (&stage.facts.this, stage.now());
    if let Some(token) = record.tokens.iter().find(|token| token.outstanding(now)) {
        return Standing::Released { until: token.expires_at };
    }
    match record.runs.iter().find(|run| run.unsettled(now)).map(|run| run.status_at(now)) {
        Some(RunStatus::Running) => return Standing::Running,
        Some(_) => return Standing::Lost,
        None => {}
    }
    match record.standing_upgrade() {
        Some(run) if run.status == RunStatus::Partial => Standing::Partial,
        Some(run) => aftermath(stage, run),
        None if stage.report.applicable() => Standing::Ready,
        None => match record.last_upgrade().map(|run| run.status) {
            None => Standing::Preparing,
            Some(RunStatus::Failed) => Standing::Failed,
            Some(_) => Standing::RolledBack,
        },
    }
}

fn aftermath(stage: &Judged, run: &Run) -> Standing {
    let record = &stage.facts.this;
    match (record.health(run), run.finished_at, record.watched_until(run)) {
        (Some(Health::Unhealthy), _, _) => Standing::Unhealthy,
        (Some(Health::Healthy), _, _) => Standing::Healthy,
        (None, _, _) if !record.smoke_passed(run) => Standing::Verifying,
        (None, Some(since), Some(until)) if stage.now() < until => Standing::Observing { since, until },
        (None, _, _) => Standing::Judging,
    }
}

/// A stage's state in a few words: "Applied, under observation".
pub fn status(stage: &Judged, reader: &Actor) -> Status {
    let (now, words) = placed(stage, reader);
    Status::new(now, words)
}

/// The same as a state and its words.
pub fn placed(stage: &Judged, reader: &Actor) -> (State, String) {
    match stage.facts.ticket.state {
        TicketState::Abandoned => return said(State::Stale, "Abandoned"),
        TicketState::Completed | TicketState::Draft | TicketState::Open => {}
    }
    match standing(stage) {
        Standing::Preparing => waiting(stage, reader, None),
        Standing::Failed => waiting(stage, reader, Some("Failed, nothing changed")),
        Standing::RolledBack => waiting(stage, reader, Some("Rolled back")),
        Standing::Ready => said(State::Open, "Ready to release"),
        Standing::Released { .. } => said(State::Run, "Token released"),
        Standing::Running => said(State::Run, "Being applied"),
        Standing::Lost => said(State::Stop, "Outcome unknown"),
        Standing::Verifying => said(State::Who, "Applied, smoke checks missing"),
        Standing::Observing { .. } => said(State::Run, "Applied, under observation"),
        Standing::Judging => said(State::Who, "Applied, waits for a verdict"),
        Standing::Healthy => said(State::Open, "Healthy"),
        Standing::Unhealthy => said(State::Stop, "Judged unhealthy"),
        Standing::Partial => said(State::Stop, "Partly applied"),
    }
}

fn said(state: State, words: impl Into<String>) -> (State, String) {
    (state, words.into())
}

/// What a stage that nothing stands in waits for.
fn waiting(stage: &Judged, reader: &Actor, before: Option<&str>) -> (State, String) {
    let blocked: Vec<(&Gate, State)> = stage.report.blocked().map(|gate| (gate, state(gate))).collect();
    let is = |wanted: State| blocked.iter().find(|(_, state)| *state == wanted).map(|(gate, _)| gate.key);
    if let Some(words) = before {
        let worst = if is(State::Stop).is_some() { State::Stop } else { State::Who };
        return said(worst, words);
    }
    if let Some(key) = is(State::Stop) {
        let words = match key {
            GateKey::Incidents => "Stopped by an incident",
            GateKey::Freeze => "Frozen",
            GateKey::Approvals => "Rejected",
            GateKey::DryRun | GateKey::Checklist => "Stopped: the dry run",
            GateKey::PreviousStage => "Stopped: the stage before",
            GateKey::Review | GateKey::Window | GateKey::SingleRun => "Stopped",
        };
        return said(State::Stop, words);
    }
    let not_reached = stage.facts.previous.as_ref().filter(|previous| previous.runs.is_empty());
    if let Some(previous) = not_reached {
        return said(State::Idle, format!("After {}", previous.stage.name));
    }
    match is(State::Who) {
        Some(GateKey::Checklist | GateKey::DryRun) => said(State::Who, "In preparation"),
        Some(GateKey::Review) => said(State::Who, "Under review"),
        Some(GateKey::Approvals) if stage.own_vote(reader).is_none() && stage.may_approve(reader).is_ok() => {
            said(State::Who, "Waiting for your signature")
        }
        Some(GateKey::Approvals) => said(State::Who, "Waiting for signatures"),
        Some(GateKey::PreviousStage) => said(State::Who, "Waiting for the stage before"),
        Some(GateKey::SingleRun) => said(State::Who, "Another run or token stands"),
        Some(GateKey::Incidents | GateKey::Freeze | GateKey::Window) | None => {
            said(State::Time, "Waiting for time only")
        }
    }
}

/// The track of a ticket, with one stage opened.
pub fn rail(stages: &[Judged], current: &str, reader: &Actor) -> Rail {
    let last = stages.len().saturating_sub(1);
    let legs = stages
        .iter()
        .enumerate()
        .map(|(position, stage)| Leg {
            name: stage.label(),
            href: stage.href(),
            current: stage.name() == current,
            status: status(stage, reader),
            pips: pips(stage),
            stops: stops(stage, position == last),
        })
        .collect();
    let number = stages.first().map(|stage| stage.facts.ticket.number.to_string()).unwrap_or_default();
    Rail { number, legs }
}

fn stops(stage: &Judged, last: bool) -> Vec<Stop> {
    let mut stops = vec![approval(stage), window(stage), apply(stage), watch(stage)];
    if last {
        let done = stage.facts.ticket.state == TicketState::Completed;
        stops.push(if done {
            Stop::new(State::Open, "Completed", "notes filed")
        } else {
            Stop::new(State::Idle, "Complete", "notes to file")
        });
    }
    stops
}

fn approval(stage: &Judged) -> Stop {
    if stage.facts.this.standing_upgrade().is_some() {
        return Stop::new(State::Open, "Approved", "for the run");
    }
    let counted = format!("{} of {}", stage.report.tally.approvals.len(), stage.report.quorum);
    match stage.report.gate(GateKey::Approvals) {
        Some(gate) if gate.status != GateStatus::Blocked => Stop::new(State::Open, "Approved", counted),
        Some(gate) if state(gate) == State::Stop => Stop::new(State::Stop, "Rejected", counted),
        _ if stage.evidence_complete() => Stop::new(State::Who, "Approval", counted),
        _ => Stop::new(State::Idle, "Approval", counted),
    }
}

fn window(stage: &Judged) -> Stop {
    let now = stage.now();
    let windows = &stage.facts.this.policy.windows;
    let words = |span: crate::domain::window::Span| {
        let end = Time::clock(span.end).words;
        format!("{} to {}", Time::short(span.start, now).words, &end[..5])
    };
    if let Some(run) = stage.facts.this.standing_upgrade() {
        let started = Time::short(run.started_at, now).words;
        return match windows.span_at(run.started_at) {
            Some(_) if run.overran => Stop::new(State::Who, "Window", format!("{started}, overran")),
            Some(_) => Stop::new(State::Open, "Window", started),
            None => Stop::new(State::Stale, "Window", "waived"),
        };
    }
    match stage.report.gate(GateKey::Window).map(|gate| gate.status) {
        Some(GateStatus::Waived) => Stop::new(State::Stale, "Window", "waived"),
        Some(GateStatus::Open) => match stage.report.window {
            Some(span) if span.end < Timestamp::MAX => {
                Stop::new(State::Open, "Window", format!("open until {}", Time::short(span.end, now).words))
            }
            _ => Stop::new(State::Open, "Window", "always open"),
        },
        _ => match windows.next_span(now) {
            Some(span) => Stop::new(State::Idle, "Window", words(span)),
            None => Stop::new(State::Stop, "Window", "none in sight"),
        },
    }
}

fn apply(stage: &Judged) -> Stop {
    let now = stage.now();
    match standing(stage) {
        Standing::Released { until } => {
            return Stop::new(State::Run, "Released", format!("until {}", Time::short(until, now).words));
        }
        Standing::Preparing => return Stop::new(State::Idle, "Apply", "one-use token"),
        Standing::Ready => return Stop::new(State::Who, "Apply", "one-use token"),
        _ => {}
    }
    let Some(run) = stage.last_run() else { return Stop::new(State::Idle, "Apply", "one-use token") };
    let started = Time::short(run.started_at, now).words;
    let took = run
        .finished_at
        .map_or_else(|| started.clone(), |end| format!("{started}, {}", duration(end.since(run.started_at))));
    let back = run.direction == Direction::Rollback;
    match run.status_at(now) {
        RunStatus::Running => Stop::new(State::Run, if back { "Rolling back" } else { "Applying" }, started),
        RunStatus::Unknown => Stop::new(State::Stop, "Unknown", started),
        RunStatus::Succeeded if back => Stop::new(State::Stale, "Rolled back", took),
        RunStatus::Succeeded => Stop::new(State::Open, "Applied", took),
        RunStatus::Failed => Stop::new(State::Stop, if back { "Rollback failed" } else { "Failed" }, took),
        RunStatus::Partial => Stop::new(State::Stop, "Partly", took),
    }
}

fn watch(stage: &Judged) -> Stop {
    let record = &stage.facts.this;
    let whole = hours(record.policy.observe);
    match standing(stage) {
        Standing::Verifying => Stop::new(State::Who, "Verify", "smoke checks"),
        Standing::Observing { since, until } => Stop {
            progress: Some(progress(since, until, stage.now())),
            ..Stop::new(
                State::Run,
                "Observing",
                format!(
                    "{} of {whole}, until {}",
                    hours(stage.now().since(since)),
                    Time::short(until, stage.now()).words
                ),
            )
        },
        Standing::Judging => Stop::new(State::Who, "Observed", "waits for a verdict"),
        Standing::Healthy => Stop::new(State::Open, "Healthy", judged_by(stage)),
        Standing::Unhealthy => Stop::new(State::Stop, "Unhealthy", judged_by(stage)),
        Standing::Preparing
        | Standing::Ready
        | Standing::Released { .. }
        | Standing::Running
        | Standing::Lost
        | Standing::Failed
        | Standing::Partial
        | Standing::RolledBack => Stop::new(State::Idle, "Observe", whole),
    }
}

/// How far a watch has come, in minutes.
pub fn progress(since: Timestamp, until: Timestamp, now: Timestamp) -> Progress {
    let minutes = |length: jiff::SignedDuration| u64::try_from(length.as_mins()).unwrap_or_default();
    let (gone, whole) = (now.since(since), until.since(since));
    Progress {
        value: minutes(gone).min(minutes(whole)),
        max: minutes(whole).max(1),
        label: format!("Observation, {} of {}", hours(gone), hours(whole)),
    }
}

fn judged_by(stage: &Judged) -> String {
    let record = &stage.facts.this;
    let run = record.standing_upgrade().map(|run| run.id);
    let word = record.observations.iter().rfind(|word| Some(word.run) == run);
    word.map_or_else(String::new, |word| {
        format!("{}, {}", word.by_name, Time::short(word.at, stage.now()).words)
    })
}

/// The window that a stage waits for or stands in: words, and how far away it is.
pub fn window_words(stage: &Judged) -> (Prose, Prose) {
    let now = stage.now();
    if let Some(run) = stage.facts.this.standing_upgrade() {
        return (Prose::from("applied ").time(Time::short(run.started_at, now)), Prose::new());
    }
    if let Some(GateStatus::Waived) = stage.report.gate(GateKey::Window).map(|gate| gate.status) {
        return ("waived".into(), Prose::new());
    }
    if let Some(span) = stage.report.window {
        return if span.end < Timestamp::MAX {
            ("open".into(), Prose::from("until ").time(Time::short(span.end, now)))
        } else {
            ("always open".into(), Prose::new())
        };
    }
    match stage.facts.this.policy.windows.next_span(now) {
        Some(span) => (Time::short(span.start, now).into(), Prose::new().until(Time::until(span.start, now))),
        None => ("none".into(), Prose::new()),
    }
}
