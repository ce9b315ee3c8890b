//! `/tickets/new` and `/tickets/CHG-1/edit`.

use askama::Template;

use crate::web::view::forms::{Choice, ErrorSummary, Input};
use crate::web::view::shell::{Nav, Shell, Theme};

/// The answers, as they were typed. The ids of the controls are the names of the fields.
#[derive(Clone, Debug, Default)]
pub struct TicketAnswers {
    pub title: Input,
    pub application: Input,
    pub release_tag: Input,
    pub prior_release_tag: Input,
    pub from_revision: Input,
    pub to_revision: Input,
    /// `normal`, `standard` or `emergency`.
    pub kind: Input,
    pub emergency_reason: Input,
    /// An incident's id, or empty.
    pub emergency_incident: Input,
    pub description: Input,
    /// Work emails with commas between.
    pub authors: Input,
    /// One address a line.
    pub external_links: Input,
}

/// Filing or editing a ticket.
#[derive(Debug, Template)]
#[template(path = "pages/ticket_form.html")]
pub struct TicketForm {
    pub shell: Shell,
    /// `CHG-42` when editing.
    pub number: Option<String>,
    /// The ticket's version that the reader saw, when editing.
    pub version: Option<i64>,
    pub errors: Option<ErrorSummary>,
    pub answers: TicketAnswers,
    pub applications: Vec<Choice>,
    /// Open incidents, after the empty choice "None".
    pub incidents: Vec<Choice>,
}

impl TicketForm {
    fn action(&self) -> String {
        self.number.as_ref().map_or_else(|| "/tickets".into(), |number| format!("/tickets/{number}/edit"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::forms::Fault;
    use crate::web::view::pages::sample;

    fn form() -> TicketForm {
        TicketForm {
            shell: sample::shell(Nav::Tickets, "New ticket"),
            number: None,
            version: None,
            errors: None,
            answers: TicketAnswers { kind: Input::of("normal"), ..TicketAnswers::default() },
            applications: vec![
                Choice::new("trading-backend", "trading-backend"),
                Choice::new("ledger", "ledger"),
            ],
            incidents: vec![Choice::new("", "None"), Choice::new("i1", "INC-7, fills are late")],
        }
    }

    #[test]
    fn filing_asks_for_what_the_contract_names() {
        let html = sample::check("ticket-new", &form());
        for name in [
            "application",
            "title",
            "description",
            "release_tag",
            "prior_release_tag",
            "from_revision",
            "to_revision",
            "authors",
            "emergency_reason",
            "emergency_incident",
            "external_links",
        ] {
            assert!(html.contains(&format!(" name=\"{name}\"")), "{name}");
        }
        assert!(html.contains("<form class=\"panel\" method=\"post\" action=\"/tickets\""));
        assert!(html.contains("<button class=\"btn act\">File ticket</button>"));
        assert!(html.contains("name=\"kind\" value=\"normal\" checked>"));
    }

    #[test]
    fn faults_keep_every_answer() {
        let mut page = form();
        page.shell.title = "Error: New ticket".into();
        page.answers = TicketAnswers {
            title: Input::of("Validate \"risk\" & limits"),
            application: Input::of("ledger"),
            to_revision: Input::wrong("9ab27d05", "Give the full id, not its beginning."),
            kind: Input::of("emergency"),
            description: Input::of("\nleading newline"),
            ..TicketAnswers::default()
        };
        page.errors = Some(ErrorSummary {
            title: "The ticket was not filed: 1 answer needs a change".into(),
            faults: vec![Fault { field: "to_revision".into(), text: "Give the full id".into() }],
            kept: "Everything else is kept as you typed it.".into(),
        });
        let html = sample::check("ticket-new-errors", &page);
        assert!(html.contains("<a href=\"#to_revision\">Give the full id</a>"));
        assert!(html.contains("value=\"Validate &#34;risk&#34; &#38; limits\""));
        assert!(html.contains("<option value=\"ledger\" selected>"));
        assert!(html.contains("value=\"emergency\" checked>"));
        assert!(html.contains(">\n\nleading newline</textarea>"), "a parser drops the first newline");
        assert!(
            html.contains("aria-invalid=\"true\" aria-describedby=\"to_revision-hint to_revision-error\"")
        );
    }

    #[test]
    fn editing_carries_the_version_its_reader_saw() {
        let mut page = form();
        (page.number, page.version) = (Some("CHG-42".into()), Some(17));
        let html = sample::check("ticket-edit", &page);
        assert!(html.contains("action=\"/tickets/CHG-42/edit\"") && html.contains("Save changes"));
        assert!(html.contains("name=\"version\" value=\"17\""));
    }
}
