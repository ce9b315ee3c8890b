use super::*;

use proptest::prelude::*;

/// Applies a unified diff as its definition has it, and nothing cleverer.
fn apply(old: &str, patch: &str) -> String {
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let (mut out, mut at) = (String::new(), 0);
    let mut lines = patch.split_inclusive('\n').skip(2).peekable();
    while let Some(line) = lines.next() {
        if let Some(range) = line.strip_prefix("@@ -") {
            let range = range.split_once(' ').unwrap().0;
            let (start, len) = range.split_once(',').unwrap_or((range, "1"));
            let start: usize = start.parse().unwrap();
            let start = if len == "0" { start } else { start - 1 };
            out.extend(old[at..start].iter().copied());
            at = start;
            continue;
        }
        let (sign, mut text) = line.split_at(1);
        if lines.peek().is_some_and(|next| next.starts_with('\\')) {
            lines.next();
            text = text.strip_suffix('\n').unwrap();
        }
        if sign != "+" {
            assert_eq!(old[at], text, "context does not match");
            at += 1;
        }
        if sign != "-" {
            out.push_str(text);
        }
    }
    out.extend(old[at..].iter().copied());
    out
}

fn sides(diff: &LineDiff<'_>) -> (String, String) {
    let side = |left_out| {
        let rows = diff.rows.iter().filter(|row| row.tag != left_out);
        rows.flat_map(|row| [row.text, if row.ended { "\n" } else { "" }]).collect()
    };
    (side(Tag::Insert), side(Tag::Delete))
}

proptest! {
    #[test]
    fn rows_hold_both_sides_and_the_unified_diff_leads_from_one_to_the_other(
        old in "([abc]{0,2}(\n|\r\n|\r|\n\n)){0,12}[ab]{0,2}",
        new in "([abc]{0,2}(\n|\r\n|\r|\n\n)){0,12}[ab]{0,2}",
        context in 0_usize..5,
    ) {
        let diff = diff(&old, &new).unwrap();
        prop_assert_eq!(sides(&diff), (old.clone(), new.clone()));
        prop_assert_eq!(apply(&old, &diff.unified("a", "b", context)), new.clone());
        prop_assert_eq!(diff.is_empty(), old == new);
        for row in &diff.rows {
            let on_old = row.old_line.map(|n| old.split('\n').nth(n as usize - 1).unwrap());
            let on_new = row.new_line.map(|n| new.split('\n').nth(n as usize - 1).unwrap());
            prop_assert!(on_old.is_none_or(|text| text == row.text));
            prop_assert!(on_new.is_none_or(|text| text == row.text));
        }
    }
}

#[test]
fn hunks_are_joined_where_their_context_meets() {
    let numbers: Vec<_> = (1..=20).map(|n| n.to_string()).collect();
    let old = numbers.join("\n");
    let new = old.replace("5\n", "five\n").replace("\n9\n", "\nnine\n");
    let diff = diff(&old, &new).unwrap();
    assert_eq!((diff.added, diff.removed, diff.coarse), (3, 3, false));
    let hunks = diff.hunks(1);
    let brief: Vec<_> = hunks.iter().map(|h| (h.old_start, h.old_lines, h.new_start, h.new_lines)).collect();
    assert_eq!(brief, [(4, 3, 4, 3), (8, 3, 8, 3), (14, 3, 14, 3)]);
    assert_eq!(diff.hunks(2).len(), 2);
    assert_eq!(diff.hunks(3).len(), 1);
    assert_eq!(diff.hunks(usize::MAX).len(), 1);
}

#[test]
fn headers_take_no_line_ends_from_names() {
    let diff = diff("a\n", "b").unwrap();
    assert_eq!(
        diff.unified("old name", "new\n+++ c", 3),
        "--- old name\t\n+++ new?+++ c\t\n@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\n"
    );
    assert_eq!(super::diff("a", "a").unwrap().unified("a", "b", 3), "");
}

#[test]
fn too_many_lines_are_refused() {
    let text = "\n".repeat(MAX_LINES);
    assert_eq!(diff(&text, ""), Err(TooManyLines { lines: MAX_LINES + 1 }));
}

#[test]
fn patch_and_git_apply_take_it() {
    use std::process::Command;
    let dir = tempfile::tempdir().unwrap();
    let (file, patch) = (dir.path().join("f"), dir.path().join("p"));
    for (old, new) in [
        ("a\nb\nc\n", "a\nB\nc"),
        ("a\nb\nc", "x\na\nb\nc\n"),
        ("", "a\n"),
        ("a\r\nb\r\n", "a\nb\r\nc\r\n"),
        ("SELECT 1;\rDROP\n", "SELECT 1;\rDROP\n-- x\n"),
        (include_str!("../demo/data/upgrade.sql"), include_str!("../demo/data/downgrade.sql")),
    ] {
        std::fs::write(&patch, diff(old, new).unwrap().unified("a/f", "b/f", 3)).unwrap();
        for tool in [["patch", "-p1", "--binary", "-s", "-i"].as_slice(), &["git", "apply"]] {
            std::fs::write(&file, old).unwrap();
            let run = Command::new(tool[0]).args(&tool[1..]).arg(&patch).current_dir(dir.path()).output();
            // Neither tool is needed to build or to run.
            let Ok(run) = run else { continue };
            assert!(run.status.success(), "{tool:?} {old:?}: {}", String::from_utf8_lossy(&run.stderr));
            assert_eq!(std::fs::read_to_string(&file).unwrap(), new, "{tool:?}");
        }
    }
}
