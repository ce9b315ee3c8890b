//! Puts together what the audit log records of an act.

use serde_json::{Map, Value};

use super::Services;
use crate::domain::audit::Event;
use crate::domain::ticket::Ticket;
use crate::domain::user::Actor;

impl Services {
    /// An event of this instant by this actor.
    pub(crate) fn event(&self, kind: &'static str, actor: Option<&Actor>) -> Event {
        Event {
            kind,
            at: self.now(),
            actor: actor.cloned(),
            ticket: None,
            stage: None,
            data: Map::new(),
            text: None,
        }
    }

    /// Puts what somebody typed behind a salted commitment. Nothing typed, nothing kept.
    pub(crate) fn with_text(&self, mut event: Event, text: &str) -> Event {
        if !text.is_empty() {
            event.text = Some((text.to_owned(), self.env.bytes()));
        }
        event
    }
}

impl Event {
    pub(crate) fn of_ticket(mut self, ticket: &Ticket) -> Self {
        self.ticket = Some((ticket.id, ticket.number));
        self
    }

    pub(crate) fn of_stage(mut self, stage: &str) -> Self {
        self.stage = Some(stage.to_owned());
        self
    }

    /// Adds an id, a digest or a name of a state.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.data.insert(key.to_owned(), value.into());
        self
    }
}
