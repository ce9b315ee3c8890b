//! The verdict above the gates: can this be applied; if not why, who, when.

use super::gates::{is_mine, state};
use super::rail::{Standing, standing};
use super::{Judged, capital, number_word};
use crate::domain::blocker::{Blocker, GateKey};
use crate::domain::earliest::Earliest;
use crate::domain::gate::GateStatus;
use crate::domain::ticket::{TicketOutcome, TicketState};
use crate::domain::user::Actor;
use crate::web::paths;
use crate::web::view::format::{Time, and};
use crate::web::view::parts::{Reading, Verdict};
use crate::web::view::prose::Prose;
use crate::web::view::state::State;

/// Who would act on a gate that waits for a person, in a word or two.
fn actor_word(key: GateKey) -> &'static str {
    match key {
        GateKey::Approvals => "the board",
        GateKey::Review => "a reviewer",
        GateKey::Incidents => "whoever runs the incident",
        GateKey::Checklist
        | GateKey::DryRun
        | GateKey::PreviousStage
        | GateKey::Freeze
        | GateKey::Window
        | GateKey::SingleRun => "a release engineer",
    }
}

/// The people that blocked gates wait for: "you and the board".
pub fn people(stage: &Judged, reader: &Actor) -> String {
    let mut names: Vec<String> = Vec::new();
    for gate in stage.report.blocked().filter(|gate| state(gate) == State::Who) {
        let name = if is_mine(stage, reader, gate) { "you" } else { actor_word(gate.key) }.to_owned();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    // Whoever reads comes first.
    names.sort_by_key(|name| name != "you");
    and(&names)
}

/// The answer that opens the page of a stage.
pub fn verdict(stage: &Judged, reader: &Actor) -> Verdict {
    let number = stage.facts.ticket.number;
    let make = |state, answer: &str, reason: Prose, reading| Verdict {
        state,
        question: format!("Can {number} be applied to {}?", stage.name()),
        answer: answer.to_owned(),
        reason,
        reading,
        id: "answer",
    };
    if let Some((state, answer, reason)) = closed(stage) {
        let question = format!("What became of {number}?");
        return Verdict { question, ..make(state, answer, reason, None) };
    }
    let at = |label: &str, value: Prose, note: Prose| Some(Reading { label: label.into(), value, note });
    let now = stage.now();
    let at_now = standing(stage);
    if let Some(said) = under_way(stage, &at_now) {
        let reading = match at_now {
            Standing::Observing { until, .. } => at(
                "Under observation until",
                Time::long_utc(until, now).into(),
                Prose::new().until(Time::until(until, now)),
            ),
            Standing::Released { until } => at(
                "The token expires",
                Time::long_utc(until, now).into(),
                Prose::new().until(Time::until(until, now)),
            ),
            _ => None,
        };
        let verdict = make(said.0, said.1, said.2, reading);
        return match at_now {
            Standing::Released { .. } => verdict,
            _ => Verdict { question: format!("Has {number} been applied to {}?", stage.name()), ..verdict },
        };
    }
    if stage.report.applicable() {
        let reading =
            stage.report.window.filter(|_| !waived(stage).contains(&"window")).map(|window| Reading {
                label: "The window closes".into(),
                value: Time::long_utc(window.end, now).into(),
                note: Prose::new().until(Time::until(window.end, now)),
            });
        let reason = ready_words(stage, reader);
        return make(State::Open, "Ready", reason, reading);
    }
    let states: Vec<State> = stage.report.blocked().map(state).collect();
    let (worst, answer) = if states.contains(&State::Stop) {
        (State::Stop, "Stopped")
    } else if states.contains(&State::Who) {
        (State::Who, "Not yet")
    } else {
        (State::Time, "Not yet")
    };
    make(worst, answer, not_yet(stage, reader, &states), Some(earliest(stage, states.contains(&State::Who))))
}

fn closed(stage: &Judged) -> Option<(State, &'static str, Prose)> {
    let ticket = &stage.facts.ticket;
    match (ticket.state, ticket.outcome) {
        (TicketState::Open | TicketState::Draft, _) => None,
        (TicketState::Completed, Some(TicketOutcome::RolledBack)) => Some((
            State::Stop,
            "Rolled back",
            Prose::from("Every stage that ran was put back. The ")
                .link("completion notes", format!("{}/completion", paths::ticket(ticket.number)))
                .text(" say why."),
        )),
        (TicketState::Completed, _) => Some((
            State::Open,
            "Completed",
            Prose::from("Applied and healthy in every stage. The ")
                .link("completion notes", format!("{}/completion", paths::ticket(ticket.number)))
                .text(" hold the record."),
        )),
        (TicketState::Abandoned, _) => Some((
            State::Stale,
            "Abandoned",
            "Nothing can be released for it any more. Files, signatures and the timeline stay.".into(),
        )),
    }
}

/// What is said while a token, a run or its aftermath stands.
fn under_way(stage: &Judged, at: &Standing) -> Option<(State, &'static str, Prose)> {
    let on = |prose: Prose, words: &str| prose.link(words, format!("{}/run", stage.href())).text(".");
    Some(match at {
        // After a run that left nothing behind the same gates decide about another try.
        Standing::Preparing | Standing::Ready | Standing::Failed | Standing::RolledBack => return None,
        Standing::Released { .. } => released(stage),
        Standing::Running => (State::Run, "Under way", on("A run is in progress. ".into(), "Watch it")),
        Standing::Lost => (
            State::Stop,
            "Nobody knows",
            on(
                Prose::from("A run did not say how it ended. ")
                    .strong("Find out what the database holds and say so")
                    .text(" on its page; until then nothing else can run here. "),
                "Settle the run",
            ),
        ),
        Standing::Partial => (
            State::Stop,
            "Partly",
            on(
                Prose::from("The run changed only a part of what it should. ")
                    .strong("Rehearse the downgrade from where it is, then roll back.")
                    .text(" "),
                "Open the run",
            ),
        ),
        Standing::Verifying => (
            State::Who,
            "Applied",
            on(
                Prose::from("Smoke checks of this run have not passed yet: ")
                    .strong("attach a smoke report or state the smoke items.")
                    .text(" "),
                "Open the run",
            ),
        ),
        Standing::Observing { .. } => {
            (State::Run, "Applied", on("Smoke checks passed; it is being watched. ".into(), "Open the run"))
        }
        Standing::Judging => (
            State::Who,
            "Applied",
            on(
                Prose::from("The watch is over: ").strong("a person says whether it is healthy.").text(" "),
                "Judge it",
            ),
        ),
        Standing::Healthy => {
            (State::Open, "Yes", on("Applied, and healthy by a person’s word. ".into(), "Open the run"))
        }
        Standing::Unhealthy => (
            State::Stop,
            "Unhealthy",
            on(
                Prose::from("Applied, and judged unhealthy. ")
                    .strong("Roll it back, or follow it with a new run.")
                    .text(" "),
                "Open the run",
            ),
        ),
    })
}

/// A token is out: whether it could be used at this moment.
fn released(stage: &Judged) -> (State, &'static str, Prose) {
    // The token itself shuts `single-run` for any other, and not for its own use.
    let others = stage.report.blocked().filter(|gate| gate.key != GateKey::SingleRun);
    let shut: Vec<String> = others.map(|gate| gate.reason.clone()).collect();
    let see = |prose: Prose| prose.link("See or revoke it", format!("{}/token", stage.href())).text(".");
    if shut.is_empty() {
        let words = "An apply token is out. It can be used once, while every gate stays open. ";
        return (State::Run, "Released", see(words.into()));
    }
    let prose = Prose::from("An apply token is out, and ")
        .strong("can’t be used at this moment:")
        .text(format!(" {} ", shut.join(" ")));
    (State::Stop, "Released, but shut", see(prose))
}

/// Keys of the gates that are waived.
fn waived(stage: &Judged) -> Vec<&'static str> {
    let waived = stage.report.gates.iter().filter(|gate| gate.status == GateStatus::Waived);
    waived.map(|gate| gate.key.as_str()).collect()
}

fn ready_words(stage: &Judged, reader: &Actor) -> Prose {
    let names: Vec<String> = waived(stage).into_iter().map(ToOwned::to_owned).collect();
    let mut text = if names.is_empty() {
        "Every gate is open. ".to_owned()
    } else {
        format!("Every gate is open or lawfully waived. Waived: {}. ", and(&names))
    };
    text.push_str("A release engineer releases the apply token.");
    if stage.may_release(reader).is_ok() {
        Prose::from(text).text(" ").link("You can", format!("{}/token", stage.href())).text(".")
    } else {
        text.into()
    }
}

/// "5 of 9 gates are blocked. Two wait for people: you and the board. Two wait for time and need nobody."
fn not_yet(stage: &Judged, reader: &Actor, states: &[State]) -> Prose {
    let count = |wanted| states.iter().filter(|state| **state == wanted).count();
    let all = stage.report.gates.len();
    let blocked = states.len();
    let mut prose = Prose::from(if blocked == 1 {
        format!("1 of {all} gates is blocked. ")
    } else {
        format!("{blocked} of {all} gates are blocked. ")
    });
    let verb = |number: usize, many: &str, one: &str| {
        format!("{} {}", capital(&number_word(number)), if number == 1 { one } else { many })
    };
    let stopped = stage.report.blocked().filter(|gate| state(gate) == State::Stop);
    for gate in stopped {
        let words: Vec<String> = gate.blockers.iter().map(Blocker::words).collect();
        prose = prose.strong(words.join(" ")).text(" ");
    }
    let who = count(State::Who);
    if who > 0 {
        let people = people(stage, reader);
        prose = prose.strong(format!("{}:", verb(who, "wait for people", "waits for a person")));
        prose = prose.text(format!(" {people}. "));
    }
    let time = count(State::Time);
    if time > 0 {
        prose = prose.strong(verb(time, "wait for time", "waits for time"));
        prose = prose.text(if time == 1 { " and needs nobody." } else { " and need nobody." });
    }
    prose
}

fn earliest(stage: &Judged, people: bool) -> Reading {
    let now = stage.now();
    let label = "Earliest apply".to_owned();
    match &stage.report.earliest {
        Earliest::At(at) if *at <= now => {
            Reading { label, value: "Now".into(), note: "as soon as the gates above are open".into() }
        }
        Earliest::At(at) => {
            let note = Prose::new().until(Time::until(*at, now));
            Reading {
                label,
                value: Time::long_utc(*at, now).into(),
                note: if people { note.text(", if everybody acts before then") } else { note },
            }
        }
        Earliest::Never { why } => Reading { label, value: "None".into(), note: why.as_str().into() },
    }
}

/// Who or what a ticket waits for, in a cell of a list. `stage` is the first one that is not finished.
pub fn waits(stages: &[Judged], stage: &Judged, reader: &Actor) -> Prose {
    let nobody = |until| Prose::from("Nobody until ").time(Time::short(until, stage.now()));
    match standing(stage) {
        Standing::Healthy if stages.iter().all(Judged::finished) => "A release engineer".into(),
        Standing::Preparing | Standing::Failed | Standing::RolledBack => {
            let people = people(stage, reader);
            let stopped = stage.report.blocked().find(|gate| state(gate) == State::Stop);
            match (stopped, &stage.report.earliest) {
                (Some(gate), _) => capital(gate.cleared_by.as_deref().unwrap_or_default()).into(),
                (None, _) if !people.is_empty() => capital(&people).into(),
                (None, Earliest::At(at)) => nobody(*at),
                (None, Earliest::Never { why }) => why.as_str().into(),
            }
        }
        Standing::Released { .. } => "Whoever holds the token".into(),
        Standing::Running => "The run".into(),
        Standing::Observing { until, .. } => nobody(until),
        Standing::Ready
        | Standing::Lost
        | Standing::Verifying
        | Standing::Judging
        | Standing::Healthy
        | Standing::Unhealthy
        | Standing::Partial => "A release engineer".into(),
    }
}
