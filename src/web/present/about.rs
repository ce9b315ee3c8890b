//! What stands around the work: the head of a ticket, its facts, its risk, its rollback plan, what is wrong with it.

use super::Judged;
use super::files::address;
use crate::domain::artifact::{Artifact, ArtifactFacts, ArtifactKind, Severity};
use crate::domain::dossier::Dossier;
use crate::domain::gate::GateStatus;
use crate::domain::ticket::{Ticket, TicketKind};
use crate::domain::time::Timestamp;
use crate::web::view::format::{Dig, Time, and, bytes, hours, plural};
use crate::web::view::parts::{Fact, Facts, Note};
use crate::web::view::prose::Prose;
use crate::web::view::state::{State, Status, Tag};
use crate::web::view::work::TicketHead;

/// A ticket's kind as a tag.
pub fn kind_tag(kind: TicketKind) -> Tag {
    match kind {
        TicketKind::Normal => Tag::plain("Normal change"),
        TicketKind::Standard => Tag::plain("Standard change"),
        TicketKind::Emergency => Tag::of(State::Who, "Emergency"),
    }
}

/// What stands above the work on a ticket, on every page of it.
pub fn head(ticket: &Ticket, stage: Option<&Judged>, now: Timestamp) -> TicketHead {
    let content = &ticket.content;
    let revisions = stage
        .and_then(|stage| stage.facts.this.newest(ArtifactKind::MigrationHistory))
        .and_then(|file| match &file.facts {
            ArtifactFacts::History(history) if history.revisions > 0 => Some(history.revisions),
            _ => None,
        })
        .map(|number| format!(" ({})", plural(number.into(), "migration", "migrations")))
        .unwrap_or_default();
    let via = if ticket.requested_via.is_some() { " with an API token" } else { "" };
    TicketHead {
        number: ticket.number.to_string(),
        title: content.title.clone(),
        kind: kind_tag(content.kind),
        summary: Prose::from(format!("{}, release ", ticket.application_name))
            .strong(content.release_tag.as_str())
            .text(", revisions ")
            .code(format!("{} → {}", content.from_revision, content.to_revision))
            .text(revisions),
        filed: Prose::from(format!("Filed by {}{via} on ", ticket.requester_name))
            .time(Time::long(ticket.created_at, now))
            .text("."),
    }
}

/// Alarms first, then what an emergency waives. Each says what to do.
pub fn alerts(dossier: &Dossier, stage: &Judged) -> Vec<Note> {
    let mut notes: Vec<Note> = dossier.alarms.iter().map(|alarm| alarm_note(dossier, alarm)).collect();
    if let Some(emergency) = &dossier.ticket.content.emergency {
        let waived: Vec<String> = stage
            .report
            .gates
            .iter()
            .filter(|gate| gate.status == GateStatus::Waived)
            .map(|gate| gate.key.as_str().to_owned())
            .collect();
        let now = if waived.is_empty() {
            " Nothing is waived at this moment.".to_owned()
        } else {
            format!(" Waived at this moment: {}.", and(&waived))
        };
        let incident = emergency.incident.and_then(|id| {
            let known = dossier.incidents.iter().find(|incident| incident.id == id)?;
            Some(format!(" It is to end INC-{}: {}.", known.number, known.title))
        });
        let text = Prose::new()
            .strong("Emergency. ")
            .text(emergency.reason.trim())
            .text(incident.unwrap_or_default())
            .text(now)
            .text(" Dry run, files, checklist and approvals stay; a retrospective is part of the completion notes.");
        notes.push(Note::new(State::Who, text));
    }
    notes
}

fn alarm_note(dossier: &Dossier, alarm: &crate::domain::dossier::Alarm) -> Note {
    let stage = dossier.stages.iter().find(|record| record.stage.id == alarm.stage);
    let stage = stage.map_or("", |record| record.stage.name.as_str());
    let what = match alarm.kind.as_str() {
        "token-reuse" => format!("An apply token of {stage} was presented again after its use, "),
        other => format!("Alarm on {stage}: {}, ", other.replace('-', " ")),
    };
    let text = Prose::new()
        .strong(what)
        .time(Time::long_utc(alarm.at, dossier.now))
        .text(". It was refused, and nothing ran. A secret may have leaked: find out who holds it, and look at ")
        .link("the audit log", format!("/audit?q={}", dossier.ticket.number))
        .text(" before the next token is released.");
    Note::new(State::Stop, text)
}

/// The facts panel.
pub fn facts(dossier: &Dossier, stage: &Judged) -> Facts {
    let (ticket, content) = (&dossier.ticket, &dossier.ticket.content);
    let policy = &stage.facts.this.policy;
    let mut rows = vec![
        Fact::new(
            "Kind",
            format!(
                "{}, {}",
                kind_tag(content.kind).text,
                plural(stage.report.quorum.into(), "approval", "approvals")
            ),
        ),
        Fact::new("Filed by", ticket.requester_name.as_str()),
    ];
    if !content.authors.is_empty() {
        rows.push(Fact::new("Authors", and(&content.authors)));
    }
    if !content.description.trim().is_empty() {
        rows.push(Fact::new("Impact", content.description.trim()));
    }
    let newest = if dossier.newest_policy_version > dossier.policy_version {
        format!(", the newest is {}", dossier.newest_policy_version)
    } else {
        String::new()
    };
    rows.push(Fact::new(
        "Policy",
        Prose::new()
            .link(ticket.application_name.as_str(), format!("/policies/{}", ticket.application_name))
            .text(format!(", version {}{newest}", dossier.policy_version)),
    ));
    if let Some(database) = &policy.database {
        rows.push(Fact::new("Database", database.as_str()));
    }
    rows.push(Fact::new("Observation", hours(policy.observe)));
    for link in &content.external_links {
        rows.push(Fact::new("Link", Prose::new().typed_link(link)));
    }
    Facts { rows, ruled: false }
}

/// How the change is undone: what a rollback would use.
pub fn rollback(stage: &Judged) -> Facts {
    let (record, now) = (&stage.facts.this, stage.now());
    let link = |file: &Artifact| {
        Prose::new().link(format!("v{}", file.version), address(stage, file.kind, file.version))
    };
    let mut rows =
        vec![Fact::new("Prior tag", Prose::new().strong(&*stage.facts.ticket.content.prior_release_tag))];
    let downgrade = match record.newest(ArtifactKind::DowngradeSql) {
        None => "missing".into(),
        Some(file) => match &file.facts {
            ArtifactFacts::Sql(sql) if sql.not_possible.is_some() => {
                link(file).text(", declared not possible: restore the backup")
            }
            _ => link(file).text(proven(stage)),
        },
    };
    rows.push(Fact::new("Downgrade SQL", downgrade));
    match record.newest(ArtifactKind::BackupManifest) {
        None => rows.push(Fact::new("Backup", "missing")),
        Some(file) => {
            let taken = match &file.facts {
                ArtifactFacts::Backup(backup) => link(file)
                    .text(format!(", {}, taken ", bytes(backup.bytes)))
                    .time(Time::long(backup.taken_at, now)),
                _ => link(file),
            };
            rows.push(Fact::new("Backup", taken));
            if let ArtifactFacts::Backup(backup) = &file.facts {
                rows.push(Fact::digest("Backup SHA-256", Dig::short(backup.sha256)));
            }
        }
    }
    Facts { rows, ruled: false }
}

fn proven(stage: &Judged) -> &'static str {
    let report = stage.facts.this.report_of_downgrade();
    match report.map(|report| (report.restores_schema, report.restores_data)) {
        Some((Some(true), Some(true))) => ", restored schema and data in the dry run",
        Some((Some(true), Some(false))) => ", restored the schema but not the data in the dry run",
        Some((Some(false), _)) => ", did not restore the schema in the dry run",
        Some(_) | None => ", not proven yet",
    }
}

/// What the change does to data, in one paragraph.
pub fn risk(stage: &Judged) -> Prose {
    let record = &stage.facts.this;
    let content = &stage.facts.ticket.content;
    let sql = match record.newest(ArtifactKind::UpgradeSql).map(|file| &file.facts) {
        Some(ArtifactFacts::Sql(sql)) => sql,
        Some(_) => return "The upgrade SQL can’t be read.".into(),
        None => return "There is no upgrade SQL yet, so nothing can be said.".into(),
    };
    let prose = Prose::from(format!(
        "{} in {} move the database from ",
        plural(sql.statements.into(), "statement", "statements"),
        plural(sql.lines.into(), "line", "lines"),
    ))
    .code(content.from_revision.as_str())
    .text(" to ")
    .code(content.to_revision.as_str())
    .text(". ");
    match record.report_of_upgrade() {
        None => prose.text("No dry run has measured what they do to data."),
        Some(report) if report.rows_lost == 0 && report.values_lost == 0 => {
            prose.text("In the dry run they lost no row and no value.")
        }
        Some(report) => {
            let lost = [(report.rows_lost, "row", "rows"), (report.values_lost, "value", "values")];
            let lost = lost.into_iter().filter(|(number, ..)| *number > 0);
            let lost: Vec<String> = lost.map(|(number, one, many)| plural(number, one, many)).collect();
            prose.text("In the dry run they lost ").strong(and(&lost)).text(" of the snapshot.")
        }
    }
}

/// Findings by weight, and whether the way back is proven.
pub fn risk_lines(stage: &Judged) -> Vec<Status> {
    let findings = &stage.facts.this.findings;
    let number = |wanted: fn(&crate::domain::artifact::Finding) -> bool| {
        findings.iter().filter(|finding| wanted(finding)).count() as u64
    };
    let mut lines = Vec::new();
    let blocking = number(crate::domain::artifact::Finding::blocks);
    if blocking > 0 {
        let words = format!("{} to be accepted", plural(blocking, "blocking finding", "blocking findings"));
        lines.push(Status::new(State::Stop, words));
    }
    let accepted = number(crate::domain::artifact::Finding::is_accepted);
    if accepted > 0 {
        lines.push(Status::new(
            State::Open,
            format!("{} accepted with a note", plural(accepted, "finding", "findings")),
        ));
    }
    let warnings = number(|finding| finding.severity == Severity::Warn && !finding.is_accepted());
    if warnings > 0 {
        let mut rules: Vec<String> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Warn)
            .map(|finding| super::review::rule_words(&finding.rule))
            .collect();
        rules.sort();
        rules.dedup();
        let words = format!("{}: {}", plural(warnings, "warning", "warnings"), and(&rules));
        lines.push(Status::new(State::Who, words));
    }
    if let Some(report) = stage.facts.this.report() {
        let restored = stage.facts.this.report_of_downgrade().map(|r| (r.restores_schema, r.restores_data));
        lines.push(match restored {
            Some((Some(true), Some(true))) => Status::new(State::Open, "Downgrade proven on a snapshot"),
            Some((Some(true), Some(false))) => {
                Status::new(State::Who, "The downgrade does not bring the data back")
            }
            _ => Status::new(State::Who, "The downgrade is not proven"),
        });
        if !report.reproducible {
            lines.push(Status::new(State::Who, "Two renders differ: the approved file itself is run"));
        }
    }
    if stage.facts.differs_from_previous()
        && let Some(previous) = &stage.facts.previous
    {
        lines.push(Status::new(
            State::Who,
            format!("The SQL differs from what ran on {}", previous.stage.name),
        ));
    }
    lines
}

/// What moving to the newest policy entails, where there is a newer one.
pub fn newer_policy(dossier: &Dossier, stages: &[Judged]) -> Option<String> {
    if dossier.newest_policy_version <= dossier.policy_version {
        return None;
    }
    let mut text = format!(
        "The ticket is on version {} of the policy; version {} is the newest. Moving to it",
        dossier.policy_version, dossier.newest_policy_version
    );
    let mut names: Vec<String> =
        stages.iter().flat_map(|stage| &stage.report.tally.approvals).map(|vote| vote.name.clone()).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        text.push_str(" makes every earlier approval and statement stale");
    } else {
        let signed = and(&names);
        text.extend([" makes what ", signed.as_str(), " signed, and every statement, stale"]);
    }
    let token =
        stages.iter().any(|stage| stage.facts.this.tokens.iter().any(|token| token.outstanding(stage.now())));
    text.push_str(if token { " and revokes the apply token." } else { "." });
    Some(text)
}
