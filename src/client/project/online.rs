//! Steps with a live database: the rehearsal on a copy, and asking which revision a database is at.

use std::io::BufRead as _;
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::shim::{self, Where};
use super::{Direction, Project, ProjectError, causes};

/// What happened while a database was changed.
#[derive(Clone, Debug, Default)]
pub struct Online {
    /// None if Alembic ended well.
    pub failure: Option<Failure>,
    /// What was executed, without what only reads.
    pub statements: Vec<Statement>,
    pub losses: Vec<Lost>,
    /// Revisions in the order in which they ran, with the milliseconds that each took.
    pub revisions: Vec<(String, u64)>,
    /// The version table that `env.py` set.
    pub version_table: Option<(String, Option<String>)>,
}

/// Why a migration did not come to its end.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The revision that was running.
    pub revision: Option<String>,
    /// The statement that the database refused.
    pub statement: Option<String>,
    /// What was said, in one line without secrets.
    pub message: String,
    /// There is no `downgrade()`, or it says that there is no way back.
    pub no_way_back: bool,
}

/// A statement that was executed.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Counted from 1 over the whole step.
    pub number: u64,
    pub revision: Option<String>,
    /// With its values written into it; several where it was executed for many rows.
    pub sql: Vec<String>,
}

/// What a statement destroyed. None where it could not be counted.
#[derive(Clone, Debug)]
pub struct Lost {
    pub statement: u64,
    pub revision: Option<String>,
    pub table: String,
    pub column: Option<String>,
    pub rows: Option<u64>,
    pub values: Option<u64>,
}

#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Context {
        version_table: String,
        schema: Option<String>,
    },
    Step {
        at: f64,
        revision: Option<String>,
    },
    Statement {
        number: u64,
        revision: Option<String>,
        sql: Vec<String>,
    },
    Failed {
        revision: Option<String>,
        text: String,
    },
    Loss {
        statement: u64,
        revision: Option<String>,
        table: String,
        column: Option<String>,
        rows: Option<u64>,
        values: Option<u64>,
    },
    End {
        at: f64,
    },
}

pub(super) fn online(
    project: &Project,
    direction: Direction,
    target: &str,
    database_url: &str,
    step: &str,
) -> Result<Online, ProjectError> {
    let events = project.private.join(format!("{step}.events"));
    let request = json!({
        "direction": direction.name(),
        "target": target,
        "events": events,
    });
    let ran = shim::run(project, "online", step, request, &Where::at(database_url))?;
    let mut online = read(&events)
        .map_err(|e| ProjectError::io(format!("what the step {step} left behind can't be read"), &e))?;
    match ran.answer {
        Ok(_) => online.failure = None,
        Err(fault) if fault.kind == "Elsewhere" => {
            return Err(ProjectError::new(
                "E41",
                format!("{}. It was stopped before anything ran there.", fault.message),
                "Let env.py take its URL from DATABASE_URL or from sqlalchemy.url, and connect to nothing else.",
            ));
        }
        Err(fault) => {
            let before = online.failure.take();
            let revision = before.as_ref().and_then(|f| f.revision.clone());
            let revision = revision
                .or_else(|| causes::in_revision(project, &fault))
                .or_else(|| online.revisions.last().map(|(id, _)| id.clone()));
            let missing = fault.message.contains("has no attribute 'downgrade'");
            // Alembic looks for every downgrade() before it runs the first.
            let message = match revision {
                None if !missing => return Err(causes::of_running(project, &fault)),
                _ => causes::said(project, &fault),
            };
            online.failure = Some(Failure {
                no_way_back: direction == Direction::Downgrade
                    && (fault.kind == "NotImplementedError" || missing),
                statement: before.and_then(|f| f.statement),
                revision,
                message,
            });
        }
    }
    Ok(online)
}

fn read(events: &Path) -> std::io::Result<Online> {
    let mut online = Online::default();
    let mut running: Option<(String, f64)> = None;
    let ended = |online: &mut Online, running: &mut Option<(String, f64)>, at: f64| {
        if let Some((revision, since)) = running.take() {
            online.revisions.push((revision, whole_ms(at - since)));
        }
    };
    let Ok(file) = std::fs::File::open(events) else { return Ok(online) };
    for line in std::io::BufReader::new(file).lines() {
        // The last line of a step that was cut off may be half a line.
        let Ok(event) = serde_json::from_str::<Event>(&line?) else { continue };
        match event {
            Event::Context { version_table, schema } => online.version_table = Some((version_table, schema)),
            Event::Step { at, revision } => {
                ended(&mut online, &mut running, at);
                running = revision.map(|revision| (revision, at));
            }
            Event::Statement { number, revision, sql } => {
                online.statements.push(Statement { number, revision, sql });
            }
            Event::Failed { revision, text } => {
                let message = String::new();
                online.failure =
                    Some(Failure { revision, statement: Some(text), message, no_way_back: false });
            }
            Event::Loss { statement, revision, table, column, rows, values } => {
                online.losses.push(Lost { statement, revision, table, column, rows, values });
            }
            Event::End { at } => ended(&mut online, &mut running, at),
        }
    }
    if let Some((revision, _)) = running {
        online.revisions.push((revision, 0));
    }
    Ok(online)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn whole_ms(ms: f64) -> u64 {
    ms.round().clamp(0.0, 9e15) as u64
}

#[derive(Deserialize)]
struct Current {
    revisions: Vec<String>,
}

pub(super) fn current(project: &Project, database_url: &str) -> Result<Vec<String>, ProjectError> {
    // Alembic itself would make an empty database where there is none.
    if let Some(path) = database_url.strip_prefix("sqlite").and_then(|rest| rest.split_once(":///"))
        && !path.1.is_empty()
        && !project.cwd.join(path.1.split('?').next().unwrap_or_default()).exists()
    {
        return Err(ProjectError::new(
            "E20",
            "there is no database at DATABASE_URL.",
            "Check DATABASE_URL: the file does not exist.",
        ));
    }
    let step = shim::fresh(project, "current");
    let ran = shim::run(project, "current", &step, json!({}), &Where::at(database_url))?;
    match ran.answer {
        Ok(answer) => {
            let current: Current =
                serde_json::from_value(answer).map_err(|e| shim::no_answer(project, &step, &e))?;
            Ok(current.revisions)
        }
        Err(fault) => {
            if fault.kind == "OtherDatabase" {
                return Err(ProjectError {
                    exit: 3,
                    ..ProjectError::new(
                        "E20",
                        "the project's env.py does not use DATABASE_URL: it connects to another database.",
                        "Let env.py read DATABASE_URL, or name its variable with --url-env; what runs would change that one.",
                    )
                });
            }
            let mut error = causes::of_running(project, &fault);
            // The longest first: a spelling may be part of another.
            let mut secrets = super::redact::secrets_of(database_url);
            secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
            for secret in secrets {
                error.message = error.message.replace(&secret, "(hidden)");
            }
            Err(error)
        }
    }
}
