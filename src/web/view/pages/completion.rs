//! `/tickets/CHG-1/completion`: filing the notes, then the record to print.

use askama::Template;

use crate::web::view::format::{Dig, Time};
use crate::web::view::forms::{ErrorSummary, Input};
use crate::web::view::parts::{Facts, Link, Signatures, Verdict};
use crate::web::view::prose::Prose;
use crate::web::view::shell::{Nav, Shell, Theme};
use crate::web::view::work::{Action, TicketHead};

/// The form, while the notes are not filed.
#[derive(Clone, Debug, Default)]
pub struct Filing {
    /// "from 14:42", "every stage is healthy".
    pub note: String,
    pub errors: Option<ErrorSummary>,
    pub notes: Input,
    /// Whether a retrospective is part of the notes.
    pub emergency: bool,
    pub retrospective: Input,
    /// Why filing is not possible yet.
    pub refused: Option<String>,
}

/// One artifact as it was applied.
#[derive(Clone, Debug)]
pub struct AppliedArtifact {
    pub label: String,
    pub version: u32,
    pub href: String,
    /// In full.
    pub digest: Dig,
}

/// One stage of the record.
#[derive(Clone, Debug)]
pub struct RecordStage {
    pub name: String,
    pub artifacts: Vec<AppliedArtifact>,
    /// In full.
    pub evidence: Dig,
    /// With `two` set.
    pub signatures: Signatures,
    pub signatures_note: String,
}

/// One event of the record.
#[derive(Clone, Debug)]
pub struct RecordEvent {
    pub stage: String,
    pub at: Time,
    pub text: Prose,
    pub by: String,
}

/// The completion page.
#[derive(Debug, Template)]
#[template(path = "pages/completion.html")]
pub struct CompletionPage {
    pub shell: Shell,
    pub head: TicketHead,
    pub version: i64,
    pub actions: Vec<Action>,
    pub filing: Option<Filing>,
    /// "Issued 20 Nov 2025, 16:05:00 UTC".
    pub issued: Prose,
    /// "Completed", "Rolled back", "Not completed".
    pub verdict: Verdict,
    pub changed: Facts,
    pub stages: Vec<RecordStage>,
    pub events: Vec<RecordEvent>,
    pub notes: Option<String>,
    pub retrospective: Option<String>,
    /// Artifacts, approval evidence, runs, monitoring snapshots: made, not typed.
    pub links: Vec<Link>,
    /// The range of audit entries and the checkpoint.
    pub audit: Prose,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::digest::Digest;
    use crate::web::view::pages::sample;
    use crate::web::view::state::State;

    fn page() -> CompletionPage {
        let digest = Dig::full(Digest::of(b"x"));
        CompletionPage {
            shell: sample::shell(Nav::Tickets, "Completion of CHG-42"),
            head: sample::head(),
            version: 31,
            actions: vec![],
            filing: Some(Filing { note: "every stage is healthy".into(), ..Filing::default() }),
            issued: Prose::from("Issued ").time(Time::exact(sample::now())),
            verdict: Verdict {
                state: State::Open,
                question: "Outcome".into(),
                answer: "Completed".into(),
                reason: "Applied to production, healthy for 30 minutes, not rolled back.".into(),
                reading: None,
                id: "answer",
            },
            changed: sample::facts(&[("Revisions", "4f1c83d0a2be to 9ab27d05c1e8")]),
            stages: vec![RecordStage {
                name: "production".into(),
                artifacts: vec![AppliedArtifact {
                    label: "Upgrade SQL".into(),
                    version: 3,
                    href: "/tickets/CHG-42/stages/production/artifacts/upgrade-sql?version=3".into(),
                    digest,
                }],
                evidence: digest,
                signatures: Signatures { two: true, ..sample::signatures() },
                signatures_note: "One earlier approval went stale and was not counted.".into(),
            }],
            events: vec![RecordEvent {
                stage: "production".into(),
                at: sample::time("2025-11-19T10:11:00Z"),
                text: "Applied in 42 s".into(),
                by: "Priya Nair".into(),
            }],
            notes: None,
            retrospective: None,
            links: vec![Link::new("Run of production", "/tickets/CHG-42/stages/production/run")],
            audit: "Audit entries 18,301 to 18,529.".into(),
        }
    }

    #[test]
    fn notes_are_filed_once() {
        let html = sample::check("completion-form", &page());
        assert!(html.contains("<button class=\"btn act\">File notes</button>"));
        assert!(html.contains("action=\"/tickets/CHG-42/completion\"") && !html.contains("retrospective"));

        let mut filed = page();
        filed.filing = None;
        filed.notes = Some("Applied in 42 s.\nNo order was delayed.".into());
        filed.retrospective = Some("Fills were late.".into());
        let html = sample::check("completion", &filed);
        assert!(!html.contains("File notes") && html.contains("No order was delayed."));
        assert!(html.contains("Fills were late."));
    }

    #[test]
    fn an_emergency_asks_for_its_retrospective_and_a_refusal_says_why() {
        let mut page = page();
        page.filing = Some(Filing {
            emergency: true,
            refused: Some("Monitoring ends at 14:42.".into()),
            ..Filing::default()
        });
        let html = sample::check("completion-emergency", &page);
        assert!(html.contains("name=\"retrospective\"") && html.contains("Monitoring ends at 14:42."));
        assert!(html.contains("disabled>File notes</button>"));
    }
}
