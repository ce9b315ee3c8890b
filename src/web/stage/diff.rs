//! `…/diff?kind=upgrade-sql&from=staging:1&to=production:1`: two versions of a file, line by line.

use axum::extract::State;
use serde::Deserialize;

use super::{Scene, compare, download};
use crate::domain::artifact::{Artifact, ArtifactKind};
use crate::domain::facts::StageRecord;
use crate::domain::id::TicketNumber;
use crate::service::ServiceError;
use crate::service::diff::{DiffAnswer, SideName};
use crate::web::extract::{Path, Query, StageName};
use crate::web::present::{self, Judged};
use crate::web::session::Reader;
use crate::web::view::code::Diff;
use crate::web::view::format::{Time, plural};
use crate::web::view::forms::Choice;
use crate::web::view::pages::files::{DiffFile, DiffPage};
use crate::web::view::parts::{Empty, Note};
use crate::web::view::prose::Prose;
use crate::web::view::state::{Lamps, State as Lamp};
use crate::web::view::work::Action;
use crate::web::{Failure, Page, Site, WebState, respond};

#[derive(Deserialize)]
pub(super) struct Asked {
    kind: Option<String>,
    from: Option<String>,
    to: Option<String>,
    /// `all`: nothing is folded away.
    lines: Option<String>,
    part: Option<usize>,
    /// `patch`: as a file that `git apply` takes.
    format: Option<String>,
}

/// A side as addresses name it: `staging:1`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Side {
    stage: String,
    version: i64,
}

impl Side {
    fn of(record: &StageRecord, file: &Artifact) -> Self {
        Self { stage: record.stage.name.clone(), version: file.version }
    }

    fn parse(text: &str) -> Option<Self> {
        let (stage, version) = text.rsplit_once(':')?;
        Some(Self { stage: stage.to_owned(), version: version.parse().ok()? })
    }

    fn text(&self) -> String {
        format!("{}:{}", self.stage, self.version)
    }
}

pub(super) async fn show(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    Query(asked): Query<Asked>,
) -> Page {
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    let kind = asked.kind.as_deref().map_or(Ok(ArtifactKind::UpgradeSql), str::parse);
    let kind: ArtifactKind = kind.map_err(|_| Failure::not_found())?;
    let judged = &scene.stage;
    let named = |text: &Option<String>, otherwise: Option<Side>| match text.as_deref() {
        None => Ok(otherwise),
        Some(text) => Side::parse(text).map(Some).ok_or_else(Failure::not_found),
    };
    let to = named(&asked.to, judged.facts.this.newest(kind).map(|file| Side::of(&judged.facts.this, file)))?;
    let from = match asked.from.as_deref() {
        Some("") => None,
        _ => named(&asked.from, before(judged, kind))?,
    };
    let (Some(from), Some(to)) = (from, to.clone()) else {
        return respond::page(&nothing(&site, &reader, &scene, kind, to).await?);
    };
    let answer = site
        .services
        .diff(
            reader.actor(),
            number,
            kind,
            &SideName::of(&from.stage, from.version),
            &SideName::of(&to.stage, to.version),
        )
        .await;
    if asked.format.as_deref() == Some("patch") {
        let answer = answer?;
        let name =
            format!("{number}-{kind}-{}-v{}-to-{}-v{}.diff", from.stage, from.version, to.stage, to.version);
        return Ok(download(&name, "text/x-diff; charset=utf-8", answer.unified));
    }
    let mut page = frame(&site, &reader, &scene, kind, Some(&from), Some(&to)).await?;
    match answer {
        Ok(answer) => fill(&mut page, &scene, &answer, &asked, (&from, &to)),
        Err(ServiceError::Conflict { message, .. }) => {
            page.no_diff = Empty::new("download", "These files are not compared here.", message);
        }
        Err(error) => return Err(error.into()),
    }
    respond::page(&page)
}

/// What the newest file is compared with unless something else is asked: what ran on the stage before, else the
/// version before it.
fn before(stage: &Judged, kind: ArtifactKind) -> Option<Side> {
    let ran = stage.facts.previous.as_ref().and_then(|previous| {
        let file = previous
            .last_upgrade()
            .and_then(|run| previous.as_of(run, kind))
            .or_else(|| previous.newest(kind))?;
        Some(Side::of(previous, file))
    });
    let record = &stage.facts.this;
    ran.or_else(|| {
        let newest = record.newest(kind)?.version;
        let mut earlier = record.artifacts.iter().filter(|a| a.kind == kind && a.version < newest);
        earlier.next_back().map(|file| Side::of(record, file))
    })
}

async fn nothing(
    site: &Site,
    reader: &Reader,
    scene: &Scene,
    kind: ArtifactKind,
    to: Option<Side>,
) -> Result<DiffPage, Failure> {
    let mut page = frame(site, reader, scene, kind, None, to.as_ref()).await?;
    page.no_diff = match to {
        None => Empty::new("file-diff", format!("{} is not attached yet.", kind.label()), ""),
        Some(only) => {
            let text = Prose::from("Read ").link(
                format!("{} v{} of {}", kind.label(), only.version, only.stage),
                format!(
                    "/tickets/{}/stages/{}/artifacts/{kind}?version={}",
                    scene.stage.facts.ticket.number, only.stage, only.version
                ),
            );
            Empty::new("file-diff", "There is no earlier file to compare with.", text.text("."))
        }
    };
    Ok(page)
}

fn fill(page: &mut DiffPage, scene: &Scene, answer: &DiffAnswer, asked: &Asked, (from, to): (&Side, &Side)) {
    let whole = asked.lines.as_deref() == Some("all");
    let kind = answer.new.kind;
    let link = |more: &str| format!("?kind={kind}&from={}&to={}{more}", from.text(), to.text());
    if answer.same() {
        let digest = answer.new.sha256.to_string();
        page.no_diff = Empty::new(
            "file-diff",
            "The files are the same.",
            Prose::from("Byte for byte: SHA-256 ").code(digest[..16].to_owned()).text(" … on both sides."),
        );
        if !whole {
            return;
        }
    }
    if answer.coarse {
        page.alerts.push(Note::new(
            Lamp::Who,
            "The search for a smaller difference was cut short. What is shown is true, but larger than it need be.",
        ));
    }
    if let Some(file) = page.files.iter_mut().find(|file| file.current) {
        file.counts = format!("+{} −{}", answer.added, answer.removed);
    }
    let part = compare::part(answer, whole, asked.part.unwrap_or(1));
    page.actions.push(Action::new("Patch", link("&format=patch")).icon("download"));
    let all = if whole { "&lines=all" } else { "" };
    page.actions.push(if whole {
        Action::new("Changes only", link("")).icon("rows-2")
    } else {
        Action::new("Every line", link("&lines=all")).icon("rows-2")
    });
    page.next_part = (part.number < part.parts).then(|| link(&format!("{all}&part={}", part.number + 1)));
    page.part_note = format!("Part {} of {}", part.number, part.parts);
    if part.rows.iter().any(hides) {
        page.alerts.push(Note::new(
            Lamp::Stop,
            "This difference holds characters that can’t be seen, or that change the order in which text is read. They are marked with their number.",
        ));
    }
    page.diff = Some(Diff {
        caption: format!(
            "{}: {} version {} compared with {} version {}, {} added, {} removed",
            kind.label(),
            from.stage,
            from.version,
            to.stage,
            to.version,
            plural(answer.added.into(), "line", "lines"),
            plural(answer.removed.into(), "line", "lines")
        ),
        rows: part.rows,
    });
    let newest = scene.stage.facts.this.newest(kind);
    if to.stage == scene.stage.name() && newest.is_some_and(|newest| newest.version > to.version) {
        page.alerts.push(Note::new(Lamp::Who, "A newer version than this one stands now."));
    }
}

fn hides(row: &crate::web::view::code::DiffRow) -> bool {
    matches!(row, crate::web::view::code::DiffRow::Line { code, .. } if code.has_hidden())
}

async fn frame(
    site: &Site,
    reader: &Reader,
    scene: &Scene,
    kind: ArtifactKind,
    from: Option<&Side>,
    to: Option<&Side>,
) -> Result<DiffPage, Failure> {
    let judged = &scene.stage;
    let kinds = ArtifactKind::ALL.iter().filter(|kind| kind.is_evidence() && **kind != ArtifactKind::Other);
    let files = kinds.filter(|kind| judged.facts.this.newest(**kind).is_some()).map(|other| DiffFile {
        text: other.label().to_owned(),
        href: format!("?kind={other}"),
        current: *other == kind,
        counts: String::new(),
    });
    let (have, need) =
        (judged.report.tally.approvals.len(), usize::try_from(judged.report.quorum).unwrap_or(usize::MAX));
    let decide = Action::new(format!("Decide on {}", judged.name()), format!("{}/decide", judged.href()));
    let choices = choices(scene, kind);
    let mut from_choices = vec![Choice::new("", "Nothing: read the file")];
    from_choices.extend(choices.iter().cloned());
    let title = format!("{} of {}, difference", kind.label(), judged.facts.ticket.number);
    Ok(DiffPage {
        head: present::about::head(&scene.dossier.ticket, Some(judged), judged.now()),
        stage: judged.stage_ref(),
        kind: kind.as_str().to_owned(),
        files: files.collect(),
        from: from.map(Side::text).unwrap_or_default(),
        to: to.map(Side::text).unwrap_or_default(),
        from_choices,
        to_choices: choices,
        lamps: Lamps { have, need, alone: false },
        lamps_text: format!("{have} of {need} signed"),
        actions: vec![decide.primary()],
        alerts: Vec::new(),
        diff: None,
        no_diff: Empty::new("file-diff", "There is nothing to compare.", ""),
        next_part: None,
        part_note: String::new(),
        shell: scene.shell(site, reader, title).await?,
    })
}

/// Every version of the kind up to this stage, newest first.
fn choices(scene: &Scene, kind: ArtifactKind) -> Vec<Choice> {
    let now = scene.stage.now();
    let mut choices = Vec::new();
    for record in scene.dossier.stages.iter().rev() {
        let mut versions: Vec<&Artifact> = record.artifacts.iter().filter(|a| a.kind == kind).collect();
        versions.sort_by_key(|file| std::cmp::Reverse(file.version));
        let ran = record.last_upgrade().and_then(|run| Some((run, record.as_of(run, kind)?.version)));
        for (place, file) in versions.iter().enumerate() {
            let note = match ran {
                Some((run, version)) if version == file.version => {
                    format!(", ran {}", Time::short(run.started_at, now).words)
                }
                _ if place == 0 => ", current".to_owned(),
                _ => String::new(),
            };
            let side = Side::of(record, file);
            let words = format!("{} v{}{note}", record.stage.name, file.version);
            choices.push(Choice::new(side.text(), words));
        }
    }
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_a_stage_and_a_version() {
        let side = Side::parse("pre-prod:12").unwrap();
        assert_eq!((side.stage.as_str(), side.version), ("pre-prod", 12));
        assert_eq!(side.text(), "pre-prod:12");
        for wrong in ["", "staging", "staging:", "staging:x", "staging:1.5"] {
            assert_eq!(Side::parse(wrong), None, "{wrong}");
        }
    }
}
