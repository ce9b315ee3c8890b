//! What an exception inside Python means, and what to do about it.

use std::path::Path;

use super::shim::Fault;
use super::{Project, ProjectError};
use crate::sql::offline_sql::Direction;

/// The project's revisions could not even be read.
pub(super) fn of_reading(project: &Project, fault: &Fault) -> ProjectError {
    if let Some(module) = fault.missing.as_deref().filter(|name| is_alembic(name)) {
        return ProjectError::usage(
            "E01",
            format!("there is no {module} in {}.", python(project)),
            "Give the project's own interpreter with --python, or install Alembic into it.",
        );
    }
    let said = said(project, fault);
    let message = &fault.message;
    if message.contains("script_location") {
        return ProjectError::usage(
            "E01",
            format!("the settings name no script_location: {said}"),
            "Give Alembic's own settings with --config, and their section with --name.",
        );
    }
    if message.contains("Path doesn't exist") {
        return ProjectError::usage(
            "E01",
            format!("the folder of the scripts is not there: {said}"),
            "A relative script_location is sought from where Alembic runs: give that folder with --cwd.",
        );
    }
    if message.contains("overlaps") || message.contains("present more than once") {
        let advice = "Delete the copy, or give one of them another identifier.";
        return ProjectError::new("E13", said, advice);
    }
    // A revision that another one follows is not there: Alembic stumbles over its own map.
    let stumbled =
        fault.kind == "KeyError" && fault.frames.last().is_some_and(|f| f.0.ends_with("script/revision.py"));
    if stumbled || message.contains("Can't locate revision") || message.contains("referenced from") {
        let advice = "A revision file is missing, or lies outside version_locations.";
        return ProjectError::new("E14", said, advice);
    }
    of_import(fault, &said)
}

/// `env.py`, or what it imports, does not come up.
fn of_import(fault: &Fault, said: &str) -> ProjectError {
    let advice = match (&fault.missing, fault.kind.as_str()) {
        (Some(module), _) => {
            format!("Install {module} into the project's Python, or say with --cwd where it is run from.")
        }
        (None, "KeyError") if of_environment(fault) => {
            format!("Pass the variable on with --pass-env {}.", fault.message.trim_matches('\''))
        }
        _ => "Make the same command of Alembic work by itself first.".to_owned(),
    };
    ProjectError::new("E02", format!("the project does not load: {said}"), advice)
}

/// A step that went through `env.py` failed: in a migration, or before any.
pub(super) fn of_running(project: &Project, fault: &Fault) -> ProjectError {
    if in_revision(project, fault).is_some() {
        let advice = "Read the whole output with --keep DIR.";
        return ProjectError::new("E40", said(project, fault), advice);
    }
    if fault.message.contains("Can't locate revision") {
        let advice =
            "The database is at a revision that these scripts do not know: check out the right ones.";
        return ProjectError::new("E20", said(project, fault), advice);
    }
    of_import(fault, &said(project, fault))
}

/// An offline render that failed. `at` is the revision that it had come to.
pub(super) fn of_render(
    project: &Project,
    fault: &Fault,
    direction: Direction,
    at: Option<&str>,
) -> ProjectError {
    let text = fault.message.as_str();
    let said = said(project, fault);
    let place = at.map_or(String::new(), |at| format!(" at revision {at}"));
    let no_way_back = direction == Direction::Downgrade
        && (fault.kind == "NotImplementedError"
            || (fault.kind == "AttributeError" && text.contains("has no attribute 'downgrade'")));
    if no_way_back {
        return ProjectError::new(
            "E50",
            format!("there is no way back{place}: {said}"),
            "Plan a rollback by restoring the backup.",
        );
    }
    let revision = in_revision(project, fault);
    if fault.kind == "Connects" {
        let who = revision.map_or("env.py".to_owned(), |id| format!("revision {id}"));
        let file = where_from(project, fault).map_or(String::new(), |place| format!(" [{place}]"));
        return ProjectError::new(
            "E30",
            format!(
                "{who} connects to {text} even for offline SQL{file}. It was stopped before anything ran there."
            ),
            "Let the offline part (context.is_offline_mode()) connect to nothing.",
        );
    }
    if at.is_none() && revision.is_none() {
        if fault.missing.is_some() || fault.kind == "KeyError" {
            return of_import(fault, &said);
        }
        if is_connection(fault) {
            return ProjectError::new(
                "E30",
                format!("env.py connects to the database even for offline SQL: {said}"),
                "Give env.py an offline part (context.is_offline_mode()).",
            );
        }
    }
    match reason(text, &fault.kind) {
        Some((why, advice)) => {
            let file = where_from(project, fault).map_or(String::new(), |place| format!(" [{place}]"));
            ProjectError::new("E30", format!("no offline SQL{place}: {why}{file}."), advice)
        }
        None => ProjectError::new(
            "E30",
            format!("no offline SQL{place}: a migration raised an error: {said}"),
            "Make `alembic upgrade FROM:TO --sql` work by itself, or accept the SQL that is captured online.",
        ),
    }
}

fn is_connection(fault: &Fault) -> bool {
    ["OperationalError", "InterfaceError", "ConnectionRefusedError", "TimeoutError"]
        .contains(&fault.kind.as_str())
}

/// The known causes: why, and what to do.
fn reason(text: &str, kind: &str) -> Option<(String, &'static str)> {
    let has = |part: &str| text.contains(part);
    if has("requires a live database connection with which to reflect the table") {
        let table = text.split("reflect the table \"").nth(1).and_then(|rest| rest.split('"').next());
        return Some((
            format!("batch mode has to read table {} from a live database", table.unwrap_or("?")),
            "Give batch_alter_table a copy_from, or render for the server's dialect with --dialect.",
        ));
    }
    if has("No inspection system") || has("cannot be called while in offline mode") || has("MockConnection") {
        return Some((
            "the migration inspects the live database".to_owned(),
            "Write the migration without looking at the database, or accept the SQL that is captured online.",
        ));
    }
    if has("'NoneType' object has no attribute") || has("'NoneType' object is not") {
        return Some((
            "the migration reads rows of the live database".to_owned(),
            "Do it in SQL (UPDATE … FROM), or accept the SQL that is captured online.",
        ));
    }
    if has("literal") && (kind == "CompileError" || has("render")) {
        return Some((
            "a value has no form in SQL text".to_owned(),
            "Write the value as SQL, or set literal_binds in env.py's offline part.",
        ));
    }
    if kind == "ModuleNotFoundError" || kind == "ImportError" || kind == "NoSuchModuleError" {
        return Some((
            "the driver of this dialect is missing".to_owned(),
            "Install the driver, or name the one that is there with --url-scheme.",
        ));
    }
    if has("No support for ALTER of constraints in SQLite") {
        return Some((
            "SQLite can't alter constraints".to_owned(),
            "Use batch mode, or render for the server's dialect with --dialect.",
        ));
    }
    None
}

/// The revision whose file the exception came through.
pub(super) fn in_revision(project: &Project, fault: &Fault) -> Option<String> {
    let of = |path: &Path| project.revisions.iter().find(|l| l.path == path);
    fault.frames.iter().rev().find_map(|(file, ..)| of(file)).map(|l| l.revision.revision.clone())
}

/// Somebody looked for a variable in the environment, which is not there.
fn of_environment(fault: &Fault) -> bool {
    let in_os = |file: &Path| file.ends_with("os.py") || file.as_os_str() == "<frozen os>";
    fault.frames.last().is_some_and(|(file, _, function)| in_os(file) && function == "__getitem__")
}

/// The exception in one line, with the place in the project it came from.
pub(super) fn said(project: &Project, fault: &Fault) -> String {
    let text = project.redactor.line(&without_values(&fault.message), 300);
    let text = if text.is_empty() { fault.kind.clone() } else { format!("{}: {text}", fault.kind) };
    where_from(project, fault).map_or(text.clone(), |place| format!("{text} [{place}]"))
}

/// File and line of the innermost frame that is the project's own.
fn where_from(project: &Project, fault: &Fault) -> Option<String> {
    let ours = |file: &Path| {
        // Empty until it is known.
        let scripts = !project.script_location.as_os_str().is_empty();
        (scripts && file.starts_with(&project.script_location))
            || (file.starts_with(&project.dir)
                && !file.components().any(|c| c.as_os_str() == "site-packages"))
    };
    let (file, line, _) = fault.frames.iter().rev().find(|(file, ..)| ours(file))?;
    let below = file.strip_prefix(&project.dir).or_else(|_| file.strip_prefix(&project.script_location));
    let below = below.unwrap_or(file).display().to_string();
    Some(line.map_or(below.clone(), |line| format!("{below}, line {line}")))
}

/// `SQLAlchemy` adds the statement's parameters and PostgreSQL the values of a key: rows of people, which don't belong into
/// a report and differ from snapshot to snapshot.
fn without_values(message: &str) -> String {
    let mut kept = String::new();
    for line in message.lines() {
        if line.starts_with("[parameters: ") || line.starts_with("(Background on this error at") {
            continue;
        }
        match line.split_once(")=(") {
            Some((before, after)) => {
                let rest = after.split_once(')').map_or("", |(_, rest)| rest);
                kept.extend([before, ")=(…)", rest]);
            }
            None => kept.push_str(line),
        }
        kept.push('\n');
    }
    kept
}

fn is_alembic(module: &str) -> bool {
    ["alembic", "sqlalchemy"].contains(&module.split('.').next().unwrap_or(module))
}

fn python(project: &Project) -> String {
    let python = &project.python;
    let below = python.strip_prefix(&project.dir).unwrap_or(python);
    below.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_rows_are_left_out_of_what_the_database_said() {
        let message = "(x.Error) duplicate key\nDETAIL:  Key (email)=(ada@example.org) exists.\n[SQL: INSERT]\n\
                       [parameters: ('ada@example.org',)]\n(Background on this error at: https://x)";
        assert_eq!(
            without_values(message),
            "(x.Error) duplicate key\nDETAIL:  Key (email)=(…) exists.\n[SQL: INSERT]\n"
        );
    }
}
