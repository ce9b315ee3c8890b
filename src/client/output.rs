//! What a command says and how it ends: text for people, one JSON document for programs, an exit code for pipelines.

use std::io::Write as _;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::time::Timestamp;

/// How a command ended. The numbers are part of the contract with pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// What was asked for failed.
    Failed = 1,
    /// It can't be asked like this.
    Usage = 2,
    /// The portal, or a check before it, refused.
    Refused = 3,
    /// The portal can't be reached.
    Unreachable = 4,
    /// Something signed does not verify.
    Unverified = 5,
}

/// One reason why a gate is shut, as the portal tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    #[serde(default)]
    pub gate: Option<String>,
    pub code: String,
    pub message: String,
    pub cleared_by: String,
    pub clears_at: Option<Timestamp>,
}

impl Blocker {
    /// One line: which gate, why, who can clear it and when it clears by itself.
    pub fn line(&self) -> String {
        let gate = self.gate.as_deref().map_or_else(String::new, |gate| format!("{gate}: "));
        let when = self.clears_at.map_or_else(String::new, |at| format!(", by itself {}", at.words()));
        format!("{gate}{} (cleared by {}{when})", self.message, self.cleared_by)
    }
}

/// Why a command did not do what it was asked: a sentence, and what to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    /// Stable, for programs.
    pub code: String,
    pub message: String,
    pub advice: Option<String>,
    pub blockers: Vec<Blocker>,
    /// What there is to tell all the same, for programs.
    pub document: Option<Box<Value>>,
}

impl Failure {
    pub fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.to_owned(),
            message: message.into(),
            advice: None,
            blockers: Vec::new(),
            document: None,
        }
    }

    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, code, message)
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    pub fn refused(code: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, code, message)
    }

    /// A file of this machine can't be read or written.
    pub fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::failed("file", format!("{}: {error}", path.display()))
    }

    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    #[must_use]
    pub fn blocked_by(mut self, blockers: Vec<Blocker>) -> Self {
        self.blockers = blockers;
        self
    }

    /// What a program gets besides the error.
    #[must_use]
    pub fn with_document(mut self, document: Value) -> Self {
        self.document = Some(Box::new(document));
        self
    }

    fn json(&self) -> Value {
        let mut json = json!({"error": {
            "code": self.code,
            "exit": self.exit as u8,
            "message": self.message,
            "advice": self.advice,
            "blockers": self.blockers,
        }});
        if let (Some(all), Some(Value::Object(more))) = (json.as_object_mut(), self.document.as_deref()) {
            all.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        json
    }
}

/// What a command came to.
#[derive(Debug)]
pub struct Done {
    /// For people, without a final line break.
    pub text: String,
    /// For programs.
    pub json: Value,
}

impl Done {
    pub fn new(text: impl Into<String>, json: impl Serialize) -> Self {
        Self { text: text.into(), json: serde_json::to_value(json).unwrap_or(Value::Null) }
    }
}

/// Prints how a command ended. With `json` there is exactly one document on standard output, whatever happened.
pub fn finish(ended: Result<Done, Failure>, json: bool) -> ExitCode {
    match ended {
        Ok(done) => {
            say(&if json { done.json.to_string() } else { done.text });
            ExitCode::SUCCESS
        }
        Err(failure) => {
            if json {
                say(&failure.json().to_string());
            }
            eprintln!("countersign: {}", failure.message);
            for blocker in &failure.blockers {
                eprintln!("  {}", blocker.line());
            }
            if let Some(advice) = &failure.advice {
                eprintln!("  {advice}");
            }
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// What clap says of a command line, where it says it, with its exit code. A wrong one is one document as well, with `json`.
pub fn misused(error: &clap::Error, json: bool) -> ExitCode {
    if json && error.use_stderr() {
        say(&wrong_use(&error.render().to_string()).json().to_string());
    }
    // Nobody is left to be told where even this can't be written.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8))
}

/// Clap's paragraphs as a failure: the first says what is wrong, those between it and the pointer to `--help` what would be
/// right.
fn wrong_use(text: &str) -> Failure {
    let line = |paragraph: &str| paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut paragraphs = text.trim().split("\n\n");
    let first = line(paragraphs.next().unwrap_or_default());
    let message = first.strip_prefix("error: ").unwrap_or(&first).to_owned();
    let advice: Vec<String> =
        paragraphs.map(line).filter(|p| !p.starts_with("For more information")).collect();
    let failure = Failure::usage(message);
    if advice.is_empty() { failure } else { failure.advise(advice.join(" ")) }
}

/// A reader that has gone away (`| head`) is no failure of the command.
fn say(text: &str) {
    if !text.is_empty() {
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }
}

/// A remark on the way, which is never part of the answer.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "countersign: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocker_is_one_line_with_who_and_when() {
        let mut blocker = Blocker {
            gate: Some("window".to_owned()),
            code: "window-closed".to_owned(),
            message: "The window opens Tue 24 Nov, 14:00 UTC.".to_owned(),
            cleared_by: "time".to_owned(),
            clears_at: "2026-11-24T14:00:00Z".parse().ok(),
        };
        assert_eq!(
            blocker.line(),
            "window: The window opens Tue 24 Nov, 14:00 UTC. (cleared by time, by itself Tue 24 Nov, 14:00 UTC)"
        );
        blocker.gate = None;
        blocker.clears_at = None;
        assert_eq!(blocker.line(), "The window opens Tue 24 Nov, 14:00 UTC. (cleared by time)");
    }

    #[test]
    fn a_wrong_command_line_is_a_failure_like_others() {
        let text = "error: the following required arguments were not provided:\n  --stage <STAGE>\n\n\
                    Usage: countersign apply --stage <STAGE> <TICKET>\n\nFor more information, try '--help'.\n";
        let error = wrong_use(text).json()["error"].clone();
        assert_eq!((&error["code"], &error["exit"]), (&json!("usage"), &json!(2)));
        assert_eq!(error["message"], "the following required arguments were not provided: --stage <STAGE>");
        assert_eq!(error["advice"], "Usage: countersign apply --stage <STAGE> <TICKET>");
        assert_eq!(wrong_use("error: no").advice, None);
    }

    #[test]
    fn a_failure_is_one_document() {
        let failure = Failure::refused("head-moved", "The head moved.").advise("Rehearse it again.");
        let json = failure.json();
        assert_eq!(json["error"]["exit"], 3);
        assert_eq!(json["error"]["code"], "head-moved");
        assert_eq!(json["error"]["blockers"], json!([]));
    }
}
