//! Puts the run page together.

use super::{LOG_LINES, outcome, undo};
use crate::domain::artifact::{Artifact, ArtifactFacts, ArtifactKind};
use crate::domain::checklist;
use crate::domain::dossier::Dossier;
use crate::domain::run::{Direction, Health, Run, RunStatus};
use crate::domain::transition::Action as Act;
use crate::domain::user::Actor;
use crate::web::present::{self, Judged};
use crate::web::view::code;
use crate::web::view::format::{Dig, Time, bytes, duration, plural};
use crate::web::view::forms::Input;
use crate::web::view::pages::run::{LogLine, Observation, RunPage, RunVerdict, SmokeTest, StepRow};
use crate::web::view::parts::{Empty, Facts, LogRow, Mark, Note, Timeline};
use crate::web::view::prose::Prose;
use crate::web::view::shell::Shell;
use crate::web::view::state::{State, Status};
use crate::web::view::work::{Action, ArtifactRow, Checklist};

/// What was loaded for the page besides the ticket.
pub(super) struct Loaded<'a> {
    pub run: Option<&'a Run>,
    /// The end of the log.
    pub log: String,
    /// Tests that the newest smoke report says failed.
    pub failed: Vec<String>,
}

/// The newest smoke report of a run.
pub(super) fn smoke_report<'a>(stage: &'a Judged, run: &Run) -> Option<&'a Artifact> {
    let of_run = |file: &&Artifact| file.kind == ArtifactKind::SmokeReport && file.run == Some(run.id);
    stage.facts.this.artifacts.iter().filter(of_run).max_by_key(|file| file.version)
}

pub(super) fn page(
    shell: Shell,
    dossier: &Dossier,
    stage: &Judged,
    reader: &Actor,
    loaded: &Loaded<'_>,
) -> RunPage {
    let run = loaded.run;
    let (rollback, rollback_refused) = undo::form(dossier, stage, reader);
    let undo = rollback.is_some() || rollback_refused.is_some();
    // The rollback form speaks of the run that stands, whichever is shown.
    let run_id = match stage.facts.undone() {
        Some(undone) if undo => undone.id.to_string(),
        _ => run.map(|run| run.id.to_string()).unwrap_or_default(),
    };
    let unknown = run.filter(|run| stage.may(reader, &Act::SettleRun { run: run.id, note: "." }).is_ok());
    RunPage {
        head: present::about::head(&dossier.ticket, Some(stage), stage.now()),
        stage: stage.stage_ref(),
        run_id: unknown.map_or(run_id, |run| run.id.to_string()),
        title: title(stage, run),
        summary: run.map(|run| summary(stage, run)).unwrap_or_default(),
        actions: actions(stage, run),
        alerts: alerts(stage, run),
        errors: None,
        verdict: outcome::verdict(stage, run),
        progress: run.and_then(|run| outcome::progress(stage, run)),
        outcome: run.map_or(Facts { rows: Vec::new(), ruled: false }, |run| outcome::facts(stage, run)),
        unknown: unknown.map(|_| RunVerdict::default()),
        log: log_lines(&loaded.log),
        log_note: run.map(log_note).unwrap_or_default(),
        log_href: run
            .filter(|run| run.log_bytes > 0)
            .map(|run| format!("{}/run/log?id={}", stage.href(), run.id)),
        log_digest: None,
        no_log: Empty::new("terminal", "The log is empty.", "It fills in as the command reports."),
        smoke_status: smoke_status(stage, run),
        tests: loaded.failed.iter().map(|name| failed_test(name)).collect(),
        smoke: smoke_items(stage, reader),
        smoke_report: file_rows(stage, reader, ArtifactKind::SmokeReport),
        monitoring: file_rows(stage, reader, ArtifactKind::MonitoringSnapshot),
        monitoring_note: monitoring_note(stage, run),
        steps: steps(stage, run),
        observation: observation(stage, reader, run),
        rollback_text: undo::plan(stage, run),
        rollback,
        rollback_refused,
        earlier: earlier(stage, run),
        shell,
    }
}

fn title(stage: &Judged, run: Option<&Run>) -> String {
    match run.map(|run| run.direction) {
        Some(Direction::Rollback) => format!("Rollback of {}", stage.name()),
        Some(Direction::Upgrade) | None => format!("{} run", stage.label()),
    }
}

fn summary(stage: &Judged, run: &Run) -> Prose {
    let now = stage.now();
    let what = if run.direction == Direction::Rollback { "Rolled back" } else { "Applied" };
    let via = if run.redeemed_via.is_some() { " with an API token" } else { "" };
    let prose = Prose::from(format!("{what} by {}{via}. Started ", run.redeemed_by_name))
        .time(Time::long_utc(run.started_at, now));
    match run.finished_at {
        Some(end) => prose.text(", ended ").time(Time::clock(end)).text("."),
        None => prose.text("."),
    }
}

fn actions(stage: &Judged, run: Option<&Run>) -> Vec<Action> {
    let mut actions = vec![Action::new(format!("Back to {}", stage.facts.ticket.number), stage.href())];
    if let Some(run) = run.filter(|run| run.status_at(stage.now()) == RunStatus::Running) {
        actions.insert(0, Action::new("Reload", format!("{}/run?id={}", stage.href(), run.id)).primary());
    }
    if run.is_none() {
        actions.push(Action::new("Apply token", format!("{}/token", stage.href())).icon("key-round"));
    }
    actions
}

fn alerts(stage: &Judged, run: Option<&Run>) -> Vec<Note> {
    let mut notes = Vec::new();
    let Some(run) = run else { return notes };
    if let Some(last) = stage.last_run().filter(|last| last.id != run.id) {
        let there = format!("{}/run?id={}", stage.href(), last.id);
        notes
            .push(Note::new(State::Who, Prose::from("This is an earlier run. ").link("The last run", there)));
    }
    if run.overran {
        notes.push(Note::new(State::Who, "This run ended after its window did."));
    }
    notes
}

/// The end of a log. Lines that tell of trouble stand out.
fn log_lines(log: &str) -> Vec<LogLine> {
    let lines: Vec<&str> = log.lines().collect();
    let first = lines.len().saturating_sub(LOG_LINES);
    let state = |line: &str| {
        let trouble = ["Traceback (most recent call last)", "Error:", "ERROR", "FATAL", "CRITICAL"];
        if trouble.iter().any(|word| line.contains(word)) { State::Stop } else { State::Idle }
    };
    lines[first..].iter().map(|line| LogLine { state: state(line), code: code::Code::line(line) }).collect()
}

fn log_note(run: &Run) -> String {
    let mut words = Vec::new();
    if let Some(end) = run.finished_at {
        words.push(duration(end.since(run.started_at)));
    }
    if let Some(code) = run.exit_code {
        words.push(format!("exit {code}"));
    }
    if run.log_bytes > 0 {
        words.push(bytes(u64::try_from(run.log_bytes).unwrap_or_default()));
    }
    if run.log_cut {
        words.push("cut at the portal’s limit".to_owned());
    }
    words.join(", ")
}

fn smoke_status(stage: &Judged, run: Option<&Run>) -> Status {
    let Some(run) = run.filter(|run| run.direction == Direction::Upgrade) else {
        return Status::new(State::Idle, "none for this run");
    };
    let report = smoke_report(stage, run).map(|report| &report.facts);
    let counted = match report {
        Some(ArtifactFacts::Smoke(smoke)) => {
            let passed = smoke.tests.saturating_sub(smoke.failed).saturating_sub(smoke.skipped);
            format!("{passed} of {} passed", smoke.tests)
        }
        _ => "no report yet".to_owned(),
    };
    match (stage.facts.this.smoke_passed(run), stage.facts.this.smoke_report_passed(run)) {
        (true, Some(_)) => Status::new(State::Open, counted),
        (true, None) => Status::new(State::Open, "stated by a person"),
        (false, Some(false)) => Status::new(State::Stop, counted),
        (false, _) => Status::new(State::Who, format!("not passed, {counted}")),
    }
}

fn failed_test(name: &str) -> SmokeTest {
    SmokeTest {
        name: name.to_owned(),
        result: Status::new(State::Stop, "Failed"),
        message: "See the report".to_owned(),
        took: String::new(),
    }
}

fn smoke_items(stage: &Judged, reader: &Actor) -> Checklist {
    let items = checklist::smoke(&stage.facts.this).into_iter();
    let rows = items.map(|item| present::checklist::stated(stage, reader, item, None)).collect();
    Checklist::new(Vec::new(), rows)
}

fn file_rows(stage: &Judged, reader: &Actor, kind: ArtifactKind) -> Vec<ArtifactRow> {
    present::files::rows(stage, reader).into_iter().filter(|row| row.kind == kind.as_str()).collect()
}

fn monitoring_note(stage: &Judged, run: Option<&Run>) -> String {
    let snapshots = stage.facts.this.artifacts.iter().filter(|file| {
        file.kind == ArtifactKind::MonitoringSnapshot
            && file.run.is_some()
            && file.run == run.map(|run| run.id)
    });
    match snapshots.count() {
        0 => "none for this run yet".to_owned(),
        count => format!("{} of this run", plural(count as u64, "snapshot", "snapshots")),
    }
}

fn steps(stage: &Judged, run: Option<&Run>) -> Vec<StepRow> {
    let (record, now) = (&stage.facts.this, stage.now());
    let step = |state, text: String, by: Prose| StepRow { state, text, by };
    let Some(run) = run else {
        return vec![
            step(State::Idle, "Token released".into(), Prose::new()),
            step(State::Idle, "Applied".into(), Prose::new()),
        ];
    };
    let mut steps = Vec::new();
    if let Some(token) = record.tokens.iter().find(|token| token.id == run.token) {
        let by = Prose::from(format!("{}, ", token.released_by_name));
        steps.push(step(State::Open, "Token released".into(), by.time(Time::short(token.released_at, now))));
    }
    let done = if run.direction == Direction::Rollback { "Rolled back" } else { "Applied" };
    let (lamp, text) = match run.status_at(now) {
        RunStatus::Running => (State::Run, "Running".to_owned()),
        RunStatus::Unknown => (State::Stop, "Stopped reporting".to_owned()),
        RunStatus::Failed => (State::Stop, "Failed".to_owned()),
        RunStatus::Partial => (State::Stop, "Partly applied".to_owned()),
        RunStatus::Succeeded => {
            let took = run
                .finished_at
                .map_or_else(String::new, |end| format!(" in {}", duration(end.since(run.started_at))));
            (State::Open, format!("{done}{took}"))
        }
    };
    steps.push(step(lamp, text, Time::short(run.finished_at.unwrap_or(run.started_at), now).into()));
    if run.direction == Direction::Rollback {
        return steps;
    }
    let ran = run.status == RunStatus::Succeeded;
    let smoke = match (ran, record.smoke_passed(run), record.smoke_report_passed(run)) {
        (true, true, _) => State::Open,
        (_, _, Some(false)) => State::Stop,
        (true, false, _) => State::Run,
        (false, ..) => State::Idle,
    };
    steps.push(step(smoke, "Smoke checks".into(), Prose::new()));
    let until = record.watched_until(run).filter(|_| ran);
    let over = until.is_some_and(|until| until <= now);
    let by = until.map_or_else(Prose::new, |until| Prose::from("to ").time(Time::short(until, now)));
    let word = record.health(run);
    let watch = match (until.is_some(), over || word == Some(Health::Healthy)) {
        (true, true) => State::Open,
        // Ended early: by a rollback, or by somebody's word.
        (true, false) if word.is_some() || !outcome::stands(stage, run) => State::Stale,
        (true, false) => State::Run,
        (false, _) => State::Idle,
    };
    steps.push(step(watch, "Observation".into(), by));
    let last = record.observations.iter().rev().find(|word| word.run == run.id);
    let (lamp, text) = match word {
        Some(Health::Healthy) => (State::Open, "Judged healthy"),
        Some(Health::Unhealthy) => (State::Stop, "Judged unhealthy"),
        None => (State::Idle, "Health verdict"),
    };
    steps.push(step(lamp, text.into(), last.map(|word| word.by_name.clone().into()).unwrap_or_default()));
    steps
}

/// The form that ends the watch, where the reader may say anything of the run.
fn observation(stage: &Judged, reader: &Actor, run: Option<&Run>) -> Option<Observation> {
    let run = run.filter(|run| outcome::stands(stage, run))?;
    stage.may(reader, &Act::Observe { verdict: Health::Unhealthy, note: "." }).ok()?;
    let healthy_hint = match stage.may(reader, &Act::Observe { verdict: Health::Healthy, note: "" }) {
        Ok(()) => "Watched long enough, with passed smoke checks.".to_owned(),
        Err(why) => {
            let until = stage
                .facts
                .this
                .watched_until(run)
                .map(crate::domain::time::Timestamp::words)
                .unwrap_or_default();
            format!("From {until}, with passed smoke checks. {why}")
        }
    };
    Some(Observation { verdict: Input::default(), note: Input::default(), healthy_hint })
}

fn earlier(stage: &Judged, shown: Option<&Run>) -> Timeline {
    let mut runs: Vec<&Run> = stage.facts.this.runs.iter().collect();
    runs.sort_by_key(|run| std::cmp::Reverse((run.started_at, run.id)));
    let row = |run: &Run| {
        let status = run.status_at(stage.now());
        let mark = match status {
            RunStatus::Succeeded => Mark::Status(State::Open, "Succeeded"),
            RunStatus::Running => Mark::Status(State::Run, "Under way"),
            RunStatus::Failed | RunStatus::Partial | RunStatus::Unknown => {
                Mark::Status(State::Stop, "Not succeeded")
            }
        };
        let what = format!("{}, {status}", run.direction);
        let text = if shown.is_some_and(|shown| shown.id == run.id) {
            Prose::new().strong(what).text(", shown")
        } else {
            Prose::new().link(what, format!("{}/run?id={}", stage.href(), run.id))
        };
        LogRow {
            time: Time::short(run.started_at, stage.now()),
            mark,
            text,
            aside: run.redeemed_by_name.clone().into(),
            digest: Some(Dig::brief(run.evidence)),
        }
    };
    Timeline { rows: runs.into_iter().map(row).collect() }
}
