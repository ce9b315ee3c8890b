//! The dry-run report: what a rehearsal on a copy of a snapshot proved.
//!
//! `subject` is the same for the same code, snapshot and tools; `measurements` differ from run to run.

use serde::{Deserialize, Serialize};

pub use super::checks::{Checks, Integrity, Orphans, Statements, Warning};
use super::formats::{
    Format, FormatError, Version1, check_count, check_len, check_revision, check_text, field, format_name,
};
use crate::domain::digest::{Digest, canonical_json};
use crate::domain::sql_digest::SqlDigest;
use crate::domain::time::Timestamp;
use crate::sql::dialect::Dialect;

format_name!(ReportFormat, "countersign/dry-run-report");

const WHAT: &str = "dry-run report";

/// A dry run: offline render in both directions, rehearsal on a copy, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DryRunReport {
    pub format: ReportFormat,
    pub version: Version1,
    pub subject: Subject,
    pub measurements: Measurements,
}

/// What was rehearsed and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    pub tools: Tools,
    /// Of the rendered SQL: that of production, not of the snapshot.
    pub dialect: Dialect,
    /// Full revisions.
    pub from: String,
    pub to: String,
    pub upgrade: Rendered,
    pub downgrade: Rendered,
    pub snapshot: Snapshot,
    pub manifest_sha256: Digest,
    pub steps: Vec<Step>,
    pub outcome: Outcome,
    /// What each destructive statement of the upgrade lost on the copy.
    pub destructive: Vec<Loss>,
    pub schema: SchemaChanges,
    pub downgrade_restores: Restores,
    /// Left out by reports that were made by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<Checks>,
}

/// Versions that may change a render.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tools {
    pub countersign: String,
    pub alembic: String,
    pub sqlalchemy: String,
    pub python: String,
}

/// One direction's SQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rendered {
    /// Of the file itself.
    pub sha256: Digest,
    /// Of its normal form; none if renders differ, or if the file is a declaration.
    pub sqlnorm1: Option<SqlDigest>,
    /// Three renders gave the same bytes.
    pub reproducible: bool,
    /// The SQL was recorded during the rehearsal, since it can't be rendered offline.
    pub captured_online: bool,
    /// Why there is no SQL: then the file says the same.
    pub impossible: Option<String>,
}

/// The snapshot whose copy was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    pub sha256: Digest,
    pub bytes: u64,
    pub origin: String,
    pub taken_at: Timestamp,
    /// The revision it is at.
    pub revision: String,
}

/// A step of the dry run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Lower-case letters, digits and hyphens; [`UPGRADE`] is the one that a passed report must hold.
    pub name: String,
    pub status: StepStatus,
    /// Needed unless the step passed.
    pub why: Option<String>,
}

/// The name of the step that upgrades the copy.
pub const UPGRADE: &str = "upgrade";

/// The name of the step that renders the upgrade offline.
pub const RENDER_UPGRADE: &str = "render-upgrade";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepStatus {
    Passed,
    Failed,
    NotPossible,
    Skipped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Passed,
    Failed,
}

/// Data that a statement of the upgrade destroyed on the copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// The statement's first line in the upgrade SQL, counted from 1.
    pub line: u32,
    pub table: String,
    pub column: Option<String>,
    pub rows_lost: u64,
    pub non_null_values_lost: u64,
}

/// How the upgrade changed the schema. Columns are written `table.column`, the lists are sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaChanges {
    pub tables_added: Vec<String>,
    pub tables_dropped: Vec<String>,
    pub columns_added: Vec<String>,
    pub columns_dropped: Vec<String>,
    pub columns_changed: Vec<String>,
    pub indexes_added: Vec<String>,
    pub indexes_dropped: Vec<String>,
    /// Anything else, one sentence each.
    pub other: Vec<String>,
}

/// What is as before after upgrade and downgrade of the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restores {
    /// Tables, columns, keys and indexes; the order of columns does not count.
    pub schema: bool,
    pub data: bool,
}

/// What differs from run to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurements {
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    /// In the order in which they ran.
    pub revisions: Vec<RevisionTime>,
    pub tables: Vec<TableRows>,
    /// Of the copy's file, before and after the upgrade.
    pub bytes_before: u64,
    pub bytes_after: u64,
    /// Age of the snapshot when the run began.
    pub snapshot_age_seconds: u64,
    /// Whole steps in the order in which they ran, where they were timed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepTime>,
}

/// How long a step of the dry run took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepTime {
    pub step: String,
    pub milliseconds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevisionTime {
    pub revision: String,
    pub milliseconds: u64,
}

/// Rows of a table before and after the upgrade; none where there was no such table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableRows {
    pub table: String,
    pub rows_before: Option<u64>,
    /// What the table and its indexes took of the disk before the upgrade; none where that was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_before: Option<u64>,
    pub rows_after: Option<u64>,
}

impl Subject {
    /// The digest of what the report is about: equal reports need no second upload.
    ///
    /// # Errors
    /// Never for a subject that passes [`Format::check`].
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        canonical_json(self).map(|bytes| Digest::of(&bytes))
    }

    fn check(&self) -> Result<(), FormatError> {
        let tools = [
            ("subject.tools.countersign", &self.tools.countersign),
            ("subject.tools.alembic", &self.tools.alembic),
            ("subject.tools.sqlalchemy", &self.tools.sqlalchemy),
            ("subject.tools.python", &self.tools.python),
        ];
        for (name, version) in tools {
            check_text(WHAT, name, version, 60)?;
        }
        check_revision(WHAT, "subject.from", &self.from)?;
        check_revision(WHAT, "subject.to", &self.to)?;
        if self.from == self.to {
            return Err(field(WHAT, "subject.to", "must differ from `subject.from`"));
        }
        self.upgrade.check("subject.upgrade")?;
        self.downgrade.check("subject.downgrade")?;
        check_text(WHAT, "subject.snapshot.origin", &self.snapshot.origin, 300)?;
        check_revision(WHAT, "subject.snapshot.revision", &self.snapshot.revision)?;
        check_count(WHAT, "subject.snapshot.bytes", self.snapshot.bytes)?;
        self.check_steps()?;
        self.check_losses()?;
        self.schema.check()?;
        self.checks.as_ref().map_or(Ok(()), Checks::check)
    }

    fn check_steps(&self) -> Result<(), FormatError> {
        check_len(WHAT, "subject.steps", &self.steps, 50)?;
        for (i, step) in self.steps.iter().enumerate() {
            let name = format!("subject.steps[{i}].name");
            let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if step.name.is_empty() || step.name.len() > 40 || !step.name.bytes().all(ok) {
                return Err(field(WHAT, name, "must be 1 to 40 lower-case letters, digits and hyphens"));
            }
            if self.steps[..i].iter().any(|before| before.name == step.name) {
                return Err(field(WHAT, name, "must not come twice"));
            }
            let why = format!("subject.steps[{i}].why");
            match &step.why {
                Some(text) => check_text(WHAT, &why, text, 1_000)?,
                None if step.status != StepStatus::Passed => {
                    return Err(field(WHAT, why, "must say why the step did not pass"));
                }
                None => {}
            }
        }
        let upgraded = self.steps.iter().any(|s| s.name == UPGRADE && s.status == StepStatus::Passed);
        let failed = self.steps.iter().any(|s| s.status == StepStatus::Failed);
        let refuse = |rule| Err(field(WHAT, "subject.outcome", rule));
        match self.outcome {
            Outcome::Passed if failed => refuse("can't be “passed”: a step failed"),
            Outcome::Passed if !upgraded => refuse("can't be “passed”: no step `upgrade` that passed"),
            Outcome::Passed if self.snapshot.revision != self.from => {
                refuse("can't be “passed”: the snapshot is not at the revision `subject.from`")
            }
            Outcome::Failed if !failed => refuse("can't be “failed”: no step failed"),
            Outcome::Passed | Outcome::Failed => Ok(()),
        }
    }

    fn check_losses(&self) -> Result<(), FormatError> {
        check_len(WHAT, "subject.destructive", &self.destructive, 5_000)?;
        for (i, loss) in self.destructive.iter().enumerate() {
            let name = |part: &str| format!("subject.destructive[{i}].{part}");
            check_text(WHAT, &name("table"), &loss.table, 200)?;
            if let Some(column) = &loss.column {
                check_text(WHAT, &name("column"), column, 200)?;
            }
            check_count(WHAT, &name("rows_lost"), loss.rows_lost)?;
            check_count(WHAT, &name("non_null_values_lost"), loss.non_null_values_lost)?;
            if loss.line == 0 {
                return Err(field(WHAT, name("line"), "must be counted from 1"));
            }
        }
        Ok(())
    }
}

impl Rendered {
    fn check(&self, name: &str) -> Result<(), FormatError> {
        let refuse = |part: &str, rule: &str| Err(field(WHAT, format!("{name}.{part}"), rule));
        if let Some(why) = &self.impossible {
            check_text(WHAT, &format!("{name}.impossible"), why, 500)?;
        }
        match self.sqlnorm1 {
            Some(SqlDigest::Raw(_)) => refuse("sqlnorm1", "must begin with `sqlnorm1:sha256:`"),
            Some(_) if !self.reproducible => refuse("sqlnorm1", "must be null where renders differ"),
            None if self.reproducible => refuse("sqlnorm1", "must be given where the render is reproducible"),
            _ if self.impossible.is_some() && (self.reproducible || self.captured_online) => {
                refuse("impossible", "must be null where there is SQL")
            }
            _ if self.captured_online && self.reproducible => {
                refuse("reproducible", "must be false for SQL that was captured online")
            }
            _ => Ok(()),
        }
    }
}

impl SchemaChanges {
    fn check(&self) -> Result<(), FormatError> {
        let lists = [
            ("tables_added", &self.tables_added),
            ("tables_dropped", &self.tables_dropped),
            ("columns_added", &self.columns_added),
            ("columns_dropped", &self.columns_dropped),
            ("columns_changed", &self.columns_changed),
            ("indexes_added", &self.indexes_added),
            ("indexes_dropped", &self.indexes_dropped),
            ("other", &self.other),
        ];
        for (name, list) in lists {
            let name = format!("subject.schema.{name}");
            check_len(WHAT, &name, list, 5_000)?;
            for (i, entry) in list.iter().enumerate() {
                check_text(WHAT, &format!("{name}[{i}]"), entry, 500)?;
            }
        }
        Ok(())
    }
}

impl Measurements {
    fn check(&self) -> Result<(), FormatError> {
        if self.finished_at < self.started_at {
            return Err(field(WHAT, "measurements.finished_at", "must not be before `started_at`"));
        }
        check_len(WHAT, "measurements.revisions", &self.revisions, 5_000)?;
        for (i, time) in self.revisions.iter().enumerate() {
            let name = format!("measurements.revisions[{i}]");
            check_revision(WHAT, &format!("{name}.revision"), &time.revision)?;
            check_count(WHAT, &format!("{name}.milliseconds"), time.milliseconds)?;
        }
        check_len(WHAT, "measurements.tables", &self.tables, 20_000)?;
        for (i, rows) in self.tables.iter().enumerate() {
            let name = format!("measurements.tables[{i}]");
            check_text(WHAT, &format!("{name}.table"), &rows.table, 200)?;
            check_count(WHAT, &format!("{name}.rows_before"), rows.rows_before.unwrap_or(0))?;
            check_count(WHAT, &format!("{name}.bytes_before"), rows.bytes_before.unwrap_or(0))?;
            check_count(WHAT, &format!("{name}.rows_after"), rows.rows_after.unwrap_or(0))?;
        }
        check_len(WHAT, "measurements.steps", &self.steps, 50)?;
        for (i, time) in self.steps.iter().enumerate() {
            check_text(WHAT, &format!("measurements.steps[{i}].step"), &time.step, 40)?;
            check_count(WHAT, &format!("measurements.steps[{i}].milliseconds"), time.milliseconds)?;
        }
        check_count(WHAT, "measurements.bytes_before", self.bytes_before)?;
        check_count(WHAT, "measurements.bytes_after", self.bytes_after)?;
        check_count(WHAT, "measurements.snapshot_age_seconds", self.snapshot_age_seconds)
    }
}

impl Format for DryRunReport {
    const WHAT: &'static str = WHAT;
    const FORMAT: &'static str = ReportFormat::TEXT;
    const LIMIT: usize = 4 * 1024 * 1024;

    fn check(&self) -> Result<(), FormatError> {
        self.subject.check()?;
        self.measurements.check()
    }
}
