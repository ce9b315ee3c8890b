//! A policy's rules in a few words.

use crate::domain::policy::{ChecklistKind, EnvironmentPolicy, SmokeProof};
use crate::domain::window::Windows;
use crate::web::view::format::{hours, plural};
use crate::web::view::parts::Fact;

/// "Tuesday 14:00 UTC for 2h, 2 approvals, watched for 24 h".
pub(super) fn summary(policy: &EnvironmentPolicy) -> String {
    let quorum = plural(policy.quorum.into(), "approval", "approvals");
    format!("{}, {quorum}, watched for {}", windows(policy), hours(policy.observe))
}

fn windows(policy: &EnvironmentPolicy) -> String {
    match &policy.windows {
        Windows::Always => "At any time".to_owned(),
        Windows::Weekly(weekly) if weekly.is_empty() => "Never".to_owned(),
        Windows::Weekly(weekly) => weekly.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    }
}

/// The rules of one environment, line by line.
pub(super) fn facts(policy: &EnvironmentPolicy) -> Vec<Fact> {
    let attested =
        policy.checklist.iter().filter(|item| matches!(item.kind, ChecklistKind::Attested { .. })).count();
    let automatic = policy.checklist.len() - attested;
    let yes = |yes: bool| if yes { "required" } else { "not required" };
    vec![
        Fact::new("Windows", windows(policy)),
        Fact::new(
            "Approvals",
            format!("{} ({} for a standard change)", policy.quorum, policy.quorum_standard),
        ),
        Fact::new("Soak", hours(policy.soak)),
        Fact::new("Watch after a run", hours(policy.observe)),
        Fact::new("Snapshot no older than", hours(policy.snapshot_max_age)),
        Fact::new("Dry run no older than", hours(policy.dry_run_max_age)),
        Fact::new("Apply token good for", hours(policy.token_ttl)),
        Fact::new("Migration manifest", yes(policy.require_migration_manifest)),
        Fact::new("Smoke tests proven by", smoke(policy.smoke)),
        Fact::new("Checklist", format!("{automatic} decided by evidence, {attested} by people")),
        Fact::new("Database", policy.database.clone().unwrap_or_else(|| "not named".to_owned())),
    ]
}

const fn smoke(proof: SmokeProof) -> &'static str {
    match proof {
        SmokeProof::Junit => "a JUnit report",
        SmokeProof::Attested => "a person",
        SmokeProof::Either => "a JUnit report or a person",
        SmokeProof::Both => "a JUnit report and a person",
    }
}
