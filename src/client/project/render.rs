//! Offline SQL: rendered three times against a database that does not exist, and believed only if all is well.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use serde_json::json;

use super::shim::{self, Where};
use super::{Direction, Project, ProjectError, causes};
use crate::alembic::render_checks;
use crate::alembic::report::Warning;
use crate::domain::sql_digest::SqlDigest;
use crate::sql::dialect::Dialect;
use crate::sql::normalise::sqlnorm1;
use crate::sql::offline_sql;

/// The hash seeds of the renders: two alike and another one.
const SEEDS: [&str; 3] = ["0", "0", "1"];

/// A render that can be believed.
#[derive(Clone, Debug)]
pub struct Render {
    /// The file itself.
    pub bytes: Vec<u8>,
    /// Of its normal form; none where renders differ.
    pub sqlnorm1: Option<SqlDigest>,
    /// All renders gave the same SQL.
    pub reproducible: bool,
    /// What a reader should know.
    pub warnings: Vec<Warning>,
}

impl Render {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }
}

pub(super) fn render(
    project: &Project,
    direction: Direction,
    dialect: Dialect,
    from: &str,
    to: &str,
) -> Result<Render, ProjectError> {
    let mut texts: Vec<String> = Vec::new();
    for (number, seed) in SEEDS.into_iter().enumerate() {
        texts.push(once(project, direction, dialect, (from, to), number + 1, seed)?);
    }
    let first = texts.swap_remove(0);
    let reproducible = texts.iter().all(|text| sqlnorm1(text) == sqlnorm1(&first));
    let mut warnings = render_checks::warnings(&first, dialect, direction);
    if !reproducible {
        let other = texts.iter().find(|text| sqlnorm1(text) != sqlnorm1(&first)).map_or("", |t| t.as_str());
        let line = render_checks::first_difference(&first, other).unwrap_or(1);
        let set = render_checks::sqlset1(&first, dialect);
        let same = texts.iter().all(|text| render_checks::sqlset1(text, dialect) == set);
        let what = if same { "same statements, other order" } else { "other statements" };
        warnings.push(Warning::new(
            "E36",
            format!(
                "{} SQL is not reproducible ({what}): renders differ from line {line} on, so the approved file itself \
                 has to be run",
                direction.name()
            ),
        ));
    }
    let sqlnorm1 = reproducible.then(|| SqlDigest::Norm1(sqlnorm1(&first)));
    Ok(Render { bytes: first.into_bytes(), sqlnorm1, reproducible, warnings })
}

fn once(
    project: &Project,
    direction: Direction,
    dialect: Dialect,
    (from, to): (&str, &str),
    number: usize,
    seed: &'static str,
) -> Result<String, ProjectError> {
    let step = format!("render-{}-{number}", direction.name());
    let folder = project.private.join(format!("{step}.nowhere"));
    super::work::create(&folder).map_err(|e| ProjectError::io("no private folder could be made", &e))?;
    let never = folder.join("never.db");
    let rest = match dialect {
        Dialect::Sqlite => format!("/{}", never.display()),
        Dialect::PostgreSql | Dialect::MySql => "nobody@127.0.0.1:1/never".to_owned(),
    };
    let sql = project.logs.join(format!("{step}.partial"));
    let request = json!({
        "direction": direction.name(),
        "range": format!("{from}:{to}"),
        "sql": sql,
    });
    let before = sql_files(&project.cwd);
    let place = Where { url: Some(project.with_scheme(dialect, &rest)), seed };
    let ran = shim::run(project, "render", &step, request, &place)?;
    let bytes = std::fs::read(&sql).unwrap_or_default();
    let touched = std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some());
    let partial = String::from_utf8_lossy(&bytes).into_owned();
    if let Err(fault) = &ran.answer {
        let at = offline_sql::read(&partial, dialect).steps.last().and_then(|s| match direction {
            Direction::Upgrade => s.to.first().cloned(),
            Direction::Downgrade => s.from.first().cloned(),
        });
        return Err(causes::of_render(project, fault, direction, at.as_deref()));
    }
    if touched {
        return Err(ProjectError::new(
            "E30",
            "env.py connects to the database even for offline SQL.",
            "Give env.py an offline part (context.is_offline_mode()).",
        ));
    }
    if let Some(stray) = sql_files(&project.cwd).difference(&before).next() {
        // It stays: whether this render or somebody else wrote it can't be told.
        return Err(ProjectError::new(
            "E32",
            format!(
                "while rendering, {} appeared: env.py writes its SQL there instead of Alembic's output.",
                stray.to_string_lossy()
            ),
            "Look at the file and remove it. Let env.py's offline part use context.configure(url=…) without an output_buffer of its own.",
        ));
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        ProjectError::new("E33", "the rendered SQL is not UTF-8.", "Write the migration's texts in UTF-8.")
    })?;
    if let Some(failed) = std::fs::read_to_string(&ran.out).ok().and_then(|out| failed_line(&out)) {
        let said = project.redactor.line(&failed, 300);
        return Err(ProjectError::new(
            "E30",
            format!("Alembic ended well, but printed “{said}”."),
            "Make `alembic upgrade FROM:TO --sql` work by itself first.",
        ));
    }
    render_checks::check(&text, dialect).map_err(|(code, why)| {
        let advice = match code {
            "E31" => {
                "Check that env.py's offline part runs the migrations, and that the ends are not swapped."
            }
            _ => "Keep log output out of the SQL: send it to standard error.",
        };
        ProjectError::new(code, format!("{} SQL: {why}.", direction.name()), advice)
    })?;
    // Only what can be believed loses the name of a part.
    std::fs::rename(&sql, sql.with_extension("sql"))
        .map_err(|e| ProjectError::io("a private file could not be used", &e))?;
    Ok(text)
}

fn failed_line(out: &str) -> Option<String> {
    out.lines().find(|line| line.starts_with("FAILED: ")).map(str::to_owned)
}

fn sql_files(folder: &Path) -> BTreeSet<OsString> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| e.file_name()).filter(|name| name.to_string_lossy().ends_with(".sql")).collect()
}
