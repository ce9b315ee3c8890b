//! What the dry run measured about the statement of a finding, in words.

use std::collections::HashMap;

use crate::alembic::report::{DryRunReport, Loss, Outcome, TableRows};
use crate::domain::artifact::{Artifact, ArtifactKind, Finding};
use crate::domain::facts::StageRecord;
use crate::domain::figures::{bytes, count, plural};
use crate::domain::id::FindingId;
use crate::domain::rule::{
    CASCADE, CONSTRAINT, DELETE, DROP_COLUMN, DROP_SCHEMA, DROP_TABLE, INDEX_LOCKS, NARROWING_TYPE, NOT_NULL,
    PRIMARY_KEY, REPLACES_ROWS, TABLE_REBUILD, TABLE_REWRITE, TRUNCATE, TYPE_CHANGE, UNIQUE, UPDATE,
    VOLATILE_DEFAULT,
};
use crate::sql::classify::Words;
use crate::sql::dialect::Dialect;
use crate::sql::offline_sql;

/// Facts of one finding.
const MOST: usize = 10;

/// Findings that take data: where the dry run lost nothing, that is a fact too.
const OF_DATA: &[&str] = &[
    DROP_TABLE.key,
    DROP_COLUMN.key,
    DROP_SCHEMA.key,
    TRUNCATE.key,
    DELETE.key,
    CASCADE.key,
    REPLACES_ROWS.key,
];

/// Findings whose weight is in the size of the table.
const OF_SIZE: &[&str] = &[
    UPDATE.key,
    NARROWING_TYPE.key,
    TYPE_CHANGE.key,
    TABLE_REBUILD.key,
    TABLE_REWRITE.key,
    VOLATILE_DEFAULT.key,
    NOT_NULL.key,
    UNIQUE.key,
    CONSTRAINT.key,
    PRIMARY_KEY.key,
    INDEX_LOCKS.key,
];

/// Findings of statements that write a whole table anew.
const OF_REWRITE: &[&str] = &[TABLE_REBUILD.key, TABLE_REWRITE.key, VOLATILE_DEFAULT.key];

/// Facts by finding.
pub(super) type Facts = HashMap<FindingId, Vec<String>>;

/// The facts that a report tells of the findings of a stage. A report about other SQL than the one that stands tells none.
pub(super) fn of(report: &DryRunReport, record: &StageRecord, upgrade: &str) -> Facts {
    let Some(file) = record.newest(ArtifactKind::UpgradeSql) else { return Facts::new() };
    if !about(report, file) {
        return Facts::new();
    }
    let measured = Measured::new(report, upgrade);
    let own = record.findings.iter().filter(|finding| finding.artifact == file.id);
    own.map(|finding| (finding.id, measured.facts(finding))).filter(|(_, facts)| !facts.is_empty()).collect()
}

/// Whether the report rehearsed this file.
fn about(report: &DryRunReport, file: &Artifact) -> bool {
    report.subject.upgrade.impossible.is_none() && report.subject.upgrade.sha256 == file.sha256
}

/// A report, ready to be asked about lines.
struct Measured<'a> {
    report: &'a DryRunReport,
    dialect: Dialect,
    tables: HashMap<&'a str, &'a TableRows>,
    times: HashMap<&'a str, u64>,
    /// First line of each revision and its name, in order.
    revisions: Vec<(i64, String)>,
}

impl<'a> Measured<'a> {
    fn new(report: &'a DryRunReport, upgrade: &str) -> Self {
        let dialect = report.subject.dialect;
        let steps = offline_sql::read(upgrade, dialect).steps;
        Self {
            report,
            dialect,
            tables: report.measurements.tables.iter().map(|rows| (rows.table.as_str(), rows)).collect(),
            times: report
                .measurements
                .revisions
                .iter()
                .map(|r| (r.revision.as_str(), r.milliseconds))
                .collect(),
            revisions: steps
                .into_iter()
                .filter_map(|mut step| Some((i64::from(step.line), step.to.pop()?)))
                .collect(),
        }
    }

    fn facts(&self, finding: &Finding) -> Vec<String> {
        let rule = finding.rule.as_str();
        let (data, size) = (OF_DATA.contains(&rule), OF_SIZE.contains(&rule));
        if !data && !size {
            return Vec::new();
        }
        let mut facts: Vec<String> = self.losses(finding).into_iter().take(MOST).map(lost).collect();
        let rehearsed = self.report.subject.outcome == Outcome::Passed;
        if data && facts.is_empty() && rehearsed && rule != CASCADE.key {
            facts.push("lost no row and no value in the dry run".to_owned());
        }
        if size {
            facts.extend(self.table(finding).into_iter().flat_map(|table| of_table(table, rule)));
            facts.extend(self.time(finding));
        }
        facts
    }

    /// What was lost at the lines of a finding; of several columns in one statement, those that the finding names.
    fn losses(&self, finding: &Finding) -> Vec<&'a Loss> {
        let lines = finding.line..=finding.last_line;
        let here: Vec<&Loss> = self
            .report
            .subject
            .destructive
            .iter()
            .filter(|loss| lines.contains(&i64::from(loss.line)))
            .collect();
        let named = |loss: &&Loss| {
            let column = loss.column.as_deref().map_or_else(String::new, |column| format!(".{column}"));
            let name = format!("{}{column}", loss.table);
            finding.why.match_indices(&name).any(|(at, _)| {
                let next = finding.why.get(at + name.len()..).and_then(|rest| rest.chars().next());
                next.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            })
        };
        let own: Vec<&Loss> = here.iter().copied().filter(named).collect();
        if own.is_empty() { here } else { own }
    }

    /// The table of a finding's statement.
    fn table(&self, finding: &Finding) -> Option<&'a TableRows> {
        let table = Words::of(&finding.statement, self.dialect).table()?;
        self.tables.get(table.strip_prefix("_alembic_tmp_").unwrap_or(&table)).copied()
    }

    fn time(&self, finding: &Finding) -> Option<String> {
        let (_, revision) = self.revisions.iter().rev().find(|(line, _)| *line <= finding.line)?;
        let time = self.times.get(revision.as_str())?;
        Some(format!("revision {revision} took {}", duration(*time)))
    }
}

/// `trades has 3,000 rows in 240 KB`, or `trades has 3,000 rows` and `rewrites 240 KB`.
fn of_table(table: &TableRows, rule: &str) -> Vec<String> {
    let (Some(before), name) = (table.rows_before, &table.table) else { return Vec::new() };
    let rows = plural(before, "row", "rows");
    let size = table.bytes_before.filter(|size| *size > 0).map(bytes);
    let rewrites = OF_REWRITE.contains(&rule);
    let within = size.as_ref().filter(|_| !rewrites).map_or_else(String::new, |size| format!(" in {size}"));
    let mut facts = vec![match table.rows_after {
        Some(after) if after != before => {
            format!("{name} had {rows}{within} before and {} after", count(after))
        }
        _ => format!("{name} has {rows}{within}"),
    }];
    facts.extend(size.filter(|_| rewrites).map(|size| format!("rewrites {size}")));
    facts
}

fn lost(loss: &Loss) -> String {
    let table = &loss.table;
    match &loss.column {
        Some(column) if loss.non_null_values_lost == 0 => format!("{table}.{column} was empty in every row"),
        Some(column) => {
            let values = if loss.non_null_values_lost == 1 { "value" } else { "values" };
            format!("drops {} non-null {values} of {table}.{column}", count(loss.non_null_values_lost))
        }
        None if loss.rows_lost == 0 => format!("{table} was empty"),
        None => format!("loses {} of {table}", plural(loss.rows_lost, "row", "rows")),
    }
}

/// `36 ms`, `1.8 s`, `12 min`
fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..120_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        _ => format!("{} min", milliseconds / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alembic::formats;
    use crate::sql::findings;

    const SQL: &str = include_str!("../demo/data/upgrade.sql");

    fn report() -> DryRunReport {
        formats::read(include_bytes!("../demo/data/dry-run-report.json")).unwrap()
    }

    fn stored(sql: &str) -> Vec<Finding> {
        let found = findings::find(sql, None).into_iter();
        found
            .map(|f| Finding {
                id: FindingId(uuid::Uuid::nil()),
                artifact: crate::domain::id::ArtifactId(uuid::Uuid::nil()),
                rule: f.rule.to_owned(),
                severity: f.severity,
                line: f.line.into(),
                last_line: f.last_line.into(),
                statement: f.statement,
                why: f.why,
                advice: f.advice.to_owned(),
                accepted: None,
            })
            .collect()
    }

    #[test]
    fn each_finding_of_the_sample_carries_what_was_measured() {
        let report = report();
        let measured = Measured::new(&report, SQL);
        let facts: Vec<_> =
            stored(SQL).iter().map(|f| (f.rule.clone(), measured.facts(f).join("; "))).collect();
        let expected = [
            ("table-rebuild", "risk_limits has 75 rows; rewrites 4 KB; revision e6c2b8a4f107 took 29 ms"),
            ("narrowing-type", "risk_limits has 75 rows in 4 KB; revision e6c2b8a4f107 took 29 ms"),
            ("drop-column", "drops 2,000 non-null values of trades.legacy_ref"),
        ];
        let facts: Vec<_> = facts.iter().map(|(rule, facts)| (rule.as_str(), facts.as_str())).collect();
        assert_eq!(facts, expected);
    }

    #[test]
    fn columns_of_one_statement_keep_their_own_losses() {
        let mut report = report();
        let sql = "ALTER TABLE t DROP COLUMN a, DROP COLUMN ab;\nDELETE FROM u;\nDROP TABLE v;";
        let loss = |line, table: &str, column: Option<&str>, rows, values| Loss {
            line,
            table: table.to_owned(),
            column: column.map(str::to_owned),
            rows_lost: rows,
            non_null_values_lost: values,
        };
        report.subject.destructive = vec![
            loss(1, "t", Some("a"), 0, 1),
            loss(1, "t", Some("ab"), 0, 1_234_567),
            loss(2, "u", None, 1, 0),
        ];
        let measured = Measured::new(&report, sql);
        let facts: Vec<_> = stored(sql).iter().map(|f| measured.facts(f).join("; ")).collect();
        assert_eq!(
            facts,
            [
                "drops 1 non-null value of t.a",
                "drops 1,234,567 non-null values of t.ab",
                "loses 1 row of u",
                "lost no row and no value in the dry run",
            ]
        );
    }

    #[test]
    fn times_are_short() {
        assert_eq!([36, 1_800, 119_999, 720_000].map(duration), ["36 ms", "1.8 s", "119.9 s", "12 min"]);
    }
}
