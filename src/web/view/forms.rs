//! What a form keeps when it comes back with faults.

use askama::Template;
use askama::filters::HtmlSafe;

/// One answer of a form: what was typed, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Input {
    pub value: String,
    pub error: Option<String>,
}

impl Input {
    /// An answer without a fault.
    pub fn of(value: impl Into<String>) -> Self {
        Self { value: value.into(), error: None }
    }

    /// An answer that needs a change, with the sentence that says which.
    pub fn wrong(value: impl Into<String>, error: impl Into<String>) -> Self {
        Self { value: value.into(), error: Some(error.into()) }
    }

    /// Whether this answer is the given choice of a list or a group.
    pub fn is(&self, choice: &str) -> bool {
        self.value == choice
    }

    /// The ids that describe the control: its hint and its fault, those that are there.
    pub fn described(&self, id: &str, hint: &str) -> String {
        match (hint.is_empty(), self.error.is_some()) {
            (true, false) => String::new(),
            (false, false) => format!("{id}-hint"),
            (true, true) => format!("{id}-error"),
            (false, true) => format!("{id}-hint {id}-error"),
        }
    }
}

/// A choice of a list: its value and its words.
#[derive(Clone, Debug)]
pub struct Choice {
    pub value: String,
    pub text: String,
}

impl Choice {
    pub fn new(value: impl Into<String>, text: impl Into<String>) -> Self {
        Self { value: value.into(), text: text.into() }
    }
}

/// One fault, leading to its field.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The id of the control.
    pub field: String,
    pub text: String,
}

/// The faults of a form, above it. The page's title then begins with "Error: ".
#[derive(Clone, Debug, Template)]
#[template(path = "partials/error_summary.html")]
pub struct ErrorSummary {
    /// "The ticket was not filed: 2 answers need a change".
    pub title: String,
    pub faults: Vec<Fault>,
    /// What was kept: "Everything else is kept as you typed it."
    pub kept: String,
}

impl HtmlSafe for ErrorSummary {}
