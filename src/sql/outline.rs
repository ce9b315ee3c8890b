//! What statements a script holds and where, to say in a line what was left out.

use std::collections::HashMap;
use std::ops::Range;

use super::dialect::Dialect;
use super::lex::{Kind, Lexer};
use super::split::statements;

/// Words of a statement that tell what it is, and what it is not.
const PASSED_OVER: [&str; 10] = [
    "UNIQUE",
    "OR",
    "REPLACE",
    "TEMP",
    "TEMPORARY",
    "UNLOGGED",
    "GLOBAL",
    "LOCAL",
    "MATERIALIZED",
    "RECURSIVE",
];

/// First words that say nothing without the next one.
const PAIRED: [&str; 9] =
    ["CREATE", "ALTER", "DROP", "INSERT", "DELETE", "COMMENT", "REFRESH", "START", "TRUNCATE"];

/// Kinds that a summary names; the rest is "more".
const NAMED: usize = 3;

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// First and last line, counted from 0.
    lines: Range<u32>,
    /// Which of the labels.
    label: u32,
}

/// The statements of a script, by their lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    entries: Vec<Entry>,
    labels: Vec<String>,
}

impl Outline {
    /// Reads a script once.
    #[must_use]
    pub fn of(sql: &str, dialect: Dialect) -> Self {
        let mut known: HashMap<String, u32> = HashMap::new();
        let mut labels = Vec::new();
        let entries = statements(sql, dialect)
            .map(|statement| {
                let label = label(statement.text(), dialect);
                let next = u32::try_from(labels.len()).unwrap_or(u32::MAX);
                let label = *known.entry(label).or_insert_with_key(|label| {
                    labels.push(label.clone());
                    next
                });
                Entry { lines: statement.line.saturating_sub(1)..statement.last_line, label }
            })
            .collect();
        Self { entries, labels }
    }

    /// What begins on these lines, counted from 0: how many statements, and of what kinds, the most frequent first.
    #[must_use]
    pub fn within(&self, lines: Range<u32>) -> Vec<(&str, u32)> {
        let first = self.entries.partition_point(|entry| entry.lines.start < lines.start);
        let inside = self.entries.iter().skip(first).take_while(|entry| entry.lines.start < lines.end);
        let mut counts = vec![0_u32; self.labels.len()];
        for entry in inside {
            if let Some(count) = counts.get_mut(entry.label as usize) {
                *count += 1;
            }
        }
        let counted = self.labels.iter().map(String::as_str).zip(counts);
        let mut found: Vec<(&str, u32)> = counted.filter(|(_, count)| *count > 0).collect();
        found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        found
    }

    /// "12 statements: 3 CREATE INDEX, 2 UPDATE"; nothing if none begins there.
    #[must_use]
    pub fn summary(&self, lines: Range<u32>) -> Option<String> {
        let found = self.within(lines);
        let all: u32 = found.iter().map(|(_, count)| count).sum();
        let named: Vec<String> =
            found.iter().take(NAMED).map(|(label, count)| format!("{count} {label}")).collect();
        let more: u32 = found.iter().skip(NAMED).map(|(_, count)| count).sum();
        let more = if more > 0 { format!(", {more} more") } else { String::new() };
        match (all, found.as_slice()) {
            (0, _) => None,
            (1, [(label, _), ..]) => Some(format!("1 statement: {label}")),
            _ => Some(format!("{all} statements: {}{more}", named.join(", "))),
        }
    }

    /// Bytes that this takes in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.entries.len() * size_of::<Entry>() + self.labels.len() * 48
    }
}

/// What a statement is, in one word or two: `CREATE INDEX`, `UPDATE`.
fn label(sql: &str, dialect: Dialect) -> String {
    let mut words = Lexer::new(sql, dialect)
        .filter(|token| token.kind != Kind::Comment)
        .take(6)
        .take_while(|token| token.kind == Kind::Word)
        .map(|token| token.of(sql).to_ascii_uppercase())
        .filter(|word| word.len() <= 20 && !PASSED_OVER.contains(&word.as_str()));
    let Some(first) = words.next() else { return "other".to_owned() };
    match words.next() {
        Some(second)
            if PAIRED.contains(&first.as_str()) && second.bytes().all(|b| b.is_ascii_uppercase()) =>
        {
            format!("{first} {second}")
        }
        _ => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_told_by_what_begins_in_it() {
        let sql = "BEGIN;\n\nCREATE UNIQUE INDEX a ON b (c);\nCREATE INDEX d\n  ON e (f);\n-- x\nUPDATE g SET h = 1;\n\
                   create or replace view v as select 1;\nCOMMIT;\n";
        for dialect in Dialect::ALL {
            let outline = Outline::of(sql, dialect);
            assert_eq!(
                outline.summary(0..9).as_deref(),
                Some("6 statements: 2 CREATE INDEX, 1 BEGIN, 1 UPDATE, 2 more")
            );
            assert_eq!(outline.summary(2..3).as_deref(), Some("1 statement: CREATE INDEX"));
            // Where one goes on, nothing begins.
            assert_eq!(outline.summary(4..6), None);
            assert_eq!(outline.summary(9..99), None);
        }
    }
}
