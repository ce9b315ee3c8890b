//! `/incidents` and `/freezes`: what closes gates for many tickets at once.

use askama::Template;

use crate::web::view::format::Time;
use crate::web::view::forms::{Choice, ErrorSummary, Input};
use crate::web::view::parts::{Empty, Timeline};
use crate::web::view::prose::Prose;
use crate::web::view::shell::{Nav, Shell, Theme};
use crate::web::view::state::{Glyph, State, Status};

/// An open incident.
#[derive(Clone, Debug)]
pub struct IncidentRow {
    pub id: String,
    /// "INC-7".
    pub name: String,
    pub application: String,
    pub title: String,
    /// "Blocks CHG-41 and CHG-42."
    pub blocks: Prose,
    /// "Lena Fischer, Wed 09:40".
    pub opened: Prose,
    pub may_resolve: bool,
}

impl IncidentRow {
    #[expect(clippy::unused_self, reason = "templates reach functions through the values they are given")]
    const fn glyph(&self) -> Glyph {
        State::Stop.named("Open")
    }
}

/// The form that declares an incident.
#[derive(Clone, Debug, Default)]
pub struct DeclareIncident {
    pub application: Input,
    pub title: Input,
}

/// `GET /incidents`.
#[derive(Debug, Template)]
#[template(path = "pages/incidents.html")]
pub struct IncidentsPage {
    pub shell: Shell,
    pub errors: Option<ErrorSummary>,
    pub open: Vec<IncidentRow>,
    pub open_note: String,
    pub nothing_open: Empty,
    pub resolved: Timeline,
    pub nothing_resolved: Empty,
    pub next: Option<String>,
    /// Present where the reader may declare one.
    pub declare: Option<DeclareIncident>,
    pub applications: Vec<Choice>,
}

/// A freeze that lasts or is to come.
#[derive(Clone, Debug)]
pub struct FreezeRow {
    pub id: String,
    pub starts: Time,
    pub ends: Time,
    /// "All applications, production".
    pub scope: String,
    pub status: Status,
    pub reason: String,
    pub by: String,
    /// Whether it lasts already: then it is ended, else cancelled.
    pub begun: bool,
    pub may_end: bool,
}

/// The form that declares a freeze. Times are UTC, as `datetime-local` gives them.
#[derive(Clone, Debug, Default)]
pub struct DeclareFreeze {
    /// Empty for all.
    pub application: Input,
    /// Empty for all.
    pub environment: Input,
    pub starts_at: Input,
    pub ends_at: Input,
    pub reason: Input,
}

/// `GET /freezes`.
#[derive(Debug, Template)]
#[template(path = "pages/freezes.html")]
pub struct FreezesPage {
    pub shell: Shell,
    pub errors: Option<ErrorSummary>,
    pub current: Vec<FreezeRow>,
    pub nothing_current: Empty,
    pub past: Timeline,
    pub nothing_past: Empty,
    pub declare: Option<DeclareFreeze>,
    /// Each begins with the empty choice "All".
    pub applications: Vec<Choice>,
    pub environments: Vec<Choice>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::pages::sample;

    fn empty(title: &str) -> Empty {
        Empty::new("list-checks", title, "It would appear here.")
    }

    #[test]
    fn incidents_are_declared_and_resolved() {
        let mut page = IncidentsPage {
            shell: sample::shell(Nav::Incidents, "Incidents"),
            errors: None,
            open: vec![IncidentRow {
                id: "i1".into(),
                name: "INC-7".into(),
                application: "trading-backend".into(),
                title: "fills are <late>".into(),
                blocks: Prose::from("Blocks ").link("CHG-42", "/tickets/CHG-42").text("."),
                opened: Prose::from("Lena Fischer, ").time(sample::time("2025-11-19T09:40:00Z")),
                may_resolve: true,
            }],
            open_note: "1 open".into(),
            nothing_open: empty("No incident is open."),
            resolved: sample::timeline(),
            nothing_resolved: empty("None was ever declared."),
            next: None,
            declare: Some(DeclareIncident::default()),
            applications: vec![Choice::new("trading-backend", "trading-backend")],
        };
        let html = sample::check("incidents", &page);
        assert!(html.contains("<button class=\"btn no\">Declare incident</button>"));
        assert!(html.contains("<button class=\"btn\">Resolve<span class=\"vh\"> INC-7</span></button>"));
        assert!(
            html.contains("action=\"/incidents/i1/resolve\"") && html.contains("fills are &#60;late&#62;")
        );
        page.open.clear();
        page.declare = None;
        let html = sample::check("incidents-none", &page);
        assert!(html.contains("No incident is open.") && !html.contains("Declare incident"));
    }

    #[test]
    fn a_freeze_has_a_scope_and_a_reason() {
        let freeze = |id: &str, begun| FreezeRow {
            id: id.into(),
            starts: sample::time("2025-12-15T00:00:00Z"),
            ends: sample::time("2026-01-04T00:00:00Z"),
            scope: "All applications, production".into(),
            status: Status::new(State::Idle, "to come"),
            reason: "Year-end freeze".into(),
            by: "Marta Kovács".into(),
            begun,
            may_end: true,
        };
        let page = FreezesPage {
            shell: sample::shell(Nav::Incidents, "Freezes"),
            errors: None,
            current: vec![freeze("f1", true), freeze("f2", false)],
            nothing_current: empty("No freeze."),
            past: Timeline { rows: vec![] },
            nothing_past: empty("None was ever declared."),
            declare: Some(DeclareFreeze {
                ends_at: Input::wrong("2025-12-01T00:00", "It ends before it starts."),
                ..DeclareFreeze::default()
            }),
            applications: vec![Choice::new("", "All")],
            environments: vec![Choice::new("", "All")],
        };
        let html = sample::check("freezes", &page);
        assert!(html.contains("End now<span") && html.contains("Cancel<span"));
        for name in ["application", "environment", "starts_at", "ends_at", "reason"] {
            assert!(html.contains(&format!("name=\"{name}\"")), "{name}");
        }
        assert!(html.contains("value=\"2025-12-01T00:00\"") && html.contains("It ends before it starts."));
    }
}
