//! What is read out of a file when it arrives: facts for the gates, findings for the reviewers. Pure; runs off the
//! async threads.

use crate::alembic::formats::{self, FormatError};
use crate::alembic::{backup::BackupManifest, history, junit, manifest, not_possible, report};
use crate::domain::artifact::{
    ArtifactFacts, ArtifactKind, BackupFacts, HistoryFacts, ManifestFacts, ReportFacts, Severity, SmokeFacts,
    SqlFacts,
};
use crate::domain::rule::{
    CAPTURED_ONLINE, DOWNGRADE_DOES_NOT_RESTORE, NOT_POSSIBLE, NOT_REPRODUCIBLE, Rule,
};
use crate::domain::sql_digest::SqlDigest;
use crate::sql::dialect::Dialect;
use crate::sql::offline_sql;
use crate::sql::undo::{self, Side};
use crate::sql::{findings, normalise};

/// A finding before it has an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub rule: &'static str,
    pub severity: Severity,
    pub line: i64,
    pub last_line: i64,
    pub statement: String,
    pub why: String,
    pub advice: &'static str,
}

impl Found {
    /// About the file as a whole.
    fn of_file(rule: &'static Rule, why: String) -> Self {
        Self {
            rule: rule.key,
            severity: rule.severity,
            line: 1,
            last_line: 1,
            statement: String::new(),
            why,
            advice: rule.advice,
        }
    }
}

/// Facts and findings of a file.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub facts: ArtifactFacts,
    pub findings: Vec<Found>,
}

impl From<ArtifactFacts> for Reading {
    fn from(facts: ArtifactFacts) -> Self {
        Self { facts, findings: Vec::new() }
    }
}

/// Reads a file of a kind, for a ticket that goes from one revision to another. SQL is compared with `other`, that of the
/// other direction, if there is any.
///
/// # Errors
/// One sentence, when the file is not of its kind. A file of a version that this release can't read is kept and blocks.
pub(crate) fn read(
    kind: ArtifactKind,
    bytes: &[u8],
    (from, to): (&str, &str),
    other: Option<&[u8]>,
) -> Result<Reading, String> {
    match kind {
        ArtifactKind::UpgradeSql | ArtifactKind::DowngradeSql => sql(kind, bytes, other),
        ArtifactKind::DryRunReport => kept(formats::read::<report::DryRunReport>(bytes), |r| dry_run(&r)),
        ArtifactKind::MigrationHistory => {
            kept(history::read(bytes), |h| Ok(ArtifactFacts::History(history_facts(&h, from, to)).into()))
        }
        ArtifactKind::MigrationManifest => kept(manifest::read(bytes), |m| {
            Ok(ArtifactFacts::Manifest(ManifestFacts { files: count(m.files.len()), from: m.from, to: m.to })
                .into())
        }),
        ArtifactKind::BackupManifest => kept(formats::read::<BackupManifest>(bytes), |b| {
            Ok(ArtifactFacts::Backup(BackupFacts {
                sha256: b.sha256,
                bytes: b.bytes,
                taken_at: b.taken_at,
                origin: b.origin,
            })
            .into())
        }),
        ArtifactKind::SmokeReport => kept(junit::read(bytes), |s| {
            Ok(ArtifactFacts::Smoke(SmokeFacts {
                tests: narrow(s.tests),
                failed: narrow(s.failures.saturating_add(s.errors)),
                skipped: narrow(s.skipped),
            })
            .into())
        }),
        ArtifactKind::MonitoringSnapshot | ArtifactKind::RunLog | ArtifactKind::Other => {
            Ok(ArtifactFacts::Opaque.into())
        }
    }
}

fn kept<T>(
    read: Result<T, FormatError>,
    facts: impl FnOnce(T) -> Result<Reading, String>,
) -> Result<Reading, String> {
    match read {
        Ok(value) => facts(value),
        Err(error @ FormatError::OtherVersion { .. }) => {
            Ok(ArtifactFacts::Unreadable { problem: sentence(&error) }.into())
        }
        Err(error) => Err(sentence(&error)),
    }
}

fn sentence(error: &FormatError) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn narrow(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn sql(kind: ArtifactKind, bytes: &[u8], other: Option<&[u8]>) -> Result<Reading, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| format!("The file is not UTF-8 text: byte {} can't be read.", e.valid_up_to() + 1))?;
    if let Some(at) = bytes.iter().position(|b| *b == 0) {
        return Err(format!("The file holds a NUL byte at {}: it is not SQL text.", at + 1));
    }
    if text.trim().is_empty() {
        return Err("The file is empty: there is no SQL to review.".to_owned());
    }
    let lines = count(text.lines().count());
    if let Some(reason) = not_possible::reason(bytes) {
        let why = format!("{} is declared not possible: {reason}", kind.label());
        let finding = Found { statement: reason.to_owned(), ..Found::of_file(&NOT_POSSIBLE, why) };
        let facts = SqlFacts { lines, not_possible: Some(reason.to_owned()), ..SqlFacts::default() };
        return Ok(Reading { facts: ArtifactFacts::Sql(facts), findings: vec![finding] });
    }
    let script = offline_sql::read(text, Dialect::likely(text));
    let from = script.moves.first().and_then(|m| m.from.clone());
    let to = script.moves.last().and_then(|m| m.to.clone());
    let problem = match (&from, &to) {
        (Some(from), Some(to)) => script.chain(from, to).err(),
        _ => None,
    };
    let mut found = findings::find(text, None);
    let other = other.filter(|other| not_possible::reason(other).is_none());
    if let Some(other) = other.and_then(|other| std::str::from_utf8(other).ok()) {
        found = match kind {
            ArtifactKind::UpgradeSql => undo::compare(text, other, Side::Upgrade, found),
            _ => undo::compare(other, text, Side::Downgrade, found),
        };
    }
    let findings = found
        .into_iter()
        .map(|f| Found {
            rule: f.rule,
            severity: f.severity,
            line: f.line.into(),
            last_line: f.last_line.into(),
            statement: f.statement,
            why: f.why,
            advice: f.advice,
        })
        .collect();
    let facts = SqlFacts {
        sqlnorm1: Some(normalise::sqlnorm1(text)),
        statements: narrow(script.statements + script.moves.len() as u64),
        lines,
        from,
        to,
        problem,
        not_possible: None,
    };
    Ok(Reading { facts: ArtifactFacts::Sql(facts), findings })
}

fn history_facts(history: &history::History, from: &str, to: &str) -> HistoryFacts {
    let read = history.facts(from, to);
    let (revisions, problem) = match read.linear_between {
        Ok(line) => (count(line.len()), None),
        Err(problem) => (0, Some(problem)),
    };
    HistoryFacts { heads: read.heads, from: from.to_owned(), to: to.to_owned(), revisions, problem }
}

fn dry_run(file: &report::DryRunReport) -> Result<Reading, String> {
    let subject = &file.subject;
    let problem = subject
        .steps
        .iter()
        .find(|s| s.status == report::StepStatus::Failed)
        .map(|s| format!("step {} failed: {}", s.name, s.why.as_deref().unwrap_or("no reason given")));
    let digest = subject.digest().map_err(|e| e.to_string())?;
    let digest_of = |r: &report::Rendered| r.impossible.is_none().then_some(r.sha256);
    let mut findings = Vec::new();
    let mut find = |rule, why: String| findings.push(Found::of_file(rule, why));
    if subject.upgrade.captured_online {
        let step = subject.steps.iter().find(|s| s.name == report::RENDER_UPGRADE);
        let because = step.and_then(|step| step.why.as_deref()).unwrap_or("no reason given");
        find(
            &CAPTURED_ONLINE,
            format!(
                "The upgrade SQL was captured from an online run: what runs can't be compared with it beforehand. The report \
                 says why: {because}"
            ),
        );
    }
    if !subject.upgrade.reproducible && !subject.upgrade.captured_online {
        find(
            &NOT_REPRODUCIBLE,
            "Two renders of the upgrade differ, so the approved file itself has to be run.".to_owned(),
        );
    }
    let restores = subject.downgrade_restores;
    if !restores.schema || !restores.data {
        let what = match (restores.schema, restores.data) {
            (false, false) => "neither the schema nor the data",
            (false, true) => "the data but not the schema",
            _ => "the schema but not the data",
        };
        find(&DOWNGRADE_DOES_NOT_RESTORE, format!("In the dry run the downgrade brought back {what}."));
    }
    let rows_lost = subject.destructive.iter().map(|l| l.rows_lost).fold(0, u64::saturating_add);
    let values_lost = subject.destructive.iter().map(|l| l.non_null_values_lost).fold(0, u64::saturating_add);
    let facts = ReportFacts {
        passed: subject.outcome == report::Outcome::Passed,
        problem,
        from: subject.from.clone(),
        to: subject.to.clone(),
        upgrade_sha256: digest_of(&subject.upgrade),
        downgrade_sha256: digest_of(&subject.downgrade),
        snapshot_sha256: subject.snapshot.sha256,
        snapshot_revision: Some(subject.snapshot.revision.clone()),
        snapshot_taken_at: subject.snapshot.taken_at,
        manifest_sha256: Some(subject.manifest_sha256),
        finished_at: file.measurements.finished_at,
        reproducible: subject.upgrade.reproducible,
        captured_online: subject.upgrade.captured_online,
        restores_schema: Some(restores.schema),
        restores_data: Some(restores.data),
        rows_lost,
        values_lost,
        subject_sha256: digest,
    };
    Ok(Reading { facts: ArtifactFacts::Report(facts), findings })
}

/// The digest that a file of SQL is told by: of its normal form, else of its bytes.
pub(crate) fn sql_digest(facts: &ArtifactFacts, raw: crate::domain::digest::Digest) -> Option<SqlDigest> {
    match facts {
        ArtifactFacts::Sql(sql) => Some(sql.sqlnorm1.map_or(SqlDigest::Raw(raw), SqlDigest::Norm1)),
        _ => None,
    }
}
