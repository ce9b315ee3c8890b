//! `/tickets/CHG-1` and `/tickets/CHG-1/stages/staging`.

use axum::extract::State;
use axum::http::StatusCode;

use crate::domain::dossier::Dossier;
use crate::domain::id::TicketNumber;
use crate::domain::transition::TicketAction;
use crate::domain::user::{Actor, Role};
use crate::service::ServiceError;
use crate::service::contents::Rehearsal;
use crate::service::timeline::TimelineEntry;
use crate::web::error::{Failure, Page};
use crate::web::extract::{Path, StageName};
use crate::web::present::review::Said;
use crate::web::present::{
    Judged, about, actions, checklist, files, gates, nobody, rail, review, signatures, timeline, verdict,
};
use crate::web::session::Reader;
use crate::web::site::{Site, WebState};
use crate::web::view::format::Dig;
use crate::web::view::forms::Input;
use crate::web::view::pages::ticket::TicketPage;
use crate::web::view::parts::Empty;
use crate::web::view::shell::{Nav, Shell};
use crate::web::{frame, respond};

/// Lines of the log on the page; the audit log has them all.
const LINES: i64 = 30;

/// The ticket, with the first stage that is not finished.
pub(super) async fn ticket(
    State(site): State<WebState>,
    reader: Reader,
    Path(number): Path<TicketNumber>,
) -> Page {
    page(&site, &reader, number, None, Typed::default()).await
}

/// The ticket, with this stage.
pub(super) async fn stage(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
) -> Page {
    page(&site, &reader, number, Some(&stage), Typed::default()).await
}

/// What came back with a fault, to be shown as it was typed.
#[derive(Debug, Default)]
pub(super) struct Typed {
    /// The reason for abandoning.
    pub reason: Option<Input>,
}

/// The page, as it is or with what came back.
pub(super) async fn page(
    site: &Site,
    reader: &Reader,
    number: TicketNumber,
    stage: Option<&str>,
    typed: Typed,
) -> Page {
    let actor = reader.actor();
    let dossier = site.services.dossier(actor, number).await?;
    let stages = Judged::all(&dossier).map_err(ServiceError::from)?;
    let judged = match stage {
        Some(name) => stages.iter().find(|judged| judged.name() == name),
        None => Judged::first_unfinished(&stages),
    };
    let judged = judged.ok_or_else(Failure::not_found)?;
    let said = site.services.posts(judged.facts.this.stage.id).await?.into_iter();
    let said: Vec<Said> = said
        .map(|post| Said { thread: post.thread_id, by: post.name, at: post.at, text: post.body })
        .collect();
    let rehearsal = match judged.facts.this.findings.as_slice() {
        [] => None,
        _ => site.services.rehearsal(&judged.facts.this).await?,
    };
    let entries = site.services.ticket_events(dossier.ticket.id, LINES).await?;
    let title = format!("{number} {}", dossier.ticket.content.title);
    let faulty = typed.reason.is_some();
    let title = if faulty { format!("Error: {title}") } else { title };
    let shell = frame::shell(site, reader, title, Nav::Tickets).await?;
    let told = Told {
        dossier: &dossier,
        stages: &stages,
        judged,
        said: &said,
        entries: &entries,
        rehearsal: rehearsal.as_ref(),
    };
    let status = if faulty { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    respond::page_with(status, &told.page(shell, actor, typed))
}

/// What the page is drawn from.
struct Told<'a> {
    dossier: &'a Dossier,
    stages: &'a [Judged],
    judged: &'a Judged,
    said: &'a [Said],
    entries: &'a [TimelineEntry],
    /// What the dry run measured, where there are findings to say it of.
    rehearsal: Option<&'a Rehearsal>,
}

impl Told<'_> {
    fn page(&self, shell: Shell, actor: &Actor, typed: Typed) -> TicketPage {
        let Self { dossier, stages, judged, .. } = *self;
        let may = |action| actions::about_ticket(stages, actor, action).is_ok();
        let newest = dossier.newest_policy_version == dossier.policy_version;
        let complete = judged.evidence_complete();
        // What ran is shown as it was when it began: who had signed what, and which gates were waived.
        let (then, over) = (judged.as_applied(), nobody());
        let (shown, signer) = then.as_ref().map_or((judged, actor), |then| (then, &over));
        let mut verdict = verdict::verdict(judged, actor);
        if then.is_some() {
            verdict.reason =
                verdict.reason.text(" Gates and signatures are shown as they were when the run began.");
        }
        TicketPage {
            shell,
            head: about::head(&dossier.ticket, Some(judged), dossier.now),
            stage: judged.stage_ref(),
            version: dossier.ticket.version,
            actions: actions::of_stage(stages, judged, actor),
            alerts: about::alerts(dossier, judged),
            rail: rail::rail(stages, judged.name(), actor),
            verdict,
            gates: gates::board(shown, signer),
            evidence: complete.then(|| Dig::short(shown.evidence())),
            artifacts: files::rows(judged, actor),
            upload_warning: files::upload_warning(judged),
            checklist: checklist::preflight(shown, signer),
            findings: review::measured(review::findings(judged, actor), self.rehearsal),
            findings_note: review::findings_note(judged),
            more_findings: review::more_findings(judged),
            no_findings: no_findings(judged),
            threads: review::threads(judged, actor, self.said),
            threads_note: review::threads_note(judged),
            new_thread: review::new_thread(judged, actor),
            timeline: timeline::timeline(self.entries, dossier.now),
            signatures: signatures::signatures(shown, signer),
            quorum: usize::try_from(judged.report.quorum).unwrap_or(usize::MAX),
            no_signatures: Empty::new(
                "pen-line",
                "Nobody has signed the current evidence.",
                "What was signed for the run is kept with the run.",
            ),
            risk: about::risk(judged),
            risk_lines: about::risk_lines(judged),
            facts: about::facts(dossier, judged),
            rollback: about::rollback(judged),
            edit: actions::edit(stages, actor),
            abandon: may(TicketAction::Abandon { reason: "." }).then(|| typed.reason.unwrap_or_default()),
            newest_policy: about::newer_policy(dossier, stages)
                .filter(|_| actor.has(Role::Engineer) && may(TicketAction::MovePolicy { newest })),
        }
    }
}

fn no_findings(judged: &Judged) -> Empty {
    let text = if judged.facts.this.artifacts.iter().any(|file| file.kind.is_sql()) {
        "The analysis has read the SQL. It does not replace a reader."
    } else {
        "The analysis reads the SQL when it arrives, and says here what could hurt."
    };
    Empty::new("list-checks", "No finding.", text)
}
