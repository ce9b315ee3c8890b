//! What a script may destroy, lock or hide, told from its keywords.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde::Serialize;

pub use crate::domain::artifact::Severity;

use super::classify::{Kind, Words, classify_words};
use super::dialect::Dialect;
use super::excerpt::excerpt;
use super::hidden;
use super::lex::Unterminated;
use super::rebuild::{Rebuilds, Step};
use super::rules::{self, Rule};
use super::split::{Statement, statements};

/// What analysis says of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable key such as `drop-table`.
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
/// Without a stated dialect the script is read by the rules of each, since a statement that one database takes for
/// quoted text may be code for another: what any reading finds destructive counts.
#[must_use]
pub fn find(sql: &str, dialect: Option<Dialect>) -> Vec<Finding> {
    let primary = dialect.unwrap_or_else(|| Dialect::likely(sql));
    let mut found = hidden_text(sql);
    found.extend(Reader::read(sql, primary));
    if dialect.is_none() {
        let mut known: HashSet<_> = found.iter().map(|f| (f.rule, f.line, f.why.clone())).collect();
        for other in Dialect::ALL.into_iter().filter(|d| *d != primary) {
            let more = Reader::read(sql, other)
                .into_iter()
                .filter(|f| f.severity == Severity::Block && f.rule != rules::UNPARSED.key);
            found.extend(more.filter(|f| known.insert((f.rule, f.line, f.why.clone()))));
        }
    }
    found.sort_by_key(|f| (f.line, f.last_line));
    if found.len() > MAX {
        let line = found[MAX].line;
        found.truncate(MAX);
        let why = format!("Only the first {MAX} findings are listed; more follow from line {line} on.");
        found.push(finding(&rules::TOO_MANY, line..=line, "", why));
    }
    found
}

fn finding(rule: &Rule, lines: std::ops::RangeInclusive<u32>, text: &str, why: String) -> Finding {
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

/// One finding for each line that holds hidden characters.
fn hidden_text(sql: &str) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut named = 0_usize;
    for hidden in hidden::find(sql) {
        let code = u32::from(hidden.character);
        if let Some(last) = found.last_mut().filter(|last| last.line == hidden.line) {
            named += 1;
            if named < 8 {
                let _ = write!(last.why, ", U+{code:04X}");
            } else if named == 8 {
                last.why.push_str(", and more");
            }
            continue;
        }
        if found.len() > MAX {
            break;
        }
        named = 0;
        // The window around the character, not the line: a lone CR makes "line" a matter of taste.
        let from = sql.floor_char_boundary(hidden.at.saturating_sub(60));
        let to = sql.ceil_char_boundary((hidden.at + 60).min(sql.len()));
        let why = format!(
            "This line holds characters that a reader does not see, or sees in another place: U+{code:04X}"
        );
        let lines = hidden.line..=hidden.line;
        let around = sql.get(from..to).unwrap_or_default();
        found.push(finding(&rules::HIDDEN_TEXT, lines, around, why));
    }
    found
}

/// One reading of a script.
struct Reader {
    dialect: Dialect,
    found: Vec<Finding>,
    rebuilds: Rebuilds,
    transactions: Transactions,
}

impl Reader {
    fn read(sql: &str, dialect: Dialect) -> Vec<Finding> {
        let mut reader = Self {
            dialect,
            found: Vec::new(),
            rebuilds: Rebuilds::default(),
            transactions: Transactions::default(),
        };
        for statement in statements(sql, dialect) {
            reader.statement(&statement);
            // One more than are listed, so that the list knows it is cut.
            if reader.found.len() > MAX {
                break;
            }
        }
        reader.transactions.report(&mut reader.found);
        reader.found
    }

    fn statement(&mut self, statement: &Statement<'_>) {
        let words = Words::of(statement.text(), self.dialect);
        let kind = classify_words(&words);
        let why = match statement.fault {
            Some(fault) => Some(broken_off(fault).to_owned()),
            None => rules::not_sql(&words),
        };
        if let Some(why) = why {
            self.push(&rules::UNPARSED, statement, why);
        } else if words.cut && kind != Kind::Insert {
            let why = "This statement is too long to be read.".to_owned();
            self.push(&rules::UNPARSED, statement, why);
        }
        self.transactions.see(kind, &words, statement);
        let step = self.rebuilds.see(kind, &words, statement.line, self.found.len());
        if let Step::Done { finding: at, line, table } = step {
            let why = format!(
                "Table {table} is rebuilt: copied, dropped and renamed. Columns that the copy does not name, triggers \
                 on the table and views over it do not survive."
            );
            let rebuilt = finding(&rules::TABLE_REBUILD, line..=statement.last_line, statement.text(), why);
            if let Some(dropped) = self.found.get_mut(at).filter(|f| f.rule == rules::DROP_TABLE.key) {
                *dropped = Finding { statement: std::mem::take(&mut dropped.statement), ..rebuilt };
            }
            return;
        }
        for (rule, why) in rules::of(kind, &words, self.dialect) {
            self.push(rule, statement, why);
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

/// Which statements of the script end the transaction it runs in.
#[derive(Default)]
struct Transactions {
    seen: bool,
    /// A COMMIT that is in its place if nothing follows it.
    last: Option<(u32, u32, String)>,
    /// The first statement out of place, and how many there are.
    first: Option<(u32, u32, String)>,
    count: u32,
}

impl Transactions {
    fn see(&mut self, kind: Kind, words: &Words<'_>, statement: &Statement<'_>) {
        if let Some(commit) = self.last.take() {
            self.out_of_place(commit);
        }
        let first = !std::mem::replace(&mut self.seen, true);
        if kind != Kind::Transaction || (first && words.is(0, &["BEGIN", "START"])) {
            return;
        }
        let this = (statement.line, statement.last_line, excerpt(statement.text()));
        if words.is(0, &["COMMIT", "END"]) {
            self.last = Some(this);
        } else {
            self.out_of_place(this);
        }
    }

    fn out_of_place(&mut self, statement: (u32, u32, String)) {
        self.count = self.count.saturating_add(1);
        self.first.get_or_insert(statement);
    }

    fn report(self, found: &mut Vec<Finding>) {
        if let Some((line, last_line, text)) = self.first {
            let why = format!(
                "The script steers transactions itself ({} statements besides a first BEGIN and a last COMMIT): if it \
                 fails halfway, what was committed before stays.",
                self.count
            );
            found.push(finding(&rules::TRANSACTION_CONTROL, line..=last_line, &text, why));
        }
    }
}

#[cfg(test)]
#[path = "findings_tests.rs"]
mod tests;
