//! `…/run`: one execution, its log, its smoke checks, the watch after it, and the way back.

mod outcome;
mod page;
mod undo;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::{Scene, download};
use crate::domain::id::{RunId, TicketNumber};
use crate::domain::run::{Health, Run, RunVerdict};
use crate::domain::ticket::FieldFault;
use crate::service::ServiceError;
use crate::web::extract::{Path, Query, StageName};
use crate::web::forms::Form;
use crate::web::present::Judged;
use crate::web::session::Reader;
use crate::web::view::forms::{ErrorSummary, Fault, Input};
use crate::web::view::pages::run::RunPage;
use crate::web::view::state::State as Lamp;
use crate::web::{Failure, Page, Site, WebState, error, paths, respond};

/// The pieces of a log that a page shows, counted from its end.
const LOG_PIECES: i64 = 40;

/// The lines of a log that a page shows, counted from its end.
const LOG_LINES: usize = 400;

#[derive(Deserialize)]
pub(super) struct Asked {
    id: Option<RunId>,
}

pub(super) async fn show(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    Query(asked): Query<Asked>,
) -> Page {
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    let run = chosen(&scene.stage, asked.id)?;
    respond::page(&draw(&site, &reader, &scene, run).await?)
}

/// The run that is asked for, the last one unless one is named; none if there was none.
fn chosen(stage: &Judged, id: Option<RunId>) -> Result<Option<&Run>, Failure> {
    match id {
        None => Ok(stage.last_run()),
        Some(id) => {
            let run = stage.facts.this.runs.iter().find(|run| run.id == id);
            run.map(Some).ok_or_else(|| ServiceError::NotFound("run").into())
        }
    }
}

async fn draw(site: &Site, reader: &Reader, scene: &Scene, run: Option<&Run>) -> Result<RunPage, Failure> {
    let stage = &scene.stage;
    let title = match run {
        None => format!("Runs of {} {}", stage.facts.ticket.number, stage.name()),
        Some(_) => format!("Run of {} {}", stage.facts.ticket.number, stage.name()),
    };
    let log = match run {
        Some(run) if run.log_bytes > 0 => site.services.log_tail(run.id, LOG_PIECES).await?,
        Some(_) | None => String::new(),
    };
    let report = run.and_then(|run| page::smoke_report(stage, run));
    let failed = match report {
        Some(report) => site.services.failed_tests(report).await?,
        None => Vec::new(),
    };
    let shell = scene.shell(site, reader, title).await?;
    Ok(page::page(shell, &scene.dossier, stage, reader.actor(), &page::Loaded { run, log, failed }))
}

#[derive(Deserialize)]
pub(super) struct Settled {
    run: RunId,
    verdict: Option<RunVerdict>,
    revision: Option<String>,
    #[serde(default)]
    note: String,
}

/// A person says what a run did that stopped reporting.
pub(super) async fn settle(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    Form(sent): Form<Settled>,
) -> Page {
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    chosen(&scene.stage, Some(sent.run))?;
    let faults = match sent.verdict {
        None => vec![FieldFault { field: "verdict", message: "Choose what the run did.".into() }],
        Some(verdict) => {
            let revision = sent.revision.as_deref().map(str::trim).filter(|text| !text.is_empty());
            let settled =
                site.services.settle_run(reader.actor(), sent.run, verdict, revision, &sent.note).await;
            match settled {
                Ok(()) => {
                    let place = format!("{}/run?id={}", paths::stage(number, &stage), sent.run);
                    return Ok(respond::see_other_saying(
                        &site,
                        &place,
                        Lamp::Open,
                        "Your verdict is recorded.",
                    ));
                }
                Err(error) => error::faults(error)?,
            }
        }
    };
    let mut page = draw(&site, &reader, &scene, chosen(&scene.stage, Some(sent.run))?).await?;
    if let Some(form) = &mut page.unknown {
        form.verdict = Input::of(sent.verdict.map_or("", RunVerdict::as_str));
        form.revision = Input::of(sent.revision.unwrap_or_default());
        form.note = Input::of(sent.note);
        for fault in &faults {
            let input = match fault.field {
                "verdict" => &mut form.verdict,
                "revision" => &mut form.revision,
                _ => &mut form.note,
            };
            input.error = Some(fault.message.clone());
        }
    }
    let id = |field: &str| match field {
        "verdict" => "run-verdict",
        "revision" => "revision",
        _ => "verdict-note",
    };
    faulty(page, &faults, "Your verdict was not recorded", id)
}

#[derive(Deserialize)]
pub(super) struct Watched {
    run: Option<RunId>,
    verdict: Option<Health>,
    #[serde(default)]
    note: String,
}

/// A person's word on the stage after watching it.
pub(super) async fn observe(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    Form(sent): Form<Watched>,
) -> Page {
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    let last = scene.stage.facts.this.last_upgrade().map(|run| run.id);
    if sent.run.is_some() && sent.run != last {
        return Err(ServiceError::conflict(
            "other-run",
            "There has been another run since you opened the page. Nothing was recorded; watch that one.",
        )
        .into());
    }
    let faults = match sent.verdict {
        None => vec![FieldFault { field: "verdict", message: "Choose what you say of the stage.".into() }],
        Some(verdict) => {
            match site.services.observe(reader.actor(), number, &stage, verdict, &sent.note).await {
                Ok(()) => {
                    let place = format!("{}/run", paths::stage(number, &stage));
                    let words = "Your observation is recorded.";
                    return Ok(respond::see_other_saying(&site, &place, Lamp::Open, words));
                }
                Err(error) => error::faults(error)?,
            }
        }
    };
    let mut page = draw(&site, &reader, &scene, chosen(&scene.stage, last)?).await?;
    if let Some(form) = &mut page.observation {
        form.verdict = Input::of(sent.verdict.map_or("", Health::as_str));
        form.note = Input::of(sent.note);
        for fault in &faults {
            let input = if fault.field == "verdict" { &mut form.verdict } else { &mut form.note };
            input.error = Some(fault.message.clone());
        }
    }
    let id = |field: &str| if field == "verdict" { "observation-verdict" } else { "observation-note" };
    faulty(page, &faults, "Your observation was not recorded", id)
}

fn faulty(mut page: RunPage, faults: &[FieldFault], title: &str, id: impl Fn(&str) -> &'static str) -> Page {
    page.shell.title = format!("Error: {}", page.shell.title);
    let listed =
        faults.iter().map(|fault| Fault { field: id(fault.field).into(), text: fault.message.clone() });
    page.errors = Some(ErrorSummary {
        title: title.into(),
        faults: listed.collect(),
        kept: "What you typed is kept.".into(),
    });
    respond::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// The whole log of a run, as a file.
pub(super) async fn log(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    Query(asked): Query<Asked>,
) -> Page {
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    let run = chosen(&scene.stage, asked.id)?.ok_or(ServiceError::NotFound("run"))?;
    let bytes = site.services.log_bytes(run.id).await?;
    let name = format!("{number}-{stage}-run-{}.log", run.id);
    Ok(download(&name, "text/plain; charset=utf-8", bytes))
}

/// The signed grant that a run was opened with, as a file.
pub(super) async fn grant(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    Query(asked): Query<Asked>,
) -> Page {
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    let run = chosen(&scene.stage, asked.id)?.ok_or(ServiceError::NotFound("run"))?;
    let grant = site.services.grant_of(run.id).await?;
    let name = format!("{number}-{stage}-grant-{}.json", run.id);
    Ok(download(&name, "application/json", grant))
}
