//! Recorded evidence, re-dated: what a dry run of some of a project's revisions leaves behind.

use jiff::SignedDuration;

use super::sample::{Sample, TRADING};
use crate::alembic::backup::BackupManifest;
use crate::alembic::history::{MigrationHistory, Revision};
use crate::alembic::manifest::MigrationManifest;
use crate::alembic::report::{DryRunReport, SchemaChanges};
use crate::alembic::{formats, report};
use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;
use crate::domain::sql_digest::SqlDigest;
use crate::domain::time::Timestamp;
use crate::sql::normalise::sqlnorm1;

/// Where the trading backend's databases are before the sample's whole change.
pub const FROM: &str = "d48b1e9c5f62";
/// Where it leads.
pub const TO: &str = "0c7e5d1b94fa";

/// A passed smoke report, as it was recorded.
pub const SMOKE: &str = include_str!("data/smoke-report.xml");

/// A file as it would be uploaded.
#[derive(Clone, Debug)]
pub struct File {
    pub kind: ArtifactKind,
    pub name: String,
    pub bytes: Vec<u8>,
}

/// A whole set of evidence that fits together.
#[derive(Clone, Debug)]
pub struct Kit {
    sample: &'static Sample,
    pub from: String,
    pub to: String,
    pub upgrade: String,
    pub downgrade: String,
    pub taken_at: Timestamp,
    pub finished_at: Timestamp,
    pub environment: String,
}

/// The embedded data is not what it was when it was checked in.
#[derive(Debug, thiserror::Error)]
#[error("the embedded evidence can't be used: {0}")]
pub struct BadKit(String);

impl BadKit {
    fn because(why: impl std::fmt::Display) -> Self {
        Self(why.to_string())
    }
}

impl Kit {
    /// The trading backend's whole change, from a snapshot taken at one time and rehearsed at another.
    pub fn new(environment: &str, taken_at: Timestamp, finished_at: Timestamp) -> Self {
        Self {
            sample: &TRADING,
            from: FROM.to_owned(),
            to: TO.to_owned(),
            upgrade: TRADING.upgrade.to_owned(),
            downgrade: TRADING.downgrade.to_owned(),
            taken_at,
            finished_at,
            environment: environment.to_owned(),
        }
    }

    /// Some of a project's revisions: those after `from` up to `to`. Snapshot and rehearsal are yet to be dated.
    ///
    /// # Errors
    /// When the recorded SQL has no such part.
    pub fn of(sample: &'static Sample, from: &str, to: &str) -> Result<Self, BadKit> {
        Ok(Self {
            upgrade: part(sample.upgrade, from, to)?,
            downgrade: part(sample.downgrade, to, from)?,
            sample,
            from: from.to_owned(),
            to: to.to_owned(),
            taken_at: Timestamp::default(),
            finished_at: Timestamp::default(),
            environment: String::new(),
        })
    }

    /// The same change rehearsed for another environment, on a snapshot two hours older than `at`.
    #[must_use]
    pub fn rehearsed(&self, environment: &str, at: Timestamp) -> Self {
        Self {
            environment: environment.to_owned(),
            taken_at: at - SignedDuration::from_mins(137),
            finished_at: at - SignedDuration::from_mins(11),
            ..self.clone()
        }
    }

    /// The same with another upgrade, told from the first by a comment at its top.
    #[must_use]
    pub fn with_comment(mut self, comment: &str) -> Self {
        self.upgrade = format!("-- {comment}\n{}", self.upgrade);
        self
    }

    /// The same with something else in the upgrade.
    #[must_use]
    pub fn with_upgrade(mut self, before: &str, after: &str) -> Self {
        self.upgrade = self.upgrade.replace(before, after);
        self
    }

    /// The way back from a revision that is neither end: what a database that was left half-way needs.
    ///
    /// # Errors
    /// When the recorded SQL has no such part.
    pub fn downgrade_from(&self, actual: &str) -> Result<String, BadKit> {
        part(&self.downgrade, actual, &self.from)
    }

    /// The digest of the snapshot that this evidence speaks of: another one for each time and place.
    fn snapshot(&self) -> Digest {
        Digest::of(format!("{} {}", self.environment, self.taken_at).as_bytes())
    }

    fn origin(&self) -> String {
        format!("{}, nightly backup of {}", self.environment, self.taken_at)
    }

    /// The files, in the order in which evidence lists them.
    ///
    /// # Errors
    /// When the embedded data does not parse.
    pub fn files(&self) -> Result<Vec<File>, BadKit> {
        let json = |value: Result<Vec<u8>, serde_json::Error>| value.map_err(BadKit::because);
        let file = |kind, name: &str, bytes: Vec<u8>| File { kind, name: name.to_owned(), bytes };
        let mut history = self.history()?;
        history.from.clone_from(&self.from);
        history.to.clone_from(&self.to);
        let mut backup: BackupManifest =
            formats::read(self.sample.backup.as_bytes()).map_err(BadKit::because)?;
        backup.sha256 = self.snapshot();
        backup.taken_at = self.taken_at;
        backup.origin = self.origin();
        backup.note = None;
        Ok(vec![
            file(ArtifactKind::UpgradeSql, "upgrade.sql", self.upgrade.clone().into_bytes()),
            file(ArtifactKind::DowngradeSql, "downgrade.sql", self.downgrade.clone().into_bytes()),
            file(
                ArtifactKind::DryRunReport,
                "dry-run-report.json",
                json(serde_json::to_vec_pretty(&self.report()?))?,
            ),
            file(
                ArtifactKind::MigrationHistory,
                "migration-history.json",
                json(serde_json::to_vec_pretty(&history))?,
            ),
            file(ArtifactKind::MigrationManifest, "migration-manifest.json", self.manifest()?),
            file(
                ArtifactKind::BackupManifest,
                "backup-manifest.json",
                json(serde_json::to_vec_pretty(&backup))?,
            ),
        ])
    }

    fn history(&self) -> Result<MigrationHistory, BadKit> {
        formats::read(self.sample.history.as_bytes()).map_err(BadKit::because)
    }

    /// The revisions that the change goes through, oldest first.
    fn steps(&self) -> Result<Vec<Revision>, BadKit> {
        let all = self.history()?.revisions;
        let mut steps = Vec::new();
        let mut at = self.to.clone();
        while at != self.from {
            let revision = all.iter().find(|r| r.revision == at).ok_or_else(|| BadKit(at.clone()))?;
            steps.push(revision.clone());
            at = revision.down_revisions.first().ok_or_else(|| BadKit(self.from.clone()))?.clone();
        }
        steps.reverse();
        Ok(steps)
    }

    /// What Alembic prints while it upgrades, up to the revision that it comes to.
    ///
    /// # Errors
    /// When the embedded data does not parse.
    pub fn log(&self, until: &str) -> Result<String, BadKit> {
        const WHO: &str = "INFO  [alembic.runtime.migration]";
        let mut log = format!("{WHO} Context impl SQLiteImpl.\n{WHO} Will assume non-transactional DDL.\n");
        let mut before = self.from.clone();
        for step in self.steps()? {
            log = format!("{log}{WHO} Running upgrade {before} -> {}, {}\n", step.revision, step.doc);
            if step.revision == until {
                break;
            }
            before = step.revision;
        }
        Ok(log)
    }

    /// The scripts of this change and what runs them, in the one spelling that manifests have.
    fn manifest(&self) -> Result<Vec<u8>, BadKit> {
        let mut manifest: MigrationManifest =
            formats::read(self.sample.manifest.as_bytes()).map_err(BadKit::because)?;
        let steps = self.steps()?;
        let mine = |path: &str| {
            !path.contains("/versions/") || steps.iter().any(|s| path.contains(s.revision.as_str()))
        };
        manifest.files.retain(|file| mine(&file.path));
        manifest.from.clone_from(&self.from);
        manifest.to.clone_from(&self.to);
        manifest.to_bytes().map_err(BadKit::because)
    }

    fn report(&self) -> Result<DryRunReport, BadKit> {
        let mut report: DryRunReport =
            formats::read(self.sample.report.as_bytes()).map_err(BadKit::because)?;
        let steps = self.steps()?;
        let ran = report.measurements.finished_at - report.measurements.started_at;
        let subject = &mut report.subject;
        subject.from.clone_from(&self.from);
        subject.to.clone_from(&self.to);
        subject.upgrade.sha256 = Digest::of(self.upgrade.as_bytes());
        subject.upgrade.sqlnorm1 = Some(SqlDigest::Norm1(sqlnorm1(&self.upgrade)));
        subject.downgrade.sha256 = Digest::of(self.downgrade.as_bytes());
        subject.downgrade.sqlnorm1 = Some(SqlDigest::Norm1(sqlnorm1(&self.downgrade)));
        subject.snapshot.sha256 = self.snapshot();
        subject.snapshot.taken_at = self.taken_at;
        subject.snapshot.origin = self.origin();
        subject.snapshot.revision.clone_from(&self.from);
        subject.manifest_sha256 = Digest::of(&self.manifest()?);
        subject.destructive.retain_mut(|loss| {
            let line =
                line_of(self.sample.upgrade, loss.line).and_then(|text| number_of(&self.upgrade, text));
            loss.line = line.unwrap_or_default();
            line.is_some()
        });
        keep_mentioned(&mut subject.schema, &self.upgrade);
        self.compare(subject);
        let measured = &mut report.measurements;
        measured.revisions.retain(|time| steps.iter().any(|s| s.revision == time.revision));
        measured.started_at = self.finished_at - ran;
        measured.finished_at = self.finished_at;
        let age = measured.started_at.since(self.taken_at).as_secs();
        measured.snapshot_age_seconds = u64::try_from(age).unwrap_or(0);
        Ok(report)
    }

    /// Says of this part of the change what comparing the copy before and after showed.
    fn compare(&self, subject: &mut report::Subject) {
        let lost: Vec<&str> = self
            .sample
            .lost_for_good
            .iter()
            .filter(|(text, _)| self.upgrade.contains(text))
            .map(|(_, what)| *what)
            .collect();
        let moved = if self.upgrade.contains("DROP COLUMN") { " but for the order of columns" } else { "" };
        let mut why = format!("schema as before{moved}");
        if !lost.is_empty() {
            why = format!("{why}; {} do not come back", lost.join(" and "));
        }
        subject.downgrade_restores.data = lost.is_empty();
        for step in subject.steps.iter_mut().filter(|step| step.name == "compare") {
            step.why = Some(why.clone());
        }
    }

    /// What a run of the upgrade presents.
    pub fn upgrade_digest(&self) -> SqlDigest {
        SqlDigest::Norm1(sqlnorm1(&self.upgrade))
    }

    /// What a run of the downgrade presents.
    pub fn downgrade_digest(&self) -> SqlDigest {
        SqlDigest::Norm1(sqlnorm1(&self.downgrade))
    }

    /// What a restore presents.
    pub fn restore_digest(&self) -> SqlDigest {
        SqlDigest::Raw(self.snapshot())
    }

    /// A `JUnit` report of the project's smoke tests, with one that failed if one is named.
    pub fn smoke(&self, at: Timestamp, failed: Option<&str>) -> String {
        let cases: String = self
            .sample
            .smoke
            .iter()
            .map(|name| {
                let head = format!("<testcase classname=\"tests.test_smoke\" name=\"{name}\" time=\"0.012\"");
                if failed == Some(*name) {
                    format!("{head}><failure message=\"AssertionError\">assert 2 == 0</failure></testcase>")
                } else {
                    format!("{head} />")
                }
            })
            .collect();
        let (tests, failures) = (self.sample.smoke.len(), usize::from(failed.is_some()));
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><testsuites name=\"pytest tests\"><testsuite name=\"pytest\" \
             errors=\"0\" failures=\"{failures}\" skipped=\"0\" tests=\"{tests}\" time=\"0.061\" timestamp=\"{at}\" \
             hostname=\"ci\">{cases}</testsuite></testsuites>"
        )
    }
}

/// The sections of rendered SQL that lead from one revision to another.
fn part(sql: &str, from: &str, to: &str) -> Result<String, BadKit> {
    let starts: Vec<usize> = sql.match_indices("-- Running ").map(|(at, _)| at).collect();
    let sections = starts.iter().enumerate().filter_map(|(n, start)| {
        let end = starts.get(n + 1).copied().unwrap_or(sql.len());
        sql.get(*start..end)
    });
    let mut wanted = String::new();
    for section in sections {
        let head = section.lines().next().unwrap_or_default();
        if wanted.is_empty() && !head.contains(&format!(" {from} -> ")) {
            continue;
        }
        wanted.push_str(section);
        if head.ends_with(&format!("-> {to}")) {
            return Ok(wanted);
        }
    }
    Err(BadKit(format!("no SQL from {from} to {to}")))
}

fn line_of(text: &str, number: u32) -> Option<&str> {
    text.lines().nth(usize::try_from(number).ok()?.checked_sub(1)?)
}

fn number_of(text: &str, line: &str) -> Option<u32> {
    text.lines().zip(1..).find(|(found, _)| *found == line).map(|(_, number)| number)
}

/// Leaves those changes of the schema that this SQL speaks of.
fn keep_mentioned(schema: &mut SchemaChanges, sql: &str) {
    let spoken_of = |entry: &String| {
        let first = entry.split(' ').next().unwrap_or_default();
        sql.contains(first.rsplit('.').next().unwrap_or_default())
    };
    for list in [
        &mut schema.columns_added,
        &mut schema.columns_dropped,
        &mut schema.columns_changed,
        &mut schema.indexes_added,
        &mut schema.indexes_dropped,
        &mut schema.other,
    ] {
        list.retain(spoken_of);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{MARKET, REFERENCE};
    use super::*;

    fn report(kit: &Kit) -> DryRunReport {
        kit.report().unwrap()
    }

    #[test]
    fn a_whole_change_says_what_was_recorded() {
        for (sample, from, to) in [
            (&TRADING, FROM, TO),
            (&REFERENCE, "5b0e9d47c2a8", "20d7b96e4f3a"),
            (&MARKET, "ad51f08b37c6", "c95e2d07fa41"),
        ] {
            let kit = Kit::of(sample, from, to).unwrap();
            assert_eq!(kit.upgrade, sample.upgrade);
            assert_eq!(kit.downgrade, sample.downgrade);
            assert_eq!(kit.manifest().unwrap(), sample.manifest.as_bytes());
            let mut recorded: DryRunReport = formats::read(sample.report.as_bytes()).unwrap();
            let made = report(&kit);
            recorded.measurements = made.measurements.clone();
            recorded.subject.snapshot = made.subject.snapshot.clone();
            assert_eq!(made, recorded, "{from}");
        }
    }

    #[test]
    fn a_part_of_a_change_speaks_of_that_part_only() {
        let drop = report(&Kit::of(&TRADING, "e6c2b8a4f107", "f50d9e7b3a26").unwrap()).subject;
        assert_eq!(drop.schema.columns_dropped, ["trades.legacy_ref"]);
        assert!(drop.schema.columns_added.is_empty() && drop.schema.other.is_empty());
        let loss = &drop.destructive[0];
        assert_eq!((loss.line, loss.non_null_values_lost), (3, 2000));
        assert!(!drop.downgrade_restores.data);

        let add = Kit::of(&TRADING, FROM, "d9a7f3b06e58").unwrap();
        let subject = report(&add).subject;
        assert_eq!(subject.schema.columns_added, ["trades.notional"]);
        assert!(subject.destructive.is_empty() && subject.downgrade_restores.data);
        assert_eq!(String::from_utf8(add.manifest().unwrap()).unwrap().matches("/versions/").count(), 1);
        assert_eq!(add.log(TO).unwrap().lines().count(), 3);
        assert!(Kit::of(&TRADING, "d9a7f3b06e58", FROM).is_err());
    }

    #[test]
    fn every_kit_passes_the_checks_of_its_formats() {
        let at: Timestamp = "2025-11-18T12:00:00Z".parse().unwrap();
        let kit = Kit::of(&REFERENCE, "5b0e9d47c2a8", "c83fa1165e90").unwrap().rehearsed("production", at);
        let files = kit.files().unwrap();
        let bytes = |kind| &files.iter().find(|f| f.kind == kind).unwrap().bytes;
        formats::read::<DryRunReport>(bytes(ArtifactKind::DryRunReport)).unwrap();
        formats::read::<BackupManifest>(bytes(ArtifactKind::BackupManifest)).unwrap();
        crate::alembic::manifest::read(bytes(ArtifactKind::MigrationManifest)).unwrap();
        let history = crate::alembic::history::read(bytes(ArtifactKind::MigrationHistory)).unwrap();
        assert_eq!(history.ends, Some(("5b0e9d47c2a8".to_owned(), "c83fa1165e90".to_owned())));
        let passed = crate::alembic::junit::read(kit.smoke(at, None).as_bytes()).unwrap();
        assert_eq!((passed.tests, passed.failures), (2, 0));
        let failed = kit.smoke(at, Some("test_lookup_by_isin"));
        assert_eq!(crate::alembic::junit::read(failed.as_bytes()).unwrap().failures, 1);
    }
}
