//! Findings about a script's letters, before any statement of it is read: what hides, what misleads, and comments that
//! address somebody else than the reader.

use std::fmt::Write as _;

use super::comments;
use super::dialect::Dialect;
use super::findings::{Finding, MAX, finding};
use super::hidden;
use super::lookalike;
use super::rules;
use crate::domain::rule::{
    EXECUTABLE_COMMENT, HIDDEN_TEXT, HOMOGLYPH, READS_DIFFERENTLY, RIGHT_TO_LEFT, Rule, SILENCING_COMMENT,
};

/// All of them: a little more than [`MAX`] of each kind at most, so that a list that is cut knows it.
pub(super) fn find(sql: &str, dialect: Dialect) -> Vec<Finding> {
    let mut found = hidden_text(sql);
    found.extend(lookalikes(sql, dialect));
    found.extend(leftward(sql, dialect));
    found.extend(addressed(sql));
    found
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
        found.push(finding(&HIDDEN_TEXT, lines, around, why));
    }
    for finding in &mut found {
        finding.why.push('.');
    }
    found
}

/// One finding for each line with letters that run from right to left: in code, and in texts and comments.
fn leftward(sql: &str, dialect: Dialect) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut last = [0_u32; 2];
    for word in lookalike::leftward(sql, dialect) {
        let seen = &mut last[usize::from(word.code)];
        if *seen == word.line {
            continue;
        }
        if found.len() > MAX {
            break;
        }
        *seen = word.line;
        let (rule, why) = if word.code {
            let why = "Letters that run from right to left stand in the code: a page draws what is between them in \
                       another order than the database reads it.";
            (&HIDDEN_TEXT, why)
        } else {
            let why = "A text or comment holds letters that run from right to left: a page may draw it, and what \
                       stands beside it, in another order.";
            (&RIGHT_TO_LEFT, why)
        };
        let text = sql.get(word.start..word.end).unwrap_or_default();
        found.push(finding(rule, word.line..=word.line, text, why.to_owned()));
    }
    found
}

/// One finding for each line with a word that is not what it seems.
fn lookalikes(sql: &str, dialect: Dialect) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for word in lookalike::find(sql, dialect) {
        if found.last().is_some_and(|last| last.line == word.line) {
            continue;
        }
        if found.len() > MAX {
            break;
        }
        let text = sql.get(word.start..word.end).unwrap_or_default();
        let code = u32::from(word.character);
        let why = format!(
            "“{}” is not what it looks like: U+{code:04X} is no letter of the alphabet around it, or passes for one.",
            rules::short(text)
        );
        found.push(finding(&HOMOGLYPH, word.line..=word.line, text, why));
    }
    found
}

/// Comments that address an analyser or the database.
fn addressed(sql: &str) -> Vec<Finding> {
    let told = |rule: &Rule, places: Vec<(u32, std::ops::Range<usize>)>, why: &str| -> Vec<Finding> {
        let places = places.into_iter();
        places
            .map(|(line, at)| finding(rule, line..=line, sql.get(at).unwrap_or_default(), why.to_owned()))
            .collect()
    };
    let mut found = told(
        &SILENCING_COMMENT,
        comments::silencing(sql, MAX + 1),
        "This line asks an analyser to keep quiet about the SQL near it.",
    );
    found.extend(told(
        &EXECUTABLE_COMMENT,
        comments::executable(sql, MAX + 1),
        "This looks like a comment, and MySQL and MariaDB run it.",
    ));
    let disputed = comments::disputed(sql, MAX + 1).into_iter();
    found.extend(disputed.map(|(line, at, why)| {
        finding(&READS_DIFFERENTLY, line..=line, sql.get(at).unwrap_or_default(), why.to_owned())
    }));
    found
}
