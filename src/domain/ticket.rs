//! A ticket: one change to be promoted through an application's environments.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use super::id::{ApiTokenId, ApplicationId, IncidentId, PolicyVersionId, TicketId, TicketNumber, UserId};
use super::named::named;
use super::time::Timestamp;
use super::unseen::is_unseen;

named! {
    /// How a ticket is judged.
    TicketKind, "kind of ticket" {
        Normal = "normal",
        /// All normal gates, with a quorum of its own in policy. Waives nothing.
        Standard = "standard",
        /// Waives window, freeze, elapsed soak and the one incident it names; never evidence, checklist or approvals.
        Emergency = "emergency",
    }
}

named! {
    /// Where a ticket is in its life. Phases of stages are derived, this is not.
    TicketState, "state of a ticket" {
        Draft = "draft",
        Open = "open",
        Completed = "completed",
        Abandoned = "abandoned",
    }
}

named! {
    /// How a completed ticket ended.
    TicketOutcome, "outcome of a ticket" {
        Promoted = "promoted",
        RolledBack = "rolled-back",
    }
}

/// Why a change can't wait, and the incident that it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emergency {
    pub reason: String,
    pub incident: Option<IncidentId>,
}

/// What a requester states about a change. Every field is part of the evidence, or names who made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketContent {
    pub title: String,
    pub description: String,
    pub kind: TicketKind,
    pub release_tag: String,
    /// The tag that a rollback redeploys.
    pub prior_release_tag: String,
    /// The full revision that the database is at before the change.
    pub from_revision: String,
    /// The full revision that the change leads to; never `head`.
    pub to_revision: String,
    /// E-mail addresses or names of people who wrote the change without touching this portal. They can't approve it.
    pub authors: Vec<String>,
    pub emergency: Option<Emergency>,
    pub external_links: Vec<String>,
}

/// A ticket as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub id: TicketId,
    pub number: TicketNumber,
    /// Raised by every write to the ticket or anything below it.
    pub version: i64,
    pub application: ApplicationId,
    pub application_name: String,
    pub policy_version: PolicyVersionId,
    pub state: TicketState,
    pub outcome: Option<TicketOutcome>,
    pub content: TicketContent,
    pub requester: UserId,
    pub requester_name: String,
    /// The API token through which it was filed, if one was.
    pub requested_via: Option<ApiTokenId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A field that does not keep its rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// The field's name in forms and in JSON.
    pub field: &'static str,
    /// One sentence: what the rule is.
    pub message: String,
}

impl TicketContent {
    /// Checks every field and tells every fault, not the first one.
    ///
    /// # Errors
    /// The faults, in the order of the form.
    pub fn check(&self) -> Result<(), Vec<FieldFault>> {
        let mut faults = Vec::new();
        let mut fault = |field, message: &str| faults.push(FieldFault { field, message: message.to_owned() });

        text_rule(&self.title, 3, 200, false).unwrap_or_else(|m| fault("title", &m));
        text_rule(&self.description, 0, 20_000, true).unwrap_or_else(|m| fault("description", &m));
        text_rule(&self.release_tag, 1, 120, false).unwrap_or_else(|m| fault("release_tag", &m));
        text_rule(&self.prior_release_tag, 1, 120, false).unwrap_or_else(|m| fault("prior_release_tag", &m));
        for (field, revision) in [("from_revision", &self.from_revision), ("to_revision", &self.to_revision)]
        {
            if let Err(message) = check_revision(revision) {
                fault(field, &message);
            }
        }
        if !self.to_revision.is_empty() && self.from_revision == self.to_revision {
            fault("to_revision", "The change must lead to another revision than it starts from.");
        }
        if self.authors.len() > 50 || self.authors.iter().any(|a| text_rule(a, 1, 200, false).is_err()) {
            fault(
                "authors",
                "At most 50 authors, each an e-mail address or a name of at most 200 characters.",
            );
        }
        if self.external_links.len() > 20
            || self.external_links.iter().any(|l| {
                text_rule(l, 1, 500, false).is_err()
                    || !(l.starts_with("https://") || l.starts_with("http://"))
            })
        {
            fault("external_links", "At most 20 links, each starting with https:// or http://.");
        }
        match (&self.emergency, self.kind) {
            (Some(emergency), TicketKind::Emergency) => {
                if let Err(message) = text_rule(&emergency.reason, 20, 2_000, true) {
                    fault("emergency_reason", &format!("Say why this can't wait. {message}"));
                }
            }
            (None, TicketKind::Emergency) => {
                fault("emergency_reason", "An emergency needs a reason of at least 20 characters.");
            }
            (Some(_), TicketKind::Normal | TicketKind::Standard) => {
                fault("emergency_reason", "Only an emergency has an emergency reason or names an incident.");
            }
            (None, TicketKind::Normal | TicketKind::Standard) => {}
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

/// What a declared author may be known by: the text itself, and both halves of `Name <address>` as version control
/// writes it.
pub fn author_keys(author: &str) -> Vec<&str> {
    let author = author.trim();
    let halves = author.strip_suffix('>').and_then(|rest| rest.split_once('<'));
    let mut keys = vec![author];
    keys.extend(halves.into_iter().flat_map(|(name, address)| [name.trim(), address.trim()]));
    keys.retain(|key| !key.is_empty());
    keys
}

/// One spelling of a name or an address, however it was typed: compatibility forms, case and blanks don't count.
pub fn spelling(text: &str) -> String {
    let text = text.nfkc().collect::<String>().to_lowercase();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The spellings of everybody that an entry may name, also where it holds several.
pub fn author_spellings(author: &str) -> Vec<String> {
    let pieces = std::iter::once(author).chain(author.split([',', ';']));
    pieces.flat_map(author_keys).map(spelling).filter(|key| !key.is_empty()).collect()
}

/// The rule for every text that people type: length in characters, and no control or direction-changing characters.
///
/// # Errors
/// One sentence that names the rule.
pub fn text_rule(text: &str, min: usize, max: usize, multiline: bool) -> Result<(), String> {
    let count = text.chars().count();
    if min > 0 && text.trim().is_empty() {
        return Err("This field can't be empty.".to_owned());
    }
    if count < min || text.trim().chars().count() < min {
        return Err(format!("At least {min} characters are needed."));
    }
    if count > max {
        return Err(format!("At most {max} characters; this has {count}."));
    }
    let hidden =
        |c: char| (c.is_control() && !(multiline && matches!(c, '\n' | '\r' | '\t'))) || is_unseen(c);
    match text.chars().find(|c| hidden(*c)) {
        Some(c) => Err(format!("The character U+{:04X} can't be used here: it doesn't show.", u32::from(c))),
        None => Ok(()),
    }
}

fn check_revision(revision: &str) -> Result<(), String> {
    text_rule(revision, 1, 64, false)?;
    if matches!(revision, "head" | "heads" | "base" | "current") {
        return Err(format!("“{revision}” moves; name the full revision instead."));
    }
    if revision.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')) {
        Ok(())
    } else {
        Err("A revision has letters, digits, dots, dashes and underscores only.".to_owned())
    }
}
