//! The answers of the form that files and edits a ticket: read strictly, kept as they were typed.

use serde::Deserialize;

use crate::domain::ticket::{Emergency, FieldFault, TicketContent, TicketKind};
use crate::service::ServiceError;
use crate::service::incidents::INCIDENTS_PER_PAGE;
use crate::web::site::Site;
use crate::web::view::forms::{Choice, ErrorSummary, Fault, Input};
use crate::web::view::pages::ticket_form::TicketAnswers;

/// The form as it was sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answers {
    /// The ticket's version that an editor saw.
    pub version: Option<i64>,
    pub title: String,
    pub application: String,
    pub release_tag: String,
    pub prior_release_tag: String,
    pub from_revision: String,
    pub to_revision: String,
    pub kind: String,
    pub emergency_reason: String,
    pub emergency_incident: String,
    pub description: String,
    pub authors: String,
    pub external_links: String,
}

impl Answers {
    /// The answers that a ticket as it stands would have.
    pub fn of(application: &str, content: &TicketContent) -> Self {
        let emergency = content.emergency.as_ref();
        Self {
            version: None,
            title: content.title.clone(),
            application: application.to_owned(),
            release_tag: content.release_tag.clone(),
            prior_release_tag: content.prior_release_tag.clone(),
            from_revision: content.from_revision.clone(),
            to_revision: content.to_revision.clone(),
            kind: content.kind.as_str().to_owned(),
            emergency_reason: emergency.map_or_else(String::new, |e| e.reason.clone()),
            emergency_incident: emergency
                .and_then(|e| e.incident)
                .map_or_else(String::new, |id| id.to_string()),
            description: content.description.clone(),
            authors: content.authors.join(", "),
            external_links: content.external_links.join("\n"),
        }
    }

    /// What the answers say of a change.
    ///
    /// # Errors
    /// Answers that are none of the choices. What else is wrong with the rest is found by the service.
    pub fn content(&self) -> Result<TicketContent, Vec<FieldFault>> {
        let mut faults = Vec::new();
        let mut fault = |field, message: &str| faults.push(FieldFault { field, message: message.to_owned() });
        let kind = self.kind.parse::<TicketKind>();
        if kind.is_err() {
            fault("kind", "Choose one of the three kinds.");
        }
        let incident = match self.emergency_incident.as_str() {
            "" => None,
            id => {
                let id = id.parse().ok();
                if id.is_none() {
                    fault("emergency_incident", "Choose an incident of the list, or none.");
                }
                id
            }
        };
        let (Ok(kind), true) = (kind, faults.is_empty()) else { return Err(faults) };
        let reason = self.emergency_reason.trim();
        let list = |text: &str, marks: &[char]| {
            let parts = text.split(marks).map(str::trim).filter(|part| !part.is_empty());
            parts.map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        Ok(TicketContent {
            title: self.title.trim().to_owned(),
            description: self.description.trim().to_owned(),
            kind,
            release_tag: self.release_tag.trim().to_owned(),
            prior_release_tag: self.prior_release_tag.trim().to_owned(),
            from_revision: self.from_revision.trim().to_owned(),
            to_revision: self.to_revision.trim().to_owned(),
            authors: list(&self.authors, &[',', '\n']),
            // Said without being an emergency: the rule refuses it in words, rather than us dropping it unseen.
            emergency: (!reason.is_empty() || incident.is_some())
                .then(|| Emergency { reason: reason.to_owned(), incident }),
            external_links: list(&self.external_links, &['\n']),
        })
    }

    /// The answers for the page, each with its fault.
    pub fn inputs(self, faults: &[FieldFault]) -> TicketAnswers {
        let input = |name: &str, value: String| Input {
            error: faults.iter().find(|fault| fault.field == name).map(|fault| fault.message.clone()),
            value,
        };
        TicketAnswers {
            title: input("title", self.title),
            application: input("application", self.application),
            release_tag: input("release_tag", self.release_tag),
            prior_release_tag: input("prior_release_tag", self.prior_release_tag),
            from_revision: input("from_revision", self.from_revision),
            to_revision: input("to_revision", self.to_revision),
            kind: input("kind", self.kind),
            emergency_reason: input("emergency_reason", self.emergency_reason),
            emergency_incident: input("emergency_incident", self.emergency_incident),
            description: input("description", self.description),
            authors: input("authors", self.authors),
            external_links: input("external_links", self.external_links),
        }
    }
}

/// The faults above the form: "The ticket was not filed: 2 answers need a change".
pub(super) fn summary(what: &str, faults: &[FieldFault]) -> ErrorSummary {
    let needs = if faults.len() == 1 { "answer needs" } else { "answers need" };
    ErrorSummary {
        title: format!("{what}: {} {needs} a change", faults.len()),
        faults: faults
            .iter()
            .map(|fault| Fault { field: fault.field.to_owned(), text: fault.message.clone() })
            .collect(),
        kept: "Everything is kept as you typed it.".into(),
    }
}

/// Open incidents after the empty choice. `application` narrows them to one.
pub(super) async fn incidents(site: &Site, application: Option<&str>) -> Result<Vec<Choice>, ServiceError> {
    let open = site.services.list_incidents(true, None, INCIDENTS_PER_PAGE).await?.incidents;
    let open = open.into_iter().filter(|row| application.is_none_or(|name| row.application == name));
    let mut choices = vec![Choice::new("", "None")];
    choices.extend(open.map(|row| {
        let words = format!("{}, {} ({})", row.label(), row.title, row.application);
        Choice::new(row.id.to_string(), words)
    }));
    Ok(choices)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed() -> Answers {
        Answers {
            title: " Add risk limits ".into(),
            kind: "normal".into(),
            authors: "ada@example.com, ben@example.com\n".into(),
            external_links: "https://ci.example/1\n\n https://ci.example/2 ".into(),
            ..Answers::default()
        }
    }

    #[test]
    fn lists_are_taken_apart_and_ends_trimmed() {
        let content = typed().content().unwrap();
        assert_eq!(content.title, "Add risk limits");
        assert_eq!(content.authors, ["ada@example.com", "ben@example.com"]);
        assert_eq!(content.external_links, ["https://ci.example/1", "https://ci.example/2"]);
        assert_eq!(content.emergency, None);
    }

    #[test]
    fn a_reason_without_an_emergency_is_refused_not_dropped() {
        let answers = Answers { emergency_reason: "the fills are late".into(), ..typed() };
        let faults = answers.content().unwrap().check().unwrap_err();
        assert!(faults.iter().any(|fault| fault.field == "emergency_reason"), "{faults:?}");
    }

    #[test]
    fn a_choice_that_is_none_is_a_fault_of_its_field() {
        let answers = Answers { kind: "casual".into(), emergency_incident: "INC-7".into(), ..typed() };
        let faults = answers.content().unwrap_err();
        let fields: Vec<_> = faults.iter().map(|fault| fault.field).collect();
        assert_eq!(fields, ["kind", "emergency_incident"]);
        let inputs = answers.inputs(&faults);
        assert_eq!(inputs.kind.value, "casual");
        assert!(inputs.kind.error.is_some() && inputs.title.error.is_none());
        assert_eq!(inputs.title.value, " Add risk limits ", "as it was typed");
    }

    #[test]
    fn a_ticket_reads_back_as_it_was_answered() {
        let content = typed().content().unwrap();
        assert_eq!(Answers::of("ledger", &content).content().unwrap(), content);
    }
}
