//! Comments that address an analyser or the database instead of the reader.

use std::ops::Range;

use super::differently;

/// What makes linters keep quiet about a statement or a file, in lower case. They have no effect here.
const SILENCERS: &[&str] =
    &["squawk-ignore", "squawk-disable", "sqlfluff:", "-- noqa", "--noqa", "/* noqa", "sqlcheck:"];

/// What `MySQL` and its kin run although it is written as a comment, in lower case.
const EXECUTABLE: &[&str] = &["/*!", "/*m!"];

/// Where a text holds one of these, in any case, at most `most` of them: looked for in the raw text, since where a comment
/// begins is what the readers of SQL differ in. Of each mark the first of a line is kept that `keep` lets pass.
fn find(sql: &str, marks: &[&str], most: usize, keep: impl Fn(&str) -> bool) -> Vec<(u32, Range<usize>)> {
    let lower = sql.to_ascii_lowercase();
    let mut places: Vec<usize> = Vec::new();
    for mark in marks {
        let (mut line_end, mut found) = (0, 0);
        for (at, _) in lower.match_indices(mark) {
            if at < line_end || !sql.get(at..).is_some_and(&keep) {
                continue;
            }
            line_end = lower.get(at..).and_then(|rest| rest.find('\n')).map_or(lower.len(), |i| at + i);
            places.push(at);
            found += 1;
            if found >= most {
                break;
            }
        }
    }
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
    find(sql, SILENCERS, most, |_| true)
}

/// The lines with a comment that is run, about `most` of them.
pub(super) fn executable(sql: &str, most: usize) -> Vec<(u32, Range<usize>)> {
    find(sql, EXECUTABLE, most, |_| true)
}

/// The lines with a comment that servers disagree about, about `most` of them, with why.
pub(super) fn disputed(sql: &str, most: usize) -> Vec<(u32, Range<usize>, &'static str)> {
    let of = |at: usize| sql.get(at..).and_then(differently::comment);
    let places = find(sql, EXECUTABLE, most, |rest| differently::comment(rest).is_some());
    places.into_iter().filter_map(|(line, at)| Some((line, at.clone(), of(at.start)?))).collect()
}
