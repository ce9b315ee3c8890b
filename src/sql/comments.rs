//! Comments that address an analyser or the database instead of the reader.

use std::ops::Range;

/// What makes linters keep quiet about a statement or a file, in lower case. They have no effect here.
const SILENCERS: &[&str] =
    &["squawk-ignore", "squawk-disable", "sqlfluff:", "-- noqa", "--noqa", "/* noqa", "sqlcheck:"];

/// What `MySQL` and its kin run although it is written as a comment, in lower case.
const EXECUTABLE: &[&str] = &["/*!", "/*m!"];

/// Where a text holds one of these, in any case, once a line: looked for in the raw text, since where a comment begins is
/// what the readers of SQL differ in.
fn find(sql: &str, marks: &[&str], most: usize) -> Vec<(u32, Range<usize>)> {
    let lower = sql.to_ascii_lowercase();
    let mut places: Vec<usize> =
        marks.iter().flat_map(|mark| lower.match_indices(mark).map(|(at, _)| at).take(most)).collect();
    places.sort_unstable();
    let mut found: Vec<(u32, Range<usize>)> = Vec::new();
    let (mut line, mut counted) = (1_u32, 0);
    for at in places {
        let ends = lower.get(counted..at).unwrap_or_default().matches('\n').count();
        line = line.saturating_add(u32::try_from(ends).unwrap_or(u32::MAX));
        counted = at;
        if found.last().is_none_or(|(last, _)| *last != line) {
            let end = lower.get(at..).and_then(|rest| rest.find('\n')).map_or(lower.len(), |i| at + i);
            found.push((line, at..end));
        }
    }
    found
}

/// The lines with a comment that asks for silence, about `most` of them.
pub(super) fn silencing(sql: &str, most: usize) -> Vec<(u32, Range<usize>)> {
    find(sql, SILENCERS, most)
}

/// The lines with a comment that is run, about `most` of them.
pub(super) fn executable(sql: &str, most: usize) -> Vec<(u32, Range<usize>)> {
    find(sql, EXECUTABLE, most)
}
