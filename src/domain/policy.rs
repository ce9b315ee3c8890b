//! The rules of an application's environments, read from one TOML file (`docs/policy.md`).
//!
//! Some floors are not policy: a quorum of at least one, four eyes, both SQL artifacts and the dry run. A file that
//! would go below one is refused.

mod fields;
mod parse;

use std::collections::BTreeMap;
use std::fmt;

use jiff::SignedDuration;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::domain::artifact::Severity;
use crate::domain::length;
use crate::domain::rule;
use crate::domain::window::Windows;

/// The runbook of the trading backend as a policy: what `demo` applies, and where a new policy can start.
pub const RUNBOOK: &str = include_str!("../demo/data/trading-backend.toml");

/// The only version of the file format so far.
pub const VERSION: u32 = 1;

/// One application's pipeline. Serialised, it has the shape of the file, with every default written out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Always [`VERSION`].
    pub version: u32,
    pub application: String,
    /// In the order in which a ticket passes through them; never empty.
    #[serde(rename = "environment")]
    pub environments: Vec<EnvironmentPolicy>,
}

/// The rules of one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnvironmentPolicy {
    pub name: String,
    /// The watch after a run of this environment; `healthy` is refused before it is over.
    #[serde(serialize_with = "length::serialize")]
    pub observe: SignedDuration,
    /// How long ago the run has to have finished before the next environment may go. Unless said, `observe`.
    #[serde(serialize_with = "length::serialize")]
    pub soak: SignedDuration,
    /// Approvals that normal and emergency tickets need; at least 1.
    pub quorum: u32,
    /// Approvals that standard tickets need; at least 1. Unless said, `quorum`.
    pub quorum_standard: u32,
    #[serde(serialize_with = "length::serialize")]
    pub snapshot_max_age: SignedDuration,
    #[serde(serialize_with = "length::serialize")]
    pub dry_run_max_age: SignedDuration,
    /// The longest life of an apply token, one minute to 24 hours.
    #[serde(serialize_with = "length::serialize")]
    pub token_ttl: SignedDuration,
    /// Silence after which a run counts as unknown, 20 seconds to an hour.
    #[serde(serialize_with = "length::serialize")]
    pub run_lease: SignedDuration,
    pub require_migration_manifest: bool,
    /// What the database says of itself; redemption has to name the same, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// How old an account has to be to vote.
    #[serde(serialize_with = "length::serialize")]
    pub minimum_account_age: SignedDuration,
    pub smoke: SmokeProof,
    #[serde(flatten)]
    pub windows: Windows,
    /// Levels that differ from the analysis' own, by the finding's rule.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, Severity>,
    /// Always holds `sql-rendered` and `dry-run-passed`. Keys are unique.
    pub checklist: Vec<ChecklistItem>,
}

/// How the smoke tests after a run are proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmokeProof {
    /// By a passed JUnit report.
    Junit,
    /// By a person who ticks every smoke item.
    Attested,
    /// By either.
    Either,
    /// By both.
    Both,
}

/// One line of the checklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChecklistItem {
    pub key: String,
    pub when: ChecklistWhen,
    pub kind: ChecklistKind,
    pub label: String,
}

/// Before the run, or after it. Only preflight items feed the checklist gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChecklistWhen {
    Preflight,
    Smoke,
}

/// Who decides a checklist item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecklistKind {
    /// A person. With `session_only`, an API token can't tick it for its owner.
    Attested { session_only: bool },
    /// The evidence. Can't be ticked.
    Automatic(AutomaticItem),
}

/// The items that evidence decides. The key of one is never the key of an attested item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AutomaticItem {
    LinearHistory,
    FreshSnapshot,
    SqlRendered,
    DryRunPassed,
    FindingsDocumented,
}

impl AutomaticItem {
    pub const ALL: [Self; 5] = [
        Self::LinearHistory,
        Self::FreshSnapshot,
        Self::SqlRendered,
        Self::DryRunPassed,
        Self::FindingsDocumented,
    ];

    /// The items that no policy can leave out.
    pub const FLOOR: [Self; 2] = [Self::SqlRendered, Self::DryRunPassed];

    /// Its key in the file.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::LinearHistory => "linear-history",
            Self::FreshSnapshot => "fresh-snapshot",
            Self::SqlRendered => "sql-rendered",
            Self::DryRunPassed => "dry-run-passed",
            Self::FindingsDocumented => "findings-documented",
        }
    }
}

/// One thing that is wrong with a policy file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyFault {
    /// Where, such as `environment[0].checklist[2].when`; empty for the file as a whole.
    pub path: String,
    /// What, in words that can follow the path.
    pub message: String,
    /// The line of the file, counted from 1.
    pub line: Option<usize>,
}

impl fmt::Display for PolicyFault {
    /// `line 7: environment[0].quorum: has to be at least 1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl Policy {
    /// Reads a policy file that was accepted before: rules of the analysis that are not known any more have no effect.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of its lines. A file that is no TOML at all only has those faults.
    pub fn parse(toml: &str) -> Result<Self, Vec<PolicyFault>> {
        parse::policy(toml, false)
    }

    /// Reads and checks a policy file before it is accepted: as [`parse`](Self::parse), and rules of the analysis have to
    /// be known and may not be set below their floor.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn check(toml: &str) -> Result<Self, Vec<PolicyFault>> {
        parse::policy(toml, true)
    }

    /// The environment of this name.
    #[must_use]
    pub fn environment(&self, name: &str) -> Option<&EnvironmentPolicy> {
        self.environments.iter().find(|environment| environment.name == name)
    }

    /// The environment that a ticket passes through just before the one of this name. `None` for the first, and for a
    /// name that the policy doesn't know.
    #[must_use]
    pub fn previous_of(&self, name: &str) -> Option<&EnvironmentPolicy> {
        let position = self.environments.iter().position(|environment| environment.name == name)?;
        self.environments.get(position.checked_sub(1)?)
    }
}

impl Serialize for ChecklistItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut item = serializer.serialize_map(None)?;
        item.serialize_entry("key", &self.key)?;
        item.serialize_entry("when", &self.when)?;
        match self.kind {
            ChecklistKind::Attested { session_only } => {
                item.serialize_entry("kind", "attested")?;
                item.serialize_entry("session_only", &session_only)?;
            }
            ChecklistKind::Automatic(_) => item.serialize_entry("kind", "automatic")?,
        }
        item.serialize_entry("label", &self.label)?;
        item.end()
    }
}

impl EnvironmentPolicy {
    /// Approvals that a ticket needs here.
    #[must_use]
    pub const fn quorum_for(&self, standard: bool) -> u32 {
        if standard { self.quorum_standard } else { self.quorum }
    }

    /// What a finding of this rule weighs here. What hides text or declares a gap can be made heavier, never lighter.
    ///
    /// Asked whenever facts are loaded, of the policy version that the ticket is bound to: gates stay a function of facts
    /// and policy, and moving the policy moves the weights with it.
    #[must_use]
    pub fn weight(&self, key: &str, own: Severity) -> Severity {
        let floor = || rule::of(key).is_some_and(|known| known.floor);
        match self.rules.get(key) {
            Some(set) if floor() => (*set).max(own),
            Some(set) => *set,
            None => own,
        }
    }

    /// Items that feed the checklist gate.
    pub fn preflight_items(&self) -> impl Iterator<Item = &ChecklistItem> {
        self.checklist.iter().filter(|item| item.when == ChecklistWhen::Preflight)
    }

    /// Items that are ticked after a run.
    pub fn smoke_items(&self) -> impl Iterator<Item = &ChecklistItem> {
        self.checklist.iter().filter(|item| item.when == ChecklistWhen::Smoke)
    }
}

impl SmokeProof {
    /// Whether smoke checks are proven: `report` is the newest report's result, `items` says that every item is ticked.
    /// A failed report is never outvoted by ticks.
    #[must_use]
    pub fn passed(self, report: Option<bool>, items: bool) -> bool {
        match self {
            _ if report == Some(false) => false,
            Self::Junit => report == Some(true),
            Self::Attested => items,
            Self::Either => items || report == Some(true),
            Self::Both => items && report == Some(true),
        }
    }
}

impl ChecklistItem {
    /// Ticked by a person, as against decided by evidence.
    #[must_use]
    pub const fn is_attested(&self) -> bool {
        matches!(self.kind, ChecklistKind::Attested { .. })
    }

    /// No token can tick it for its owner.
    #[must_use]
    pub const fn session_only(&self) -> bool {
        matches!(self.kind, ChecklistKind::Attested { session_only: true })
    }
}

#[cfg(test)]
mod tests;
