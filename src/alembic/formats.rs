//! What the versioned JSON formats have in common: a header, limits, and errors that name the field.

use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::sql::hidden;

/// A file is not what it must be. The text is one sentence for the person who attached it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("the {what} has {bytes} bytes; at most {limit} are read")]
    TooLarge { what: &'static str, bytes: usize, limit: usize },
    #[error("the {what} is empty")]
    Empty { what: &'static str },
    #[error("the {what} is not UTF-8 text (byte {at})")]
    NotText { what: &'static str, at: usize },
    #[error("this is not a {what}: its field `format` must be \"{expected}\"")]
    OtherFormat { what: &'static str, expected: &'static str },
    #[error(
        "this {what} has version {found}; this release reads version {known} only: use the same release on both sides"
    )]
    OtherVersion { what: &'static str, found: u64, known: u64 },
    #[error("the {what} can't be read: {problem}")]
    Syntax { what: &'static str, problem: String },
    #[error("the {what} is refused: `{field}` {rule}")]
    Field { what: &'static str, field: String, rule: String },
    #[error(
        "the {what} is not canonical JSON (RFC 8785), so that its digest would not be that of its content: write it with `countersign dry-run`"
    )]
    NotCanonical { what: &'static str },
}

/// A versioned JSON format.
pub trait Format: Serialize + DeserializeOwned {
    /// What people call it.
    const WHAT: &'static str;
    /// The text in its field `format`.
    const FORMAT: &'static str;
    /// The largest file that is read, in bytes.
    const LIMIT: usize;

    /// The rules that its types don't hold.
    ///
    /// # Errors
    /// Naming the first field that breaks a rule.
    fn check(&self) -> Result<(), FormatError>;
}

/// The version of every format so far.
pub const VERSION: u64 = 1;

/// Declares the type of a `format` field: it is written as this text, and nothing else is read.
macro_rules! format_name {
    ($name:ident, $text:literal) => {
        /// The value of the field `format`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            #[default]
            #[serde(rename = $text)]
            Here,
        }

        impl $name {
            /// The text of the field.
            pub const TEXT: &'static str = $text;
        }
    };
}
pub(super) use format_name;

/// The field `version`, of which there is one value so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Version1;

impl TryFrom<u64> for Version1 {
    type Error = String;

    fn try_from(found: u64) -> Result<Self, String> {
        if found == VERSION { Ok(Self) } else { Err(format!("`version` must be {VERSION}")) }
    }
}

impl From<Version1> for u64 {
    fn from(_: Version1) -> Self {
        VERSION
    }
}

/// Reads a file of the format `T`.
///
/// # Errors
/// When it is too large, no such file, of an unknown version, or breaks a rule.
pub fn read<T: Format>(bytes: &[u8]) -> Result<T, FormatError> {
    #[derive(Deserialize)]
    struct Header {
        format: Option<serde_json::Value>,
        version: Option<serde_json::Value>,
    }
    let what = T::WHAT;
    let text = text(what, bytes, T::LIMIT)?;
    let header: Header = serde_json::from_str(text).map_err(|e| syntax(what, &e))?;
    if header.format.as_ref().and_then(|f| f.as_str()) != Some(T::FORMAT) {
        let expected = T::FORMAT;
        return Err(FormatError::OtherFormat { what, expected });
    }
    match header.version.as_ref().and_then(serde_json::Value::as_u64) {
        Some(VERSION) => {}
        Some(found) => return Err(FormatError::OtherVersion { what, found, known: VERSION }),
        None => return Err(field(what, "version", "must be a whole number")),
    }
    let value: T = serde_json::from_str(text).map_err(|e| syntax(what, &e))?;
    value.check()?;
    Ok(value)
}

/// Bytes as text, within a limit.
pub(super) fn text<'a>(what: &'static str, bytes: &'a [u8], limit: usize) -> Result<&'a str, FormatError> {
    if bytes.len() > limit {
        let bytes = bytes.len();
        return Err(FormatError::TooLarge { what, bytes, limit });
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(FormatError::Empty { what });
    }
    std::str::from_utf8(bytes).map_err(|e| FormatError::NotText { what, at: e.valid_up_to() })
}

fn syntax(what: &'static str, error: &serde_json::Error) -> FormatError {
    FormatError::Syntax { what, problem: plain(&error.to_string()) }
}

/// A message that may quote the file, made fit to be shown: short, and without characters that hide.
pub(super) fn plain(message: &str) -> String {
    let mut plain = String::new();
    for character in message.chars().take(300) {
        if character.is_control() || hidden::is_hidden(character) {
            let _ = write!(plain, "U+{:04X}", u32::from(character));
        } else {
            plain.push(character);
        }
    }
    plain
}

/// A text made fit for a field: one line of at most `most` characters, blanks joined, nothing hidden in it.
#[must_use]
pub fn plain_line(text: &str, most: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !hidden::is_hidden(*c)).collect();
    if line.chars().count() <= most {
        return line;
    }
    line.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

pub(super) fn field(what: &'static str, field: impl Into<String>, rule: impl Into<String>) -> FormatError {
    FormatError::Field { what, field: field.into(), rule: rule.into() }
}

/// One line of text that a person can read whole: not empty, at most `max` characters, nothing hidden in it.
pub(super) fn check_text(what: &'static str, name: &str, text: &str, max: usize) -> Result<(), FormatError> {
    if text.trim().is_empty() {
        return Err(field(what, name, "must not be empty"));
    }
    if text.chars().count() > max {
        return Err(field(what, name, format!("must have at most {max} characters")));
    }
    if text.chars().any(|c| c.is_control() || hidden::is_hidden(c)) {
        return Err(field(what, name, "must be one line without control or invisible characters"));
    }
    Ok(())
}

/// A full revision identifier as Alembic allows it.
pub(super) fn check_revision(what: &'static str, name: &str, text: &str) -> Result<(), FormatError> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.');
    if text.is_empty() || text.len() > 128 || !text.bytes().all(ok) {
        let rule = "must be a full revision identifier (letters, digits, `_` and `.`, at most 128)";
        return Err(field(what, name, rule));
    }
    if matches!(text, "head" | "heads" | "base" | "current") {
        return Err(field(what, name, format!("must be a revision, and “{text}” moves")));
    }
    Ok(())
}

/// A number that every JSON reader keeps whole.
pub(super) fn check_count(what: &'static str, name: &str, count: u64) -> Result<(), FormatError> {
    if count > (1 << 53) - 1 {
        return Err(field(what, name, "must be at most 9007199254740991"));
    }
    Ok(())
}

/// A list that is not longer than anything real.
pub(super) fn check_len<T>(
    what: &'static str,
    name: &str,
    list: &[T],
    max: usize,
) -> Result<(), FormatError> {
    if list.len() > max {
        return Err(field(what, name, format!("must have at most {max} entries")));
    }
    Ok(())
}
