//! The lines of the queue, drawn from judged tickets.

use crate::domain::checklist;
use crate::domain::dossier::Dossier;
use crate::domain::queue::{self, Ask, Asked, Seen};
use crate::domain::ticket::TicketOutcome;
use crate::domain::time::Timestamp;
use crate::domain::user::Actor;
use crate::service::tickets::Line;
use crate::web::paths;
use crate::web::present::rail::{self, Standing};
use crate::web::present::{Judged, capital, gates, verdict};
use crate::web::tickets::lamps;
use crate::web::view::format::{Time, and, hours, plural};
use crate::web::view::pages::tickets::{Observed, QueueRow};
use crate::web::view::parts::{Link, LogRow, Mark, Timeline};
use crate::web::view::prose::Prose;
use crate::web::view::state::{State, Status};

/// A ticket of the queue: judged, and with what it asks of the reader.
pub(super) struct Ticket {
    pub stages: Vec<Judged>,
    pub asked: Option<Asked>,
    pub own: bool,
}

impl Ticket {
    /// # Errors
    /// As [`Judged::new`].
    pub fn new(dossier: &Dossier, reader: &Actor) -> Result<Self, serde_json::Error> {
        let stages = Judged::all(dossier)?;
        let (asked, own) = {
            let seen: Vec<Seen<'_>> = stages.iter().map(Judged::seen).collect();
            (queue::asked(&seen, reader), queue::concerns(&seen, reader))
        };
        Ok(Self { stages, asked, own })
    }

    fn stage(&self, name: &str) -> Option<&Judged> {
        self.stages.iter().find(|stage| stage.name() == name)
    }

    pub fn current(&self) -> Option<&Judged> {
        Judged::first_unfinished(&self.stages)
    }

    /// The order of what waits: by the instant at which it could be applied, then by how pressing it is.
    pub fn urgency(&self) -> (Timestamp, Option<Ask>) {
        let ask = self.asked.as_ref().map(|asked| asked.ask.clone());
        let pressing = matches!(ask, Some(Ask::SettleRun | Ask::RollBack));
        let stage = self.asked.as_ref().and_then(|asked| self.stage(&asked.stage));
        let by = stage.and_then(|stage| queue::deadline(&stage.report)).unwrap_or(Timestamp::MAX);
        (if pressing { Timestamp::default() } else { by }, ask)
    }
}

fn place(stage: &Judged) -> String {
    let ticket = &stage.facts.ticket;
    format!("{}, {}, {}", ticket.application_name, ticket.content.release_tag, stage.name())
}

/// What is asked of the reader, with the way there.
pub(super) fn waiting(ticket: &Ticket, reader: &Actor) -> Option<QueueRow> {
    let asked = ticket.asked.as_ref()?;
    let stage = ticket.stage(&asked.stage)?;
    let number = stage.facts.ticket.number;
    let page = |name: &str| format!("{}/{name}", stage.href());
    let here = |anchor: &str| format!("{}#{anchor}", stage.href());
    let (now, words, detail, action) = match &asked.ask {
        Ask::SettleRun => (
            State::Stop,
            "A run stopped reporting".to_owned(),
            "Say what the database holds.".into(),
            Link::new("Settle", page("run")),
        ),
        Ask::RollBack => (
            State::Stop,
            capital(&rail::placed(stage, reader).1),
            "Roll it back, or follow it with a new run.".into(),
            Link::new("Open the run", page("run")),
        ),
        Ask::Release => {
            let closes = stage.report.window.filter(|window| window.end < Timestamp::MAX);
            let detail = match closes {
                Some(window) => {
                    Prose::from("Every gate is open, until ").time(Time::short(window.end, stage.now()))
                }
                None => "Every gate is open.".into(),
            };
            (State::Open, "Release the apply token".to_owned(), detail, Link::new("Release", page("token")))
        }
        Ask::Accept { count } => (
            State::Who,
            format!("{} to accept", plural(*count as u64, "blocking finding", "blocking findings")),
            rules(stage).into(),
            Link::new("Review", here("findings")),
        ),
        Ask::Settle { count } => (
            State::Who,
            if *count == 1 {
                "Your thread is open".into()
            } else {
                format!("{count} threads of yours are open")
            },
            "It keeps the review gate blocked.".into(),
            Link::new("Read", here("threads")),
        ),
        Ask::Sign { have, again, .. } => {
            (State::Who, signature(*have, *again), signed(stage), Link::new("Review", page("decide")))
        }
        Ask::Judge => (
            State::Who,
            "Say whether it is healthy".to_owned(),
            "Smoke checks passed, and the watch is over.".into(),
            Link::new("Judge", page("run")),
        ),
        Ask::Verify => (
            State::Who,
            "Smoke checks are missing".to_owned(),
            "Attach the report, or state the smoke items.".into(),
            Link::new("Verify", page("run")),
        ),
        Ask::Revise { by } => (
            State::Stop,
            format!("Rejected by {by}"),
            rejection(stage).into(),
            Link::new("Open", here("signatures")),
        ),
        Ask::Attach { .. } => (
            State::Who,
            "Files are missing or out of date".to_owned(),
            first_open(stage, false).into(),
            Link::new("Attach", here("artifacts")),
        ),
        Ask::Attest { items } => (
            State::Who,
            format!("{} to state", plural(*items as u64, "item", "items")),
            first_open(stage, true).into(),
            Link::new("State", here("checklist")),
        ),
        Ask::Complete => (
            State::Who,
            "File the completion notes".to_owned(),
            "Every stage that ran is judged.".into(),
            Link::new("File notes", format!("{}/completion", paths::ticket(number))),
        ),
    };
    Some(QueueRow { action: Some(action), ..row(stage, Status::new(now, words), detail) })
}

fn row(stage: &Judged, status: Status, detail: Prose) -> QueueRow {
    let (window, window_note) = rail::window_words(stage);
    QueueRow {
        number: stage.facts.ticket.number.to_string(),
        title: stage.facts.ticket.content.title.clone(),
        href: stage.href(),
        place: place(stage),
        status,
        detail,
        pips: gates::pips(stage),
        window,
        window_note,
        lamps: lamps(stage),
        action: None,
    }
}

fn signature(have: usize, again: bool) -> String {
    let ordinal = ["First", "Second", "Third", "Fourth"].get(have).copied();
    match (again, ordinal) {
        (true, _) => "Sign again".to_owned(),
        (false, Some(ordinal)) => format!("{ordinal} signature"),
        (false, None) => "Another signature".to_owned(),
    }
}

/// Who has signed already; else who filed it.
fn signed(stage: &Judged) -> Prose {
    let ticket = &stage.facts.ticket;
    match stage.report.tally.approvals.last() {
        Some(vote) => Prose::from(format!("{} signed ", vote.name)).time(Time::short(vote.at, stage.now())),
        None => Prose::from(format!("Filed by {}, ", ticket.requester_name))
            .time(Time::short(ticket.created_at, stage.now())),
    }
}

fn rules(stage: &Judged) -> String {
    let mut rules: Vec<String> = stage
        .facts
        .this
        .findings
        .iter()
        .filter(|finding| finding.blocks())
        .map(|finding| crate::web::present::review::rule_words(&finding.rule))
        .collect();
    rules.sort();
    rules.dedup();
    capital(&and(&rules))
}

fn rejection(stage: &Judged) -> String {
    let comment = stage.report.tally.rejections.first().map(|vote| vote.comment.trim()).unwrap_or_default();
    format!("“{comment}”")
}

fn first_open(stage: &Judged, attested: bool) -> String {
    let open =
        checklist::preflight(&stage.facts).into_iter().find(|item| !item.done && item.attested == attested);
    match open {
        Some(item) => item.why.map_or(item.label, |why| capital(&why)),
        None => String::new(),
    }
}

/// A ticket on its way to a window.
pub(super) fn releasing(stage: &Judged, stages: &[Judged], reader: &Actor) -> Option<QueueRow> {
    match rail::standing(stage) {
        Standing::Preparing | Standing::Ready | Standing::Released { .. } | Standing::Running => {
            let waits = verdict::waits(stages, stage, reader);
            Some(row(stage, rail::status(stage, reader), waits))
        }
        Standing::Lost
        | Standing::Verifying
        | Standing::Observing { .. }
        | Standing::Judging
        | Standing::Healthy
        | Standing::Unhealthy
        | Standing::Failed
        | Standing::Partial
        | Standing::RolledBack => None,
    }
}

/// A ticket of the reader's that asks nothing of them now.
pub(super) fn preparing(stage: &Judged, reader: &Actor) -> QueueRow {
    row(stage, rail::status(stage, reader), Prose::new())
}

/// A stage that is being watched, or waits to be judged.
pub(super) fn observed(stage: &Judged) -> Option<Observed> {
    let record = &stage.facts.this;
    let run = record.standing_upgrade()?;
    let (since, until) = (run.finished_at?, record.watched_until(run)?);
    let now = stage.now();
    let (colour, ends) = match rail::standing(stage) {
        Standing::Observing { .. } => (State::Run, Prose::from("until ").time(Time::short(until, now))),
        Standing::Verifying if now < until => {
            (State::Who, Prose::from("until ").time(Time::short(until, now)))
        }
        Standing::Verifying | Standing::Judging => {
            (State::Who, Prose::from("over since ").time(Time::short(until, now)))
        }
        _ => return None,
    };
    let progress = rail::progress(since, until, now);
    let whole = hours(until.since(since));
    let smoke = if record.smoke_passed(run) { "smoke checks passed" } else { "smoke checks missing" };
    Some(Observed {
        number: stage.facts.ticket.number.to_string(),
        title: format!("{}, {}", stage.facts.ticket.content.title, stage.name()),
        href: format!("{}/run", stage.href()),
        state: colour,
        so_far: format!("{} of {whole}", hours(now.since(since).min(until.since(since)))),
        progress,
        health: smoke.to_owned(),
        until: ends,
    })
}

/// Completed tickets, newest first.
pub(super) fn finished(lines: &[Line], now: Timestamp) -> Timeline {
    let row = |line: &Line| {
        let undone = line.outcome == Some(TicketOutcome::RolledBack);
        LogRow {
            time: Time::long(line.updated_at, now),
            mark: if undone {
                Mark::Status(State::Stop, "Rolled back")
            } else {
                Mark::Status(State::Open, "Promoted")
            },
            text: Prose::new()
                .link(format!("{} {}", line.number, line.title), paths::ticket(line.number))
                .text(if undone { ", rolled back" } else { ", applied and healthy in every stage" }),
            aside: line.application.as_str().into(),
            digest: None,
        }
    };
    Timeline { rows: lines.iter().map(row).collect() }
}
