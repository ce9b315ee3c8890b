//! Calling the shim: a few lines of Python that hand over to Alembic's own commands.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use super::process::{self, Cut, Streams};
use super::{Project, ProjectError};

const SHIM: &str = include_str!("shim.py");

/// The database that a step is given.
pub(super) struct Where {
    pub url: Option<String>,
    pub seed: &'static str,
}

impl Where {
    /// No database at all.
    pub fn nowhere() -> Self {
        Self { url: None, seed: "0" }
    }

    pub fn at(url: &str) -> Self {
        Self { url: Some(url.to_owned()), seed: "0" }
    }
}

/// A step that came to its end, well or badly.
pub(super) struct Ran {
    pub answer: Result<Value, Fault>,
    pub out: PathBuf,
}

/// What went wrong inside Python.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Fault {
    /// The exception's name.
    pub kind: String,
    pub message: String,
    /// The module that could not be imported.
    pub missing: Option<String>,
    /// File, line and function, innermost last.
    #[serde(default)]
    pub frames: Vec<(PathBuf, Option<u32>, String)>,
}

/// A name for a step that may be run several times.
pub(super) fn fresh(project: &Project, step: &str) -> String {
    let taken = |name: &String| project.logs.join(format!("{name}.out")).exists();
    let names = std::iter::once(step.to_owned()).chain((2_u32..).map(|again| format!("{step}-{again}")));
    names.into_iter().find(|name| !taken(name)).unwrap_or_else(|| step.to_owned())
}

/// Runs one verb. `step` names its files and what is said of it.
pub(super) fn run(
    project: &Project,
    verb: &str,
    step: &str,
    mut request: Value,
    database: &Where,
) -> Result<Ran, ProjectError> {
    let file = |name: String| project.private.join(name);
    let own = |e: std::io::Error| ProjectError::io("a private file could not be used", &e);
    let (asked, answered) = (file(format!("{step}.request")), file(format!("{step}.answer")));
    let script = file(format!("{step}.py"));
    request["verb"] = json!(verb);
    request["config"] = json!(project.config);
    request["name"] = json!(project.args.name);
    request["x"] = json!(project.args.x);
    request["answer"] = json!(answered);
    std::fs::write(&script, SHIM).map_err(own)?;
    std::fs::write(&asked, request.to_string()).map_err(own)?;
    let (out, err) = (project.logs.join(format!("{step}.out")), project.logs.join(format!("{step}.err")));
    let mut command = Command::new(&project.python);
    command.arg(&script).arg(&asked).current_dir(&project.cwd);
    environment(project, &mut command, database);
    match process::run(&mut command, &Streams { out: &out, err: &err }, project.limit, &project.stop) {
        Ok(_) => {}
        Err(Cut::Stopped) => return Err(ProjectError::interrupted()),
        Err(Cut::TimeLimit) => {
            return Err(ProjectError::new(
                "E03",
                format!("the step {step} took longer than {} s and was stopped.", project.limit.as_secs()),
                "Give more time with --time-limit, or see what it waits for.",
            ));
        }
        Err(Cut::Io(e)) => {
            return Err(ProjectError::usage(
                "E01",
                format!("the project's Python could not be started: {e}."),
                "Give the project's own interpreter with --python.",
            ));
        }
    }
    let bytes = std::fs::read(&answered).unwrap_or_default();
    let answer: Value = serde_json::from_slice(&bytes).map_err(|e| no_answer(project, step, &e))?;
    let answer = if answer["ok"] == json!(true) {
        Ok(answer)
    } else {
        Err(serde_json::from_value(answer).map_err(|e| no_answer(project, step, &e))?)
    };
    Ok(Ran { answer, out })
}

/// The process ended without a word: it was killed, or ended itself.
pub(super) fn no_answer(project: &Project, step: &str, error: &serde_json::Error) -> ProjectError {
    let last = last_line(&project.logs.join(format!("{step}.err")));
    let said = match last.as_deref().map(|line| project.redactor.line(line, 300)) {
        Some(line) if !line.is_empty() => format!("its last words were: {line}"),
        _ => format!("it left nothing behind ({error})"),
    };
    ProjectError::new(
        "E02",
        format!("the project's Python ended in the middle of the step {step}; {said}."),
        "Run the same with --keep DIR and read what it printed.",
    )
}

pub(super) fn last_line(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned)
}

/// Nothing of the caller's environment but what is needed or named (N2).
fn environment(project: &Project, command: &mut Command, database: &Where) {
    command.env_clear();
    if let Ok(path) = std::env::join_paths(project.search_path()) {
        command.env("PATH", path);
    }
    if cfg!(windows)
        && let Some(root) = std::env::var_os("SYSTEMROOT")
    {
        command.env("SYSTEMROOT", root);
    }
    for name in &project.args.pass_env {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .env("LANG", "C.UTF-8")
        .env("HOME", project.private.join("home"))
        .env("TMPDIR", project.private.join("home"))
        .env("TZ", "UTC")
        .env("PYTHONHASHSEED", database.seed)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONIOENCODING", "utf-8");
    if let Some(url) = &database.url {
        for name in project.args.url_env.iter().map(String::as_str).chain(["DATABASE_URL"]) {
            command.env(name, url);
        }
    }
}
