//! What a script may destroy, lock or hide: the rules for keywords, what parsers tell beyond them, and what only shows
//! over the whole script.

use std::collections::HashSet;

use serde::Serialize;

pub use crate::domain::artifact::Severity;

use super::analyse::{self, Reading};
use super::bookkeeping::is_alembics_own;
use super::classify::{Kind, VERSION_TABLE, Words, classify_words};
use super::dialect::Dialect;
use super::differently;
use super::effect;
use super::excerpt::excerpt;
use super::letters;
use super::lex::{Kind as Tok, Lexer, Unterminated};
use super::rebuild::{Rebuilds, Step};
use super::rules::{self, Found};
use super::script::Script;
use super::split::{Statement, statements};
use super::types;
use super::verbs;
use crate::domain::rule::{
    self, CONSTRAINT, DROP_CONSTRAINT, DROP_INDEX, INDEX_LOCKS, KEYWORDS_ONLY, NARROWING_TYPE, NOT_NULL,
    NOT_UNDERSTOOD, OTHER_READING, PRIMARY_KEY, READS_DIFFERENTLY, RENAME, Rule, TABLE_REBUILD,
    TABLE_REWRITE, TOO_MANY, TYPE_CHANGE, UNIQUE, UNPARSED, VOLATILE_DEFAULT,
};

/// What analysis says of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The key of its rule in [`rule::ALL`], such as `drop-table`.
    pub rule: &'static str,
    pub severity: Severity,
    /// First and last line, counted from 1.
    pub line: u32,
    pub last_line: u32,
    /// The statement, cut to 300 characters. It is the script's own text: escape it.
    pub statement: String,
    /// Why it matters, in a sentence or two. Names in it come from the script: escape them.
    pub why: String,
    /// What to do about it.
    pub advice: &'static str,
}

/// Findings listed at most; a script with more says so in a last, blocking one.
pub const MAX: usize = 1_000;

/// The findings of a script, by line.
///
/// Without a stated dialect the likely one is read in full, and the script is read by the rules of the others too, since a
/// statement that one database takes for quoted text may be code for another: what any reading finds blocking counts.
#[must_use]
pub fn find(sql: &str, dialect: Option<Dialect>) -> Vec<Finding> {
    let (primary, certain) = dialect.map_or_else(|| Dialect::guess(sql), |dialect| (dialect, true));
    let mut found = letters::find(sql, primary);
    let (read, broken) = Reader::read(sql, primary, Some(certain));
    found.extend(read);
    if dialect.is_none() {
        let mut known: HashSet<_> = found.iter().map(|f| (f.rule, f.line, f.why.clone())).collect();
        for other in Dialect::ALL.into_iter().filter(|d| *d != primary) {
            let (read, other_broken) = Reader::read(sql, other, None);
            let more = read.into_iter().filter(|f| f.severity == Severity::Block && f.rule != UNPARSED.key);
            found.extend(more.filter(|f| known.insert((f.rule, f.line, f.why.clone()))));
            if let Some(line) = other_broken.filter(|_| broken.is_none()) {
                found.extend(blinded(sql, (primary, certain), other, line));
            }
        }
    }
    found.sort_by_key(|f| (f.line, f.last_line));
    if found.len() > MAX {
        let line = found[MAX].line;
        found.truncate(MAX);
        let why = format!("Only the first {MAX} findings are listed; more follow from line {line} on.");
        found.push(finding(&TOO_MANY, line..=line, "", why));
    }
    found
}

/// What is said of another database's reading that breaks off, since nothing after that line was read twice.
fn blinded(sql: &str, (primary, certain): (Dialect, bool), other: Dialect, line: u32) -> Option<Finding> {
    let name = other.title();
    if !certain {
        let why = format!(
            "The script may be for {name} too, where a quote or comment begins here and doesn't end."
        );
        return Some(finding(&READS_DIFFERENTLY, line..=line, "", why));
    }
    // The one other that reads backslashes otherwise.
    let opposite = if primary == Dialect::MySql { Dialect::PostgreSql } else { Dialect::MySql };
    let why = format!(
        "{name} would read a quote from here on to the end: what follows was read as {}.",
        primary.title()
    );
    (other == opposite && effect::escapes_a_quote(sql)).then(|| finding(&OTHER_READING, line..=line, "", why))
}

pub(super) fn finding(rule: &Rule, lines: std::ops::RangeInclusive<u32>, text: &str, why: String) -> Finding {
    Finding {
        rule: rule.key,
        severity: rule.severity,
        line: *lines.start(),
        last_line: *lines.end(),
        statement: excerpt(text),
        why,
        advice: rule.advice,
    }
}

/// Rules about rows that are there and code that uses them: nothing to say of a table that the script made itself.
const OF_EXISTING: &[&Rule] = &[
    &UNIQUE,
    &CONSTRAINT,
    &PRIMARY_KEY,
    &NOT_NULL,
    &INDEX_LOCKS,
    &TYPE_CHANGE,
    &NARROWING_TYPE,
    &TABLE_REWRITE,
    &VOLATILE_DEFAULT,
    &RENAME,
    &DROP_INDEX,
    &DROP_CONSTRAINT,
];

/// One reading of a script.
struct Reader {
    dialect: Dialect,
    found: Vec<Finding>,
    rebuilds: Rebuilds,
    /// What parsers told, statement by statement; none for a reading by keywords alone.
    parsed: Option<std::vec::IntoIter<Reading>>,
    /// The first statement that was beyond what is parsed of one script.
    beyond: Option<u32>,
    /// The line of the statement that the script ends within.
    broken: Option<u32>,
}

impl Reader {
    /// Reads by keywords, and with parsers where it is said whether the dialect is certain. What it found, and the line
    /// where the script breaks off within a quote or a comment.
    fn read(sql: &str, dialect: Dialect, certain: Option<bool>) -> (Vec<Finding>, Option<u32>) {
        let mut script = certain.map(|certain| Script::new(sql, dialect, certain));
        let mut reader = Self {
            dialect,
            found: Vec::new(),
            rebuilds: Rebuilds::default(),
            parsed: certain.map(|certain| analyse::read(sql, dialect, certain).into_iter()),
            beyond: None,
            broken: None,
        };
        for statement in statements(sql, dialect) {
            reader.statement(&statement, script.as_mut());
            // One more than are listed, so that the list knows it is cut.
            if reader.found.len() > MAX {
                // Of another dialect's reading only what blocks is kept: what follows here must not go unsaid with it.
                if certain.is_none() {
                    let why = format!(
                        "Read as another database would, it has more than {MAX} findings up to here."
                    );
                    reader.found.push(finding(&TOO_MANY, statement.line..=statement.line, "", why));
                }
                break;
            }
        }
        if let Some(line) = reader.beyond {
            let why = format!(
                "The script is too large to be parsed whole: from line {line} on, only keywords were read."
            );
            reader.found.push(finding(&KEYWORDS_ONLY, line..=line, "", why));
        }
        for remark in script.map(Script::finish).unwrap_or_default() {
            let (line, last_line, text) = remark.place;
            reader.found.push(finding(remark.rule, line..=last_line, &text, remark.why));
        }
        (reader.found, reader.broken)
    }

    fn statement(&mut self, statement: &Statement<'_>, script: Option<&mut Script>) {
        let words = Words::of(statement.text(), self.dialect);
        let kind = classify_words(&words);
        let reading = self.parsed.as_mut().map(Iterator::next);
        let why = match statement.fault {
            Some(fault) => {
                self.broken = Some(statement.line);
                Some(broken_off(fault).to_owned())
            }
            None => verbs::not_sql(&words),
        };
        let readable = why.is_none() && !words.cut;
        if let Some(why) = why {
            self.push(&UNPARSED, statement, why);
        } else if words.cut {
            self.too_long(kind, &words, statement);
        }
        if let Some(why) = differently::after(kind, &words) {
            self.push(&READS_DIFFERENTLY, statement, why);
        }
        let step = self.rebuilds.see(kind, &words, statement.line, self.found.len());
        let new = script.as_ref().is_some_and(|script| script.is_new(&words));
        if let Some(script) = script {
            script.see(kind, &words, statement);
        }
        if let Step::Done { finding: at, line, table } = step {
            let why = format!(
                "Table {table} is rebuilt: copied, dropped and renamed. Columns that the copy does not name, triggers \
                 on the table and views over it do not survive."
            );
            let rebuilt = finding(&TABLE_REBUILD, line..=statement.last_line, statement.text(), why);
            if let Some(dropped) = self.found.get_mut(at).filter(|f| f.rule == rule::DROP_TABLE.key) {
                *dropped = Finding { statement: std::mem::take(&mut dropped.statement), ..rebuilt };
            }
            return;
        }
        let mut hits = rules::of(kind, &words, self.dialect);
        let opaque = match reading {
            Some(reading) if readable => self.merge(reading, kind, &words, statement, &mut hits),
            _ => false,
        };
        hits.retain(|(rule, _)| !(new && OF_EXISTING.contains(rule)));
        if self.rebuilds.copies(kind, &words) && types::silent_cast(&words) {
            let why = "The copy casts values to numbers: SQLite makes 0 of what is none, without a word.";
            hits.push((&NARROWING_TYPE, why.to_owned()));
        }
        if opaque && hits.is_empty() && !verbs::recognised(kind, &words) {
            let why = "No rule and no parser here knows what this statement does.";
            hits.push((&NOT_UNDERSTOOD, why.to_owned()));
        }
        for (rule, why) in hits {
            self.push(rule, statement, why);
        }
    }

    /// Adds what the parser found and the keywords did not. Whether the statement stays opaque to the parser.
    fn merge(
        &mut self,
        reading: Option<Reading>,
        kind: Kind,
        words: &Words<'_>,
        statement: &Statement<'_>,
        hits: &mut Found,
    ) -> bool {
        match reading {
            Some(Reading::Parsed(more)) => {
                let version = (kind == Kind::VersionUpdate && is_alembics_own(words))
                    || (kind == Kind::AlterTable
                        && words.table().is_some_and(|table| table == VERSION_TABLE));
                if !version {
                    let known: Vec<&'static Rule> = hits.iter().map(|(rule, _)| *rule).collect();
                    hits.extend(more.into_iter().filter(|(rule, _)| !known.contains(rule)));
                }
                false
            }
            Some(Reading::Refused) => true,
            Some(Reading::Kept(why)) => {
                // Rows of data are long, and there is nothing more to read in them.
                if kind != Kind::Insert {
                    self.push(&KEYWORDS_ONLY, statement, why.to_owned());
                }
                false
            }
            None => {
                self.beyond.get_or_insert(statement.line);
                true
            }
        }
    }

    /// Rows of data may go on beyond what is kept of a statement; whatever else stands there may not.
    fn too_long(&mut self, kind: Kind, words: &Words<'_>, statement: &Statement<'_>) {
        const MORE: &[&str] =
            &["SELECT", "DELETE", "UPDATE", "MERGE", "WITH", "TABLE", "CONFLICT", "DUPLICATE", "RETURNING"];
        // Names before a bracket that read and write nothing.
        const HARMLESS: &[&str] = &[
            "VALUES",
            "ROW",
            "CAST",
            "COALESCE",
            "NOW",
            "DATE",
            "DATETIME",
            "TIMESTAMP",
            "TO_TIMESTAMP",
            "JSON",
            "JSONB",
            "DECIMAL",
            "NUMERIC",
            "VARCHAR",
            "CHAR",
            "GEN_RANDOM_UUID",
            "UUID",
            "UNHEX",
            "ARRAY",
        ];
        let from = words.tokens.last().map_or(0, |token| token.end);
        let rest = words.sql.get(from..).unwrap_or_default();
        let mut opens = false;
        // Between the rows of VALUES nothing is asked for, and no function is called that isn't known.
        let rows = kind == Kind::Insert
            && Lexer::new(rest, self.dialect).filter(|token| token.kind != Tok::Comment).all(|token| {
                let calls = opens && token.kind == Tok::Open;
                opens = matches!(token.kind, Tok::Word | Tok::Quoted) && !token.is_any(rest, HARMLESS);
                !calls && !token.is_any(rest, MORE)
            });
        if rows {
            let why = "This statement is too long to be read whole: from its middle on, only words were looked for.";
            self.push(&KEYWORDS_ONLY, statement, why.to_owned());
        } else {
            self.push(&UNPARSED, statement, "This statement is too long to be read.".to_owned());
        }
    }

    fn push(&mut self, rule: &Rule, statement: &Statement<'_>, why: String) {
        let lines = statement.line..=statement.last_line;
        self.found.push(finding(rule, lines, statement.text(), why));
    }
}

const fn broken_off(fault: Unterminated) -> &'static str {
    match fault {
        Unterminated::Text => "A quoted text begins here and does not end: what follows can't be read.",
        Unterminated::Identifier => "A quoted name begins here and does not end: what follows can't be read.",
        Unterminated::DollarQuote => {
            "A dollar quote begins here and does not end: what follows can't be read."
        }
        Unterminated::Comment => "A comment begins here and does not end: what follows can't be read.",
    }
}

#[cfg(test)]
#[path = "findings_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "findings_cases.rs"]
mod cases;
