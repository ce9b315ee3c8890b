//! Reading statements with real parsers, beside the rules for keywords.
//!
//! The parsers are other people's and recurse on what they read. So statements are measured on tokens before a parser
//! sees them, comments are blanked, each statement is read by itself on a thread with a large stack, and what one of
//! them panics on costs that statement its reading and no more. How much is parsed is bounded in bytes and tokens, not in
//! seconds, so that the same script has the same findings on every machine.

mod ast;
mod measure;
mod postgres;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::classify::{Kind, classify};
use super::dialect::Dialect;
use super::rules::Found;
use super::split::statements;

/// Text that is parsed of one script.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// Statements that are parsed of one script.
const MOST_STATEMENTS: usize = 20_000;

/// The stack of the thread: nesting up to the limit takes a small part of it.
const STACK: usize = 16 * 1024 * 1024;

/// What came of parsing one statement.
pub(super) enum Reading {
    /// What the parser's rules found.
    Parsed(Found),
    /// The parser could not make sense of it.
    Refused,
    /// It was not given to the parser, and why.
    Kept(&'static str),
}

/// Reads the statements of a script in order: one reading for each, up to where the bounds are reached.
///
/// Without certainty of the dialect, any syntax is let pass and nothing is said that holds for one database only.
pub(super) fn read(sql: &str, dialect: Dialect, certain: bool) -> Vec<Reading> {
    let all = || {
        let mut bytes = 0_usize;
        let mut readings = Vec::new();
        for statement in statements(sql, dialect).take(MOST_STATEMENTS) {
            let text = statement.text();
            bytes = bytes.saturating_add(text.len());
            if bytes > MOST_BYTES {
                break;
            }
            readings.push(if statement.fault.is_some() {
                Reading::Refused
            } else {
                one(text, dialect, certain)
            });
        }
        readings
    };
    if sql.trim().is_empty() {
        return Vec::new();
    }
    // A thread that can't be had, like one that dies, leaves the keywords; the caller says so.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, all);
        thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_default()
    })
}

fn one(text: &str, dialect: Dialect, certain: bool) -> Reading {
    let clean = match measure::fit(text, dialect) {
        Ok(clean) => clean,
        Err(why) => return Reading::Kept(why),
    };
    // Of rows and of tables that are new, no rule asks a parser.
    match classify(text, dialect) {
        Kind::AlterTable | Kind::CreateIndex | Kind::DropTable | Kind::DropIndex | Kind::Other => {}
        _ => return Reading::Parsed(Found::new()),
    }
    let parsed = catch_unwind(AssertUnwindSafe(|| match dialect {
        Dialect::PostgreSql => postgres::find(&clean),
        Dialect::Sqlite | Dialect::MySql => ast::find(&clean, certain.then_some(dialect)),
    }));
    match parsed {
        Ok(Some(found)) => Reading::Parsed(found),
        Ok(None) => Reading::Refused,
        Err(_) => Reading::Kept("The parser gave up on this statement: only its keywords were read."),
    }
}

#[cfg(test)]
mod tests;
