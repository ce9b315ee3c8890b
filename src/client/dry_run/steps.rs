//! The order of things: what runs after what, and what beside it.

use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Options;
use super::recovered::{Place, Recovered};
use crate::alembic::matching::{self, Executed, Matched};
use crate::alembic::render_checks;
use crate::alembic::report::Warning;
use crate::client::project::process::Stop;
use crate::client::project::work::{self, Private};
use crate::client::project::{Project, ProjectError, Render};
use crate::client::rehearsal::guard::{self, Guard};
use crate::client::rehearsal::{self, Copy, Goal, Rehearsal, Snapshot, VersionTable};
use crate::clock::Env;
use crate::domain::digest::Digest;
use crate::domain::time::Timestamp;
use crate::sql::dialect::Dialect;
use crate::sql::offline_sql::Direction;

/// Everything that a report is made of.
pub(super) struct Made {
    pub project: Project,
    pub from: String,
    pub to: String,
    pub line: Vec<String>,
    /// Of the SQL.
    pub dialect: Dialect,
    /// Of what was rehearsed.
    pub of_copy: Dialect,
    pub upgrade: Result<Render, ProjectError>,
    pub downgrade: Result<Render, ProjectError>,
    pub rehearsal: Rehearsal,
    pub matched: Matched,
    pub snapshot_sha256: Digest,
    pub snapshot_bytes: u64,
    pub recovered: Option<Recovered>,
    pub modified: Option<std::time::SystemTime>,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
}

impl Made {
    /// The statements that were executed against another text of the copy's own dialect.
    pub fn matched_with(&self, sql: &str) -> Matched {
        matched(&self.rehearsal, Some(sql), self.of_copy, self.of_copy)
    }
}

pub(super) fn run(options: &Options, stop: &Stop) -> Result<Made, ProjectError> {
    let started_at = Env::system().now();
    let scratch = options.scratch()?;
    let original = original(&options.snapshot)?;
    if let Some(reason) = &options.no_downgrade {
        declared(reason, ("E50", "--no-downgrade"), "why there is no way back and what to do instead")?;
    }
    if let Some(reason) = &options.no_render {
        declared(reason, ("E30", "--no-render"), "what the upgrade does that the offline SQL does not")?;
    }
    work::sweep();
    let guard = Guard::over(&original);
    let place = Place::of(options, &original)?;
    let bar = bar();
    let folder = Private::new().map_err(|e| ProjectError::io("no private folder could be made", &e))?;
    bar.set_message("reading the project");
    let project = Project::open_until(&options.project, stop)?;
    guard.check("history")?;
    let snapshot = rehearsal::open(&original, scratch.as_ref(), folder.path().to_owned(), &project, stop)?;
    let of_copy = snapshot.dialect();
    let dialect = options.project.dialect.unwrap_or(of_copy);
    // From here on the snapshot is what is copied from.
    let source = snapshot.recovered().unwrap_or(&original).to_owned();
    let guard = if source == original { guard } else { guard.and(&source) };
    // Read once from end to end, beside everything else.
    let hashing = {
        let (path, stop) = (source.clone(), stop.clone());
        std::thread::spawn(move || guard::digest(&path, &stop))
    };
    bar.set_message("copying the snapshot");
    let copy = snapshot.copy("rehearsal", &|done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    guard.check("copy-snapshot")?;
    let table = VersionTable {
        schema: options.project.version_table_schema.clone(),
        name: options.project.version_table.clone(),
    };
    let (from, to) = ends(options, &project, copy.as_ref(), &table)?;
    let line = project.line(&from, &to)?;
    let goal = Goal {
        project: &project,
        guard: &guard,
        from: &from,
        to: &to,
        table,
        no_downgrade: options.no_downgrade.as_deref(),
        values_after: true,
    };
    let (upgrade, downgrade, mut rehearsal) =
        beside(options, &goal, snapshot.as_ref(), copy.as_ref(), dialect, &bar)?;
    drop(copy);
    let upgrade = stopped(upgrade)?;
    let downgrade = stopped(downgrade)?;
    guard.check("render")?;
    let matched = matched(&rehearsal, upgrade.as_ref().ok().map(Render::text), dialect, of_copy);
    let believed = !options.verify_sql && (matched.agree() || dialect != of_copy);
    if let Some(script) = to_verify(&goal, &line, &upgrade, believed, (dialect, of_copy), &mut rehearsal) {
        verify(&goal, snapshot.as_ref(), &script, &mut rehearsal, &bar)?;
    }
    bar.set_message("reading the snapshot a last time");
    let (snapshot_sha256, snapshot_bytes) = hashed(hashing, &source, stop, &guard)?;
    bar.finish_and_clear();
    drop(snapshot);
    let recovered = place.map(|place| place.with(folder, source));
    rehearsal.warnings.extend(recovered.as_ref().map(Recovered::warning));
    let finished_at = Env::system().now();
    Ok(Made {
        project,
        from,
        to,
        line,
        dialect,
        of_copy,
        upgrade,
        downgrade,
        rehearsal,
        matched,
        snapshot_sha256,
        snapshot_bytes,
        recovered,
        modified: guard.modified(),
        started_at,
        finished_at,
    })
}

type Rendered = Result<Render, ProjectError>;

/// Rehearses, and renders meanwhile: the renders are the work of other processes.
fn beside(
    options: &Options,
    goal: &Goal<'_>,
    snapshot: &dyn Snapshot,
    copy: &dyn Copy,
    dialect: Dialect,
    bar: &ProgressBar,
) -> Result<(Rendered, Rendered, Rehearsal), ProjectError> {
    let render = || -> (Rendered, Rendered) {
        let up = match &options.no_render {
            Some(reason) => Err(ProjectError::new("E30", reason.clone(), String::new())),
            None => goal.project.render(Direction::Upgrade, dialect, goal.from, goal.to),
        };
        let down = match &options.no_downgrade {
            Some(reason) => Err(ProjectError::new("E50", reason.clone(), String::new())),
            None => goal.project.render(Direction::Downgrade, dialect, goal.to, goal.from),
        };
        (up, down)
    };
    let (renders, rehearsal) = std::thread::scope(|scope| {
        let renders = scope.spawn(render);
        let say = |what: &str| bar.set_message(what.to_owned());
        let rehearsal = rehearsal::play(goal, snapshot, copy, &say);
        bar.set_message("rendering SQL");
        (renders.join(), rehearsal)
    });
    let (up, down) = renders.map_err(|_| {
        ProjectError::new("E04", "a thread of the dry run broke.", "Report this as a defect.")
    })?;
    Ok((up, down, rehearsal?))
}

/// Ctrl-C is no reason to declare that something can't be rendered.
fn stopped<T>(result: Result<T, ProjectError>) -> Result<Result<T, ProjectError>, ProjectError> {
    match result {
        Err(error) if matches!(error.code, "E03" | "E04" | "E05") => Err(error),
        other => Ok(other),
    }
}

fn original(path: &Path) -> Result<std::path::PathBuf, ProjectError> {
    let found = std::fs::canonicalize(path).ok().filter(|path| path.is_file());
    found.ok_or_else(|| {
        ProjectError::usage(
            "E22",
            format!("there is no file {}.", path.display()),
            "Give a snapshot with --snapshot.",
        )
    })
}

/// A reason may become the only line of a file, and must be one.
fn declared(reason: &str, (code, option): (&'static str, &str), what: &str) -> Result<(), ProjectError> {
    let file = format!("-- not possible: {reason}\n");
    if crate::alembic::not_possible::reason(file.as_bytes()).is_some() {
        return Ok(());
    }
    Err(ProjectError::usage(
        code,
        format!("the reason for {option} must be one line of 10 to 500 characters."),
        format!("Say in a sentence {what}."),
    ))
}

/// The revision that the copy is at and the one to come to, both whole.
fn ends(
    options: &Options,
    project: &Project,
    copy: &dyn Copy,
    table: &VersionTable,
) -> Result<(String, String), ProjectError> {
    let at = revision_of(copy, table)?;
    if !project.history()?.revisions.iter().any(|r| r.revision == at) {
        return Err(ProjectError::new(
            "E20",
            format!("the snapshot is at {at}, a revision that these scripts do not have."),
            "Check out the release that is deployed there, or take the snapshot of the right database.",
        ));
    }
    let to = options.to.as_deref().unwrap_or("head");
    let (from, to) = project.resolve(options.from.as_deref().unwrap_or(&at), to)?;
    if from != at {
        return Err(ProjectError::new(
            "E20",
            format!("the snapshot is at {at}, not at {from}."),
            "Take a snapshot of the environment that this release goes to, or leave --from away.",
        ));
    }
    Ok((from, to))
}

fn revision_of(copy: &dyn Copy, table: &VersionTable) -> Result<String, ProjectError> {
    let Some(at) = copy.versions(table)? else {
        let others = copy.version_tables();
        let advice = match others.as_slice() {
            [] => "Take the snapshot of a database that Alembic has upgraded or stamped.".to_owned(),
            others => format!("Name the table with --version-table: it may be {}.", others.join(" or ")),
        };
        return Err(ProjectError::new("E20", format!("the snapshot has no table {}.", table.name), advice));
    };
    match at.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(ProjectError::new(
            "E20",
            format!("the snapshot's table {} has no row: it is at no revision.", table.name),
            "Take the snapshot of a database that Alembic has upgraded or stamped.",
        )),
        several => Err(ProjectError::new(
            "E20",
            format!("the snapshot is at {} revisions at once: {}.", several.len(), several.join(", ")),
            "Merge the branches first: a promotion goes from one revision to another.",
        )),
    }
}

fn matched(rehearsal: &Rehearsal, sql: Option<&str>, dialect: Dialect, of_copy: Dialect) -> Matched {
    let statements = rehearsal.up.statements.iter();
    let executed: Vec<Executed<'_>> = statements
        .flat_map(|s| {
            s.sql.iter().map(|sql| Executed { number: s.number, revision: s.revision.as_deref(), sql })
        })
        .collect();
    matching::compare(&executed, sql.map(|sql| (sql, dialect)), of_copy)
}

/// The SQL that has to show on a second copy what it does: a render in doubt, and whatever stands in for one.
fn to_verify(
    goal: &Goal<'_>,
    line: &[String],
    upgrade: &Rendered,
    believed: bool,
    (dialect, of_copy): (Dialect, Dialect),
    rehearsal: &mut Rehearsal,
) -> Option<String> {
    match upgrade {
        Err(_) => super::report::captured_sql(rehearsal, goal.from, line),
        Ok(_) if believed => None,
        Ok(render) if dialect == of_copy => Some(render.text().to_owned()),
        Ok(_) => {
            let text = "the SQL was not applied to a copy: it is not of the snapshot's dialect";
            rehearsal.warnings.push(Warning::new("E43", text));
            None
        }
    }
}

/// Applies the SQL to a second copy, if there is anything to compare it with.
fn verify(
    goal: &Goal<'_>,
    snapshot: &dyn Snapshot,
    sql: &str,
    rehearsal: &mut Rehearsal,
    bar: &ProgressBar,
) -> Result<(), ProjectError> {
    let Some(after) = rehearsal.after.take() else { return Ok(()) };
    bar.set_message("applying the SQL to a second copy");
    let copy = snapshot.copy("verify", &|_, _| {})?;
    rehearsal::verify(goal, copy.as_ref(), (sql, snapshot.dialect()), &after, rehearsal)
}

/// Digest and bytes of the snapshot: the digest taken at the start, if the file is still what it was; it is read again only if its marks can't tell.
fn hashed(
    hashing: std::thread::JoinHandle<std::io::Result<Digest>>,
    source: &Path,
    stop: &Stop,
    guard: &Guard,
) -> Result<(Digest, u64), ProjectError> {
    let unreadable = |e: std::io::Error| ProjectError::io("the snapshot can't be read", &e);
    let digest = hashing.join().unwrap_or_else(|_| guard::digest(source, stop)).map_err(unreadable)?;
    let bytes = std::fs::metadata(source).map_err(unreadable)?.len();
    if stop.asked() {
        return Err(ProjectError::interrupted());
    }
    guard.check("the last")?;
    Ok((digest, bytes))
}

/// On standard error, and only for people who watch.
fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg} {wide_bar} {percent}%") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// What is wrong with the way of the rendered SQL, if anything (E37).
pub(super) fn chain_fault(made: &Made) -> Option<String> {
    let table = &made.project.args().version_table;
    let fault = |render: &Result<Render, ProjectError>, from: &str, line: &[String]| {
        let render = render.as_ref().ok()?;
        render_checks::check_chain(render.text(), made.dialect, from, line, table).err()
    };
    let mut back: Vec<String> = made.line.iter().rev().skip(1).cloned().collect();
    back.push(made.from.clone());
    fault(&made.upgrade, &made.from, &made.line)
        .map(|why| format!("upgrade SQL: {why}"))
        .or_else(|| fault(&made.downgrade, &made.to, &back).map(|why| format!("downgrade SQL: {why}")))
}
