//! The preflight checklist: what evidence decides, what a person states.

use super::{Judged, capital};
use crate::domain::artifact::{ArtifactFacts, ArtifactKind};
use crate::domain::checklist::{self, ItemStatus};
use crate::domain::facts::Tick;
use crate::domain::transition::Action;
use crate::domain::user::Actor;
use crate::web::view::format::{Time, bytes, plural};
use crate::web::view::forms::Input;
use crate::web::view::prose::Prose;
use crate::web::view::state::State;
use crate::web::view::work::{Attest, Checklist, ChecklistRow};

/// The items of a stage, with a form where the reader may state one.
pub fn preflight(stage: &Judged, reader: &Actor) -> Checklist {
    let (mut automatic, mut attested) = (Vec::new(), Vec::new());
    for item in checklist::preflight(&stage.facts) {
        if item.attested {
            attested.push(stated(stage, reader, item, None));
        } else {
            automatic.push(decided(stage, item));
        }
    }
    Checklist::new(automatic, attested)
}

fn decided(stage: &Judged, item: ItemStatus) -> ChecklistRow {
    let (summary, source) = evidence(stage, &item.key);
    let failed = !item.done
        && item.key == "dry-run-passed"
        && stage.facts.this.report().is_some_and(|report| !report.passed);
    ChecklistRow {
        state: match (item.done, failed) {
            (true, _) => State::Open,
            (false, true) => State::Stop,
            (false, false) => State::Who,
        },
        item: item.key,
        text: item.label,
        detail: item.why.map_or(summary, |why| capital(&why).into()),
        by: source,
        attest: None,
        may_undo: false,
    }
}

/// What the evidence says of an automatic item, and which file says it.
fn evidence(stage: &Judged, item: &str) -> (Prose, Prose) {
    let (record, now) = (&stage.facts.this, stage.now());
    let source = |kind: ArtifactKind| {
        record.newest(kind).map_or_else(Prose::new, |file| {
            let page = format!("{}/artifacts/{kind}?version={}", stage.href(), file.version);
            Prose::new()
                .link(format!("v{}", file.version), page)
                .text(", ")
                .time(Time::short(file.uploaded_at, now))
        })
    };
    let facts = |kind: ArtifactKind| record.newest(kind).map(|file| &file.facts);
    match item {
        "linear-history" => {
            let words = match facts(ArtifactKind::MigrationHistory) {
                Some(ArtifactFacts::History(history)) => Prose::from(format!(
                    "{}, head ",
                    plural(history.revisions.into(), "migration in one line", "migrations in one line")
                ))
                .code(history.heads.join(", ")),
                _ => Prose::new(),
            };
            (words, source(ArtifactKind::MigrationHistory))
        }
        "fresh-snapshot" => {
            let words = match facts(ArtifactKind::BackupManifest) {
                Some(ArtifactFacts::Backup(backup)) => {
                    Prose::from(format!("{}, taken ", bytes(backup.bytes)))
                        .time(Time::since(backup.taken_at, now))
                        .text(format!(" from {}", backup.origin))
                }
                _ => Prose::new(),
            };
            (words, source(ArtifactKind::BackupManifest))
        }
        "dry-run-passed" => {
            let words = match record.report() {
                Some(report) => {
                    Prose::from("Upgraded and downgraded a copy, ").time(Time::since(report.finished_at, now))
                }
                None => Prose::new(),
            };
            (words, source(ArtifactKind::DryRunReport))
        }
        "sql-rendered" => {
            let words = match facts(ArtifactKind::UpgradeSql) {
                Some(ArtifactFacts::Sql(sql)) => {
                    Prose::from(plural(sql.statements.into(), "statement", "statements"))
                        .text(", from ")
                        .code(sql.from.clone().unwrap_or_default())
                        .text(" to ")
                        .code(sql.to.clone().unwrap_or_default())
                }
                _ => Prose::new(),
            };
            (words, source(ArtifactKind::UpgradeSql))
        }
        "findings-documented" => {
            let accepted = record.accepted_findings().count() as u64;
            let words = format!("{} accepted", plural(accepted, "finding", "findings"));
            (
                if accepted > 0 { words.into() } else { Prose::new() },
                Prose::new().link("findings", "#findings"),
            )
        }
        _ => (Prose::new(), Prose::new()),
    }
}

/// An item that a person states: with what they wrote, or with the form. `typed` is what came back with a fault.
pub fn stated(stage: &Judged, reader: &Actor, item: ItemStatus, typed: Option<&Input>) -> ChecklistRow {
    let may = stage.may(reader, &Action::Tick { item: &item.key }).is_ok();
    let now = stage.now();
    let by = |tick: &Tick| {
        let via = if tick.via.is_some() { " via token, " } else { ", " };
        Prose::from(format!("{}{via}", tick.by_name)).time(Time::short(tick.at, now))
    };
    let standing = item.tick.as_ref().filter(|tick| tick.done);
    if let Some(tick) = standing {
        let quoted = format!("“{}”", tick.note.trim());
        return ChecklistRow {
            state: State::Open,
            detail: if tick.note.trim().is_empty() { Prose::new() } else { quoted.into() },
            by: by(tick),
            item: item.key,
            text: item.label,
            attest: None,
            may_undo: may,
        };
    }
    // Said before the evidence changed: it does not count any more, but it need not be typed again.
    let earlier = stage
        .facts
        .this
        .ticks
        .iter()
        .filter(|tick| tick.item == item.key && tick.run.is_none())
        .filter(|tick| tick.done && tick.generation != stage.facts.this.stage.generation)
        .max_by_key(|tick| tick.at);
    let detail = match (earlier, may) {
        (Some(tick), _) => {
            Prose::from("Stated for earlier evidence: ").text(format!("“{}”", tick.note.trim()))
        }
        (None, true) => Prose::new(),
        (None, false) if item.session_only => "A release engineer states it in a browser.".into(),
        (None, false) => "A release engineer states it.".into(),
    };
    let note = typed.cloned().unwrap_or_else(|| Input::of(earlier.map_or("", |tick| tick.note.as_str())));
    ChecklistRow {
        state: if earlier.is_some() { State::Stale } else { State::Who },
        detail,
        by: earlier.map_or_else(Prose::new, by),
        attest: may.then(|| Attest { label: "Note".into(), note }),
        item: item.key,
        text: item.label,
        may_undo: false,
    }
}
