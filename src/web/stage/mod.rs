//! Pages below a stage: its files and their differences, the decision, the apply token, the run.
//!
//! A handler here loads the ticket once, judges the stage once, and draws everything from that. May not enter: a rule
//! about what is allowed; those are asked of the domain, through [`Judged`].

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};

use super::extract::StageName;
use super::present::Judged;
use super::session::Reader;
use super::view::shell::{Nav, Shell};
use super::{Failure, WebState, frame};
use crate::domain::artifact::ArtifactKind;
use crate::domain::dossier::Dossier;
use crate::domain::facts::{Choice, Vote};
use crate::domain::id::TicketNumber;
use crate::domain::user::Actor;
use crate::service::ServiceError;

mod changes;
mod compare;
mod decide;
mod diff;
mod diff_frame;
mod evidence;
mod files;
mod pieces;
mod remarks;
mod run;
mod sides;
mod talk;
mod token;

/// The pages and forms below `/tickets/CHG-1/stages/staging`.
pub fn routes() -> Router<WebState> {
    let under = |path: &str| format!("/tickets/{{number}}/stages/{{stage}}{path}");
    Router::new()
        .route(&under("/artifacts"), post(files::upload))
        .route(&under("/artifacts/{kind}"), get(files::show))
        .route(&under("/artifacts/{kind}/raw"), get(files::raw))
        .route(&under("/evidence/{digest}"), get(evidence::show))
        .route(&under("/checklist/{item}"), post(remarks::tick))
        .route(&under("/findings/{finding}/accept"), post(remarks::accept))
        .route(&under("/threads"), post(remarks::open))
        .route(&under("/threads/{thread}/reply"), post(remarks::reply))
        .route(&under("/threads/{thread}/resolve"), post(remarks::resolve))
        .route(&under("/threads/{thread}/reopen"), post(remarks::reopen))
        .route(&under("/diff"), get(diff::show))
        .route(&under("/read"), post(remarks::read))
        .route(&under("/decide"), get(decide::show).post(decide::record))
        .route(&under("/token"), get(token::show).post(token::release))
        .route(&under("/token/revoke"), post(token::revoke))
        .route(&under("/rollback"), post(token::release_rollback))
        .route(&under("/run"), get(run::show))
        .route(&under("/run/verdict"), post(run::settle))
        .route(&under("/run/observation"), post(run::observe))
        .route(&under("/run/log"), get(run::log))
        .route(&under("/run/grant"), get(run::grant))
}

/// A stage of a ticket as it stands at one instant.
struct Scene {
    dossier: Dossier,
    stage: Judged,
}

impl Scene {
    /// Loads the ticket and judges the stage.
    async fn load(
        site: &super::Site,
        reader: &Reader,
        number: TicketNumber,
        stage: &StageName,
    ) -> Result<Self, Failure> {
        let dossier = site.services.dossier(reader.actor(), number).await?;
        let facts = dossier.facts(stage).ok_or(ServiceError::NotFound("stage"))?;
        let stage = Judged::new(facts).map_err(ServiceError::from)?;
        Ok(Self { dossier, stage })
    }

    /// The frame of a page about this stage.
    async fn shell(
        &self,
        site: &super::Site,
        reader: &Reader,
        title: impl Into<String>,
    ) -> Result<Shell, Failure> {
        let mut shell = frame::shell(site, reader, title, Nav::Tickets).await?;
        shell.now = self.stage.now();
        Ok(shell)
    }
}

/// The reader's last vote here that was not a withdrawal, also if it was withdrawn since: what they have read.
fn own_vote<'a>(stage: &'a Judged, reader: &Actor) -> Option<&'a Vote> {
    let cast = |vote: &&Vote| vote.person == reader.person && vote.choice != Choice::Withdraw;
    stage.facts.this.votes.iter().filter(cast).max_by_key(|vote| vote.act)
}

/// What a file of this kind is sent as: never a type that a browser runs.
const fn media(kind: ArtifactKind) -> &'static str {
    match kind {
        ArtifactKind::UpgradeSql | ArtifactKind::DowngradeSql | ArtifactKind::RunLog => {
            "text/plain; charset=utf-8"
        }
        ArtifactKind::DryRunReport
        | ArtifactKind::MigrationHistory
        | ArtifactKind::MigrationManifest
        | ArtifactKind::BackupManifest => "application/json",
        ArtifactKind::SmokeReport | ArtifactKind::MonitoringSnapshot | ArtifactKind::Other => {
            "application/octet-stream"
        }
    }
}

/// Answers bytes as a file to be saved, and has nobody keep a copy on the way.
fn download(filename: &str, kind: &'static str, body: impl Into<axum::body::Body>) -> Response {
    use axum::http::{HeaderValue, header};
    let mut response = super::respond::attachment(filename, kind, body);
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}
