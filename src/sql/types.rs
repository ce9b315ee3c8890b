//! What a column's new type does to values of another one, as far as its name tells.

use std::ops::Range;

use super::classify::Words;
use super::lex::Kind as Tok;

/// Types that hold less than nearly every other: whatever the old type was, values may not fit.
const SMALL: &[&str] = &[
    "TINYINT",
    "SMALLINT",
    "INT1",
    "INT2",
    "BOOL",
    "BOOLEAN",
    "BIT",
    "DATE",
    "YEAR",
    "CHAR",
    "BPCHAR",
    "TINYTEXT",
    "TINYBLOB",
    "REAL",
    "FLOAT4",
    "SMALLSERIAL",
];

/// Numbers that cut what is behind the point, or have a largest value.
const NUMBERS: &[&str] =
    &["INT", "INTEGER", "INT4", "INT8", "BIGINT", "MEDIUMINT", "SIGNED", "UNSIGNED", "FLOAT"];

/// Whether the type at `at` is one of the smallest.
pub(super) fn is_small(words: &Words<'_>, at: usize) -> bool {
    words.is(at, SMALL) || (words.is(at, &["CHARACTER", "NATIONAL"]) && !words.is(at + 1, &["VARYING"]))
}

/// Whether a conversion among these tokens cuts or rounds what doesn't fit: an explicit cast to a type with a limit
/// does so without a word, where a plain assignment would fail.
pub(super) fn cuts(words: &Words<'_>, range: Range<usize>) -> bool {
    casts(words, range).any(|at| limited(words, at))
}

/// Where the types of explicit casts begin: after `::` and after the `AS` of a CAST.
fn casts(words: &Words<'_>, range: Range<usize>) -> impl Iterator<Item = usize> {
    let colon = |i: usize| words.tokens.get(i).is_some_and(|t| t.of(words.sql) == ":");
    let mut open = None;
    range.filter_map(move |i| {
        if words.is(i, &["CAST", "CONVERT"]) && words.kind_at(i + 1) == Some(Tok::Open) {
            open = Some(i);
        }
        let after_colons = colon(i) && i > 0 && colon(i - 1);
        let after_as = open.is_some() && words.is(i, &["AS"]);
        if after_as {
            open = None;
        }
        (after_colons || after_as).then_some(i + 1)
    })
}

fn limited(words: &Words<'_>, at: usize) -> bool {
    if is_small(words, at) {
        return true;
    }
    let text = words.is(at, &["VARCHAR", "NVARCHAR", "CHARACTER", "NUMERIC", "DECIMAL", "TIMESTAMP", "TIME"]);
    let length = |i: usize| words.kind_at(i) == Some(Tok::Open);
    if text {
        return length(at + 1) || length(at + 2);
    }
    words.is(at, NUMBERS)
}

/// SQLite's CAST never fails: text that is no number becomes 0. Whether this copy of rows has such a cast.
pub(super) fn silent_cast(words: &Words<'_>) -> bool {
    let numeric =
        |at: usize| words.is(at, &["NUMERIC", "DECIMAL", "REAL", "DOUBLE"]) || words.is(at, NUMBERS);
    casts(words, 0..words.tokens.len()).any(|at| numeric(at) || is_small(words, at))
}
