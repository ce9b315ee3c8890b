//! What stands around a difference: the files, the choices, who has read what, the way to the decision.

use super::sides::{self, NONE, Sides, Voted};
use super::{Scene, changes};
use crate::domain::artifact::{Artifact, ArtifactKind};
use crate::domain::reading::{self, How, Reading};
use crate::domain::user::Role;
use crate::web::present::{self, Judged};
use crate::web::session::Reader;
use crate::web::view::format::{Time, plural};
use crate::web::view::forms::Choice;
use crate::web::view::pages::files::{DiffFile, DiffPage, MarkForm, Readers};
use crate::web::view::parts::Empty;
use crate::web::view::prose::Prose;
use crate::web::view::state::{Lamps, State as Lamp, Status};
use crate::web::{Failure, Site};

pub(super) async fn frame(
    site: &Site,
    reader: &Reader,
    scene: &Scene,
    sides: &Sides,
    voted: Option<&Voted<'_>>,
    split: bool,
) -> Result<DiffPage, Failure> {
    let judged = &scene.stage;
    let kind = sides.kind;
    let readings = site.services.readings(judged.facts.this.stage.id).await?;
    let (have, need) =
        (judged.report.tally.approvals.len(), usize::try_from(judged.report.quorum).unwrap_or(usize::MAX));
    let choices = sides::choices(scene, kind, voted);
    let mut from_choices = vec![Choice::new(NONE, "Nothing: show the whole file")];
    from_choices.extend(choices.iter().cloned());
    let title = format!("{} of {}, difference", kind.label(), judged.facts.ticket.number);
    let shown = sides.to.as_ref().filter(|to| to.stage == judged.name()).and_then(|to| {
        judged.facts.this.artifacts.iter().find(|file| file.kind == to.kind && file.version == to.version)
    });
    Ok(DiffPage {
        head: present::about::head(&scene.dossier.ticket, Some(judged), judged.now()),
        stage: judged.stage_ref(),
        kind: kind.as_str().to_owned(),
        label: kind.label().to_owned(),
        files: files(judged, reader, kind, voted, &readings),
        from: sides.from.as_ref().map_or_else(|| NONE.to_owned(), |side| side.text(kind)),
        to: sides.to.as_ref().map(|side| side.text(kind)).unwrap_or_default(),
        from_choices,
        to_choices: choices,
        split,
        query: format!("?kind={kind}&"),
        back: String::new(),
        chips: Vec::new(),
        more_findings: 0,
        lamps: Lamps { have, need, alone: false },
        lamps_text: format!("{have} of {need} signed"),
        decide: decide(judged, reader, &readings),
        may_reject: reader.actor().has(Role::Board),
        actions: Vec::new(),
        alerts: Vec::new(),
        diff: None,
        no_diff: Empty::new("file-diff", "There is nothing to compare.", ""),
        previous_part: None,
        next_part: None,
        part_note: String::new(),
        loose: Vec::new(),
        comment: None,
        last_line: 1,
        mark: shown.map(|file| mark(judged, reader, file, &readings)),
        readers: readers(judged, &readings),
        shell: scene.shell(site, reader, title).await?,
    })
}

fn files(
    judged: &Judged,
    reader: &Reader,
    kind: ArtifactKind,
    voted: Option<&Voted<'_>>,
    readings: &[Reading],
) -> Vec<DiffFile> {
    let kinds = ArtifactKind::ALL.iter().filter(|kind| kind.is_evidence());
    let newest = kinds.filter_map(|kind| judged.facts.this.newest(*kind));
    newest
        .map(|file| {
            let before = voted.map(|voted| changes::file_of(voted.evidence, file.kind, &file.filename));
            let news = match before {
                Some(Some((_, digest))) if digest != file.sha256.to_string() => "changed",
                Some(None) => "new",
                _ => "",
            };
            DiffFile {
                text: file.kind.label().to_owned(),
                href: format!("?kind={}", file.kind),
                current: file.kind == kind,
                counts: news.to_owned(),
                read: reading::when(readings, reader.actor().person, file.id, How::Read).is_some(),
            }
        })
        .collect()
}

/// What is decided is not this file.
fn decide(judged: &Judged, reader: &Reader, readings: &[Reading]) -> Prose {
    let files = judged.facts.this.evidence_files();
    let own = reader.actor().person;
    let read = files.iter().filter(|file| reading::when(readings, own, file.id, How::Read).is_some()).count();
    let digest = judged.evidence().to_string();
    Prose::new()
        .strong("You decide on all of the evidence, not on this file.")
        .text(format!(" {}, evidence ", plural(files.len() as u64, "file", "files")))
        .code(digest[..16].to_owned())
        .text(format!(" …. You have marked {read} of {} as read.", files.len()))
}

fn mark(judged: &Judged, reader: &Reader, file: &Artifact, readings: &[Reading]) -> MarkForm {
    let read = reading::when(readings, reader.actor().person, file.id, How::Read);
    MarkForm {
        version: file.version,
        filename: file.filename.clone(),
        read: read.map(|at| {
            Status::new(
                Lamp::Open,
                Prose::from("You marked it as read, ").time(Time::short(at, judged.now())),
            )
        }),
    }
}

/// How far everybody has read who votes here, or who marked something.
pub(super) fn readers(judged: &Judged, readings: &[Reading]) -> Readers {
    let files = judged.facts.this.evidence_files();
    let progress = reading::progress(readings, &files);
    let standing = judged.facts.standing_votes();
    let mut rows = Vec::new();
    for (person, name, read) in &progress {
        let vote = standing.iter().find(|vote| vote.person == *person);
        let state = if *read == files.len() { Lamp::Open } else { Lamp::Idle };
        let said = vote.map_or_else(String::new, |vote| {
            let earlier = if vote.evidence == judged.evidence() { "" } else { ", for earlier evidence" };
            format!("; voted to {}{earlier}", vote.choice)
        });
        let words = Prose::new()
            .strong(*name)
            .text(format!(" has marked {read} of {} files as read{said}", files.len()));
        rows.push(Status::new(state, words));
    }
    for vote in standing.iter().filter(|vote| progress.iter().all(|(person, ..)| *person != vote.person)) {
        let words = Prose::new().strong(vote.name.clone());
        let earlier = if vote.evidence == judged.evidence() { "" } else { ", for earlier evidence" };
        let words = words.text(format!(" has marked no file as read; voted to {}{earlier}", vote.choice));
        rows.push(Status::new(Lamp::Idle, words));
    }
    Readers { rows, files: files.len() }
}
