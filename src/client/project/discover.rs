//! Finding the project, its settings and its Python.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use super::process::{self, Stop, Streams};
use super::work::Private;
use super::{Listed, Project, ProjectArgs, ProjectError, Redactor, causes, shim};
use crate::alembic::formats::plain_line;
use crate::alembic::history::Revision;
use crate::alembic::report::{Tools, Warning};

/// Settings are looked for this many folders below the project's.
const DEPTH: usize = 3;

pub(super) fn open(args: &ProjectArgs, stop: &Stop) -> Result<Project, ProjectError> {
    let dir = folder(&args.project, "--project")?;
    let config = config(&dir, args.config.as_deref())?;
    let cwd = match &args.cwd {
        Some(cwd) => folder(cwd, "--cwd")?,
        None => dir.clone(),
    };
    let private = Private::new().map_err(|e| ProjectError::io("no private folder could be made", &e))?;
    let logs = match &args.keep {
        Some(keep) => {
            super::work::create(keep)
                .map_err(|e| ProjectError::io(format!("the folder {} for --keep", keep.display()), &e))?;
            absolute(keep)
        }
        None => private.join("logs"),
    };
    if args.keep.is_none() {
        super::work::create(&logs).map_err(|e| ProjectError::io("no private folder could be made", &e))?;
    }
    super::work::create(&private.join("home"))
        .map_err(|e| ProjectError::io("no private folder could be made", &e))?;
    let python = python(args, &dir, &private, stop)?;
    let mut redactor = Redactor::default();
    redactor.path(private.path(), "PRIVATE");
    redactor.path(&dir, "PROJECT");
    if let Some(home) = std::env::home_dir().filter(|home| home.components().count() > 1) {
        redactor.path(&home, "HOME");
    }
    for name in &args.pass_env {
        if let Ok(value) = std::env::var(name) {
            redactor.text(&value, "(hidden)");
        }
    }
    let mut project = Project {
        dir,
        cwd,
        config,
        python,
        args: args.clone(),
        private,
        logs,
        limit: Duration::from_secs(args.time_limit),
        stop: stop.clone(),
        redactor,
        tools: Tools {
            countersign: env!("CARGO_PKG_VERSION").to_owned(),
            alembic: String::new(),
            sqlalchemy: String::new(),
            python: String::new(),
        },
        revisions: Vec::new(),
        script_location: PathBuf::new(),
        version_locations: Vec::new(),
        warnings: Vec::new(),
    };
    list(&mut project)?;
    Ok(project)
}

fn folder(path: &Path, option: &str) -> Result<PathBuf, ProjectError> {
    let absolute = absolute(path);
    if absolute.is_dir() {
        return Ok(absolute);
    }
    Err(ProjectError::usage(
        "E01",
        format!("there is no folder {}.", path.display()),
        format!("Give the right one with {option}."),
    ))
}

fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| std::path::absolute(path).unwrap_or(path.to_owned()))
}

fn config(dir: &Path, given: Option<&Path>) -> Result<PathBuf, ProjectError> {
    if let Some(given) = given {
        let found = [dir.join(given), given.to_owned()].into_iter().find(|path| path.is_file());
        return found.map(|path| absolute(&path)).ok_or_else(|| {
            ProjectError::usage(
                "E01",
                format!("there is no file {} in the project.", given.display()),
                "Give Alembic's settings with --config, from the project's folder.",
            )
        });
    }
    let mut found = Vec::new();
    let mut folders = vec![(dir.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let ini = folder.join("alembic.ini");
        if ini.is_file() {
            if depth == 0 {
                return Ok(ini);
            }
            found.push(ini);
        }
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let below = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
        for entry in below.filter(|_| depth < DEPTH) {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let foreign = ["node_modules", "site-packages", "target", "venv"].contains(&name.as_ref());
            if !name.starts_with('.') && !foreign {
                folders.push((entry.path(), depth + 1));
            }
        }
    }
    found.sort();
    let names = || {
        let below = found.iter().map(|path| path.strip_prefix(dir).unwrap_or(path).display().to_string());
        below.take(5).collect::<Vec<_>>().join(", ")
    };
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(ProjectError::usage(
            "E01",
            "there is no alembic.ini in the project.",
            "Give the project's folder with --project and its settings with --config.",
        )),
        _ => Err(ProjectError::usage(
            "E01",
            format!("the project has several settings: {}.", names()),
            "Say which with --config.",
        )),
    }
}

/// The interpreter, not resolved any further: a virtual environment is told by the path it is called by.
fn python(args: &ProjectArgs, dir: &Path, private: &Private, stop: &Stop) -> Result<PathBuf, ProjectError> {
    let inside = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
    if let Some(given) = &args.python {
        let path = std::path::absolute(given).unwrap_or_else(|_| given.clone());
        return path.is_file().then_some(path).ok_or_else(|| {
            ProjectError::usage(
                "E01",
                format!("there is no Python at {}.", given.display()),
                "Give the project's own interpreter with --python.",
            )
        });
    }
    let active = std::env::var_os("VIRTUAL_ENV").map(|path| PathBuf::from(path).join(inside));
    let own = [".venv", "venv"].map(|name| dir.join(name).join(inside));
    if let Some(found) = active.into_iter().chain(own).find(|path| path.is_file()) {
        return Ok(std::path::absolute(&found).unwrap_or(found));
    }
    // A shim of a version manager needs the caller's environment: it is asked once, without any of the project's code.
    let name = if cfg!(windows) { "python" } else { "python3" };
    let (out, err) = (private.join("python.out"), private.join("python.err"));
    let mut command = Command::new(name);
    command.args(["-I", "-S", "-c", "import sys; print(sys.executable)"]);
    let streams = Streams { out: &out, err: &err };
    let ran = process::run(&mut command, &streams, Duration::from_secs(30), stop);
    let path = std::fs::read_to_string(&out).unwrap_or_default();
    match ran {
        Ok(status) if status.success() && !path.trim().is_empty() => Ok(PathBuf::from(path.trim())),
        _ => Err(ProjectError::usage(
            "E01",
            "no Python was found: no $VIRTUAL_ENV, no .venv in the project, no python3.",
            "Give the project's own interpreter with --python.",
        )),
    }
}

#[derive(Deserialize)]
struct Answer {
    tools: Found,
    script_location: PathBuf,
    version_locations: Vec<PathBuf>,
    revisions: Vec<Entry>,
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Found {
    alembic: String,
    sqlalchemy: String,
    python: String,
}

#[derive(Deserialize)]
struct Entry {
    revision: String,
    down_revisions: Vec<String>,
    branch_labels: Vec<String>,
    depends_on: Vec<String>,
    is_head: bool,
    doc: String,
    path: PathBuf,
}

/// Reads the revisions that Alembic lists now.
pub(super) fn list(project: &mut Project) -> Result<(), ProjectError> {
    let step = shim::fresh(project, "history");
    let ran = shim::run(project, "history", &step, serde_json::json!({}), &shim::Where::nowhere())?;
    let answer: Answer = match ran.answer {
        Ok(answer) => serde_json::from_value(answer).map_err(|e| shim::no_answer(project, &step, &e))?,
        Err(fault) => return Err(causes::of_reading(project, &fault)),
    };
    let Answer { tools, script_location, version_locations, revisions, warnings } = answer;
    project.tools = Tools {
        countersign: env!("CARGO_PKG_VERSION").to_owned(),
        alembic: tools.alembic,
        sqlalchemy: tools.sqlalchemy,
        python: tools.python,
    };
    project.script_location = script_location;
    project.version_locations = version_locations;
    project.revisions = revisions
        .into_iter()
        .map(|entry| Listed {
            revision: Revision {
                revision: entry.revision,
                down_revisions: entry.down_revisions,
                branch_labels: entry.branch_labels,
                depends_on: entry.depends_on,
                is_head: entry.is_head,
                doc: plain_line(&entry.doc, 1_000),
            },
            path: entry.path,
        })
        .collect();
    notice(project, &warnings)
}

/// What is odd about the revisions: some of it is an error, some only worth a word.
fn notice(project: &mut Project, warnings: &[String]) -> Result<(), ProjectError> {
    if let Some(twice) = warnings.iter().find(|w| w.contains("present more than once")) {
        return Err(ProjectError::new(
            "E13",
            project.redactor.line(twice, 300),
            "Delete the copy, or give one of them another identifier.",
        ));
    }
    if project.revisions.is_empty() {
        return Err(ProjectError::new(
            "E15",
            "Alembic lists no revision.",
            "Check script_location and version_locations in the settings: each folder with revisions must be there.",
        ));
    }
    let mut found: Vec<Warning> = Vec::new();
    let unlisted = unlisted(project);
    if let [first, ..] = unlisted.as_slice() {
        let text = format!(
            "{} revision {} on disk that Alembic does not list, such as {first}: check version_locations",
            unlisted.len(),
            if unlisted.len() == 1 { "file is" } else { "files are" },
        );
        found.push(Warning::new("E14", text));
    }
    let bases = project.revisions.iter().filter(|l| l.revision.down_revisions.is_empty()).count();
    if bases > 1 {
        found.push(Warning::new("E12", format!("the history has {bases} bases, so it is not one line")));
    }
    let children = |id: &str| {
        let follows = |l: &&Listed| l.revision.down_revisions.iter().any(|down| down == id);
        project.revisions.iter().filter(follows).count()
    };
    let branches = project.revisions.iter().filter(|l| children(&l.revision.revision) > 1).count();
    let merges = project.revisions.iter().filter(|l| l.revision.down_revisions.len() > 1).count();
    if branches + merges > 0 {
        // Those in the way are refused, so that these lie outside.
        let text = format!("the history has {branches} branch points and {merges} merges outside this range");
        found.push(Warning::new("E11", text));
    }
    project.warnings = found;
    Ok(())
}

/// Files with a `revision = …` that are in no version location.
fn unlisted(project: &Project) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![(project.script_location.clone(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                if depth < 5 && !entry.file_name().to_string_lossy().starts_with(['.', '_']) {
                    folders.push((path, depth + 1));
                }
                continue;
            }
            let listed = || project.revisions.iter().any(|l| l.path == path);
            if path.extension().is_some_and(|e| e == "py") && !listed() && holds_revision(&path) {
                let below = path.strip_prefix(&project.script_location).unwrap_or(&path);
                found.push(below.display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn holds_revision(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().any(|line| {
        let Some(rest) = line.strip_prefix("revision") else { return false };
        let value = rest.split_once('=').map(|(kind, value)| (kind.trim(), value.trim()));
        value.is_some_and(|(kind, value)| {
            (kind.is_empty() || kind.starts_with(':')) && value.starts_with(['"', '\''])
        })
    })
}
