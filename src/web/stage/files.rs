//! One file of a stage: uploading a version, reading it with line numbers, taking it away.

use std::ops::Range;

use axum::body::Body;
use axum::extract::State;
use axum::http::Method;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;

use super::{Scene, download, media};
use crate::domain::artifact::{Artifact, ArtifactFacts, ArtifactKind};
use crate::domain::id::TicketNumber;
use crate::domain::reading::{self, How};
use crate::domain::transition::Action as Act;
use crate::domain::user::Actor;
use crate::service::ServiceError;
use crate::service::artifacts::Upload as NewFile;
use crate::service::diff::shown::{conceals, extent};
use crate::web::extract::{Path, Query, StageName};
use crate::web::present::{self, Judged, review};
use crate::web::session::Reader;
use crate::web::upload::Upload;
use crate::web::view::code::{Code, FileLine, LineNote};
use crate::web::view::format::{Dig, Time, bytes, plural};
use crate::web::view::pages::files::{ArtifactPage, VersionRow};
use crate::web::view::parts::{Empty, Note};
use crate::web::view::prose::Prose;
use crate::web::view::review::NewThread;
use crate::web::view::state::State as Lamp;
use crate::web::view::work::Action;
use crate::web::{Failure, Page, WebState, paths, respond};

/// Lines that a page shows at once.
const PART: usize = 1_000;

/// Findings beside one line; the others are on the stage's page.
const MOST_BESIDE: usize = 6;

/// What the lines of a page may take, in bytes.
const PART_BYTES: usize = 240 * 1024;

/// `…/artifacts/KIND?version=N`.
pub(super) fn href(stage: &Judged, file: &Artifact) -> String {
    present::files::address(stage, file.kind, file.version)
}

#[derive(Deserialize)]
pub(super) struct Sent {
    kind: String,
}

/// Adds a version of a file.
pub(super) async fn upload(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    sent: Upload<Sent>,
) -> Page {
    let kind = kind_named(&sent.form.kind)
        .map_err(|_| Failure::unprocessable("Nothing has been stored. There is no such kind of file."))?;
    if kind == ArtifactKind::RunLog {
        return Err(Failure::unprocessable("Nothing has been stored. A run writes its own log."));
    }
    let Upload { filename, bytes, .. } = &sent;
    let file = NewFile { kind, filename: base_name(filename).to_owned(), bytes: bytes.clone() };
    let done = site.services.upload(reader.actor(), number, &stage, file).await?;
    let words = if done.created {
        format!("{} v{} is stored.", kind.label(), done.version)
    } else {
        format!("These bytes are {} v{} already; nothing changed.", kind.label(), done.version)
    };
    let stage = paths::stage(number, &stage);
    let place = match kind {
        ArtifactKind::SmokeReport => format!("{stage}/run#smoke"),
        ArtifactKind::MonitoringSnapshot => format!("{stage}/run#monitoring"),
        _ => format!("{stage}#artifacts"),
    };
    Ok(respond::see_other_saying(&site, &place, Lamp::Open, &words))
}

/// Some browsers send a path.
fn base_name(filename: &str) -> &str {
    filename.rsplit(['/', '\\']).next().unwrap_or(filename)
}

fn kind_named(name: &str) -> Result<ArtifactKind, Failure> {
    name.parse().map_err(|_| Failure::not_found())
}

#[derive(Deserialize)]
pub(super) struct Asked {
    version: Option<i64>,
    /// The line that a thread is to be about.
    line: Option<u32>,
    part: Option<usize>,
}

/// Bytes that are handed over at once.
const PIECE: usize = 64 * 1024;

/// The very bytes of a version, as a file.
pub(super) async fn raw(
    method: Method,
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage, kind)): Path<(TicketNumber, StageName, String)>,
    Query(asked): Query<Asked>,
) -> Page {
    let kind = kind_named(&kind)?;
    let (file, bytes) = site.services.artifact(reader.actor(), number, &stage, kind, asked.version).await?;
    let body = if kind.is_evidence() && method == Method::GET {
        // Nothing is approved that was not shown; of a file that no page shows whole, this is the proof.
        let (services, actor, version) = (site.services.clone(), reader.actor().clone(), file.version);
        handed_over(bytes, async move {
            services.mark(&actor, number, &stage, (kind, version), How::Downloaded).await
        })
    } else {
        Body::from(bytes)
    };
    Ok(download(&file.filename, media(kind), body))
}

/// These bytes, and what is done when somebody has taken the last of them: a transfer that breaks off is none.
fn handed_over(
    mut bytes: Bytes,
    taken: impl Future<Output = Result<(), ServiceError>> + Send + 'static,
) -> Body {
    let pieces =
        std::iter::from_fn(move || (!bytes.is_empty()).then(|| Ok(bytes.split_to(PIECE.min(bytes.len())))));
    let end = stream::once(taken).filter_map(|done| std::future::ready(done.err().map(Err)));
    Body::from_stream(stream::iter(pieces).chain(end))
}

/// A version with line numbers, findings and threads.
pub(super) async fn show(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage, kind)): Path<(TicketNumber, StageName, String)>,
    Query(asked): Query<Asked>,
) -> Page {
    let kind = kind_named(&kind)?;
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    let judged = &scene.stage;
    let file = match asked.version {
        None => judged.facts.this.newest(kind),
        Some(version) => judged.facts.this.artifacts.iter().find(|a| a.kind == kind && a.version == version),
    };
    let file = file.ok_or(ServiceError::NotFound("file"))?;
    let small = reading::is_small(file);
    let text =
        if small { String::from_utf8(site.services.bytes_of(file.sha256).await?.into()).ok() } else { None };
    let said = super::remarks::said(&site, judged).await?;
    let threads = judged.facts.this.threads.iter().filter(|thread| thread.artifact == file.id);
    let threads = threads.map(|thread| review::thread(judged, reader.actor(), thread, &said)).collect();
    let shown =
        Shown::of((judged, reader.actor()), file, text.as_deref(), asked.part.unwrap_or(1), asked.line);
    let title = format!("{} v{} of {number}", kind.label(), file.version);
    let mut alerts = alerts(judged, file);
    alerts.extend(shown.hidden);
    let page = ArtifactPage {
        head: present::about::head(&scene.dossier.ticket, Some(judged), judged.now()),
        stage: judged.stage_ref(),
        kind: kind.as_str().to_owned(),
        label: kind.label().to_owned(),
        version: u32::try_from(file.version).unwrap_or(u32::MAX),
        filename: file.filename.clone(),
        summary: summary(judged, file),
        digest: Dig::full(file.sha256),
        actions: actions(judged, file),
        alerts,
        lines: shown.lines,
        no_lines: if small {
            Empty::new("file-diff", "This file is not shown.", "It is not text. Download it to look at it.")
        } else {
            let limit = bytes(u64::try_from(reading::MOST_BYTES).unwrap_or_default());
            let text = format!("More than {limit} or {} lines. Download it to read it.", reading::MOST_LINES);
            Empty::new("download", "This file is too large for a page.", text)
        },
        next_part: shown.next.map(|part| format!("?version={}&part={part}", file.version)),
        part_note: shown.note,
        versions: versions(judged, file),
        threads,
        new_thread: new_thread(judged, &reader, file, asked.line),
        shell: scene.shell(&site, &reader, title).await?,
    };
    respond::page(&page)
}

/// The lines of a page.
struct Shown {
    lines: Vec<FileLine>,
    hidden: Option<Note>,
    next: Option<usize>,
    note: String,
}

impl Shown {
    fn of(
        (stage, reader): (&Judged, &Actor),
        file: &Artifact,
        text: Option<&str>,
        part: usize,
        line: Option<u32>,
    ) -> Self {
        let Some(text) = text else {
            return Self { lines: Vec::new(), hidden: None, next: None, note: String::new() };
        };
        let all: Vec<&str> = text
            .split_inclusive('\n')
            .map(|line| line.strip_suffix('\n').map_or(line, |cut| cut.strip_suffix('\r').unwrap_or(cut)))
            .collect();
        let parts = parts(stage, file, &all);
        // A link to a line finds it, in whichever part it is.
        let wanted =
            line.and_then(|line| usize::try_from(line).ok()).filter(|line| (1..=all.len()).contains(line));
        let found = wanted.and_then(|line| parts.iter().position(|part| part.contains(&(line - 1))));
        let part = found.map_or(part, |found| found + 1).clamp(1, parts.len().max(1));
        let hidden = all.iter().filter(|line| line.contains(conceals)).count() as u64;
        let count = all.len();
        let shown = parts.get(part - 1).cloned().unwrap_or(0..0);
        let (first, last, parts) = (shown.start, shown.end, parts.len());
        let lines = all.get(shown).unwrap_or_default().iter().zip(first + 1..).map(|(line, number)| {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let (extent, _) = extent(line.as_bytes());
            let mut notes = notes(stage, reader, file, number);
            if extent < line.len() {
                let size = bytes(line.len() as u64);
                notes.push(LineNote {
                    state: Lamp::Who,
                    title: format!("This line is {size} long and is cut here"),
                    text: "Download the file to read all of it.".into(),
                });
            }
            FileLine { number, code: Code::line(&line[..extent]), notes }
        });
        Self {
            lines: lines.collect(),
            hidden: (hidden > 0).then(|| {
                let lines = plural(hidden, "line holds", "lines hold");
                Note::new(
                    Lamp::Stop,
                    Prose::new().strong(format!("{lines} characters that can’t be seen")).text(
                        ", or that change the order in which text is read. They are marked below with their number.",
                    ),
                )
            }),
            next: (part < parts).then_some(part + 1),
            note: format!("Lines {} to {last} of {count}", first + 1),
        }
    }
}

/// Stretches of lines that fit a page each.
fn parts(stage: &Judged, file: &Artifact, lines: &[&str]) -> Vec<Range<usize>> {
    let mut said = std::collections::HashMap::<i64, usize>::new();
    for finding in stage.facts.this.findings.iter().filter(|finding| finding.artifact == file.id) {
        *said.entry(finding.last_line.max(finding.line)).or_default() += 1;
    }
    let (mut parts, mut start, mut taken) = (Vec::new(), 0, 0);
    for (at, line) in lines.iter().enumerate() {
        let notes =
            said.get(&i64::try_from(at + 1).unwrap_or(i64::MAX)).copied().unwrap_or(0).min(MOST_BESIDE);
        let size = 320 + extent(line.as_bytes()).1 + 1_400 * notes;
        if at > start && (taken + size > PART_BYTES || at - start >= PART) {
            parts.push(start..at);
            (start, taken) = (at, 0);
        }
        taken += size;
    }
    if start < lines.len() {
        parts.push(start..lines.len());
    }
    parts
}

/// The findings that end on this line, the first of them.
fn notes(stage: &Judged, reader: &Actor, file: &Artifact, line: u32) -> Vec<LineNote> {
    let findings = stage.facts.this.findings.iter();
    let here = findings.filter(|f| f.artifact == file.id && f.last_line.max(f.line) == i64::from(line));
    here.take(MOST_BESIDE)
        .map(|finding| {
            let row = review::finding(stage, reader, finding);
            let mut text = Prose::from(format!("{} {}", row.why, row.advice));
            if let Some(accepted) = &finding.accepted {
                text = text.text(format!(" Accepted by {}: “{}”.", accepted.by_name, accepted.note));
            }
            let accepted = if row.accepted.is_some() { ", accepted" } else { "" };
            LineNote {
                state: row.state(),
                title: format!("{}{accepted}: {}", row.severity.word(), row.title),
                text,
            }
        })
        .collect()
}

fn summary(stage: &Judged, file: &Artifact) -> Prose {
    let via = if file.uploaded_via.is_some() { " with an API token" } else { "" };
    let size = bytes(u64::try_from(file.bytes).unwrap_or_default());
    Prose::from(format!("{size}, uploaded by {}{via} on ", file.uploaded_by_name))
        .time(Time::long_utc(file.uploaded_at, stage.now()))
}

fn alerts(stage: &Judged, file: &Artifact) -> Vec<Note> {
    let mut notes = Vec::new();
    let newest = stage.facts.this.newest(file.kind).filter(|newest| newest.version > file.version);
    if let Some(newest) = newest.filter(|_| file.kind != ArtifactKind::Other) {
        let there = Prose::from("This is an earlier version. ")
            .link(format!("v{} stands now", newest.version), href(stage, newest))
            .text(".");
        notes.push(Note::new(Lamp::Who, there));
    }
    match &file.facts {
        ArtifactFacts::Unreadable { problem } => notes.push(Note::new(Lamp::Stop, problem.as_str())),
        ArtifactFacts::Sql(sql) => {
            if let Some(reason) = &sql.not_possible {
                notes.push(Note::new(Lamp::Who, format!("Declared not possible: {reason}")));
            } else if let Some(problem) = &sql.problem {
                notes.push(Note::new(Lamp::Who, problem.as_str()));
            }
        }
        ArtifactFacts::Report(report) if !report.passed => {
            let why = report.problem.as_deref().unwrap_or("no reason given");
            notes.push(Note::new(Lamp::Stop, format!("The dry run did not pass: {why}")));
        }
        ArtifactFacts::Report(_)
        | ArtifactFacts::History(_)
        | ArtifactFacts::Manifest(_)
        | ArtifactFacts::Backup(_)
        | ArtifactFacts::Smoke(_)
        | ArtifactFacts::Opaque => {}
    }
    notes
}

fn actions(stage: &Judged, file: &Artifact) -> Vec<Action> {
    let mut actions = Vec::new();
    let earlier = stage.facts.this.artifacts.iter().filter(|other| other.kind == file.kind);
    let before = earlier.filter(|other| other.version < file.version).map(|other| other.version).max();
    if let Some(before) = before {
        let (name, kind, version) = (stage.name(), file.kind, file.version);
        let page = format!("{}/diff?kind={kind}&from={name}:{before}&to={name}:{version}", stage.href());
        actions.push(Action::new(format!("Diff v{before} to v{version}"), page).icon("file-diff"));
    }
    actions
}

fn versions(stage: &Judged, file: &Artifact) -> Vec<VersionRow> {
    let same = |other: &&Artifact| other.kind == file.kind;
    let mut all: Vec<&Artifact> = stage.facts.this.artifacts.iter().filter(same).collect();
    all.sort_by_key(|other| std::cmp::Reverse(other.version));
    let row = |other: &Artifact| VersionRow {
        version: u32::try_from(other.version).unwrap_or(u32::MAX),
        current: other.version == file.version,
        by: other.uploaded_by_name.clone(),
        at: Time::short(other.uploaded_at, stage.now()),
    };
    all.into_iter().map(row).collect()
}

fn new_thread(stage: &Judged, reader: &Reader, file: &Artifact, line: Option<u32>) -> Option<NewThread> {
    stage.may(reader.actor(), &Act::OpenThread).ok()?;
    let version = u32::try_from(file.version).ok()?;
    let about = Some((file.kind.as_str().to_owned(), version, line.unwrap_or(1)));
    Some(NewThread { about, ..NewThread::default() })
}
