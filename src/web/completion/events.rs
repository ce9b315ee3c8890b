//! What happened to a ticket, in order: releases, runs, smoke reports, snapshots, observations, the notes.

use super::record::Completion;
use crate::domain::artifact::{ArtifactFacts, ArtifactKind};
use crate::domain::dossier::Dossier;
use crate::domain::run::{Direction, Run, RunStatus, TokenState};
use crate::domain::time::Timestamp;
use crate::web::present::Judged;
use crate::web::view::format::{Time, duration};
use crate::web::view::pages::completion::RecordEvent;
use crate::web::view::prose::Prose;

type Happened = (Timestamp, RecordEvent);

pub(super) fn events(
    dossier: &Dossier,
    stages: &[Judged],
    completion: Option<&Completion>,
) -> Vec<RecordEvent> {
    let mut all: Vec<Happened> = Vec::new();
    for stage in stages {
        of_stage(stage, &mut all);
    }
    if let Some(filed) = completion {
        all.push(event("", filed.at, "Completion notes filed".into(), &filed.name));
    }
    all.push(event("", dossier.ticket.created_at, "Ticket filed".into(), &dossier.ticket.requester_name));
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, event)| event).collect()
}

fn event(stage: &str, at: Timestamp, text: Prose, by: &str) -> Happened {
    let event = RecordEvent { stage: stage.to_owned(), at: Time::exact(at), text, by: by.to_owned() };
    (at, event)
}

fn of_stage(stage: &Judged, all: &mut Vec<Happened>) {
    let (record, name) = (&stage.facts.this, stage.name());
    for token in &record.tokens {
        let what = match (token.direction, token.state) {
            (Direction::Upgrade, TokenState::Used) => "Apply token released, and used",
            (Direction::Upgrade, TokenState::Revoked) => "Apply token released, later revoked",
            (Direction::Upgrade, _) => "Apply token released",
            (Direction::Rollback, _) => "Rollback token released",
        };
        all.push(event(name, token.released_at, what.into(), &token.released_by_name));
    }
    for run in &record.runs {
        all.push(event(name, run.started_at, told(stage, run), &run.redeemed_by_name));
        if let Some(verdict) = &run.verdict {
            let words = format!("A person settled the run as {}: “{}”", verdict.verdict, verdict.note);
            all.push(event(name, verdict.at, words.into(), &verdict.by_name));
        }
    }
    let after = record
        .artifacts
        .iter()
        .filter(|file| matches!(file.kind, ArtifactKind::SmokeReport | ArtifactKind::MonitoringSnapshot));
    for file in after {
        let place = crate::web::present::files::address(stage, file.kind, file.version);
        let text = Prose::new().link(format!("{} v{}", file.kind.label(), file.version), place);
        let text = match &file.facts {
            ArtifactFacts::Smoke(smoke) => {
                let passed = smoke.tests.saturating_sub(smoke.failed).saturating_sub(smoke.skipped);
                text.text(format!(": {passed} of {} passed", smoke.tests))
            }
            _ => text,
        };
        all.push(event(name, file.uploaded_at, text, &file.uploaded_by_name));
    }
    for word in &record.observations {
        let note = if word.note.is_empty() { String::new() } else { format!(": “{}”", word.note) };
        all.push(event(name, word.at, format!("Judged {}{note}", word.verdict).into(), &word.by_name));
    }
    for tick in record.ticks.iter().filter(|tick| tick.run.is_some() && tick.done) {
        let words = format!("Stated after the run: {} “{}”", tick.item, tick.note);
        all.push(event(name, tick.at, words.into(), &tick.by_name));
    }
}

/// "Applied in 42 s, succeeded".
fn told(stage: &Judged, run: &Run) -> Prose {
    let what = if run.direction == Direction::Upgrade { "Applied" } else { "Rolled back" };
    let took = run
        .finished_at
        .map_or_else(String::new, |end| format!(" in {}", duration(end.since(run.started_at))));
    let how = match run.status_at(stage.now()) {
        RunStatus::Running => "under way",
        RunStatus::Succeeded => "succeeded",
        RunStatus::Failed => "failed, nothing changed",
        RunStatus::Partial => "partly applied",
        RunStatus::Unknown => "end unknown",
    };
    let over = if run.overran { ", after its window" } else { "" };
    Prose::new()
        .link(what, format!("{}/run?id={}", stage.href(), run.id))
        .text(format!("{took}, {how}{over}"))
}
