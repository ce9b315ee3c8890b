//! The record: outcome, files as applied, signatures, and links to every proof.

use std::collections::BTreeSet;

use crate::domain::artifact::{Artifact, ArtifactKind};
use crate::domain::dossier::Dossier;
use crate::domain::facts::{Choice, Vote};
use crate::domain::run::{Direction, Run, RunStatus};
use crate::domain::ticket::{TicketOutcome, TicketState};
use crate::domain::user::Actor;
use crate::web::present::{self, Judged};
use crate::web::view::format::{Dig, Time, duration};
use crate::web::view::pages::completion::{AppliedArtifact, RecordStage};
use crate::web::view::parts::{Fact, Facts, Link, Reading, Signature, Signatures, Signed, Verdict};
use crate::web::view::prose::Prose;
use crate::web::view::state::State;

/// The notes as stored, with who filed them.
pub(super) use crate::service::tickets::Completion;

pub(super) fn verdict(dossier: &Dossier, stages: &[Judged], completion: Option<&Completion>) -> Verdict {
    let ticket = &dossier.ticket;
    let applied: Vec<String> = stages
        .iter()
        .filter_map(|stage| {
            let run = stage.facts.this.standing_upgrade()?;
            Some(format!("{} on {}", stage.name(), Time::long_utc(run.started_at, dossier.now).words))
        })
        .collect();
    let where_applied = if applied.is_empty() {
        "Nothing of this ticket stands in any database.".to_owned()
    } else {
        format!("Applied to {}.", applied.join(", then to "))
    };
    let (state, answer, reason) = match (ticket.state, ticket.outcome) {
        (TicketState::Completed, Some(TicketOutcome::RolledBack)) => {
            (State::Stale, "Rolled back", "Whatever ran was undone.".to_owned())
        }
        (TicketState::Completed, _) => (State::Open, "Completed", where_applied),
        (TicketState::Abandoned, _) => (State::Stale, "Abandoned", "The change was given up.".to_owned()),
        (TicketState::Open | TicketState::Draft, _) => (State::Idle, "Not completed", where_applied),
    };
    Verdict {
        state,
        question: "Outcome".into(),
        answer: answer.into(),
        reason: reason.into(),
        reading: completion.map(|filed| Reading {
            label: "Lead time".into(),
            value: duration(filed.at.since(ticket.created_at)).into(),
            note: "filed to completed".into(),
        }),
        id: "answer",
    }
}

pub(super) fn changed(dossier: &Dossier) -> Facts {
    let (ticket, content) = (&dossier.ticket, &dossier.ticket.content);
    let arrow =
        Prose::new().code(content.from_revision.clone()).text(" to ").code(content.to_revision.clone());
    let mut rows = vec![
        Fact::new("Application", ticket.application_name.as_str()),
        Fact::new("Revisions", arrow),
        Fact::new("Release", Prose::new().code(content.release_tag.clone())),
        Fact::new("Prior release", Prose::new().code(content.prior_release_tag.clone())),
        Fact::new("Kind", present::about::kind_tag(content.kind).text),
        Fact::new(
            "Filed by",
            Prose::from(format!("{}, ", ticket.requester_name)).time(Time::exact(ticket.created_at)),
        ),
        Fact::new(
            "Policy",
            Prose::new()
                .text(format!("version {}, SHA-256 ", dossier.policy_version))
                .code(dossier.policy_sha256.to_string()),
        ),
    ];
    if !content.authors.is_empty() {
        rows.push(Fact::new("Authors", content.authors.join(", ")));
    }
    if let Some(emergency) = &content.emergency {
        rows.push(Fact::new("Emergency", emergency.reason.as_str()));
    }
    Facts { rows, ruled: true }
}

/// The run that a stage is recorded by: the one that stands, else the last.
fn told_by(stage: &Judged) -> Option<&Run> {
    stage.facts.this.standing_upgrade().or_else(|| stage.facts.this.last_upgrade())
}

/// The files of a stage as they were applied, or as they stand where nothing ran; none for a stage without files.
pub(super) fn stage(stage: &Judged, reader: &Actor) -> Option<RecordStage> {
    let record = &stage.facts.this;
    let run = told_by(stage);
    let files: Vec<&Artifact> = match run {
        None => record.evidence_files(),
        Some(run) => {
            let approved: Vec<Artifact> =
                record.artifacts.iter().filter(|file| file.generation <= run.generation).cloned().collect();
            let current: BTreeSet<_> =
                crate::domain::artifact::current(&approved).iter().map(|f| f.id).collect();
            let mut files: Vec<&Artifact> = record
                .artifacts
                .iter()
                .filter(|file| current.contains(&file.id) && file.kind.is_evidence())
                .collect();
            files.sort_by(|a, b| (a.kind, &a.filename).cmp(&(b.kind, &b.filename)));
            files
        }
    };
    if files.is_empty() {
        return None;
    }
    let evidence = run.map_or(stage.evidence(), |run| run.evidence);
    let (signatures, note) = signatures(stage, run, reader);
    Some(RecordStage {
        name: stage.name().to_owned(),
        artifacts: files
            .into_iter()
            .map(|file| AppliedArtifact {
                label: match file.kind {
                    ArtifactKind::Other => file.filename.clone(),
                    kind => kind.label().to_owned(),
                },
                version: u32::try_from(file.version).unwrap_or(u32::MAX),
                href: present::files::address(stage, file.kind, file.version),
                digest: Dig::full(file.sha256),
            })
            .collect(),
        evidence: Dig::full(evidence),
        signatures,
        signatures_note: note,
    })
}

/// The votes that counted for the run, and what became of the others. Before a run: as they stand.
fn signatures(stage: &Judged, run: Option<&Run>, reader: &Actor) -> (Signatures, String) {
    let Some(run) = run else {
        return (Signatures { two: true, ..present::signatures::signatures(stage, reader) }, String::new());
    };
    let counted = approvals(stage, run);
    let rows = counted.iter().map(|vote| Signature {
        kind: Signed::Approved,
        name: vote.name.clone(),
        when: Time::exact(vote.at).into(),
        about: {
            let hex = vote.evidence.to_string();
            let page = format!("{}/evidence/{}", stage.href(), vote.evidence);
            Prose::from("Change board. Bound to ")
                .link(format!("evidence {} {}", &hex[..4], &hex[4..8]), page)
        },
        comment: Some(vote.comment.clone()).filter(|comment| !comment.trim().is_empty()),
        actions: Vec::new(),
    });
    let others: Vec<String> = stage
        .facts
        .this
        .votes
        .iter()
        .filter(|vote| !counted.iter().any(|known| known.id == vote.id))
        .map(|vote| format!("{}: {} on {}", vote.name, vote.choice, Time::exact(vote.at).words))
        .collect();
    let note = if others.is_empty() {
        String::new()
    } else {
        format!("Other votes, which did not count for this run: {}.", others.join("; "))
    };
    (Signatures { rows: rows.collect(), two: true }, note)
}

/// Each person's last vote before the run, where it approved exactly the run's evidence.
fn approvals<'a>(stage: &'a Judged, run: &Run) -> Vec<&'a Vote> {
    let before: Vec<&Vote> = stage.facts.this.votes.iter().filter(|vote| vote.at <= run.started_at).collect();
    let last = |vote: &&&Vote| {
        let newer = before
            .iter()
            .any(|other| other.person == vote.person && (other.at, other.id) > (vote.at, vote.id));
        !newer && vote.choice == Choice::Approve && vote.evidence == run.evidence
    };
    before.iter().filter(last).copied().collect()
}

/// Every proof there is: files, evidence, runs, grants, logs, smoke reports, snapshots, policy.
pub(super) fn links(dossier: &Dossier, stages: &[Judged]) -> Vec<Link> {
    let mut links = Vec::new();
    for stage in stages {
        let (record, href, name) = (&stage.facts.this, stage.href(), stage.name());
        let mut files: Vec<&Artifact> = record.artifacts.iter().collect();
        files.sort_by_key(|file| (file.kind, file.version));
        for file in files {
            let place = present::files::address(stage, file.kind, file.version);
            links.push(Link::new(
                format!("{name}: {} v{}, {}", file.kind.label(), file.version, file.filename),
                place,
            ));
        }
        let bound: BTreeSet<_> = record
            .votes
            .iter()
            .map(|vote| vote.evidence)
            .chain(record.runs.iter().map(|run| run.evidence))
            .collect();
        for digest in bound {
            let names: Vec<String> = record
                .votes
                .iter()
                .filter(|vote| vote.evidence == digest)
                .map(|vote| format!("{} ({})", vote.name, vote.choice))
                .collect();
            let of = if names.is_empty() { "a run".to_owned() } else { names.join(", ") };
            let short = &digest.to_string()[..8];
            links.push(Link::new(
                format!("{name}: evidence {short}, canonical JSON, of {of}"),
                format!("{href}/evidence/{digest}"),
            ));
        }
        for run in &record.runs {
            let status = run.status_at(dossier.now);
            let what = if run.direction == Direction::Upgrade { "run" } else { "rollback" };
            let at = Time::exact(run.started_at).words;
            links.push(Link::new(
                format!("{name}: {what} of {at}, {status}"),
                format!("{href}/run?id={}", run.id),
            ));
            links.push(Link::new(
                format!("{name}: signed grant of the {what} of {at}"),
                format!("{href}/run/grant?id={}", run.id),
            ));
            if run.log_bytes > 0 || run.status != RunStatus::Running {
                links.push(Link::new(
                    format!("{name}: log of the {what} of {at}"),
                    format!("{href}/run/log?id={}", run.id),
                ));
            }
        }
        links.push(Link::new(
            format!("{name}: policy version {}", dossier.policy_version),
            format!(
                "/policies/{}/{name}?version={}",
                dossier.ticket.application_name, dossier.policy_version
            ),
        ));
    }
    links
}
