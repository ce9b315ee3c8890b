//! What changed from one version of a policy to the next.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use crate::web::view::code::{Change, Code, Diff, DiffRow};

/// Unchanged lines around a change.
const CONTEXT: usize = 3;

/// A policy is a page or two of text; what takes longer than this to compare is shown as replaced.
const PATIENCE: Duration = Duration::from_millis(200);

pub(super) fn diff(old: &str, new: &str, caption: String) -> Diff {
    let compared = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let mut rows = Vec::new();
    let mut seen = 0;
    for group in compared.grouped_ops(CONTEXT) {
        let start = group.first().map_or(0, |op| op.old_range().start);
        if start > seen {
            rows.push(fold(start - seen));
        }
        seen = group.last().map_or(seen, |op| op.old_range().end);
        for change in group.iter().flat_map(|op| compared.iter_changes(op)) {
            rows.push(DiffRow::Line {
                change: match change.tag() {
                    ChangeTag::Equal => Change::Same,
                    ChangeTag::Insert => Change::Added,
                    ChangeTag::Delete => Change::Removed,
                },
                old: change.old_index().map(number),
                new: change.new_index().map(number),
                code: Code::line(change.value().trim_end_matches(['\n', '\r'])),
            });
        }
    }
    let left = old.lines().count().saturating_sub(seen);
    if left > 0 {
        rows.push(fold(left));
    }
    Diff { caption, rows }
}

fn fold(lines: usize) -> DiffRow {
    let count = u64::try_from(lines).unwrap_or(u64::MAX);
    DiffRow::Fold(crate::web::view::format::plural(count, "unchanged line", "unchanged lines"))
}

fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_with_its_surroundings() {
        let lines: Vec<String> = (1..=20).map(|line| format!("line {line}\n")).collect();
        let old = lines.concat();
        let new = old.replace("line 10\n", "line ten\n");
        let rows = diff(&old, &new, String::new()).rows;
        assert!(matches!(&rows[0], DiffRow::Fold(words) if words == "6 unchanged lines"));
        assert!(matches!(&rows[1], DiffRow::Line { change: Change::Same, old: Some(7), new: Some(7), .. }));
        assert!(matches!(&rows[4], DiffRow::Line { change: Change::Removed, old: Some(10), new: None, .. }));
        assert!(matches!(&rows[5], DiffRow::Line { change: Change::Added, old: None, new: Some(10), .. }));
        assert!(matches!(&rows[9], DiffRow::Fold(words) if words == "7 unchanged lines"));
        assert_eq!(rows.len(), 10);
        assert!(diff(&old, &old, String::new()).rows.iter().all(|row| matches!(row, DiffRow::Fold(_))));
    }
}
