//! What a run came to, in one word, one sentence and a list of facts.

use crate::domain::run::{Direction, Health, Method, Run, RunStatus, RunVerdict};
use crate::web::present::Judged;
use crate::web::view::format::{Dig, Time, duration, hours};
use crate::web::view::parts::{Fact, Facts, Progress, Reading, Verdict};
use crate::web::view::prose::Prose;
use crate::web::view::state::State;

/// Seconds, as a bar counts them.
fn seconds(length: jiff::SignedDuration) -> u64 {
    u64::try_from(length.as_secs()).unwrap_or_default()
}

/// Whether this is the run whose change stands in the database.
pub(super) fn stands(stage: &Judged, run: &Run) -> bool {
    stage.facts.this.standing_upgrade().is_some_and(|standing| standing.id == run.id)
}

/// The answer that opens the page.
pub(super) fn verdict(stage: &Judged, run: Option<&Run>) -> Verdict {
    let say = |state, answer: &str, reason: Prose| Verdict {
        state,
        question: format!("What did the run on {} do?", stage.name()),
        answer: answer.to_owned(),
        reason,
        reading: None,
        id: "answer",
    };
    let now = stage.now();
    let Some(run) = run else {
        return say(State::Idle, "Nothing yet", "No token of this stage has been used.".into());
    };
    let after = run.revision_after.as_deref().unwrap_or("an unknown revision");
    match run.status_at(now) {
        RunStatus::Running => {
            let reason = Prose::from("Under way since ").time(Time::clock(run.started_at));
            let mut verdict = say(State::Run, "Running", reason.text(". Reload the page to see how far it is."));
            verdict.reading = Some(Reading {
                label: "Counts as lost".into(),
                value: Prose::new().until(Time::until(run.lease_until, now)),
                note: "unless it reports before".into(),
            });
            verdict
        }
        RunStatus::Unknown => say(
            State::Stop,
            "Unknown",
            Prose::from("It stopped reporting, and has counted as lost since ")
                .time(Time::long_utc(run.lease_until, now))
                .text(". A person has to look at the database and say what it did; until then nothing else runs there."),
        ),
        RunStatus::Failed | RunStatus::Partial if run.unverified() => say(
            State::Stop,
            "Not known where it ended",
            "It did not end well, and named no revision. A person has to look at the database and say what it did; until then nothing else runs there.".into(),
        ),
        RunStatus::Failed => say(
            State::Stop,
            "It failed",
            Prose::from("The database is as before, at ").code(after).text(". The stage can run again, with fresh approvals."),
        ),
        RunStatus::Partial => say(
            State::Stop,
            "Partly applied",
            Prose::from("The database is at ").code(after).text(", which is neither where it started nor where it should be. Validate with the downgrade SQL first."),
        ),
        RunStatus::Succeeded if run.direction == Direction::Rollback => say(
            State::Open,
            "Rolled back",
            Prose::from("The database is back at ").code(after).text("."),
        ),
        RunStatus::Succeeded if !stands(stage, run) => {
            say(State::Stale, "Undone", "It succeeded, and was rolled back or run again later.".into())
        }
        RunStatus::Succeeded => health(stage, run),
    }
}

fn health(stage: &Judged, run: &Run) -> Verdict {
    let (record, now) = (&stage.facts.this, stage.now());
    let smoke = record.smoke_passed(run);
    let until = record.watched_until(run);
    let watched = run.finished_at.map_or(jiff::SignedDuration::ZERO, |end| now.since(end));
    let of =
        format!("{} of {} watched", hours(watched.min(record.policy.observe)), hours(record.policy.observe));
    let checks = if smoke { "smoke checks passed" } else { "smoke checks have not passed yet" };
    let over = until.is_some_and(|until| until <= now);
    let word = record.health(run);
    let last = record.observations.iter().rev().find(|word| word.run == run.id);
    let (lamp, answer, reason) = match (word, over) {
        (Some(Health::Healthy), _) => (
            State::Open,
            "Yes",
            last.map_or_else(Prose::new, |word| {
                Prose::from(format!("{} said so on ", word.by_name))
                    .time(Time::long_utc(word.at, now))
                    .text(".")
            }),
        ),
        (Some(Health::Unhealthy), _) => (
            State::Stop,
            "No",
            last.map_or_else(Prose::new, |word| Prose::from(format!("{}: “{}”", word.by_name, word.note))),
        ),
        (None, _) if !smoke && record.smoke_report_passed(run) == Some(false) => {
            (State::Stop, "Smoke checks failed", format!("{of}.").into())
        }
        (None, true) => (
            State::Who,
            "Waits for a word",
            format!("{of}, {checks}. Somebody has to say whether it is healthy.").into(),
        ),
        (None, false) if smoke => (State::Run, "So far, yes", format!("{of}, {checks}.").into()),
        (None, false) => (State::Who, "Not known yet", format!("{of}, {checks}.").into()),
    };
    let reading = match (word, until) {
        (None, Some(until)) if !over => Some(Reading {
            label: "Watched until".into(),
            value: Prose::new().until(Time::until(until, now)),
            note: Time::long_utc(until, now).into(),
        }),
        _ => None,
    };
    Verdict {
        state: lamp,
        question: format!("Is {} healthy after {}?", stage.name(), stage.facts.ticket.number),
        answer: answer.into(),
        reason,
        reading,
        id: "answer",
    }
}

/// How far the watch has come, while it lasts.
pub(super) fn progress(stage: &Judged, run: &Run) -> Option<Progress> {
    let record = &stage.facts.this;
    let open = stands(stage, run) && run.status == RunStatus::Succeeded && record.health(run).is_none();
    let ended = run.finished_at.filter(|_| open)?;
    let (watched, whole) = (stage.now().since(ended), record.policy.observe);
    (watched < whole).then(|| Progress {
        value: seconds(watched),
        max: seconds(whole),
        label: format!("Observation, {} of {}", hours(watched), hours(whole)),
    })
}

/// What is recorded of a run.
pub(super) fn facts(stage: &Judged, run: &Run) -> Facts {
    let now = stage.now();
    let href = stage.href();
    let what = match (run.direction, run.method) {
        (Direction::Upgrade, _) => "upgrade".to_owned(),
        (Direction::Rollback, Some(Method::Restore)) => "rollback, by restoring the backup".to_owned(),
        (Direction::Rollback, _) => "rollback, with the downgrade SQL".to_owned(),
    };
    let mut rows = vec![
        Fact::new("Run", Prose::new().code(run.id.to_string())),
        Fact::new("Kind", what),
        Fact::new("Status", run.status_at(now).as_str()),
        Fact::new("Started", Time::exact(run.started_at)),
    ];
    if let Some(end) = run.finished_at {
        let took = format!(", after {}", duration(end.since(run.started_at)));
        rows.push(Fact::new("Ended", Prose::new().time(Time::exact(end)).text(took)));
    }
    if let Some(code) = run.exit_code {
        rows.push(Fact::new("Exit code", code.to_string()));
    }
    let revision = |text: &Option<String>| {
        text.as_ref().map_or_else(|| "not reported".into(), |text| Prose::new().code(text.clone()))
    };
    rows.push(Fact::new("Revision before", revision(&run.revision_before)));
    rows.push(Fact::new("Revision after", revision(&run.revision_after)));
    if run.overran {
        rows.push(Fact::new("Window", "It ended after its window did."));
    }
    if let Some(verdict) = &run.verdict {
        let word = match verdict.verdict {
            RunVerdict::Applied => "applied",
            RunVerdict::NotApplied => "not applied",
            RunVerdict::Partly => "partly applied",
        };
        let said = Prose::new().strong(word).text(format!(", says {} on ", verdict.by_name));
        rows.push(Fact::new(
            "Verdict",
            said.time(Time::long_utc(verdict.at, now)).text(format!(": “{}”", verdict.note)),
        ));
    }
    rows.push(Fact::new("Presented", Prose::new().code(run.sql_digest.clone())));
    rows.push(Fact::digest("Evidence", Dig::full(run.evidence)));
    rows.push(Fact::new(
        "Proof",
        Prose::new()
            .link("evidence", format!("{href}/evidence/{}", run.evidence))
            .text(", ")
            .link("signed grant", format!("{href}/run/grant?id={}", run.id)),
    ));
    Facts { rows, ruled: false }
}
