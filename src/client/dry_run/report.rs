//! From what happened to the report.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Options;
use super::steps::{Made, chain_fault};
use crate::alembic::formats::Version1;
use crate::alembic::formats::plain_line;
use crate::alembic::report::{
    Checks, DryRunReport, Integrity, Loss, Measurements, Outcome, RENDER_UPGRADE, Rendered, ReportFormat,
    Restores, RevisionTime, SchemaChanges, Snapshot, Step, StepStatus, StepTime, Subject, TableRows, UPGRADE,
    Warning,
};
use crate::client::project::{ProjectError, Render};
use crate::client::rehearsal::Rehearsal;
use crate::client::rehearsal::state::counted;
use crate::domain::digest::Digest;
use crate::domain::time::Timestamp;

/// One direction's file and what the report says of it.
pub(super) struct Script {
    pub bytes: Vec<u8>,
    pub rendered: Rendered,
}

/// The files of both directions: rendered, captured or declared.
pub(super) fn scripts(made: &Made) -> (Script, Script) {
    let up = match &made.upgrade {
        Ok(render) => of_render(render),
        Err(why) => captured(made).unwrap_or_else(|| impossible(&format!("{}: {}", why.code, why.message))),
    };
    let down = match (&made.downgrade, &made.rehearsal.no_way_back) {
        (_, Some(why)) => impossible(why),
        (Ok(render), None) => of_render(render),
        (Err(why), None) => impossible(&format!("{}: {}", why.code, why.message)),
    };
    (up, down)
}

fn of_render(render: &Render) -> Script {
    let rendered = Rendered {
        sha256: Digest::of(&render.bytes),
        sqlnorm1: render.sqlnorm1,
        reproducible: render.reproducible,
        captured_online: false,
        impossible: None,
    };
    Script { bytes: render.bytes.clone(), rendered }
}

/// What was executed on the copy, as a file for people to read.
fn captured(made: &Made) -> Option<Script> {
    let sql = captured_sql(&made.rehearsal, &made.from, &made.line)?;
    let bytes = sql.into_bytes();
    let rendered = Rendered {
        sha256: Digest::of(&bytes),
        sqlnorm1: None,
        reproducible: false,
        captured_online: true,
        impossible: None,
    };
    Some(Script { bytes, rendered })
}

/// The executed statements in the form of an offline render, so that they can be read, compared and run; none if the
/// upgrade did not come to its end.
pub(super) fn captured_sql(rehearsal: &Rehearsal, from: &str, line: &[String]) -> Option<String> {
    let up = &rehearsal.up;
    let upgraded = rehearsal.steps.iter().any(|s| s.name == UPGRADE && s.status == StepStatus::Passed);
    if up.statements.is_empty() || !upgraded {
        return None;
    }
    let mut sql = String::new();
    let mut before = from;
    for revision in line {
        let _ = write!(sql, "-- Running upgrade {before} -> {revision}\n\n");
        for statement in up.statements.iter().filter(|s| s.revision.as_ref() == Some(revision)) {
            for text in &statement.sql {
                let _ = write!(sql, "{};\n\n", text.trim().trim_end_matches(';'));
            }
        }
        before = revision;
    }
    Some(sql)
}

fn impossible(why: &str) -> Script {
    let mut why = plain_line(why, 480);
    if why.chars().count() < 10 {
        why = format!("no reason was given: {why}");
    }
    let bytes = format!("-- not possible: {why}\n").into_bytes();
    let rendered = Rendered {
        sha256: Digest::of(&bytes),
        sqlnorm1: None,
        reproducible: false,
        captured_online: false,
        impossible: Some(why),
    };
    Script { bytes, rendered }
}

pub(super) fn report(
    options: &Options,
    made: &Made,
    (up, down): (&Script, &Script),
    manifest_sha256: Digest,
) -> DryRunReport {
    let sql = String::from_utf8_lossy(&up.bytes).into_owned();
    let (up, down) = (up.rendered.clone(), down.rendered.clone());
    let mut steps = vec![passed("copy-snapshot"), passed("history")];
    steps.push(render_step(made, RENDER_UPGRADE, &made.upgrade, &up));
    steps.push(render_step(made, "render-downgrade", &made.downgrade, &down));
    if let Some(why) = chain_fault(made) {
        steps.push(failed("chain", &format!("E37: {why}")));
    }
    steps.extend(made.rehearsal.steps.iter().cloned());
    let outcome =
        if steps.iter().any(|s| s.status == StepStatus::Failed) { Outcome::Failed } else { Outcome::Passed };
    let taken_at = taken_at(options, made);
    let subject = Subject {
        tools: made.project.tools().clone(),
        dialect: made.dialect,
        from: made.from.clone(),
        to: made.to.clone(),
        upgrade: up.clone(),
        downgrade: down,
        snapshot: Snapshot {
            sha256: made.snapshot_sha256,
            bytes: made.snapshot_bytes,
            origin: origin(options),
            taken_at,
            revision: made.from.clone(),
        },
        manifest_sha256,
        steps,
        outcome,
        destructive: losses(made, &sql, &up),
        schema: schema(&made.rehearsal),
        downgrade_restores: made.rehearsal.restores.unwrap_or(Restores { schema: false, data: false }),
        checks: Some(checks(made)),
    };
    DryRunReport {
        format: ReportFormat::default(),
        version: Version1,
        subject,
        measurements: measurements(made, taken_at),
    }
}

fn passed(name: &str) -> Step {
    Step { name: name.to_owned(), status: StepStatus::Passed, why: None }
}

fn failed(name: &str, why: &str) -> Step {
    Step { name: name.to_owned(), status: StepStatus::Failed, why: Some(plain_line(why, 1_000)) }
}

fn render_step(made: &Made, name: &str, render: &Result<Render, ProjectError>, rendered: &Rendered) -> Step {
    let said = |e: &ProjectError| plain_line(&format!("{}: {} {}", e.code, e.message, e.advice), 1_000);
    let (status, why) = match render {
        Ok(_) => match &rendered.impossible {
            // It renders, and the rehearsal shows that it can't be.
            Some(why) => (StepStatus::NotPossible, Some(why.clone())),
            None => (StepStatus::Passed, None),
        },
        Err(error) if matches!(error.code, "E30" | "E31" | "E32" | "E50") => {
            (StepStatus::NotPossible, Some(said(error)))
        }
        // The same code upgraded the copy, so it is only the offline way that does not work.
        Err(error) if !made.rehearsal.failed() && error.code == "E02" => {
            (StepStatus::NotPossible, Some(said(error)))
        }
        Err(error) => (StepStatus::Failed, Some(said(error))),
    };
    Step { name: name.to_owned(), status, why }
}

fn origin(options: &Options) -> String {
    let name = || options.snapshot.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = plain_line(&options.origin.clone().unwrap_or_else(name), 300);
    if text.is_empty() { "snapshot".to_owned() } else { text }
}

pub(super) fn taken_at(options: &Options, made: &Made) -> Timestamp {
    let modified =
        || made.modified.and_then(|time| jiff::Timestamp::try_from(time).ok()).map(Timestamp::from);
    options.taken_at.or_else(modified).unwrap_or(made.started_at)
}

/// What was lost, by the line of the file that reviewers read.
fn losses(made: &Made, sql: &str, up: &Rendered) -> Vec<Loss> {
    let captured = up.captured_online.then(|| made.matched_with(sql));
    let matched = captured.as_ref().unwrap_or(&made.matched);
    let mut found: Vec<Loss> = Vec::new();
    for lost in &made.rehearsal.up.losses {
        let revision = lost.revision.as_deref();
        // A statement may name its table with or without the schema.
        let name = lost.table.rsplit('.').next().unwrap_or(&lost.table);
        let line = matched.line(lost.statement, revision, name, lost.column.as_deref());
        let (table, column) =
            (plain_line(&lost.table, 200), lost.column.as_ref().map(|c| plain_line(c, 200)));
        let (rows, values) = (lost.rows.unwrap_or(0), lost.values.unwrap_or(0));
        let same = |l: &&mut Loss| l.line == line && l.table == table && l.column == column;
        match found.iter_mut().find(same) {
            Some(loss) => {
                loss.rows_lost = loss.rows_lost.saturating_add(rows);
                loss.non_null_values_lost = loss.non_null_values_lost.saturating_add(values);
            }
            None => found.push(Loss { line, table, column, rows_lost: rows, non_null_values_lost: values }),
        }
    }
    found.sort_by(|a, b| (a.line, &a.table, &a.column).cmp(&(b.line, &b.table, &b.column)));
    found.truncate(5_000);
    found
}

fn schema(rehearsal: &Rehearsal) -> SchemaChanges {
    rehearsal.changes.clone().unwrap_or_default()
}

fn checks(made: &Made) -> Checks {
    let mut warnings: Vec<Warning> = made.project.warnings().to_vec();
    for render in [&made.upgrade, &made.downgrade].into_iter().flatten() {
        warnings.extend(render.warnings.iter().cloned());
    }
    warnings.extend(made.rehearsal.warnings.iter().cloned());
    let uncounted: Vec<_> =
        made.rehearsal.up.losses.iter().filter(|l| l.rows.is_none() || l.values.is_none()).collect();
    if !uncounted.is_empty() {
        let statements: BTreeSet<u64> = uncounted.iter().map(|l| l.statement).collect();
        let tables: BTreeSet<&str> = uncounted.iter().map(|l| l.table.as_str()).collect();
        let named: Vec<_> = tables.iter().copied().take(10).collect();
        let text = format!(
            "losses of {} could not be counted to the end and may be more than is said: {}{}",
            counted(u64::try_from(statements.len()).unwrap_or(u64::MAX), "destructive statement"),
            named.join(", "),
            if tables.len() > named.len() { " and others" } else { "" }
        );
        warnings.push(Warning::new("E44", text));
    }
    warnings.sort();
    warnings.dedup();
    let faults = |list: &[String]| list.iter().map(|fault| plain_line(fault, 500)).collect();
    let rehearsal = &made.rehearsal;
    Checks {
        integrity: Integrity {
            before: faults(&rehearsal.before.faults),
            after: faults(&rehearsal.faults_after),
            foreign_keys_before: rehearsal.before.orphans.clone(),
            foreign_keys_after: rehearsal.orphans_after.clone(),
        },
        statements: made.matched.statements.clone(),
        warnings,
    }
}

fn measurements(made: &Made, taken_at: Timestamp) -> Measurements {
    let rehearsal = &made.rehearsal;
    let mut tables: Vec<TableRows> = Vec::new();
    let names = rehearsal.before.tables.keys().chain(rehearsal.rows_after.keys());
    for name in names.collect::<BTreeSet<_>>() {
        let before = rehearsal.before.tables.get(name);
        tables.push(TableRows {
            table: plain_line(name, 200),
            rows_before: before.map(|table| table.rows),
            bytes_before: before.and_then(|table| table.bytes),
            rows_after: rehearsal.rows_after.get(name).copied(),
        });
    }
    let age = made.started_at.since(taken_at).as_secs();
    Measurements {
        started_at: made.started_at,
        finished_at: made.finished_at,
        revisions: rehearsal
            .up
            .revisions
            .iter()
            .map(|(revision, milliseconds)| RevisionTime {
                revision: revision.clone(),
                milliseconds: *milliseconds,
            })
            .collect(),
        tables,
        bytes_before: rehearsal.bytes_before,
        bytes_after: rehearsal.bytes_after,
        snapshot_age_seconds: u64::try_from(age).unwrap_or(0),
        steps: rehearsal
            .times
            .iter()
            .map(|(step, milliseconds)| StepTime { step: step.clone(), milliseconds: *milliseconds })
            .collect(),
    }
}
