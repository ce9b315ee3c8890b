//! `…/token`: releasing an apply token, showing it once, revoking it; and the same for a rollback.
//!
//! The secret is in the answer to the form that released it and nowhere else: not in a cookie, not behind a redirect.

mod standing;
mod steps;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;

use super::Scene;
use crate::domain::digest::Digest;
use crate::domain::facts::{Intent, Purpose};
use crate::domain::id::{RunId, TicketNumber};
use crate::domain::presented;
use crate::domain::refusal::Refusal;
use crate::domain::run::{Direction, Method};
use crate::service::ServiceError;
use crate::service::tokens::Released;
use crate::web::extract::{Path, StageName};
use crate::web::forms::{Form, Nothing};
use crate::web::present::{self, Judged, gates};
use crate::web::session::Reader;
use crate::web::view::format::Time;
use crate::web::view::forms::{ErrorSummary, Fault};
use crate::web::view::pages::token::{Shown, ShownToken, TokenPage, TokenView};
use crate::web::view::parts::{Reading, gate_name};
use crate::web::view::prose::Prose;
use crate::web::view::state::State as Lamp;
use crate::web::{Failure, Page, Site, WebState, paths, respond};

pub(super) async fn show(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
) -> Page {
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    let page = page_now(&site, &reader, &scene).await?;
    Ok(uncached(respond::page(&page)?))
}

#[derive(Deserialize)]
pub(super) struct Sent {
    direction: Option<Direction>,
    evidence_digest: Option<Digest>,
}

/// Releases a token for the upgrade.
pub(super) async fn release(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    Form(sent): Form<Sent>,
) -> Page {
    if sent.direction == Some(Direction::Rollback) {
        return Err(Failure::unprocessable(
            "Nothing has been released. A rollback is released on the run’s page.",
        ));
    }
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    if sent.evidence_digest.is_some_and(|seen| seen != scene.stage.evidence()) {
        let why = "The evidence changed after you opened the page. Look at it again before you release.";
        return closed(&site, &reader, &scene, why).await;
    }
    match site.services.release(reader.actor(), number, &stage, Intent::Upgrade).await {
        Ok(released) => shown(&site, &reader, &scene, &released).await,
        Err(ServiceError::Refused(Refusal::GatesClosed(_))) => {
            let now = Scene::load(&site, &reader, number, &stage).await?;
            closed(&site, &reader, &now, "A gate is closed. No token was released.").await
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Deserialize)]
pub(super) struct Back {
    run: RunId,
    method: Option<Method>,
}

/// Releases a token for undoing the run that the form was made for.
pub(super) async fn release_rollback(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    Form(sent): Form<Back>,
) -> Page {
    let method = sent.method.ok_or_else(|| {
        Failure::unprocessable("Nothing has been released. Choose how the run is to be undone.")
    })?;
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    if scene.stage.facts.undone().is_none_or(|run| run.id != sent.run) {
        return Err(ServiceError::conflict(
            "other-run",
            "The run that would be undone is another than the one you looked at. Nothing was released.",
        )
        .into());
    }
    let intent = Intent::Rollback(method);
    let facts = scene.dossier.facts_for(&stage, Purpose::Release, intent);
    let facts = facts.ok_or(ServiceError::NotFound("stage"))?;
    let judged = Judged::new(facts).map_err(ServiceError::from)?;
    let released = site.services.release(reader.actor(), number, &stage, intent).await?;
    shown(&site, &reader, &Scene { dossier: scene.dossier, stage: judged }, &released).await
}

/// Revokes the token that is out.
pub(super) async fn revoke(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    Form(Nothing {}): Form<Nothing>,
) -> Page {
    site.services.revoke_token(reader.actor(), number, &stage, None).await?;
    let place = format!("{}/token", paths::stage(number, &stage));
    Ok(respond::see_other_saying(
        &site,
        &place,
        Lamp::Open,
        "The token is revoked. It can’t be used any more.",
    ))
}

/// Nothing on the way keeps this page.
fn uncached(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The page again, with what closed meanwhile.
async fn closed(site: &Site, reader: &Reader, scene: &Scene, why: &str) -> Page {
    let mut page = page_now(site, reader, scene).await?;
    page.shell.title = format!("Error: {}", page.shell.title);
    let blocked = scene.stage.report.blocked();
    page.errors = Some(ErrorSummary {
        title: "No token was released".into(),
        faults: blocked
            .map(|gate| Fault {
                field: format!("gate-{}", gate.key),
                text: format!("{}: {}", gate_name(gate.key.as_str()), gate.reason),
            })
            .collect(),
        kept: why.to_owned(),
    });
    Ok(uncached(respond::page_with(StatusCode::CONFLICT, &page)?))
}

/// The one page that holds the secret.
async fn shown(site: &Site, reader: &Reader, scene: &Scene, released: &Released) -> Page {
    let stage = &scene.stage;
    let rollback = matches!(released.intent, Intent::Rollback(_));
    let what = if rollback { "rollback" } else { "apply" };
    let title = format!("Your {what} token");
    let now = stage.now();
    let with_window = stage.report.window.is_some_and(|window| window.end == released.expires_at);
    let token = ShownToken {
        secret: Shown(released.secret.reveal().to_owned()),
        expires: Reading {
            label: if with_window { "Expires with the window" } else { "Expires" }.to_owned(),
            value: Prose::new().until(Time::until(released.expires_at, now)),
            note: Time::long_utc(released.expires_at, now).into(),
        },
        steps: steps::steps(stage, released),
    };
    let mut page = TokenPage {
        lede: "Shown once, on this page only. Countersign keeps only its hash and can’t show it again."
            .into(),
        token: TokenView::Shown(Box::new(token)),
        released: true,
        bound: standing::bound(
            stage,
            &reader.actor().name,
            Some(&released.expected),
            Some(Time::long_utc(released.expires_at, now)),
        ),
        ..page_now(site, reader, scene).await?
    };
    page.shell.title = format!("{title} for {} {}", stage.facts.ticket.number, stage.name());
    page.title = title;
    Ok(uncached(respond::page(&page)?))
}

/// The page without a secret: what there is to say of this stage's tokens now.
async fn page_now(site: &Site, reader: &Reader, scene: &Scene) -> Result<TokenPage, Failure> {
    let stage = &scene.stage;
    let token = standing::newest(&stage.facts);
    let out = token.filter(|token| token.outstanding(stage.now()));
    let title = if out.is_some() { "An apply token is out" } else { "Release an apply token" };
    let view = standing::view(stage, reader, token);
    let expected = presented::expected(&stage.facts);
    let holder = out.map_or("whoever releases it", |token| token.released_by_name.as_str());
    let expiry = out.map(|token| Time::long_utc(token.expires_at, stage.now()));
    Ok(TokenPage {
        head: present::about::head(&scene.dossier.ticket, Some(stage), stage.now()),
        stage: stage.stage_ref(),
        title: title.to_owned(),
        lede: "A token authorises one run of exactly the SQL that was approved, once, and only while every gate is open."
            .into(),
        errors: None,
        token: view,
        gates: gates::board(stage, reader.actor()),
        released: false,
        bound: standing::bound(stage, holder, expected.as_ref(), expiry),
        earlier: standing::earlier(stage),
        shell: scene
            .shell(site, reader, format!("Apply token for {} {}", stage.facts.ticket.number, stage.name()))
            .await?,
    })
}
