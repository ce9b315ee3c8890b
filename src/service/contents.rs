//! What pages show out of the files of a stage, beyond the facts that the gates look at.

use super::artifacts::off_thread;
use super::{ServiceError, Services, measured};
use crate::alembic::formats;
use crate::alembic::junit;
use crate::alembic::report::DryRunReport;
use crate::domain::artifact::{Artifact, ArtifactKind};
use crate::domain::facts::StageRecord;
use crate::domain::id::FindingId;
use crate::sql::excerpt::excerpt;

/// Data that a statement took with it in the rehearsal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostData {
    /// Line of the upgrade SQL, counted from 1.
    pub line: u32,
    /// That line.
    pub statement: String,
    pub table: String,
    pub column: Option<String>,
    pub rows: u64,
    /// Values that were not NULL.
    pub values: u64,
}

/// What the newest dry-run report tells beyond pass or fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// Whether it rehearsed the upgrade SQL that stands. Of other SQL the report tells nothing here.
    pub of_this_sql: bool,
    pub losses: Vec<LostData>,
    /// How long the revisions of the upgrade took together, in milliseconds.
    pub upgrade_ms: u64,
    /// By finding of the upgrade SQL: "drops 3,412 non-null values of `trades.legacy_ref`", "trades has 3,000 rows".
    pub facts: std::collections::HashMap<FindingId, Vec<String>>,
    /// What changed in the schema: "1 table added (`risk_limits`)", one line each.
    pub schema: Vec<(String, Vec<String>)>,
}

impl Rehearsal {
    /// What was measured about the statement of a finding; nothing for most.
    #[must_use]
    pub fn facts_of(&self, finding: FindingId) -> &[String] {
        self.facts.get(&finding).map_or(&[], Vec::as_slice)
    }
}

impl Services {
    /// The newest dry-run report of a stage; none where there is none that can be read.
    pub async fn rehearsal(&self, record: &StageRecord) -> Result<Option<Rehearsal>, ServiceError> {
        let Some(report) = record.newest(ArtifactKind::DryRunReport) else { return Ok(None) };
        if record.report_of_upgrade().is_none() {
            return Ok(record.report().map(|_| Rehearsal::default()));
        }
        let report = self.bytes_of(report.sha256).await?;
        let sql = match record.newest(ArtifactKind::UpgradeSql) {
            Some(sql) => self.bytes_of(sql.sha256).await?,
            None => bytes::Bytes::new(),
        };
        let record = record.clone();
        off_thread(move || {
            let report = formats::read::<DryRunReport>(&report).ok()?;
            let sql = String::from_utf8_lossy(&sql);
            let facts = measured::of(&report, &record, &sql);
            Some(Rehearsal { facts, ..told(&report, &sql) })
        })
        .await
    }

    /// The names of the tests that a smoke report says failed, the first of them.
    pub async fn failed_tests(&self, report: &Artifact) -> Result<Vec<String>, ServiceError> {
        let bytes = self.bytes_of(report.sha256).await?;
        off_thread(move || junit::read(&bytes).map(|report| report.failed).unwrap_or_default()).await
    }
}

fn told(report: &DryRunReport, sql: &str) -> Rehearsal {
    let losses: Vec<LostData> = report
        .subject
        .destructive
        .iter()
        .map(|loss| LostData {
            line: loss.line,
            statement: usize::try_from(loss.line.saturating_sub(1))
                .ok()
                .and_then(|at| sql.split('\n').nth(at))
                .map(excerpt)
                .unwrap_or_default(),
            table: loss.table.clone(),
            column: loss.column.clone(),
            rows: loss.rows_lost,
            values: loss.non_null_values_lost,
        })
        .collect();
    let schema = &report.subject.schema;
    let lists = [
        ("Tables added", &schema.tables_added),
        ("Tables dropped", &schema.tables_dropped),
        ("Columns added", &schema.columns_added),
        ("Columns dropped", &schema.columns_dropped),
        ("Columns changed", &schema.columns_changed),
        ("Indexes added", &schema.indexes_added),
        ("Indexes dropped", &schema.indexes_dropped),
        ("Also", &schema.other),
    ];
    Rehearsal {
        of_this_sql: true,
        losses,
        facts: std::collections::HashMap::new(),
        upgrade_ms: report.measurements.revisions.iter().map(|r| r.milliseconds).sum(),
        schema: lists
            .into_iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(name, list)| (name.to_owned(), list.clone()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_what_is_lost_with_the_statement() {
        let report = include_bytes!("../demo/data/dry-run-report.json");
        let sql = include_str!("../demo/data/upgrade.sql");
        let report = formats::read::<DryRunReport>(report).unwrap();
        let told = told(&report, sql);
        assert_eq!(told.losses.len(), report.subject.destructive.len());
        assert!(!told.losses.is_empty() && told.losses.iter().all(|loss| !loss.statement.is_empty()));
        assert!(!told.schema.is_empty());
    }
}
