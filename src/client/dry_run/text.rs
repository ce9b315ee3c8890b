//! The report for people.

use std::fmt::Write as _;

use super::Evidence;
use crate::alembic::report::{Outcome, Rendered, StepStatus};
use crate::client::project::Project;
use crate::client::rehearsal::state::counted;

pub(super) fn human(project: &Project, evidence: &Evidence) -> String {
    let (subject, measured) = (&evidence.report.subject, &evidence.report.measurements);
    let mut out = String::new();
    let verdict = match subject.outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "FAILED",
    };
    let _ = writeln!(out, "Dry run {} -> {}: {verdict}", subject.from, subject.to);
    let tools = project.tools();
    let _ = writeln!(
        out,
        "  alembic {}, SQLAlchemy {}, Python {}; SQL for {}",
        tools.alembic,
        tools.sqlalchemy,
        tools.python,
        subject.dialect.name()
    );
    let _ = writeln!(
        out,
        "  snapshot {} ({} bytes, taken {})",
        subject.snapshot.origin,
        subject.snapshot.bytes,
        subject.snapshot.taken_at.words()
    );
    let _ = writeln!(out, "\nSteps");
    for step in &subject.steps {
        let mark = match step.status {
            StepStatus::Passed => "passed",
            StepStatus::Failed => "FAILED",
            StepStatus::NotPossible => "not possible",
            StepStatus::Skipped => "skipped",
        };
        let ms =
            measured.steps.iter().find(|t| t.step == step.name).map(|t| format!(", {} ms", t.milliseconds));
        let why = step.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let _ = writeln!(out, "  {:<17}{mark}{}{why}", step.name, ms.unwrap_or_default());
    }
    if !measured.revisions.is_empty() {
        let _ = writeln!(out, "\nRevisions");
        for time in &measured.revisions {
            let _ = writeln!(out, "  {} {} ms", time.revision, time.milliseconds);
        }
    }
    if !subject.destructive.is_empty() {
        let _ = writeln!(out, "\nData lost by the upgrade");
        for loss in &subject.destructive {
            let what = loss.column.as_ref().map_or(loss.table.clone(), |c| format!("{}.{c}", loss.table));
            let _ = writeln!(
                out,
                "  line {}: {what}: {}, {}",
                loss.line,
                counted(loss.rows_lost, "row"),
                counted(loss.non_null_values_lost, "value")
            );
        }
    }
    schema(&mut out, evidence);
    let _ = writeln!(out, "\nSQL");
    for (name, rendered) in [("upgrade", &subject.upgrade), ("downgrade", &subject.downgrade)] {
        let _ = writeln!(out, "  {name:<10}{}", digest(rendered));
    }
    if let Some(checks) = subject.checks.as_ref().filter(|checks| !checks.warnings.is_empty()) {
        let _ = writeln!(out, "\nWarnings");
        for warning in &checks.warnings {
            let _ = writeln!(out, "  {} {}", warning.code, warning.text);
        }
    }
    let _ = writeln!(out, "\nFiles");
    for (kind, _, path) in &evidence.files {
        let _ = writeln!(out, "  {:<20}{}", kind.to_string(), path.display());
    }
    if let Some(path) = &evidence.snapshot {
        let _ = writeln!(out, "  {:<20}{}", "snapshot", path.display());
    }
    out.trim_end().to_owned()
}

fn schema(out: &mut String, evidence: &Evidence) {
    let schema = &evidence.report.subject.schema;
    let lists = [
        ("tables added", &schema.tables_added),
        ("tables dropped", &schema.tables_dropped),
        ("columns added", &schema.columns_added),
        ("columns dropped", &schema.columns_dropped),
        ("columns changed", &schema.columns_changed),
        ("indexes added", &schema.indexes_added),
        ("indexes dropped", &schema.indexes_dropped),
        ("also", &schema.other),
    ];
    if lists.iter().all(|(_, list)| list.is_empty()) {
        return;
    }
    let _ = writeln!(out, "\nSchema");
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        let _ = writeln!(out, "  {name}: {}", list.join(", "));
    }
}

fn digest(rendered: &Rendered) -> String {
    match (&rendered.impossible, rendered.captured_online, rendered.sqlnorm1) {
        (Some(why), ..) => format!("not possible: {why}"),
        (None, true, _) => format!("captured online, sha256:{}", rendered.sha256),
        (None, false, Some(norm)) => norm.to_string(),
        (None, false, None) => format!("not reproducible, sha256:{}", rendered.sha256),
    }
}
