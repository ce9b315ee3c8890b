//! The earliest instant at which a stage could be applied, by windows, soak, freezes and the age of evidence.

use super::artifact::{ArtifactFacts, ArtifactKind};
use super::blocker::Blocker;
use super::facts::{Facts, Intent};
use super::policy::{AutomaticItem, ChecklistKind};
use super::run::{Health, RunStatus};
use super::ticket::TicketState;
use super::time::Timestamp;
use super::window::{self, Span};

/// The first instant at which a stage could be applied, supposing that people act (RULES 11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Earliest {
    At(Timestamp),
    Never { why: String },
}

/// Supposes that people act at once: a gate that waits for somebody never delays it.
pub fn earliest(facts: &Facts) -> Earliest {
    let never = |why: &str| Earliest::Never { why: why.to_owned() };
    if facts.ticket.state != TicketState::Open {
        return never("The ticket is closed.");
    }
    if facts.intent == Intent::Upgrade
        && let Some(run) = facts.this.standing_upgrade()
    {
        return never(&Blocker::AlreadyApplied { status: run.status }.words());
    }
    let deadline = deadline(facts);
    let free = facts.emergency() || matches!(facts.intent, Intent::Rollback(_));
    let found = if free { Some(facts.now) } else { unforced(facts) };
    match (found, deadline) {
        (None, _) => never("Policy has no window outside a freeze in the next 400 days."),
        (Some(at), Some((until, what))) if at >= until && !facts.rides_on_approved_run() => {
            let word = if until <= facts.now { "expired" } else { "expires" };
            never(&format!("The {what} {word} {}.", until.words()))
        }
        (Some(at), _) => Earliest::At(at),
    }
}

/// When the evidence that is attached grows too old, and which part of it does.
fn deadline(facts: &Facts) -> Option<(Timestamp, &'static str)> {
    let policy = &facts.this.policy;
    let report = facts.this.report();
    let snapshot = report.map(|r| (r.snapshot_taken_at + policy.snapshot_max_age, "snapshot"));
    let rehearsal = report.map(|r| (r.finished_at + policy.dry_run_max_age, "dry run"));
    let fresh = ChecklistKind::Automatic(AutomaticItem::FreshSnapshot);
    let backup = match facts.this.newest(ArtifactKind::BackupManifest).map(|a| &a.facts) {
        Some(ArtifactFacts::Backup(backup)) if policy.preflight_items().any(|i| i.kind == fresh) => {
            Some((backup.taken_at + policy.snapshot_max_age, "backup"))
        }
        _ => None,
    };
    [snapshot, rehearsal, backup].into_iter().flatten().min_by_key(|(until, _)| *until)
}

/// Earliest instant by windows, soak and freezes.
fn unforced(facts: &Facts) -> Option<Timestamp> {
    let freezes = |stage: &str| -> Vec<Span> {
        facts
            .freezes
            .iter()
            .filter(|f| f.concerns(stage))
            .map(|f| Span { start: f.starts_at, end: f.ends_at })
            .collect()
    };
    let soaked = match &facts.previous {
        None => facts.now,
        Some(previous) => {
            let ended = previous
                .standing_upgrade()
                .filter(|run| {
                    run.status == RunStatus::Succeeded && previous.health(run) != Some(Health::Unhealthy)
                })
                .and_then(|run| previous.soaked_at(run));
            match ended {
                Some(at) => at,
                None => {
                    window::earliest_open(
                        &previous.policy.windows,
                        facts.now,
                        &freezes(&previous.stage.name),
                        None,
                    )? + previous.policy.observe.max(previous.policy.soak)
                }
            }
        }
    };
    window::earliest_open(
        &facts.this.policy.windows,
        soaked.max(facts.now),
        &freezes(&facts.this.stage.name),
        None,
    )
}
