//! Why something about a project can't be done: which, where, and what to do about it.

use std::fmt;

/// A problem with its code (`docs/dry-run.md` lists them), a sentence, and advice. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectError {
    pub code: &'static str,
    /// What is wrong, and where.
    pub message: String,
    /// What to do about it.
    pub advice: String,
    /// The exit code: 1 it failed, 2 wrong use, 3 refused.
    pub exit: u8,
}

impl ProjectError {
    pub fn new(code: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { code, message: message.into(), advice: advice.into(), exit: 1 }
    }

    /// The command was called in a way that can't work.
    pub fn usage(code: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { exit: 2, ..Self::new(code, message, advice) }
    }

    /// A file or folder of our own could not be used.
    pub fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        Self::new(
            "E04",
            format!("{what}: {error}"),
            "Check that the disk has room and that you may write there.",
        )
    }

    /// Somebody pressed Ctrl-C.
    pub fn interrupted() -> Self {
        Self::new(
            "E05",
            "the dry run was interrupted",
            "The copy was thrown away and the snapshot was not touched: run it again.",
        )
    }
}

impl fmt::Display for ProjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.code, self.message, self.advice)
    }
}

impl std::error::Error for ProjectError {}
