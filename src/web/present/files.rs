//! The files of a stage: one line for each kind, with uploads where the reader may.

use super::Judged;
use crate::domain::artifact::{Artifact, ArtifactFacts, ArtifactKind};
use crate::domain::blocker::Blocker;
use crate::domain::checklist;
use crate::domain::user::Actor;
use crate::web::view::format::{Dig, Time, and, bytes};
use crate::web::view::parts::Link;
use crate::web::view::state::{State, Status};
use crate::web::view::work::{ArtifactFile, ArtifactRow};

/// One line for each kind; other files have one for each name.
pub fn rows(stage: &Judged, reader: &Actor) -> Vec<ArtifactRow> {
    let mut rows = Vec::new();
    for kind in ArtifactKind::ALL.iter().copied().filter(|kind| *kind != ArtifactKind::Other) {
        let row = row(stage, reader, kind, stage.facts.this.newest(kind));
        if row.file.is_some() || row.status.is_some() || row.may_upload {
            rows.push(row);
        }
    }
    rows.extend(others(stage, reader));
    rows
}

fn others(stage: &Judged, reader: &Actor) -> Vec<ArtifactRow> {
    let kind = ArtifactKind::Other;
    let files: Vec<&Artifact> =
        stage.facts.this.evidence_files().into_iter().filter(|file| file.kind == kind).collect();
    let newest = files.iter().map(|file| file.version).max();
    if files.is_empty() {
        let empty = row(stage, reader, kind, None);
        return if empty.may_upload { vec![empty] } else { Vec::new() };
    }
    let line = |file: &&Artifact| {
        let mut row = row(stage, reader, kind, Some(file));
        // One form for them all: a name that is new makes another file.
        row.may_upload &= Some(file.version) == newest;
        row
    };
    files.iter().map(line).collect()
}

fn row(stage: &Judged, reader: &Actor, kind: ArtifactKind, file: Option<&Artifact>) -> ArtifactRow {
    ArtifactRow {
        kind: kind.as_str(),
        label: kind.label(),
        status: file.map_or_else(|| missing(stage, kind), |file| remark(stage, file)),
        actions: file.map(|file| actions(stage, file)).unwrap_or_default(),
        file: file.map(|file| shown(stage, file)),
        may_upload: stage.may_upload(reader, kind),
    }
}

/// The address of a version of a file.
pub fn address(stage: &Judged, kind: ArtifactKind, version: i64) -> String {
    format!("{}/artifacts/{kind}?version={version}", stage.href())
}

fn shown(stage: &Judged, file: &Artifact) -> ArtifactFile {
    let mut earlier: Vec<i64> = stage
        .facts
        .this
        .artifacts
        .iter()
        .filter(|other| other.kind == file.kind && other.version < file.version)
        .filter(|other| file.kind != ArtifactKind::Other || other.filename == file.filename)
        .map(|other| other.version)
        .collect();
    earlier.sort_unstable_by(|a, b| b.cmp(a));
    let via = if file.uploaded_via.is_some() { ", via token" } else { "" };
    ArtifactFile {
        filename: file.filename.clone(),
        version: u32::try_from(file.version).unwrap_or(u32::MAX),
        earlier: earlier
            .into_iter()
            .map(|version| Link::new(format!("v{version}"), address(stage, file.kind, version)))
            .collect(),
        digest: Dig::short(file.sha256),
        size: bytes(u64::try_from(file.bytes).unwrap_or_default()),
        by: format!("{}{via}", file.uploaded_by_name),
        at: Time::long(file.uploaded_at, stage.now()),
    }
}

fn missing(stage: &Judged, kind: ArtifactKind) -> Option<Status> {
    let wanted = checklist::missing_evidence(&stage.facts);
    let missing =
        wanted.iter().any(|blocker| matches!(blocker, Blocker::FileMissing { kind: of } if *of == kind));
    missing.then(|| Status::new(State::Who, "Missing"))
}

/// What should be known of a file before it is opened.
fn remark(stage: &Judged, file: &Artifact) -> Option<Status> {
    let (facts, now) = (&stage.facts, stage.now());
    match &file.facts {
        ArtifactFacts::Unreadable { problem } => Some(Status::new(State::Stop, problem.as_str())),
        ArtifactFacts::Report(report) if !report.passed => Some(Status::new(State::Stop, "Did not pass")),
        ArtifactFacts::Report(report) => {
            let (snapshot, rehearsal) = (
                report.snapshot_taken_at + facts.this.policy.snapshot_max_age,
                report.finished_at + facts.this.policy.dry_run_max_age,
            );
            if facts.this.standing_upgrade().is_some() {
                None
            } else if now >= snapshot {
                Some(Status::new(State::Who, "Its snapshot is too old"))
            } else if now >= rehearsal {
                Some(Status::new(State::Who, "Too old"))
            } else {
                let until = Time::short(snapshot.min(rehearsal), now).words;
                Some(Status::new(State::Open, format!("Good until {until}")))
            }
        }
        ArtifactFacts::Sql(sql) if sql.not_possible.is_some() => {
            Some(Status::new(State::Who, "Declared not possible: see the file"))
        }
        ArtifactFacts::Sql(sql) if sql.problem.is_some() => {
            Some(Status::new(State::Who, sql.problem.clone().unwrap_or_default()))
        }
        ArtifactFacts::Sql(_) if file.kind == ArtifactKind::UpgradeSql && facts.differs_from_previous() => {
            let before = facts.previous.as_ref().map_or("", |previous| previous.stage.name.as_str());
            Some(Status::new(State::Who, format!("Differs from what ran on {before}")))
        }
        ArtifactFacts::Smoke(smoke) if smoke.passed() => Some(Status::new(
            State::Open,
            format!("{} of {} passed", smoke.tests - smoke.failed - smoke.skipped, smoke.tests),
        )),
        ArtifactFacts::Smoke(smoke) => {
            Some(Status::new(State::Stop, format!("{} of {} failed", smoke.failed, smoke.tests)))
        }
        ArtifactFacts::Sql(_)
        | ArtifactFacts::History(_)
        | ArtifactFacts::Manifest(_)
        | ArtifactFacts::Backup(_)
        | ArtifactFacts::Opaque => None,
    }
}

fn actions(stage: &Judged, file: &Artifact) -> Vec<Link> {
    if !file.kind.is_sql() {
        let words = if file.kind == ArtifactKind::DryRunReport { "Read report" } else { "Open" };
        return vec![Link::new(words, address(stage, file.kind, file.version))];
    }
    let (kind, name) = (file.kind, stage.name());
    let diff = |from: &str, from_version: i64| {
        format!("{}/diff?kind={kind}&from={from}:{from_version}&to={name}:{}", stage.href(), file.version)
    };
    let mut links = Vec::new();
    if file.version > 1 {
        let before = file.version - 1;
        links.push(Link::new(format!("Diff v{before} to v{}", file.version), diff(name, before)));
    }
    if let Some(previous) = &stage.facts.previous
        && let Some(run) = previous.last_upgrade()
        && let Some(ran) = previous.as_of(run, kind)
    {
        let other = &previous.stage.name;
        links.push(Link::new(format!("Diff with {other}"), diff(other, ran.version)));
    }
    if links.is_empty() {
        links.push(Link::new("Read", address(stage, kind, file.version)));
    }
    links
}

/// Whose approvals an upload of evidence would make stale, and what else it ends.
pub fn upload_warning(stage: &Judged) -> Option<String> {
    let names: Vec<String> =
        stage.report.tally.approvals.iter().map(|vote| format!("{}’s", vote.name)).collect();
    let token = stage.facts.this.tokens.iter().any(|token| token.outstanding(stage.now()));
    let approvals = if names.len() == 1 { "approval" } else { "approvals" };
    match (names.is_empty(), token) {
        (true, false) => None,
        (true, true) => {
            Some("Uploading any file of the evidence revokes the apply token that is out.".into())
        }
        (false, false) => {
            Some(format!("Uploading any file of the evidence makes {} {approvals} stale.", and(&names)))
        }
        (false, true) => Some(format!(
            "Uploading any file of the evidence makes {} {approvals} stale and revokes the apply token.",
            and(&names)
        )),
    }
}
