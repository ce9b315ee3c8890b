//! Deletes and updates that name no rows, wherever in a statement they begin.

use super::bookkeeping::is_alembics_own;
use super::classify::{Kind, Words};
use super::lex::Kind as Tok;
use super::rules::{Found, short};
use super::truth;
use crate::domain::rule::{DELETE, REPLACES_ROWS, UNPARSED, UPDATE};

/// Words before DELETE and UPDATE that make them no statement: `ON DELETE`, `FOR NO KEY UPDATE`, `AFTER UPDATE OR DELETE`.
const NO_STATEMENT: &[&str] = &["ON", "FOR", "OF", "OR", "BEFORE", "AFTER", "NO", "KEY", "DO", "THEN"];

/// What this statement does to rows that it doesn't name.
pub(super) fn of(kind: Kind, words: &Words<'_>, found: &mut Found) {
    unguarded(kind, words, found);
    merges(words, found);
    upserts(words, found);
    if matches!(kind, Kind::Insert | Kind::Update) {
        replaces(words, found);
    }
}

/// DELETE and UPDATE at the top, after common table expressions or within them.
fn unguarded(kind: Kind, words: &Words<'_>, found: &mut Found) {
    let with = words.is(0, &["WITH"]);
    let (mut verbs, mut depth) = (0, 0_usize);
    for i in 0..words.tokens.len() {
        match words.kind_at(i) {
            Some(Tok::Open) => depth += 1,
            Some(Tok::Close) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if !words.is(i, &["DELETE", "UPDATE"]) {
            continue;
        }
        let begins = match i.checked_sub(1) {
            // The step of Alembic's table is known for what it is.
            None => kind != Kind::VersionUpdate || !is_alembics_own(words),
            Some(before) if words.kind_at(before) == Some(Tok::Open) => true,
            // SEARCH and CYCLE may stand between the last table expression and the statement.
            Some(before) => {
                with && depth == 0
                    && !words.is(before, NO_STATEMENT)
                    && words.kind_at(before) != Some(Tok::Dot)
            }
        };
        if !begins {
            continue;
        }
        // Each takes a walk to the statement's end, so their number is bounded.
        verbs += 1;
        if verbs > 64 {
            found.push((&UNPARSED, "This statement changes rows in too many places to be read.".into()));
            return;
        }
        let table = target(words, i + 1);
        if names_rows(words, i + 1, table.as_deref().unwrap_or_default()) {
            continue;
        }
        let table = table.map_or_else(|| "the table".into(), |name| short(&name));
        if words.is(i, &["DELETE"]) {
            found.push((&DELETE, format!("Every row of {table} is deleted.")));
        } else {
            found.push((
                &UPDATE,
                format!("Every row of {table} is changed, and the old values are not kept."),
            ));
        }
    }
}

/// The table that stands after DELETE, UPDATE, INSERT or MERGE.
fn target(words: &Words<'_>, from: usize) -> Option<String> {
    let conflict = ["REPLACE", "IGNORE", "ROLLBACK", "ABORT", "FAIL"];
    let from = if words.is(from, &["OR"]) && words.is(from + 1, &conflict) { from + 2 } else { from };
    let at = words.skip_any(from, &["INTO", "FROM", "ONLY", "LOW_PRIORITY", "QUICK", "IGNORE"]);
    words.name(at).map(|(name, _)| name)
}

/// Whether a WHERE that asks something of a row follows at the depth of `from`.
fn names_rows(words: &Words<'_>, from: usize, table: &str) -> bool {
    let end = part_end(words, from, &["RETURNING", "LOOP"]);
    let Some(at) = at_depth(words, from, end, &["WHERE"]) else { return false };
    let end = part_end(words, at + 1, &["RETURNING", "LIMIT", "ORDER", "LOOP"]).min(end);
    !truth::of_every_row(words, at + 1, end, table)
}

/// Where the part that `from` is in ends: at its closing bracket, at one of these words, or with the statement.
fn part_end(words: &Words<'_>, from: usize, stops: &[&str]) -> usize {
    let mut depth = 0_usize;
    for i in from..words.tokens.len() {
        match words.kind_at(i) {
            Some(Tok::Open) => depth += 1,
            Some(Tok::Close) if depth == 0 => return i,
            Some(Tok::Close) => depth -= 1,
            Some(Tok::Word) if depth == 0 && words.is(i, stops) => return i,
            _ => {}
        }
    }
    words.tokens.len()
}

fn at_depth(words: &Words<'_>, from: usize, to: usize, wanted: &[&str]) -> Option<usize> {
    let mut depth = 0_usize;
    (from..to).find(|&i| {
        match words.kind_at(i) {
            Some(Tok::Open) => depth += 1,
            Some(Tok::Close) => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && words.is(i, wanted)
    })
}

/// The arms of a MERGE.
fn merges(words: &Words<'_>, found: &mut Found) {
    let Some(merge) = (0..words.tokens.len()).find(|i| words.is(*i, &["MERGE"]) && begins_merge(words, *i))
    else {
        return;
    };
    let end = words.tokens.len();
    let name = target(words, merge + 1);
    let table = name.as_deref().map_or_else(|| "the table".into(), short);
    let own = name.unwrap_or_default();
    let when = |i: usize| {
        words.is(i, &["WHEN"])
            && (words.is(i + 1, &["MATCHED"]) || words.skip(i + 1, &["NOT", "MATCHED"]) > i + 1)
    };
    let first = (merge..end).find(|i| when(*i)).unwrap_or(end);
    let joined = at_depth(words, merge, first, &["ON"]);
    let all = joined.is_none_or(|on| truth::of_every_row(words, on + 1, first, &own));
    let mut arm = first;
    while arm < end {
        let next = (arm + 1..end).find(|i| when(*i)).unwrap_or(end);
        // A CASE in the condition has a THEN too: the arm's own is the last that an action follows.
        let then = (arm..next)
            .rev()
            .find(|i| words.is(*i, &["THEN"]) && words.is(i + 1, &["DELETE", "UPDATE", "INSERT", "DO"]));
        if let Some(then) = then {
            let and = at_depth(words, arm, then, &["AND"]);
            let asks = and.is_some_and(|and| !truth::of_every_row(words, and + 1, then, &own));
            let unmatched = words.is(arm + 1, &["NOT"]);
            if !asks && words.is(then + 1, &["DELETE"]) {
                let which = if unmatched { "that nothing matches" } else { "that matches" };
                found.push((&DELETE, format!("Every row of {table} {which} is deleted.")));
            } else if !asks && words.is(then + 1, &["UPDATE"]) && (all || unmatched) {
                let why = format!("Every row of {table} is changed, and the old values are not kept.");
                found.push((&UPDATE, why));
            } else if !asks && words.is(then + 1, &["UPDATE"]) {
                let why =
                    format!("Every row of {table} that matches is changed, and the old values are not kept.");
                found.push((&REPLACES_ROWS, why));
            }
        }
        arm = next;
    }
}

fn begins_merge(words: &Words<'_>, at: usize) -> bool {
    let free = at.checked_sub(1).is_none_or(|b| matches!(words.kind_at(b), Some(Tok::Open | Tok::Close)));
    words.is(at + 1, &["INTO"]) && (free || words.is(0, &["WITH"]))
}

/// `DO UPDATE` and `ON DUPLICATE KEY UPDATE` where the rows come from a query. Rows that are written out as values are
/// named by them, and an upsert of those is what people do every day.
fn upserts(words: &Words<'_>, found: &mut Found) {
    let updates = (2..words.tokens.len()).filter(|i| {
        words.is(*i, &["UPDATE"])
            && (words.is(i - 1, &["DO"]) && is_arm(words, *i)
                || words.skip(i - 2, &["DUPLICATE", "KEY"]) > i - 2)
    });
    for update in updates.take(64) {
        let Some(insert) = (0..update).rev().find(|i| words.is(*i, &["INSERT"])) else { continue };
        let written = at_depth(words, insert, update, &["VALUES", "VALUE"]);
        let asked = at_depth(words, insert, update, &["SELECT", "TABLE", "WITH"]);
        let set = words.skip(update - 2, &["DUPLICATE", "KEY"]) > update - 2
            && at_depth(words, insert, update, &["SET"]).is_some();
        if asked.is_none() && (written.is_some() || set) {
            continue;
        }
        let table = target(words, insert + 1);
        if names_rows(words, update + 1, table.as_deref().unwrap_or_default()) {
            continue;
        }
        let table = table.map_or_else(|| "the table".into(), |name| short(&name));
        let why = format!(
            "Every row of {table} that the query meets is overwritten: its old values are not kept, and the script \
             doesn't say which rows those are."
        );
        found.push((&REPLACES_ROWS, why));
    }
}

/// Whether this UPDATE or DELETE is what MERGE or ON CONFLICT does with a row, and no statement of its own.
pub(super) fn is_arm(words: &Words<'_>, at: usize) -> bool {
    if words.is(at, &["UPDATE"]) {
        return words.is(at + 1, &["SET"]) && !words.is(at + 2, &["SET"]);
    }
    words.is(at, &["DELETE"]) && (at + 1 >= words.tokens.len() || words.is(at + 1, &["WHEN", "RETURNING"]))
}

/// SQLite's and MySQL's ways of deleting the row that is in the way.
fn replaces(words: &Words<'_>, found: &mut Found) {
    let after_with = |i: usize| {
        words.is(0, &["WITH"])
            && words.kind_at(i - 1) == Some(Tok::Close)
            && !matches!(words.kind_at(i + 1), Some(Tok::Open | Tok::Comma))
    };
    let replaces = (0..words.tokens.len()).any(|i| {
        (words.is(i, &["INSERT", "UPDATE"]) && words.skip(i + 1, &["OR", "REPLACE"]) > i + 1)
            || (words.is(i, &["REPLACE"]) && (i == 0 || after_with(i)))
    });
    if replaces {
        let why = "A row that has the same key is deleted first, and what refers to it may go with it.";
        found.push((&REPLACES_ROWS, why.into()));
    }
}
