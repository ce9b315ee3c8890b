//! What the decision covers, what its voter should know, and what follows from it, in words.

use jiff::SignedDuration;

use crate::domain::artifact::ArtifactFacts;
use crate::domain::artifact::ArtifactKind;
use crate::domain::facts::Vote;
use crate::domain::gate::GateStatus;
use crate::domain::user::Actor;
use crate::service::contents::Rehearsal;
use crate::web::present::{Judged, gates};
use crate::web::view::format::{Dig, Time, and, count, duration, plural};
use crate::web::view::parts::{Fact, Facts, gate_name};
use crate::web::view::prose::Prose;
use crate::web::view::state::{State, Status};

/// Revisions, tags, policy, database, emergency: the part of the evidence that is no file.
pub(super) fn covers(stage: &Judged) -> Facts {
    let (facts, content) = (&stage.facts, &stage.facts.ticket.content);
    let arrow =
        Prose::new().code(content.from_revision.clone()).text(" to ").code(content.to_revision.clone());
    let mut rows = vec![
        Fact::new("Revisions", arrow),
        Fact::new("Release tag", Prose::new().code(content.release_tag.clone())),
        Fact::new(
            "To go back",
            Prose::from("redeploy ").code(content.prior_release_tag.clone()).text(", the prior tag"),
        ),
        Fact::new("Kind", content.kind.as_str()),
    ];
    if let Some(emergency) = &content.emergency {
        rows.push(Fact::new("Emergency", emergency.reason.as_str()));
        let incident = emergency.incident.map(|id| {
            let known = facts.incidents.iter().find(|incident| incident.id == id);
            known.map_or_else(|| "one that is over".to_owned(), |i| format!("INC-{}: {}", i.number, i.title))
        });
        rows.push(Fact::new("Waives incident", incident.unwrap_or_else(|| "none".to_owned())));
    }
    if let Some(database) = &facts.this.policy.database {
        rows.push(Fact::new("Database", Prose::new().code(database.clone())));
    }
    let policy = format!("/policies/{}/{}", facts.ticket.application_name, stage.name());
    rows.push(Fact::new(
        "Policy",
        Prose::new()
            .link(
                format!("version {}", facts.policy_version),
                format!("{policy}?version={}", facts.policy_version),
            )
            .text(", SHA-256 ")
            .code(facts.policy_sha256.to_string()[..16].to_owned())
            .text(" …"),
    ));
    if let Some(previous) = &facts.previous {
        let words = match previous.standing_upgrade() {
            Some(run) => Prose::from(format!("{}: ", previous.stage.name)).code(run.sql_digest.clone()),
            None => format!("{} has not run", previous.stage.name).into(),
        };
        rows.push(Fact::new("Ran before", words));
    }
    let accepted = facts.this.accepted_findings().count();
    rows.push(Fact::new("Accepted findings", accepted.to_string()));
    rows.push(Fact::new("Generation", facts.this.stage.generation.to_string()));
    Facts { rows, ruled: false }
}

/// What is worth knowing before deciding, worst first.
pub(super) fn know(stage: &Judged, own: Option<&Vote>, rehearsal: Option<&Rehearsal>) -> Vec<Status> {
    let (facts, record) = (&stage.facts, &stage.facts.this);
    let mut lines = Vec::new();
    let mut say = |state, text: Prose| lines.push(Status::new(state, text));
    for vote in &stage.report.tally.rejections {
        let reason = Prose::new().strong(vote.name.clone()).text(" rejected this evidence: “");
        say(State::Stop, reason.text(vote.comment.clone()).text("”."));
    }
    let open = record.findings.iter().filter(|finding| finding.blocks()).count();
    if open > 0 {
        let what = plural(open as u64, "blocking finding is", "blocking findings are");
        say(State::Stop, format!("{what} not accepted. Approving does not accept them.").into());
    }
    let threads = record.threads.iter().filter(|t| t.blocking && t.resolved_at.is_none()).count();
    if threads > 0 {
        let what = plural(threads as u64, "blocking thread is", "blocking threads are");
        say(
            State::Who,
            Prose::from(format!("{what} not resolved. ")).link("Read", format!("{}#threads", stage.href())),
        );
    }
    restores(stage, &mut say);
    if let Some(told) = rehearsal.filter(|told| told.of_this_sql) {
        let took = duration(SignedDuration::from_millis(i64::try_from(told.upgrade_ms).unwrap_or(i64::MAX)));
        let words = format!("The upgrade took {took} in the rehearsal: no lock was held for longer there.");
        say(State::Idle, words.into());
    }
    for gate in stage.report.gates.iter().filter(|gate| gate.status == GateStatus::Waived) {
        let name = gate_name(gate.key.as_str());
        say(
            State::Stale,
            Prose::new().strong(format!("{name} is waived.")).text(format!(" {}", gate.reason)),
        );
    }
    if facts.emergency() {
        say(
            State::Who,
            "This is an emergency: window, freeze, elapsed soak and the incident it names don't stop it. Dry run, files, \
             checklist and approvals do."
                .into(),
        );
    }
    if let Some(vote) = own.filter(|vote| vote.evidence != stage.evidence()) {
        let at = Time::long(vote.at, stage.now());
        let words = Prose::from(format!("You recorded “{}” on ", vote.choice)).time(at);
        say(
            State::Stale,
            words.text(" for other evidence. It does not count now; the table says which files are new."),
        );
    }
    soak(stage, &mut say);
    lines
}

fn restores(stage: &Judged, say: &mut impl FnMut(State, Prose)) {
    if let Some(ArtifactFacts::Sql(sql)) =
        stage.facts.this.newest(ArtifactKind::DowngradeSql).map(|a| &a.facts)
        && let Some(reason) = &sql.not_possible
    {
        say(State::Stop, Prose::from("There is no downgrade: ").text(reason.clone()));
    }
    let Some(report) = stage.facts.this.report() else {
        say(State::Who, "There is no dry-run report that can be read.".into());
        return;
    };
    if !report.passed {
        let why = report.problem.clone().unwrap_or_else(|| "no reason given".to_owned());
        say(State::Stop, format!("The dry run did not pass: {why}").into());
    }
    let (up, down) = (stage.facts.this.report_of_upgrade(), stage.facts.this.report_of_downgrade());
    if up.is_none() {
        say(
            State::Stop,
            "The dry-run report is about other upgrade SQL: nobody has seen what this one does.".into(),
        );
    }
    if down.is_none() {
        say(
            State::Stop,
            "The dry-run report is about other downgrade SQL: nobody has tried this one.".into(),
        );
    }
    match down.map_or((None, None), |report| (report.restores_schema, report.restores_data)) {
        (Some(true), Some(true)) => {
            say(State::Open, "In the dry run the downgrade brought schema and data back.".into());
        }
        (Some(schema), Some(data)) => {
            let back = |back| if back { "came back" } else { "did not come back" };
            let words = format!(
                "In the dry run, after upgrade and downgrade the schema {} and the data {}.",
                back(schema),
                back(data)
            );
            say(State::Who, words.into());
        }
        _ => {}
    }
    if up.is_some_and(|report| report.captured_online) {
        say(
            State::Who,
            "The upgrade SQL was captured from an online run, so it can't be rendered again.".into(),
        );
    }
    if let Some(report) = up.filter(|report| report.rows_lost > 0 || report.values_lost > 0) {
        let rows = plural(report.rows_lost, "row", "rows");
        let values = plural(report.values_lost, "value", "values");
        say(State::Who, format!("The upgrade destroyed {rows} and {values} in the rehearsal.").into());
    }
    let age = stage.now().since(report.snapshot_taken_at);
    let taken =
        Prose::from("The snapshot was taken ").time(Time::long(report.snapshot_taken_at, stage.now()));
    say(State::Idle, taken.text(format!(", {} ago.", duration(age))));
}

fn soak(stage: &Judged, say: &mut impl FnMut(State, Prose)) {
    let Some(previous) = &stage.facts.previous else { return };
    let Some(run) = previous.standing_upgrade() else { return };
    let Some(until) = previous.soaked_at(run).filter(|until| stage.now() < *until) else { return };
    let words = Prose::from(format!("{} is watched until ", previous.stage.name));
    say(
        State::Time,
        words.time(Time::long_utc(until, stage.now())).text(". Your approval does not shorten this."),
    );
}

/// What each decision leads to.
pub(super) fn next(stage: &Judged, reader: &Actor) -> Facts {
    let report = &stage.report;
    let mine = report.tally.approvals.iter().any(|vote| vote.person == reader.person);
    let have = report.tally.approvals.len() + usize::from(!mine);
    let need = usize::try_from(report.quorum).unwrap_or(usize::MAX);
    let opens = if have >= need && report.tally.rejections.is_empty() {
        "The approval gate opens"
    } else {
        "The approval gate stays blocked"
    };
    let others: Vec<String> = report
        .blocked()
        .filter(|gate| gate.key != crate::domain::blocker::GateKey::Approvals)
        .map(|gate| gate_name(gate.key.as_str()).to_owned())
        .collect();
    let rest = if others.is_empty() {
        " Nothing else is blocked now.".to_owned()
    } else {
        let gates = plural(others.len() as u64, "other gate is", "other gates are");
        format!(" {gates} blocked now: {}.", and(&others))
    };
    let after = " Approving applies nothing: a release engineer releases a token, and applies with it.";
    let rows = vec![
        Fact::new("If you approve", format!("{opens} with {have} of {need}.{rest}{after}")),
        Fact::new(
            "If you reject",
            format!(
                "{} stops until you withdraw or there is new evidence. {} reads your reason here.",
                stage.label(),
                stage.facts.ticket.requester_name
            ),
        ),
        Fact::new("If a file changes", "Every vote becomes stale, and you are asked again."),
        Fact::new("Gates now", gates::pips(stage).counted()),
    ];
    Facts { rows, ruled: false }
}

/// "41,207,334", or "none".
pub(super) fn lost_rows(rows: u64) -> String {
    if rows == 0 { "none".to_owned() } else { count(rows) }
}

/// A digest in full, for the foot of the table.
pub(super) fn full(stage: &Judged) -> Dig {
    Dig::full(stage.evidence())
}
