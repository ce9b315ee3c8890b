//! `…/evidence/DIGEST`: the canonical bytes that a vote, a token or a run was bound to.

use axum::extract::State;

use super::{Scene, download};
use crate::domain::digest::Digest;
use crate::domain::id::TicketNumber;
use crate::web::extract::{Path, StageName};
use crate::web::session::Reader;
use crate::web::{Failure, Page, WebState};

/// Answers RFC 8785 JSON whose SHA-256 is the digest in the address.
pub(super) async fn show(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage, digest)): Path<(TicketNumber, StageName, Digest)>,
) -> Page {
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    let record = &scene.stage.facts.this;
    let canonical = if scene.stage.evidence() == digest {
        scene.stage.report.evidence.canonical.clone()
    } else {
        // Of this stage only: a digest of another ticket's evidence leads nowhere here.
        let bound = record.votes.iter().map(|vote| vote.evidence);
        let bound = bound.chain(record.tokens.iter().map(|token| token.evidence));
        if !bound.chain(record.runs.iter().map(|run| run.evidence)).any(|known| known == digest) {
            return Err(Failure::not_found());
        }
        site.services.evidence(digest).await?
    };
    let name = format!("{number}-{stage}-evidence-{}.json", &digest.to_string()[..12]);
    Ok(download(&name, "application/json", canonical))
}
