//! The way back: what a rollback would use, and whether its token can be released now.

use crate::domain::artifact::{ArtifactFacts, ArtifactKind};
use crate::domain::dossier::Dossier;
use crate::domain::facts::{Intent, Purpose};
use crate::domain::run::{Method, Run};
use crate::domain::transition::{self, Action};
use crate::domain::user::Actor;
use crate::web::present::{Judged, actions::words};
use crate::web::stage::files;
use crate::web::view::forms::Input;
use crate::web::view::pages::run::Rollback;
use crate::web::view::prose::Prose;

/// What undoing this run means, in words.
pub(super) fn plan(stage: &Judged, run: Option<&Run>) -> Prose {
    let content = &stage.facts.ticket.content;
    let record = &stage.facts.this;
    let Some(run) = run else { return "Nothing has run here, so there is nothing to undo.".into() };
    let Some(undone) = stage.facts.undone() else {
        return if stage.facts.this.last_upgrade().is_some_and(|last| last.unsettled(stage.now())) {
            "Nobody knows yet what the run did: it has to be settled before anything is undone.".into()
        } else {
            "No change of this ticket stands here, so there is nothing to undo.".into()
        };
    };
    let whole = record.untouched_upgrade().is_some();
    // Files of the approved run, or those that rehearse from where the database actually is.
    let file = |kind| if whole { record.as_of(undone, kind) } else { record.newest(kind) };
    let actual = record.stands_at().unwrap_or(&content.to_revision);
    let mut prose =
        Prose::from("From ").code(actual).text(" back to ").code(content.from_revision.clone()).text(": ");
    prose = match file(ArtifactKind::DowngradeSql) {
        Some(sql) => {
            let name = format!("{} v{}", sql.kind.label(), sql.version);
            let prose = prose.text("run ").link(name, files::href(stage, sql));
            match &sql.facts {
                ArtifactFacts::Sql(facts) if facts.not_possible.is_some() => {
                    prose.text(" (declared not possible)")
                }
                _ => prose,
            }
        }
        None => prose.text("there is no downgrade SQL"),
    };
    prose = match file(ArtifactKind::BackupManifest) {
        Some(backup) => {
            let name = format!("{} v{}", backup.kind.label(), backup.version);
            let prose = prose.text(", or put back the backup of ").link(name, files::href(stage, backup));
            match &backup.facts {
                ArtifactFacts::Backup(facts) => {
                    prose.text(", SHA-256 ").code(facts.sha256.to_string()[..16].to_owned()).text(" …")
                }
                _ => prose,
            }
        }
        None => prose.text(", and no backup manifest"),
    };
    prose = prose.text(", and redeploy ").code(content.prior_release_tag.clone()).text(".");
    if whole {
        prose = prose.text(" The approvals of the run carry it; window, freeze and incidents don’t stop it.");
    } else {
        prose = prose.text(
            " The database was left half-way: downgrade SQL and dry run from the revision it is at, and fresh approvals, come first.",
        );
    }
    if run.id == undone.id {
        prose
    } else {
        prose.text(" This is about the run that stands, not the one shown.")
    }
}

/// The form, or why there is none.
pub(super) fn form(dossier: &Dossier, stage: &Judged, reader: &Actor) -> (Option<Rollback>, Option<String>) {
    if stage.facts.undone().is_none() {
        return (None, None);
    }
    let may = |method| {
        let facts = dossier.facts_for(stage.name(), Purpose::Release, Intent::Rollback(method));
        let decided = facts.map(|facts| transition::decide(&facts, reader, &Action::Authorise).map(drop));
        decided.unwrap_or(Ok(())).map_err(|why| words(&why))
    };
    let (downgrade, restore) = (may(Method::Downgrade), may(Method::Restore));
    if let (Err(why), Err(_)) = (&downgrade, &restore) {
        return (None, Some(why.clone()));
    }
    let hint = |may: &Result<(), String>, ready: String| match may {
        Ok(()) => ready,
        Err(why) => format!("Not now: {why}"),
    };
    let report = stage.facts.this.report_of_downgrade();
    let restores = match report.map(|report| (report.restores_schema, report.restores_data)) {
        Some((Some(true), Some(true))) => "It brought schema and data back in the dry run.",
        Some((Some(true), _)) => "It brought the schema but not the data back in the dry run.",
        Some(_) => "It did not bring the schema back in the dry run.",
        None => "No dry run of this downgrade says what it brings back.",
    };
    let rollback = Rollback {
        method: Input::default(),
        downgrade_hint: hint(&downgrade, restores.to_owned()),
        restore_hint: hint(
            &restore,
            "Everything written since the backup is lost. The run states that the backup is back and the prior tag runs."
                .to_owned(),
        ),
    };
    (Some(rollback), None)
}
