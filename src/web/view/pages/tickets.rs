//! `/` (my queue) and `/tickets`.

use askama::Template;

use crate::web::view::forms::Choice;
use crate::web::view::parts::{Empty, Link, Progress, Timeline};
use crate::web::view::prose::Prose;
use crate::web::view::shell::{Nav, Shell, Theme};
use crate::web::view::state::{Lamps, Pips, State, Status, Tag};

/// What the list is narrowed to, as the query string has it. Empty is "any".
#[derive(Clone, Debug, Default)]
pub struct TicketFilter {
    pub q: String,
    pub state: String,
    pub application: String,
    pub kind: String,
    pub requester: String,
}

impl TicketFilter {
    /// Whether anything is narrowed at all.
    pub fn any(&self) -> bool {
        [&self.q, &self.state, &self.application, &self.kind, &self.requester]
            .iter()
            .any(|value| !value.is_empty())
    }
}

/// One line of the list.
#[derive(Clone, Debug)]
pub struct TicketRow {
    /// `CHG-42`.
    pub number: String,
    pub title: String,
    /// Present for emergencies and standard changes.
    pub kind: Option<Tag>,
    pub application: String,
    /// The release tag.
    pub tag: String,
    /// "Production, approval".
    pub status: Status,
    /// "You and Priya Nair", "Nobody until Thu 14:00".
    pub waits: Prose,
    /// While the ticket is open.
    pub pips: Option<Pips>,
    /// While the ticket is open.
    pub lamps: Option<Lamps>,
    pub window: Prose,
    pub changed: Prose,
    /// It waits for the reader.
    pub mine: bool,
}

/// `GET /tickets`.
#[derive(Debug, Template)]
#[template(path = "pages/tickets.html")]
pub struct TicketsPage {
    pub shell: Shell,
    pub filter: TicketFilter,
    /// Each list of choices begins with the empty value: "Any".
    pub states: Vec<Choice>,
    pub applications: Vec<Choice>,
    pub kinds: Vec<Choice>,
    pub requesters: Vec<Choice>,
    pub rows: Vec<TicketRow>,
    /// What is said if there is nothing: nothing filed yet, or nothing that matches, with the way out.
    pub empty: Empty,
    /// "50 tickets, newest change first".
    pub shown: String,
    /// The address of the first page, on every other one.
    pub first: Option<String>,
    /// The address of the next page, with its cursor.
    pub next: Option<String>,
}

/// One line of the queue.
#[derive(Clone, Debug)]
pub struct QueueRow {
    pub number: String,
    pub title: String,
    pub href: String,
    /// "trading-backend, v2025.11.06, production".
    pub place: String,
    pub status: Status,
    pub detail: Prose,
    pub pips: Pips,
    pub window: Prose,
    pub window_note: Prose,
    pub lamps: Lamps,
    pub action: Option<Link>,
}

/// A stage under observation.
#[derive(Clone, Debug)]
pub struct Observed {
    pub number: String,
    pub title: String,
    pub href: String,
    pub state: State,
    /// "20 h 54 m of 24 h".
    pub so_far: String,
    pub progress: Progress,
    /// "Smoke tests 12 of 12".
    pub health: String,
    pub until: Prose,
}

/// `GET /`.
#[derive(Debug, Template)]
#[template(path = "pages/queue.html")]
pub struct QueuePage {
    pub shell: Shell,
    /// "Three tickets wait for you", "Nothing waits for you".
    pub title: String,
    /// The most urgent one, and by when.
    pub lede: Prose,
    /// How many open tickets were looked at, where there may be more.
    pub cut: Option<usize>,
    pub waiting: Vec<QueueRow>,
    pub nothing_waiting: Empty,
    pub releasing: Vec<QueueRow>,
    pub nothing_releasing: Empty,
    pub finished: Timeline,
    pub nothing_finished: Empty,
    pub observed: Vec<Observed>,
    pub nothing_observed: Empty,
    /// The reader's own tickets that lack something.
    pub preparing: Vec<QueueRow>,
    pub nothing_preparing: Empty,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::pages::sample;

    fn any(words: &str) -> Vec<Choice> {
        vec![Choice::new("", words), Choice::new("open", "Open")]
    }

    fn row(number: &str, title: &str, mine: bool) -> TicketRow {
        TicketRow {
            number: number.into(),
            title: title.into(),
            kind: mine.then(|| Tag::of(State::Who, "Emergency")),
            application: "trading-backend".into(),
            tag: "v2025.11.06".into(),
            status: Status::new(State::Who, "Production, approval"),
            waits: "You and Priya Nair".into(),
            pips: Some(sample::gates().pips().clone()),
            lamps: Some(Lamps { have: 1, need: 2, alone: true }),
            window: sample::time("2025-11-20T14:00:00Z").into(),
            changed: "08:31".into(),
            mine,
        }
    }

    fn tickets() -> TicketsPage {
        TicketsPage {
            shell: sample::shell(Nav::Tickets, "Tickets"),
            filter: TicketFilter { state: "open".into(), ..TicketFilter::default() },
            states: any("Any"),
            applications: any("Any"),
            kinds: any("Any"),
            requesters: any("Anyone"),
            rows: vec![
                row("CHG-42", "Add risk limits to positions", true),
                row("CHG-41", "Widen counterparty.lei", false),
            ],
            empty: Empty::new(
                "search",
                "No ticket matches “fx_rates”.",
                Prose::from("Or ").link("clear the filter", "/tickets").text("."),
            ),
            shown: "2 tickets, newest change first".into(),
            first: None,
            next: Some("/tickets?state=open&cursor=abc".into()),
        }
    }

    #[test]
    fn the_list_keeps_its_filter_and_pages_by_cursor() {
        let html = sample::check("tickets", &tickets());
        assert!(html.contains("<option value=\"open\" selected>Open</option>"));
        assert!(html.contains("href=\"/tickets?state=open&#38;cursor=abc\" rel=\"next\""));
        assert_eq!(html.matches("<tr class=\"me\">").count(), 1);
        assert!(html.contains("<a class=\"btn\" href=\"/tickets\">Clear</a>"));
    }

    #[test]
    fn an_empty_list_says_the_way_out() {
        let mut page = tickets();
        page.rows.clear();
        page.filter = TicketFilter::default();
        let html = sample::check("tickets-empty", &page);
        assert!(html.contains("No ticket matches") && !html.contains("<table"));
        assert!(!html.contains(">Clear</a>"));
    }

    fn queue_row(number: &str, title: &str) -> QueueRow {
        QueueRow {
            number: number.into(),
            title: title.into(),
            href: format!("/tickets/{number}/stages/production"),
            place: "trading-backend, v2025.11.06, production".into(),
            status: Status::new(State::Who, "Second signature"),
            detail: "Daniel Okafor signed Wed 08:31".into(),
            pips: sample::gates().pips().clone(),
            window: "Thu 14:00".into(),
            window_note: "in 1 d 3 h".into(),
            lamps: Lamps { have: 1, need: 2, alone: true },
            action: Some(Link::new("Review", format!("/tickets/{number}/stages/production/decide"))),
        }
    }

    #[test]
    fn the_queue_leads_to_what_is_asked() {
        let empty = |text: &str| Empty::new("list-checks", text, "It appears here with its deadline.");
        let mut page = QueuePage {
            shell: sample::shell(Nav::Queue, "Your queue"),
            title: "Two tickets wait for you".into(),
            cut: None,
            lede: Prose::from("The most urgent, CHG-42, needs your signature before ")
                .time(sample::time("2025-11-20T14:00:00Z")),
            waiting: vec![queue_row("CHG-42", "Add risk limits"), queue_row("CHG-44", "Drop columns")],
            nothing_waiting: empty("Nothing waits for you."),
            releasing: vec![queue_row("CHG-40", "Partition audit_events")],
            nothing_releasing: empty("No ticket is on its way to a window."),
            finished: sample::timeline(),
            nothing_finished: empty("Nothing has been finished yet."),
            observed: vec![Observed {
                number: "CHG-42".into(),
                title: "Risk limits".into(),
                href: "/tickets/CHG-42/stages/staging/run".into(),
                state: State::Run,
                so_far: "20 h 54 m of 24 h".into(),
                progress: Progress {
                    value: 1254,
                    max: 1440,
                    label: "CHG-42 observation, 20 h 54 m of 24 h".into(),
                },
                health: "smoke tests 12 of 12".into(),
                until: "until today 14:06".into(),
            }],
            nothing_observed: empty("Nothing is under observation."),
            preparing: vec![],
            nothing_preparing: empty("No ticket of yours lacks anything."),
        };
        let html = sample::check("queue", &page);
        assert!(
            html.contains(
                "href=\"/tickets/CHG-44/stages/production/decide\">Review<span class=\"vh\"> CHG-44"
            )
        );
        assert!(html.contains("<progress class=\"time\" value=\"1254\" max=\"1440\""));
        page.waiting.clear();
        page.observed.clear();
        page.title = "Nothing waits for you".into();
        let html = sample::check("queue-empty", &page);
        assert!(html.contains("Nothing waits for you.") && html.contains("Nothing is under observation."));
    }
}
