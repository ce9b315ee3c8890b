//! Small forms below a stage: ticks, accepted findings, threads.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::{Scene, changes};
use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;
use crate::domain::id::{FindingId, ThreadId, TicketNumber};
use crate::domain::reading::How;
use crate::service::ServiceError;
use crate::service::review::NewThread;
use crate::web::extract::{Path, StageName};
use crate::web::forms::Form;
use crate::web::present::Judged;
use crate::web::present::review::Said;
use crate::web::session::Reader;
use crate::web::view::forms::Input;
use crate::web::view::pages::error::{Again, KeptField, RefusedPage};
use crate::web::view::prose::Prose;
use crate::web::view::state::State as Lamp;
use crate::web::{Failure, Page, Site, WebState, paths, respond};

/// What was said in the threads of a stage.
pub(super) async fn said(site: &Site, stage: &Judged) -> Result<Vec<Said>, Failure> {
    if stage.facts.this.threads.is_empty() {
        return Ok(Vec::new());
    }
    let posts = site.services.posts(stage.facts.this.stage.id).await?;
    let said = posts.into_iter().map(|post| Said {
        thread: post.thread_id,
        by: post.name,
        at: post.at,
        text: post.body,
    });
    Ok(said.collect())
}

#[derive(Deserialize)]
pub(super) struct Tick {
    done: bool,
    #[serde(default)]
    note: String,
    evidence_digest: Option<Digest>,
}

/// States an attested item, or takes the statement back.
pub(super) async fn tick(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage, item)): Path<(TicketNumber, StageName, String)>,
    Form(sent): Form<Tick>,
) -> Page {
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    let smoke = scene.stage.facts.this.policy.smoke_items().any(|known| known.key == item);
    // What is said of a run does not hang on the evidence.
    if !smoke && let Some(seen) = sent.evidence_digest.filter(|seen| *seen != scene.stage.evidence()) {
        let again = Again {
            action: format!("{}/checklist/{item}", scene.stage.href()),
            hidden: vec![
                ("done".into(), sent.done.to_string()),
                ("evidence_digest".into(), scene.stage.evidence().to_string()),
            ],
            fields: vec![KeptField {
                name: "note".into(),
                label: "Note".into(),
                input: Input::of(sent.note.as_str()),
            }],
            button: "State this for what there is now".into(),
        };
        return stale(&site, &reader, &scene, seen, again).await;
    }
    site.services.tick(reader.actor(), number, &stage, &item, sent.done, &sent.note).await?;
    let stage = paths::stage(number, &stage);
    let place = if smoke { format!("{stage}/run#smoke") } else { format!("{stage}#checklist") };
    let words = if sent.done { "Your statement is recorded." } else { "Your statement is taken back." };
    Ok(respond::see_other_saying(&site, &place, Lamp::Open, words))
}

#[derive(Deserialize)]
pub(super) struct Accept {
    #[serde(default)]
    note: String,
    evidence_digest: Option<Digest>,
}

/// Takes the risk of a finding on oneself.
pub(super) async fn accept(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage, finding)): Path<(TicketNumber, StageName, FindingId)>,
    Form(sent): Form<Accept>,
) -> Page {
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    if let Some(seen) = sent.evidence_digest.filter(|seen| *seen != scene.stage.evidence())
        && scene.stage.facts.this.findings.iter().any(|known| known.id == finding)
    {
        let again = Again {
            action: format!("{}/findings/{finding}/accept", scene.stage.href()),
            hidden: vec![("evidence_digest".into(), scene.stage.evidence().to_string())],
            fields: vec![KeptField {
                name: "note".into(),
                label: "Why this is acceptable".into(),
                input: Input::of(sent.note.as_str()),
            }],
            button: "Accept this finding".into(),
        };
        return stale(&site, &reader, &scene, seen, again).await;
    }
    site.services.accept_finding(reader.actor(), number, &stage, finding, &sent.note).await?;
    let place = format!("{}#findings", paths::stage(number, &stage));
    Ok(respond::see_other_saying(&site, &place, Lamp::Open, "You accepted the finding."))
}

/// The evidence is another than the one the form was made for: what changed, and the form once more.
async fn stale(site: &Site, reader: &Reader, scene: &Scene, seen: Digest, again: Again) -> Page {
    let json = |text: &str| serde_json::from_str(text).ok();
    let before = site.services.evidence(seen).await.ok().and_then(|text| json(&text));
    let now = json(&scene.stage.report.evidence.canonical);
    let mut changes =
        before.zip(now).map(|(before, now)| changes::between(&before, &now)).unwrap_or_default();
    if changes.is_empty() {
        changes.push(
            Prose::from("The evidence is generation ")
                .strong(scene.stage.facts.this.stage.generation.to_string())
                .text(" now. ")
                .link("Look at what there is", scene.stage.href())
                .text("."),
        );
    }
    let title = "This was not recorded";
    let page = RefusedPage {
        shell: scene.shell(site, reader, title).await?,
        title: title.into(),
        what: "The evidence changed after you opened the page. What you typed is kept.".into(),
        changes,
        blockers: Vec::new(),
        again: Some(again),
        back: scene.stage.href(),
    };
    respond::page_with(StatusCode::CONFLICT, &page)
}

#[derive(Deserialize)]
pub(super) struct Open {
    kind: Option<String>,
    version: Option<i64>,
    line: Option<i64>,
    #[serde(default)]
    text: String,
    blocking: Option<bool>,
    #[serde(default)]
    back: String,
}

/// Opens a thread on a line of a file; on the first line of the upgrade SQL where none is named.
pub(super) async fn open(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    Form(sent): Form<Open>,
) -> Page {
    let kind = sent.kind.as_deref().map_or(Ok(ArtifactKind::UpgradeSql), str::parse);
    let kind = kind.map_err(|_| ServiceError::NotFound("file"))?;
    let version = if let Some(version) = sent.version {
        version
    } else {
        let (file, _) = site.services.artifact(reader.actor(), number, &stage, kind, None).await?;
        file.version
    };
    let new = NewThread {
        kind,
        version,
        line: sent.line.unwrap_or(1),
        blocking: sent.blocking == Some(true),
        body: sent.text,
    };
    let id = site.services.open_thread(reader.actor(), number, &stage, new).await?;
    Ok(to_thread(&site, number, &stage, (id, &sent.back), "The thread is open."))
}

#[derive(Deserialize)]
pub(super) struct ReadMark {
    kind: String,
    version: i64,
    #[serde(default)]
    back: String,
}

/// Marks a version of a file as read by whoever sends this.
pub(super) async fn read(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    Form(sent): Form<ReadMark>,
) -> Page {
    let kind: ArtifactKind = sent.kind.parse().map_err(|_| ServiceError::NotFound("file"))?;
    site.services.mark(reader.actor(), number, &stage, (kind, sent.version), How::Read).await?;
    let place = difference(number, &stage, &sent.back)
        .unwrap_or_else(|| format!("{}/diff?kind={kind}", paths::stage(number, &stage)));
    let words = format!("{} v{} is marked as read.", kind.label(), sent.version);
    Ok(respond::see_other_saying(&site, &place, Lamp::Open, &words))
}

/// The address of the difference that a form was part of. What a form sends can name nothing but a query.
fn difference(number: TicketNumber, stage: &StageName, back: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "=&:,-_".contains(c);
    let lawful = !back.is_empty() && back.len() <= 400 && back.chars().all(plain);
    lawful.then(|| format!("{}/diff?{back}", paths::stage(number, stage)))
}

#[derive(Deserialize)]
pub(super) struct Words {
    #[serde(default)]
    text: String,
    #[serde(default)]
    back: String,
}

type ThreadPath = Path<(TicketNumber, StageName, ThreadId)>;

/// Answers in a thread.
pub(super) async fn reply(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage, thread)): ThreadPath,
    Form(sent): Form<Words>,
) -> Page {
    site.services.reply(reader.actor(), number, &stage, thread, &sent.text).await?;
    Ok(to_thread(&site, number, &stage, (thread, &sent.back), "Your reply is recorded."))
}

/// Resolves a thread, with the note that was typed, if one was.
pub(super) async fn resolve(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage, thread)): ThreadPath,
    Form(sent): Form<Words>,
) -> Page {
    settle(&site, &reader, number, &stage, thread, &sent, true).await
}

/// Opens a resolved thread again.
pub(super) async fn reopen(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage, thread)): ThreadPath,
    Form(sent): Form<Words>,
) -> Page {
    settle(&site, &reader, number, &stage, thread, &sent, false).await
}

async fn settle(
    site: &Site,
    reader: &Reader,
    number: TicketNumber,
    stage: &StageName,
    thread: ThreadId,
    sent: &Words,
    resolve: bool,
) -> Page {
    site.services.settle_thread(reader.actor(), number, stage, thread, resolve, &sent.text).await?;
    let words = if resolve { "The thread is resolved." } else { "The thread is open again." };
    Ok(to_thread(site, number, stage, (thread, &sent.back), words))
}

fn to_thread(
    site: &Site,
    number: TicketNumber,
    stage: &StageName,
    (thread, back): (ThreadId, &str),
    words: &str,
) -> axum::response::Response {
    let place = difference(number, stage, back).unwrap_or_else(|| paths::stage(number, stage));
    let place = format!("{place}#thread-{thread}");
    respond::see_other_saying(site, &place, Lamp::Open, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_back_to_a_difference_and_nowhere_else() {
        let stage: StageName = serde_json::from_str("\"staging\"").unwrap();
        let place = |back| difference(TicketNumber(1), &stage, back);
        assert_eq!(
            place("kind=upgrade-sql&from=a:1&at=R3").as_deref(),
            Some("/tickets/CHG-1/stages/staging/diff?kind=upgrade-sql&from=a:1&at=R3")
        );
        for wrong in ["", "//evil.example", "a=b#c", "a=%0d", "a b", "a=\r\nSet-Cookie:x"] {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }
}
