//! Taking a TOML table apart key by key, noting every fault instead of stopping at the first.

use std::cell::RefCell;
use std::ops::Range;

use jiff::SignedDuration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::PolicyFault;
use crate::domain::length;

/// Nobody reads more; and a hostile file would have one in every line.
const MOST_FAULTS: usize = 100;

/// A value of the file and where it stands.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// The file, and what was found wrong with it so far.
pub(super) struct Source<'t> {
    text: &'t str,
    /// Whether rules of the analysis have to be known: a stored file may name one that a later release gave up.
    pub(super) strict: bool,
    faults: RefCell<Vec<PolicyFault>>,
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str, strict: bool) -> Self {
        Self { text, strict, faults: RefCell::default() }
    }

    /// Notes a fault at this byte of the file; beyond [`MOST_FAULTS`] it is dropped.
    pub(super) fn fault(&self, path: impl Into<String>, at: Option<usize>, message: impl Into<String>) {
        if self.faults.borrow().len() >= MOST_FAULTS {
            return;
        }
        let line = at.and_then(|at| self.text.as_bytes().get(..at)).map(|before| {
            let ends = before.iter().filter(|byte| **byte == b'\n');
            ends.count() + 1
        });
        self.faults.borrow_mut().push(PolicyFault { path: path.into(), message: message.into(), line });
    }

    /// The faults in the order of the file.
    pub(super) fn into_faults(self) -> Vec<PolicyFault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by(|a, b| a.line.cmp(&b.line).then_with(|| a.path.cmp(&b.path)));
        faults
    }
}

/// One table. Each reader takes its key; a value that doesn't fit is a fault and reads as `None`.
pub(super) struct Fields<'s> {
    source: &'s Source<'s>,
    path: String,
    span: Range<usize>,
    table: Option<&'s DeTable<'s>>,
    taken: Vec<&'static str>,
}

impl<'s> Fields<'s> {
    /// The whole file.
    pub(super) fn root(source: &'s Source<'s>, table: &'s Spanned<DeTable<'s>>) -> Self {
        Self { source, path: String::new(), span: 0..0, table: Some(table.get_ref()), taken: Vec::new() }
    }

    /// The table that stands at `path`. Anything else there is a fault, and reads as a table without keys.
    pub(super) fn of(source: &'s Source<'s>, path: String, value: &'s Value<'s>) -> Self {
        let table = value.get_ref().as_table();
        if table.is_none() {
            source.fault(path.as_str(), Some(value.span().start), "has to be a table");
        }
        Self { source, path, span: value.span(), table, taken: Vec::new() }
    }

    /// Whether there are keys to read; if not, that has been said.
    pub(super) fn is_table(&self) -> bool {
        self.table.is_some()
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a fault at this key, or at the table if it has no such key.
    pub(super) fn fault(&self, key: &str, message: impl Into<String>) {
        let at = self.find(key).map_or(self.span.start, |value| value.span().start);
        self.source.fault(self.path_of(key), Some(at), message);
    }

    fn find(&self, key: &str) -> Option<&'s Value<'s>> {
        self.table?.iter().find(|(known, _)| known.get_ref() == key).map(|(_, value)| value)
    }

    pub(super) fn take(&mut self, key: &'static str) -> Option<&'s Value<'s>> {
        if !self.taken.contains(&key) {
            self.taken.push(key);
        }
        self.find(key)
    }

    /// Says that the key is missing, if it is. To be asked after the key's reader.
    pub(super) fn require(&self, key: &str) {
        if self.is_table() && self.find(key).is_none() {
            self.fault(key, "is missing");
        }
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<&'s str> {
        let value = self.take(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.fault(key, "has to be text in quotes");
        }
        text
    }

    /// Text of 1 to `most` characters, none of them a control character.
    pub(super) fn line(&mut self, key: &'static str, most: usize) -> Option<String> {
        let text = self.text(key)?;
        if text.trim().is_empty() || text.chars().count() > most || text.chars().any(char::is_control) {
            self.fault(key, format!("has to be one line of 1 to {most} characters"));
            return None;
        }
        Some(text.to_owned())
    }

    /// A name of at most `most` characters: a lower-case letter, then lower-case letters, digits and hyphens.
    pub(super) fn name(&mut self, key: &'static str, most: usize) -> Option<String> {
        let text = self.text(key)?;
        if !is_name(text, most) {
            self.fault(key, name_rule(most));
            return None;
        }
        Some(text.to_owned())
    }

    /// A length of time from `least` to `most`.
    pub(super) fn length(
        &mut self,
        key: &'static str,
        least: SignedDuration,
        most: SignedDuration,
    ) -> Option<SignedDuration> {
        let text = self.text(key)?;
        match length::read(text) {
            Ok(found) if found < least => {
                self.fault(key, format!("has to be at least {}", length::write(least)));
            }
            Ok(found) if found > most => {
                self.fault(key, format!("can be {} at most", length::write(most)));
            }
            Ok(found) => return Some(found),
            Err(fault) => self.fault(key, fault.to_string()),
        }
        None
    }

    pub(super) fn number(&mut self, key: &'static str, least: u32, most: u32) -> Option<u32> {
        let value = self.take(key)?;
        let number = value.get_ref().as_integer();
        let number = number.and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
        match number.and_then(|number| u32::try_from(number).ok()) {
            Some(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                let message = if least == most {
                    format!("has to be {least}")
                } else {
                    format!("has to be a whole number from {least} to {most}")
                };
                self.fault(key, message);
                None
            }
        }
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.take(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.fault(key, "has to be true or false");
        }
        flag
    }

    /// One of these words and what it stands for.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = choose(text, words);
        if found.is_none() {
            self.fault(key, word_rule(words));
        }
        found
    }

    /// The members of an array and their paths; at most `most` of them.
    pub(super) fn list(&mut self, key: &'static str, most: usize) -> Vec<(String, &'s Value<'s>)> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.fault(key, "has to be a list");
            return Vec::new();
        };
        if array.len() > most {
            self.fault(key, format!("can have {most} entries at most"));
        }
        let path = self.path_of(key);
        array
            .iter()
            .take(most)
            .enumerate()
            .map(|(index, value)| (format!("{path}[{index}]"), value))
            .collect()
    }

    /// The entries of a table whose keys are free.
    pub(super) fn entries(&mut self, key: &'static str) -> Vec<(&'s str, &'s Value<'s>)> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let Some(table) = value.get_ref().as_table() else {
            self.fault(key, "has to be a table");
            return Vec::new();
        };
        table.iter().map(|(key, value)| (key.get_ref().as_ref(), value)).collect()
    }

    /// Notes every key that nobody took.
    pub(super) fn finish(self) {
        for (key, _) in self.table.into_iter().flat_map(|table| table.iter()) {
            let name: &str = key.get_ref();
            if !self.taken.contains(&name) {
                let known = self.taken.join(", ");
                let message = format!("is no key of a policy here; there are {known}");
                self.source.fault(self.path_of(name), Some(key.span().start), message);
            }
        }
    }
}

pub(super) fn is_name(text: &str, most: usize) -> bool {
    text.len() <= most
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

pub(super) fn name_rule(most: usize) -> String {
    format!(
        "has to start with a lower-case letter and be at most {most} lower-case letters, digits and hyphens"
    )
}

pub(super) fn choose<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<T> {
    words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning)
}

pub(super) fn word_rule<T>(words: &[(&str, T)]) -> String {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    format!("has to be one of: {}", words.join(", "))
}
