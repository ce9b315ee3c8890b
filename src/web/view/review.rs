//! Findings and threads: what was said about the SQL, by the analysis and by people.

use super::format::Time;
use super::forms::Input;
use super::prose::Prose;
use super::state::{State, Status};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Must be accepted with a note before the review gate opens.
    Blocking,
    Warning,
    Note,
}

impl Severity {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Blocking => "Blocking",
            Self::Warning => "Warning",
            Self::Note => "Note",
        }
    }
}

/// One finding.
#[derive(Clone, Debug)]
pub struct FindingRow {
    pub id: String,
    pub severity: Severity,
    /// What it is: "Short full lock".
    pub title: String,
    /// "upgrade.sql, line 20", with a link.
    pub place: Prose,
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub advice: String,
    /// What the dry run measured about its statement: "drops 3,412 non-null values of `trades.legacy_ref`".
    pub facts: Vec<String>,
    /// "Accepted by Daniel Okafor, Wed 08:31: “fine at 14:00”".
    pub accepted: Option<Prose>,
    /// The note of the form, where the reader may accept it.
    pub accept: Option<Input>,
}

impl FindingRow {
    /// Accepted findings are open; blocking ones wait for a person or stop.
    pub const fn state(&self) -> State {
        match (self.accepted.is_some(), self.severity) {
            (true, _) => State::Open,
            (false, Severity::Blocking) => State::Stop,
            (false, Severity::Warning) => State::Who,
            (false, Severity::Note) => State::Idle,
        }
    }

    /// "Blocking: short full lock".
    pub fn status(&self) -> Status {
        let accepted = if self.accepted.is_some() { ", accepted" } else { "" };
        Status::new(self.state(), format!("{}{accepted}: {}", self.severity.word(), self.title))
    }
}

/// One contribution to a thread.
#[derive(Clone, Debug)]
pub struct Post {
    pub by: String,
    pub at: Time,
    pub text: String,
}

/// A thread about a place of an artifact, or about the stage.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own that the template asks for")]
pub struct Thread {
    pub id: String,
    /// "On upgrade.sql v3, line 29".
    pub title: Prose,
    /// Keeps the review gate blocked until it is resolved.
    pub blocking: bool,
    /// "Resolved by Daniel Okafor, Wed 08:31", or "Open".
    pub status: Status,
    pub resolved: bool,
    pub posts: Vec<Post>,
    pub may_reply: bool,
    pub may_resolve: bool,
    pub may_reopen: bool,
    pub reply: Input,
    /// Where an answer leads back to: the query of the difference it is shown in; empty for the stage's page.
    pub back: String,
    /// The statement it is about, where the page does not show that.
    pub quote: Option<String>,
}

/// The form that opens a thread.
#[derive(Clone, Debug, Default)]
pub struct NewThread {
    /// The artifact and line it is about, where the page knows them: kind, version, line.
    pub about: Option<(String, u32, u32)>,
    pub text: Input,
    /// As for [`Thread::back`].
    pub back: String,
}
