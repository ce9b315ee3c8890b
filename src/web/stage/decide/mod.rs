//! `…/decide`: exactly what is approved, and the signature.
//!
//! The form carries the canonical evidence that its reader saw. The digest proves it, so a refusal can say what changed
//! without the portal keeping what everybody looked at.

mod covers;
mod page;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::{Scene, changes};
use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;
use crate::domain::facts::Choice;
use crate::domain::id::TicketNumber;
use crate::domain::refusal::Refusal;
use crate::secret::password::PlainPassword;
use crate::service::ServiceError;
use crate::service::diff::SideName;
use crate::service::review::Ballot;
use crate::web::extract::{Path, Query, StageName};
use crate::web::forms::Form;
use crate::web::session::Reader;
use crate::web::view::forms::{ErrorSummary, Fault, Input};
use crate::web::view::pages::decide::{DecidePage, Decision};
use crate::web::view::prose::Prose;
use crate::web::view::state::State as Lamp;
use crate::web::{Failure, Page, Site, WebState, respond};

/// The form as it is sent. The password goes to the service and nowhere else.
#[derive(Deserialize)]
pub(super) struct Sent {
    evidence_digest: Digest,
    evidence: Option<String>,
    decision: Option<String>,
    #[serde(default)]
    comment: String,
    acknowledged: Option<bool>,
    password: Option<PlainPassword>,
}

/// What was chosen on the way here.
#[derive(Deserialize)]
pub(super) struct Chosen {
    decision: Option<String>,
}

pub(super) async fn show(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    Query(chosen): Query<Chosen>,
) -> Page {
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    let mut page = draw(&site, &reader, &scene).await?;
    if let Some(choice) = chosen.decision.and_then(|word| word.parse::<Choice>().ok()) {
        page.answers.decision = Input::of(choice.as_str());
    }
    respond::page(&page)
}

/// Records a decision, or shows the form again with what keeps it.
pub(super) async fn record(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    Form(sent): Form<Sent>,
) -> Page {
    let choice = sent.decision.as_deref().and_then(|word| word.parse::<Choice>().ok());
    let Some(choice) = choice else {
        let fault = ("choice", "Choose what you decide.");
        return again(&site, &reader, number, &stage, sent, StatusCode::UNPROCESSABLE_ENTITY, fault).await;
    };
    let Some(password) = sent.password.clone() else {
        let fault = ("password", "Your password is needed.");
        return again(&site, &reader, number, &stage, sent, StatusCode::UNPROCESSABLE_ENTITY, fault).await;
    };
    let ballot = Ballot {
        choice,
        seen: sent.evidence_digest,
        comment: sent.comment.trim().to_owned(),
        acknowledged: sent.acknowledged == Some(true),
    };
    let voted = async {
        let proof = site.services.reauthenticate(reader.actor(), &password).await?;
        site.services.vote(reader.actor(), proof, number, &stage, ballot).await
    };
    match voted.await {
        Ok(_) => {
            let words = match choice {
                Choice::Approve => "Your approval is recorded.",
                Choice::Reject => "Your rejection is recorded.",
                Choice::Withdraw => "Your earlier decision is withdrawn.",
            };
            let place = crate::web::paths::stage(number, &stage);
            Ok(respond::see_other_saying(&site, &place, Lamp::Open, words))
        }
        Err(error) => refused(&site, &reader, number, &stage, sent, error).await,
    }
}

/// What to show when a vote was not recorded: the form, with everything kept but the password.
async fn refused(
    site: &Site,
    reader: &Reader,
    number: TicketNumber,
    stage: &StageName,
    sent: Sent,
    error: ServiceError,
) -> Page {
    let words = error.to_string();
    let (status, field) = match &error {
        ServiceError::Refused(Refusal::EvidenceChanged { .. }) => {
            return stale(site, reader, number, stage, sent).await;
        }
        ServiceError::Refused(refusal) => match refusal {
            Refusal::NeedsText { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "comment"),
            Refusal::DifferenceUnacknowledged => (StatusCode::CONFLICT, "acknowledged"),
            Refusal::NotEligible(_) | Refusal::NeedsRole(_) => (StatusCode::FORBIDDEN, "choice"),
            Refusal::NothingToWithdraw | Refusal::EvidenceIncomplete(_) => (StatusCode::CONFLICT, "choice"),
            _ => return Err(error.into()),
        },
        ServiceError::Conflict { code: "not-shown", .. } => (StatusCode::CONFLICT, "choice"),
        ServiceError::Invalid { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "comment"),
        ServiceError::Mismatch { code: "wrong-password", .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "password")
        }
        ServiceError::Throttled { .. } => (StatusCode::TOO_MANY_REQUESTS, "password"),
        _ => return Err(error.into()),
    };
    again(site, reader, number, stage, sent, status, (field, &words)).await
}

/// The form once more with one fault.
async fn again(
    site: &Site,
    reader: &Reader,
    number: TicketNumber,
    stage: &StageName,
    sent: Sent,
    status: StatusCode,
    (field, words): (&str, &str),
) -> Page {
    let scene = Scene::load(site, reader, number, stage).await?;
    if scene.stage.evidence() != sent.evidence_digest && sent.decision.as_deref() != Some("withdraw") {
        // Never put the old answers under evidence that their writer has not seen without saying so.
        return stale(site, reader, number, stage, sent).await;
    }
    let mut page = draw(site, reader, &scene).await?;
    page.shell.title = format!("Error: {}", page.shell.title);
    page.answers = kept(&sent);
    let input = match field {
        "password" => &mut page.answers.password,
        "comment" => &mut page.answers.comment,
        "acknowledged" => &mut page.answers.acknowledged,
        _ => &mut page.answers.decision,
    };
    input.error = Some(words.to_owned());
    // A reader who can decide nothing here has no form to lead to.
    let field = if page.refused.is_some() { "decision" } else { field };
    page.errors = Some(ErrorSummary {
        title: "Nothing was recorded".into(),
        faults: vec![Fault { field: field.to_owned(), text: words.to_owned() }],
        kept: "Everything else is kept as you typed it; the password never is.".into(),
    });
    respond::page_with(status, &page)
}

/// The vote was for evidence that is no longer current: what changed, and the form for what there is now.
async fn stale(site: &Site, reader: &Reader, number: TicketNumber, stage: &StageName, sent: Sent) -> Page {
    let scene = Scene::load(site, reader, number, stage).await?;
    let current: Value = serde_json::from_str(&scene.stage.report.evidence.canonical).unwrap_or_default();
    let seen = seen(site, &sent).await;
    let mut page = draw(site, reader, &scene).await?;
    page.stale = Some(match seen.map(|seen| changes::between(&seen, &current)) {
        Some(changes) if !changes.is_empty() => changes,
        _ => {
            vec![Prose::from("The evidence is another than the one this form was made for. Read all of it.")]
        }
    });
    page.shell.title = format!("Error: {}", page.shell.title);
    page.answers = Decision { comment: Input::of(sent.comment), ..Decision::default() };
    respond::page_with(StatusCode::CONFLICT, &page)
}

/// The evidence that the form was made for: as it was sent, if its digest proves it, else as votes kept it.
async fn seen(site: &Site, sent: &Sent) -> Option<Value> {
    let text = match &sent.evidence {
        Some(text) if Digest::of(text.as_bytes()) == sent.evidence_digest => text.clone(),
        Some(_) | None => site.services.evidence(sent.evidence_digest).await.ok()?,
    };
    serde_json::from_str(&text).ok()
}

fn kept(sent: &Sent) -> Decision {
    let ticked = |tick: Option<bool>| Input::of(if tick == Some(true) { "true" } else { "" });
    Decision {
        decision: Input::of(sent.decision.clone().unwrap_or_default()),
        comment: Input::of(sent.comment.clone()),
        acknowledged: ticked(sent.acknowledged),
        password: Input::default(),
    }
}

async fn draw(site: &Site, reader: &Reader, scene: &Scene) -> Result<DecidePage, Failure> {
    let stage = &scene.stage;
    let record = &stage.facts.this;
    let title = format!("Decide on {} for {}", stage.facts.ticket.number, stage.name());
    let voted_on = match super::own_vote(stage, reader.actor()) {
        Some(vote) if vote.evidence != stage.evidence() => {
            let text = site.services.evidence(vote.evidence).await?;
            serde_json::from_str(&text).ok()
        }
        _ => None,
    };
    let loaded = page::Loaded {
        rehearsal: site.services.rehearsal(record).await?,
        diff: against_previous(site, reader, scene).await?,
        voted_on,
        readings: site.services.readings(record.stage.id).await?,
        to_download: site.services.to_download(record, reader.actor().person).await?,
    };
    let shell = scene.shell(site, reader, title).await?;
    Ok(page::page(shell, &scene.dossier, stage, reader.actor(), &loaded))
}

async fn against_previous(
    site: &Site,
    reader: &Reader,
    scene: &Scene,
) -> Result<Option<crate::service::diff::DiffAnswer>, Failure> {
    let facts = &scene.stage.facts;
    if !facts.differs_from_previous() {
        return Ok(None);
    }
    let kind = ArtifactKind::UpgradeSql;
    let ran = facts.previous.as_ref().and_then(|before| {
        let file = before.as_of(before.last_upgrade()?, kind)?;
        Some(SideName::of(&before.stage.name, file.version))
    });
    let here = facts.this.newest(kind).map(|file| SideName::of(scene.stage.name(), file.version));
    let (Some(ran), Some(here)) = (ran, here) else { return Ok(None) };
    match site.services.diff(reader.actor(), facts.ticket.number, kind, &ran, &here).await {
        Ok(answer) => Ok(Some(answer)),
        Err(ServiceError::Conflict { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
