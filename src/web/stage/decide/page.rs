//! The decide page: everything that the evidence digest covers, and the form.

use serde_json::Value;

use super::covers;
use crate::domain::artifact::{Artifact, ArtifactKind};
use crate::domain::checklist;
use crate::domain::facts::Choice;
use crate::domain::reading::{self, How, Reading};
use crate::domain::transition::Action;
use crate::domain::user::Actor;
use crate::service::contents::Rehearsal;
use crate::service::diff::DiffAnswer;
use crate::web::present::{self, Judged};
use crate::web::stage::{changes, compare, files};
use crate::web::view::code::Diff;
use crate::web::view::format::{Dig, Time, bytes, plural};
use crate::web::view::pages::decide::{Comparison, DecidePage, Decision, Loss, SignedArtifact};
use crate::web::view::parts::Empty;
use crate::web::view::prose::Prose;
use crate::web::view::shell::Shell;
use crate::web::view::state::{Lamps, State, Status};

/// Rows of a difference that fit into the page.
const INLINE_ROWS: usize = 80;

/// What was loaded for the page besides the ticket.
pub(super) struct Loaded {
    pub rehearsal: Option<Rehearsal>,
    /// Against what ran on the stage before, where both files are there and differ.
    pub diff: Option<DiffAnswer>,
    /// The evidence of the reader's own last vote, if it is other than the current one.
    pub voted_on: Option<Value>,
    /// Who has read which file.
    pub readings: Vec<Reading>,
    /// The files that no page shows whole, with whether the reader has downloaded each.
    pub to_download: Vec<(Artifact, bool)>,
}

/// Puts the page together.
pub(super) fn page(
    shell: Shell,
    dossier: &crate::domain::dossier::Dossier,
    stage: &Judged,
    reader: &Actor,
    loaded: &Loaded,
) -> DecidePage {
    let facts = &stage.facts;
    let evidence_files = facts.this.evidence_files();
    let artifacts: Vec<SignedArtifact> =
        evidence_files.iter().map(|file| signed(stage, reader, file, loaded)).collect();
    let findings =
        present::review::measured(present::review::findings(stage, reader), loaded.rehearsal.as_ref());
    let open = facts.this.findings.iter().filter(|finding| finding.blocks()).count();
    let accepted = facts.this.accepted_findings().count();
    let standing = crate::web::stage::own_vote(stage, reader);
    let may = |choice, comment| {
        let action = Action::Vote { choice, seen: stage.evidence(), comment, acknowledged: true };
        stage.may(reader, &action).map(drop)
    };
    let (approve, reject, withdraw) =
        (may(Choice::Approve, ""), may(Choice::Reject, "x"), may(Choice::Withdraw, ""));
    let refused = match (&approve, &reject, &withdraw) {
        (Err(why), Err(_), Err(_)) => Some(why.to_string()),
        _ => None,
    };
    let need = usize::try_from(stage.report.quorum).unwrap_or(usize::MAX);
    DecidePage {
        head: present::about::head(&dossier.ticket, Some(stage), stage.now()),
        stage: stage.stage_ref(),
        release: facts.ticket.content.release_tag.clone(),
        errors: None,
        stale: None,
        artifacts_note: plural(artifacts.len() as u64, "file", "files"),
        artifacts,
        covers: covers::covers(stage),
        evidence: covers::full(stage),
        canonical: stage.report.evidence.canonical.clone(),
        comparison: comparison(stage, loaded.diff.as_ref()),
        losses: losses(loaded.rehearsal.as_ref()),
        no_losses: no_losses(loaded.rehearsal.as_ref()),
        findings_note: format!("{open} blocking, {accepted} accepted"),
        more_findings: present::review::more_findings(stage),
        findings,
        no_findings: Empty::new("list-checks", "No finding.", "The analysis does not replace a reader."),
        know: covers::know(stage, standing, loaded.rehearsal.as_ref()),
        next: covers::next(stage, reader),
        refused,
        answers: Decision::default(),
        cannot_approve: approve.err().map(|why| why.to_string()),
        may_reject: reject.is_ok(),
        may_withdraw: withdraw.is_ok(),
        acknowledge: acknowledge(stage),
        unseen: unseen(stage, &loaded.to_download),
        readers: crate::web::stage::diff_frame::readers(stage, &loaded.readings),
        lamps: Lamps { have: stage.report.tally.approvals.len(), need, alone: true },
        signer: reader.name.clone(),
        signer_role: crate::web::frame::roles_text(reader.roles.iter().copied()),
        signer_note: signer_note(stage, reader),
        shell,
    }
}

fn signed(stage: &Judged, reader: &Actor, file: &Artifact, loaded: &Loaded) -> SignedArtifact {
    let version = u32::try_from(file.version).unwrap_or(u32::MAX);
    let now = stage.now();
    let when = |how| reading::when(&loaded.readings, reader.person, file.id, how);
    let voted_on = loaded.voted_on.as_ref();
    let before = voted_on.and_then(|seen| changes::file_of(seen, file.kind, &file.filename));
    let raw = format!("{}/artifacts/{}/raw?version={}", stage.href(), file.kind, file.version);
    let large = loaded.to_download.iter().find(|(other, _)| other.id == file.id);
    let read = match (large, when(How::Read)) {
        (Some((_, false)), _) => {
            Status::new(State::Who, Prose::from("no page shows all of it: ").link("download it first", raw))
        }
        (_, Some(at)) => Status::new(State::Open, Prose::from("read, ").time(Time::short(at, now))),
        (Some((_, true)), None) => {
            let at = when(How::Downloaded).unwrap_or(now);
            Status::new(State::Open, Prose::from("downloaded, ").time(Time::short(at, now)))
        }
        (None, None) => match (voted_on, before) {
            (None, _) => Status::new(State::Idle, "to read"),
            (Some(_), None) => Status::new(State::Who, "new since your vote"),
            (Some(_), Some((_, digest))) if digest == file.sha256.to_string() => {
                Status::new(State::Open, "as when you voted")
            }
            (Some(_), Some((old, _))) => {
                let page = format!(
                    "{}/diff?kind={}&from={name}:{old}&to={name}:{}",
                    stage.href(),
                    file.kind,
                    file.version,
                    name = stage.name()
                );
                Status::new(State::Who, Prose::from("changed since your vote: ").link("see how", page))
            }
        },
    };
    SignedArtifact {
        label: file.kind.label(),
        version,
        size: bytes(u64::try_from(file.bytes).unwrap_or_default()),
        href: files::href(stage, file),
        digest: Dig::full(file.sha256),
        read,
    }
}

/// The SQL beside what ran on the stage before.
fn comparison(stage: &Judged, diff: Option<&DiffAnswer>) -> Comparison {
    let facts = &stage.facts;
    let here = facts.this.newest(ArtifactKind::UpgradeSql);
    let read = |title: String, summary: Prose| Comparison {
        title,
        summary,
        href: here.map_or_else(|| stage.href(), |file| files::href(stage, file)),
        link: "Read the SQL",
        diff: None,
    };
    let Some(previous) = &facts.previous else {
        return read(
            "The SQL".to_owned(),
            "This is the first stage: nothing ran before that it could be compared with. Read all of it."
                .into(),
        );
    };
    let title = format!("Against what ran in {}", previous.stage.name);
    let ran =
        previous.last_upgrade().and_then(|run| Some((run, previous.as_of(run, ArtifactKind::UpgradeSql)?)));
    let (Some((run, ran)), Some(here)) = (ran, here) else {
        return read(title, format!("Nothing has run in {} yet.", previous.stage.name).into());
    };
    let when = Time::long(run.started_at, facts.now);
    let href = format!(
        "{}/diff?kind={}&from={}:{}&to={}:{}",
        stage.href(),
        ArtifactKind::UpgradeSql,
        previous.stage.name,
        ran.version,
        stage.name(),
        here.version
    );
    if ran.sha256 == here.sha256 {
        let summary =
            Prose::new().strong("Byte for byte what ran").text(format!(" in {} on ", previous.stage.name));
        return Comparison {
            title,
            summary: summary.time(when).text("."),
            href,
            link: "Open the diff",
            diff: None,
        };
    }
    let summary = match diff {
        Some(diff) => Prose::new().strong(format!(
            "{} added, {} removed",
            plural(diff.added().into(), "line", "lines"),
            plural(diff.removed().into(), "line", "lines")
        )),
        None => Prose::new().strong("The files differ, and can’t be compared by lines"),
    };
    let summary = summary.text(format!(" against what ran in {} on ", previous.stage.name)).time(when);
    let rows = diff.and_then(|diff| compare::small(&diff.body, INLINE_ROWS));
    Comparison {
        summary: summary.text(". A difference must be acknowledged to approve."),
        diff: rows.map(|rows| Diff {
            caption: format!(
                "Upgrade SQL: {} version {} compared with {} version {}",
                previous.stage.name,
                ran.version,
                stage.name(),
                here.version
            ),
            rows,
        }),
        title,
        href,
        link: "Open the whole diff",
    }
}

fn losses(rehearsal: Option<&Rehearsal>) -> Vec<Loss> {
    let losses = rehearsal.map(|told| told.losses.as_slice()).unwrap_or_default();
    losses
        .iter()
        .map(|loss| {
            let what = match &loss.column {
                Some(column) => format!("{}.{column}", loss.table),
                None => loss.table.clone(),
            };
            Loss {
                statement: if loss.statement.is_empty() { what.clone() } else { loss.statement.clone() },
                rows: covers::lost_rows(loss.rows),
                detail: format!(
                    "line {}, {what}: {} that were not NULL",
                    loss.line,
                    plural(loss.values, "value", "values")
                ),
            }
        })
        .collect()
}

fn no_losses(rehearsal: Option<&Rehearsal>) -> Empty {
    match rehearsal {
        Some(told) if told.of_this_sql => {
            Empty::new("list-checks", "No statement loses data.", "So the rehearsal on the snapshot says.")
        }
        Some(_) => {
            Empty::new("list-checks", "Nobody knows.", "The dry-run report is about other upgrade SQL.")
        }
        None => Empty::new("list-checks", "Nobody knows.", "There is no dry-run report that could say it."),
    }
}

/// The sentence to tick where the SQL is not what ran on the stage before.
fn acknowledge(stage: &Judged) -> Option<String> {
    let previous = stage.facts.previous.as_ref().filter(|_| stage.facts.differs_from_previous())?;
    Some(format!("I have read how this SQL differs from what ran in {}", previous.stage.name))
}

/// Why nothing can be approved yet: a file that no page shows has not been downloaded.
fn unseen(stage: &Judged, to_download: &[(Artifact, bool)]) -> Option<Prose> {
    let missing: Vec<&Artifact> =
        to_download.iter().filter(|(_, downloaded)| !downloaded).map(|(file, _)| file).collect();
    if missing.is_empty() {
        return None;
    }
    let mut words = Prose::new().strong("Nothing can be approved that was not shown.").text(" Download ");
    for (at, file) in missing.iter().enumerate() {
        let raw = format!("{}/artifacts/{}/raw?version={}", stage.href(), file.kind, file.version);
        words = words.text(if at > 0 { ", " } else { "" });
        words = words.link(format!("{} v{}", file.kind.label(), file.version), raw);
    }
    Some(words.text(", which no page shows whole, and read it. The portal notes that you did."))
}

fn signer_note(stage: &Judged, reader: &Actor) -> String {
    if !checklist::missing_evidence(&stage.facts).is_empty() {
        return "Some of the evidence is still missing.".to_owned();
    }
    match stage.facts.approval_bar(reader.user, reader.person) {
        None => "You did not file this ticket or touch its content, so you may sign.".to_owned(),
        Some(bar) => bar.words().to_owned(),
    }
}
