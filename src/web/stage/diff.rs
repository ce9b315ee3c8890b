//! `…/diff?kind=upgrade-sql&from=staging:1&to=production:1`: two versions of a file, line by line, with what was said.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;

use super::compare::{self, Wanted};
use super::sides::{NONE, Side, Sides, Voted, Why};
use super::talk::Talk;
use super::{Scene, diff_frame, download, files, remarks};
use crate::domain::artifact::{Artifact, ArtifactKind};
use crate::domain::facts::StageRecord;
use crate::domain::id::TicketNumber;
use crate::service::ServiceError;
use crate::service::diff::{Compared, aside};
use crate::web::extract::{Path, Query, StageName};
use crate::web::present::Judged;
use crate::web::session::{Crumb, Reader};
use crate::web::view::difference::Difference;
use crate::web::view::format::{Time, plural};
use crate::web::view::pages::files::DiffPage;
use crate::web::view::parts::{Empty, Note};
use crate::web::view::prose::Prose;
use crate::web::view::review::NewThread;
use crate::web::view::state::State as Lamp;
use crate::web::view::work::Action;
use crate::web::{Failure, Page, WebState, respond};

/// Folds that one address may open.
const MOST_OPEN: usize = 40;

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Asked {
    kind: Option<String>,
    from: Option<String>,
    to: Option<String>,
    /// `split` or `unified`.
    view: Option<String>,
    /// `all`: nothing is folded away.
    lines: Option<String>,
    /// Folds that are open: the new lines that they begin with.
    open: Option<String>,
    part: Option<usize>,
    /// A line to ask about: `L12` of the old side, `R12` of the new one.
    line: Option<String>,
    /// A line to look at.
    at: Option<String>,
    /// `patch`: as a file that `git apply` takes.
    format: Option<String>,
}

impl Asked {
    fn whole(&self) -> bool {
        self.lines.as_deref() == Some("all")
    }

    /// Whether this page is side by side; `None` if nobody said.
    fn split(&self) -> Option<bool> {
        match self.view.as_deref() {
            Some("split") => Some(true),
            Some("unified") => Some(false),
            _ => None,
        }
    }

    fn kind(&self) -> Result<ArtifactKind, Failure> {
        let kind = self.kind.as_deref().map_or(Ok(ArtifactKind::UpgradeSql), str::parse);
        kind.map_err(|_| Failure::not_found())
    }
}

/// `L12` or `R12`.
fn line(text: Option<&str>) -> Option<(bool, u32)> {
    let (side, number) = text?.split_at_checked(1)?;
    let number = number.parse().ok().filter(|number| *number > 0)?;
    match side {
        "L" => Some((true, number)),
        "R" => Some((false, number)),
        _ => None,
    }
}

pub(super) async fn show(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Page {
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    let judged = &scene.stage;
    let kind = asked.kind()?;
    let vote = super::own_vote(judged, reader.actor()).filter(|vote| vote.evidence != judged.evidence());
    let evidence: Option<Value> = match vote {
        Some(vote) => serde_json::from_str(&site.services.evidence(vote.evidence).await?).ok(),
        None => None,
    };
    let voted = vote.zip(evidence.as_ref()).map(|(vote, evidence)| Voted { vote, evidence });
    let sides = Sides::find(judged, kind, (asked.from.as_deref(), asked.to.as_deref()), voted.as_ref())?;
    let split = asked.split().unwrap_or_else(|| Crumb::View.of(&site, &headers).as_deref() == Some("split"));
    let mut page = diff_frame::frame(&site, &reader, &scene, &sides, voted.as_ref(), split).await?;
    let Some(to) = &sides.to else {
        let empty = format!("{} is not attached yet.", kind.label());
        page.no_diff = Empty::new("file-diff", empty, "");
        return respond::page(&page);
    };
    let from = sides.from.as_ref().unwrap_or(to);
    let answer = site.services.diff(reader.actor(), number, kind, &from.name(), &to.name()).await;
    if asked.format.as_deref() == Some("patch") {
        let answer = answer?;
        let unified = answer.unified().await?;
        let name = format!("{number}-{kind}-{}-to-{}.diff", dashed(from), dashed(to));
        let text = std::str::from_utf8(&unified).is_ok();
        return Ok(download(&name, if text { "text/x-diff; charset=utf-8" } else { "text/x-diff" }, unified));
    }
    match answer {
        Ok(answer) => {
            let both = (sides.from.as_ref().map(|_| &answer.old), &answer.new);
            let shown = Shown { scene: &scene, reader: &reader, sides: &sides, asked: &asked, split };
            shown.fill(&site, &mut page, both, &answer.body).await?;
        }
        Err(ServiceError::Conflict { message, .. }) => {
            page.no_diff = Empty::new("download", "These files are not compared here.", message);
        }
        Err(error) => return Err(error.into()),
    }
    let mut response = respond::page(&page)?;
    remember(&site, &asked, &mut response);
    Ok(response)
}

fn dashed(side: &Side) -> String {
    format!("{}-v{}", side.stage, side.version)
}

/// The view that was chosen is this browser's from then on.
fn remember(site: &crate::web::Site, asked: &Asked, response: &mut Response) {
    if let Some(split) = asked.split() {
        let year = SignedDuration::from_hours(365 * 24);
        Crumb::View.set(site, response, if split { "split" } else { "unified" }.to_owned(), Some(year));
    }
}

struct Shown<'a> {
    scene: &'a Scene,
    reader: &'a Reader,
    sides: &'a Sides,
    asked: &'a Asked,
    split: bool,
}

impl Shown<'_> {
    /// What an address of this page begins with: both sides and the choices, without part, folds and line.
    fn query(&self) -> String {
        let kind = self.sides.kind;
        let from = self.sides.from.as_ref().map_or_else(|| NONE.to_owned(), |side| side.text(kind));
        let to = self.sides.to.as_ref().map(|side| side.text(kind)).unwrap_or_default();
        format!("?kind={kind}&from={from}&to={to}&")
    }

    async fn fill(
        &self,
        site: &crate::web::Site,
        page: &mut DiffPage,
        (old, new): (Option<&Artifact>, &Artifact),
        body: &Arc<Compared>,
    ) -> Result<(), Failure> {
        let judged = &self.scene.stage;
        let query = self.query();
        let back = query.trim_matches(['?', '&']).to_owned();
        let said = remarks::said(site, judged).await?;
        let mut talk = Talk::gather(site, judged, self.reader.actor(), &said, (old, new), &back).await?;
        let (keep_old, keep) = talk.keep();
        let whole = old.is_none() || self.asked.whole();
        let all = if self.asked.whole() { "lines=all&" } else { "" };
        let may_ask = judged.may(self.reader.actor(), &crate::domain::transition::Action::OpenThread).is_ok();
        let here = |file: &Artifact| may_ask && file.stage == judged.facts.this.stage.id;
        let ask = line(self.asked.line.as_deref());
        let opened = self.asked.open.as_deref().unwrap_or_default().split(',');
        let wanted = Wanted {
            whole,
            // One file has one side.
            split: self.split && old.is_some(),
            open: opened.filter_map(|line| line.parse().ok()).take(MOST_OPEN).collect(),
            keep,
            keep_old: if old.is_some() { keep_old } else { BTreeMap::default() },
            part: self.asked.part.unwrap_or(1),
            line: ask.or_else(|| line(self.asked.at.as_deref())),
            query: format!("{query}{all}"),
            ask_old: old.is_some_and(here),
            ask_new: here(new),
        };
        let split = wanted.split;
        let (work, given) = (Arc::clone(body), wanted.clone());
        let mut part = aside(move || compare::part(&work, &given)).await?;
        if let Some(file) = page.files.iter_mut().find(|file| file.current).filter(|_| old.is_some()) {
            file.counts = format!("+{} −{}", body.lines.added(), body.lines.removed());
        }
        let form = ask.and_then(|(is_old, line)| {
            let file =
                if is_old { old.filter(|file| here(file))? } else { Some(new).filter(|file| here(file))? };
            Some((
                (is_old, line),
                new_thread(file, line, &format!("{back}&at={}{line}", if is_old { "L" } else { "R" }))?,
            ))
        });
        let mut difference = Difference {
            caption: caption(self.sides, body),
            split,
            single: old.is_none(),
            entries: talk.put(std::mem::take(&mut part.entries), form),
            stage: judged.stage_ref(),
            csrf: self.reader.csrf(),
        };
        difference.set_margin();
        page.chips = talk
            .chips
            .into_iter()
            .map(|(tag, line)| (tag, format!("{query}{all}at=R{line}#R{line}")))
            .collect();
        page.more_findings = talk.more;
        page.loose = talk.loose;
        page.comment = may_ask.then(|| new_thread(new, 1, &back)).flatten().filter(|_| here(new));
        page.last_line = body.lines.new.count().max(1);
        page.back = back;
        page.query.clone_from(&query);
        self.pages(page, &part, &format!("{query}{all}"));
        self.alerts(page, body, &part, new);
        if old.is_some_and(|old| old.sha256 == new.sha256) {
            page.alerts.push(same(new));
        }
        if old.is_some() {
            page.actions.push(Action::new("Patch", format!("{query}format=patch")).icon("download"));
            page.actions.push(if self.asked.whole() {
                Action::new("Changes only", query.trim_end_matches('&')).icon("chevrons-up-down")
            } else {
                Action::new("Every line", format!("{query}lines=all")).icon("chevrons-up-down")
            });
        }
        page.diff = Some(difference);
        Ok(())
    }

    fn pages(&self, page: &mut DiffPage, part: &compare::Part, query: &str) {
        let at = |number: usize| format!("{query}part={number}");
        let open =
            self.asked.open.as_ref().filter(|open| open.bytes().all(|b| b.is_ascii_digit() || b == b','));
        let more = open.map_or_else(String::new, |open| format!("&open={open}"));
        page.previous_part = (part.number > 1).then(|| format!("{}{more}", at(part.number - 1)));
        page.next_part = (part.number < part.parts).then(|| format!("{}{more}", at(part.number + 1)));
        page.part_note = format!("Part {} of {}", part.number, part.parts);
    }

    fn alerts(&self, page: &mut DiffPage, body: &Compared, part: &compare::Part, new: &Artifact) {
        let judged = &self.scene.stage;
        let mut alert = |state, text: Prose| page.alerts.push(Note::new(state, text));
        if let Some(words) = why(self.sides, judged, body) {
            alert(Lamp::Idle, words);
        }
        if body.lines.coarse {
            alert(
                Lamp::Who,
                "This is a coarse difference: the search for a smaller one was cut short. What is shown is true, but larger than it need be."
                    .into(),
            );
        }
        if part.hidden > 0 {
            let lines = plural(part.hidden, "line holds", "lines hold");
            alert(
                Lamp::Stop,
                Prose::new().strong(format!("{lines} characters that can’t be seen")).text(
                    ", or that change the order in which text is read. They are marked below with their number.",
                ),
            );
        }
        if part.cut > 0 {
            let raw = format!("{}/artifacts/{}/raw?version={}", judged.href(), new.kind, new.version);
            let lines = plural(part.cut, "line is", "lines are");
            alert(
                Lamp::Who,
                Prose::from(format!("{lines} too long for a page and cut. "))
                    .link("Download the file", raw)
                    .text(" to read all of it."),
            );
        }
        if body.all_crlf() && body.lines.new.count() > 0 {
            alert(Lamp::Idle, "Every line of both sides ends with CR LF, which is not marked.".into());
        }
        let record: &StageRecord = &judged.facts.this;
        let newest = record.newest(new.kind).filter(|newest| newest.version > new.version);
        if let Some(newest) =
            newest.filter(|newest| newest.stage == new.stage && newest.kind != ArtifactKind::Other)
        {
            let words = Prose::from("This is not the newest version. ");
            alert(
                Lamp::Who,
                words.link(format!("v{} stands now", newest.version), files::href(judged, newest)).text("."),
            );
        }
    }
}

fn same(new: &Artifact) -> Note {
    let digest = new.sha256.to_string();
    let words = Prose::new().strong("The files are the same.").text(" Byte for byte: SHA-256 ");
    Note::new(Lamp::Open, words.code(digest[..16].to_owned()).text(" … on both sides."))
}

/// Why the page shows what it shows, where nobody asked for it.
fn why(sides: &Sides, judged: &Judged, body: &Compared) -> Option<Prose> {
    let now = judged.now();
    let alone = format!("?kind={}&from={NONE}", sides.kind);
    match sides.why {
        Why::SinceVote(at) => {
            let count = body.lines.added() + body.lines.removed();
            let lines = plural(count.into(), "line", "lines");
            let words =
                Prose::new().strong("What changed since your vote").text(" of ").time(Time::long(at, now));
            Some(words.text(format!(": {lines}. ")).link("Read the whole file", alone).text("."))
        }
        Why::AsAtVote(at) => {
            let words =
                Prose::new().strong("Unchanged since your vote").text(" of ").time(Time::long(at, now));
            Some(words.text(". ").link("Read the whole file", alone).text("."))
        }
        Why::NewSinceVote(at) => {
            let words = Prose::new().strong("New since your vote").text(" of ").time(Time::long(at, now));
            Some(words.text(": this file was not there then."))
        }
        Why::Asked | Why::Before | Why::Alone => None,
    }
}

fn caption(sides: &Sides, body: &Compared) -> String {
    let label = sides.kind.label();
    match (&sides.from, &sides.to) {
        (Some(from), Some(to)) => format!(
            "{label}: {} version {} compared with {} version {}, {} added, {} removed. Findings and threads follow the line they concern.",
            from.stage,
            from.version,
            to.stage,
            to.version,
            plural(body.lines.added().into(), "line", "lines"),
            plural(body.lines.removed().into(), "line", "lines")
        ),
        (_, Some(to)) => format!("{label}: {} version {}, with line numbers", to.stage, to.version),
        (_, None) => label.to_owned(),
    }
}

fn new_thread(file: &Artifact, line: u32, back: &str) -> Option<NewThread> {
    let version = u32::try_from(file.version).ok()?;
    let about = Some((file.kind.as_str().to_owned(), version, line));
    Some(NewThread { about, back: back.to_owned(), ..NewThread::default() })
}
