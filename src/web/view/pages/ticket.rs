//! `/tickets/CHG-1` and `/tickets/CHG-1/stages/staging`: one ticket, with one of its stages opened.

use askama::Template;

use crate::web::view::format::Dig;
use crate::web::view::forms::Input;
use crate::web::view::parts::{Empty, Facts, GateBoard, Note, Rail, Signatures, Timeline, Verdict};
use crate::web::view::prose::Prose;
use crate::web::view::review::{FindingRow, NewThread, Thread};
use crate::web::view::shell::{Nav, Shell, Theme};
use crate::web::view::state::{State, Status};
use crate::web::view::work::{Action, ArtifactRow, Checklist, StageRef, TicketHead};

/// A ticket and the stage that is being looked at.
#[derive(Debug, Template)]
#[template(path = "pages/ticket.html")]
pub struct TicketPage {
    pub shell: Shell,
    pub head: TicketHead,
    pub stage: StageRef,
    /// The ticket's version, which the forms about the ticket as a whole send back.
    pub version: i64,
    /// "Review SQL", "Approve or reject", "Release apply token": what can be done next.
    pub actions: Vec<Action>,
    /// Alarms: a token used twice, a run of unknown outcome, an emergency.
    pub alerts: Vec<Note>,
    pub rail: Rail,
    /// Its `id` is `answer`.
    pub verdict: Verdict,
    pub gates: GateBoard,
    /// `None` while the evidence is not complete.
    pub evidence: Option<Dig>,
    pub artifacts: Vec<ArtifactRow>,
    /// Whose approvals an upload would make stale, as a sentence.
    pub upload_warning: Option<String>,
    pub checklist: Checklist,
    pub findings: Vec<FindingRow>,
    /// "1 blocking, 2 accepted".
    pub findings_note: String,
    /// Findings beyond those.
    pub more_findings: usize,
    pub no_findings: Empty,
    pub threads: Vec<Thread>,
    /// "1 open of 3".
    pub threads_note: String,
    /// Present where the reader may open a thread.
    pub new_thread: Option<NewThread>,
    pub timeline: Timeline,
    pub signatures: Signatures,
    /// How many approvals the policy asks for.
    pub quorum: usize,
    pub no_signatures: Empty,
    pub risk: Prose,
    pub risk_lines: Vec<Status>,
    pub facts: Facts,
    pub rollback: Facts,
    pub edit: Option<Action>,
    /// The reason of the form, where the reader may abandon.
    pub abandon: Option<Input>,
    /// What moving to the newest policy would change, where there is a newer one.
    pub newest_policy: Option<String>,
}

#[cfg(test)]
mod tests {
    use crate::web::view::pages::sample;

    #[test]
    fn a_ticket_says_why_not_and_who() {
        let html = sample::check("ticket", &sample::ticket());
        assert!(html.contains("<h2 id=\"answer\">Not yet</h2>"));
        let order: Vec<_> =
            html.split("data-gate=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(
            order,
            [
                "incidents",
                "checklist",
                "approvals",
                "previous-stage",
                "window",
                "freeze",
                "dry-run",
                "review",
                "single-run"
            ],
            "stopped, people, time, waived, open; each group in the fixed order"
        );
        assert!(html.contains("aria-label=\"4 of 9 gates open, 1 of them waived\""));
    }

    #[test]
    fn files_are_uploaded_by_kind() {
        let html = sample::check("ticket-upload", &sample::ticket());
        assert!(html.contains("Upload…<span class=\"vh\"> Upgrade SQL</span>"));
        assert!(html.contains("<input type=\"hidden\" name=\"kind\" value=\"backup-manifest\">"));
        assert!(html.contains("Upload as v4") && html.contains("Upload as v1"));
        assert!(html.contains("action=\"/tickets/CHG-42/stages/production/artifacts\""));
        assert!(!html.contains("file-run-log"), "not where it is not the reader's to upload");
    }

    #[test]
    fn what_people_wrote_is_text() {
        let mut page = sample::ticket();
        page.head.title = "<script>alert(1)</script>".into();
        page.threads[0].posts[0].text = "</article><img src=x onerror=alert(1)>".into();
        page.shell.title = "</title><script>".into();
        let html = sample::check("ticket-hostile", &page);
        assert!(!html.contains("<img") && html.contains("&#60;img src=x"));
    }

    #[test]
    fn a_refused_action_is_disabled_with_its_reason() {
        let html = sample::check("ticket-refused", &sample::ticket());
        assert!(html.contains("disabled>") && html.contains("5 of 9 gates are blocked."));
    }
}
