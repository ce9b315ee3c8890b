use super::*;

use proptest::prelude::*;

fn compare(old: &[u8], new: &[u8]) -> LineDiff {
    diff(old, new, TIME_LIMIT).unwrap()
}

fn patch(old: &[u8], new: &[u8], context: u32) -> Vec<u8> {
    compare(old, new).unified((old, "a/f", "old"), (new, "b/f", "new"), context)
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Applies a unified diff as its definition has it, and nothing cleverer.
fn apply(old: &[u8], patch: &[u8]) -> Vec<u8> {
    let old = lines(old);
    let (mut out, mut at) = (Vec::new(), 0);
    let patch = lines(patch);
    let mut rows = patch.iter().skip(2).peekable();
    while let Some(row) = rows.next() {
        if let Some(range) = row.strip_prefix(b"@@ -") {
            let range = std::str::from_utf8(range).unwrap().split_once(' ').unwrap().0;
            let (start, length) = range.split_once(',').unwrap_or((range, "1"));
            let start: usize = start.parse().unwrap();
            let start = if length == "0" { start } else { start - 1 };
            out.extend(old[at..start].concat());
            at = start;
            continue;
        }
        let (sign, mut text) = (row[0], &row[1..]);
        if rows.peek().is_some_and(|next| next.starts_with(b"\\")) {
            rows.next();
            text = text.strip_suffix(b"\n").unwrap();
        }
        if sign != b'+' {
            assert_eq!(old[at], text, "context does not match");
            at += 1;
        }
        if sign != b'-' {
            out.extend_from_slice(text);
        }
    }
    out.extend(old[at..].concat());
    out
}

/// Both sides put together again from the stretches.
fn sides(diff: &LineDiff, old: &[u8], new: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for stretch in diff.stretches() {
        match stretch {
            Stretch::Same { old: a, new: b, lines } => {
                for i in 0..lines {
                    assert_eq!(old[diff.old.whole(a + i)], new[diff.new.whole(b + i)]);
                    left.extend_from_slice(&old[diff.old.whole(a + i)]);
                    right.extend_from_slice(&new[diff.new.whole(b + i)]);
                }
            }
            Stretch::Changed(at) => {
                let change = &diff.changes[at];
                change.old.clone().for_each(|line| left.extend_from_slice(&old[diff.old.whole(line)]));
                change.new.clone().for_each(|line| right.extend_from_slice(&new[diff.new.whole(line)]));
            }
        }
    }
    (left, right)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn it_holds_both_sides_and_leads_from_one_to_the_other(
        old in "([abc;]{0,2}(\n|\r\n|\r|\n\n|\t|\u{1})){0,14}[ab]{0,2}",
        new in "([abc;]{0,2}(\n|\r\n|\r|\n\n|\t|\u{1})){0,14}[ab]{0,2}",
        context in 0_u32..5,
    ) {
        let (old, new) = (old.as_bytes(), new.as_bytes());
        let diff = compare(old, new);
        prop_assert_eq!(sides(&diff, old, new), (old.to_vec(), new.to_vec()));
        prop_assert_eq!(apply(old, &patch(old, new, context)), new.to_vec());
        prop_assert_eq!(diff.is_empty(), old == new);
        for pair in diff.changes.windows(2) {
            prop_assert!(pair[0].old.end < pair[1].old.start && pair[0].new.end < pair[1].new.start);
        }
        let mut last = None;
        for line in 0..diff.old.count() {
            let Some(there) = diff.follow(line) else { continue };
            prop_assert_eq!(&old[diff.old.whole(line)], &new[diff.new.whole(there)]);
            prop_assert!(last.is_none_or(|last| last < there));
            last = Some(there);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_compared_too(
        old in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..40),
        new in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..40),
    ) {
        prop_assert_eq!(apply(&old, &patch(&old, &new, 3)), new);
    }
}

#[test]
fn hunks_are_joined_where_their_context_meets() {
    let numbers: Vec<_> = (1..=20).map(|n| n.to_string()).collect();
    let old = numbers.join("\n");
    let new = old.replace("5\n", "five\n").replace("\n9\n", "\nnine\n");
    let diff = compare(old.as_bytes(), new.as_bytes());
    assert_eq!((diff.added(), diff.removed(), diff.coarse), (3, 3, false));
    let brief: Vec<_> = diff.hunks(1).iter().map(|h| (h.old.clone(), h.new.clone())).collect();
    assert_eq!(brief, [(3..6, 3..6), (7..10, 7..10), (13..16, 13..16)]);
    assert_eq!(diff.hunks(2).len(), 2);
    assert_eq!(diff.hunks(3).len(), 1);
    assert_eq!(diff.hunks(u32::MAX).len(), 1);
}

#[test]
fn a_change_begins_where_a_reader_would_cut() {
    let statement = |name: &str| format!("CREATE TABLE {name} (\n  id int\n);\n");
    let (a, b, c) = (statement("a"), statement("b"), statement("c"));
    let diff = compare(format!("{a}{c}").as_bytes(), format!("{a}{b}{c}").as_bytes());
    assert_eq!(diff.changes, [Change { old: 3..3, new: 3..6 }]);
    let (a, b, c) = (format!("{a}\n"), format!("{b}\n"), format!("{c}\n"));
    let diff = compare(format!("{a}{b}{c}").as_bytes(), format!("{a}{c}").as_bytes());
    assert_eq!(diff.changes, [Change { old: 4..8, new: 4..4 }]);
}

#[test]
fn headers_take_no_line_ends_from_names() {
    let diff = compare(b"a\n", b"b");
    let text = diff.unified((b"a\n", "a/old name", "v1"), (b"b", "b/new\n+++ c", "v\"2\""), 3);
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "--- a/old name\tv1\n+++ \"b/new\\n+++ c\"\tv?2?\n@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\n"
    );
    assert_eq!(patch(b"a", b"a", 3), b"");
}

#[test]
fn too_many_lines_are_refused() {
    let text = vec![b'\n'; MAX_LINES + 1];
    assert_eq!(diff(&text, b"", TIME_LIMIT).err(), Some(TooManyLines { lines: MAX_LINES + 1 }));
    assert!(diff(&text[1..], b"", TIME_LIMIT).is_ok());
}

#[test]
fn a_search_cut_short_says_so_and_is_true() {
    // Two lines in random order: the worst there is.
    let mut state = 1_u32;
    let mut side = || -> String {
        let mut bit = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 31
        };
        (0..20_000).map(|_| if bit() == 0 { "a\n" } else { "b\n" }).collect()
    };
    let (old, new) = (side(), side());
    let found = diff(old.as_bytes(), new.as_bytes(), Duration::from_millis(1)).unwrap();
    assert!(found.coarse);
    assert_eq!(sides(&found, old.as_bytes(), new.as_bytes()), (old.into_bytes(), new.into_bytes()));
}

#[test]
fn files_without_a_line_in_common_need_no_search() {
    let side = |sign: &str| (0..100_000).map(|n| format!("{sign}{n}\n")).collect::<Vec<_>>().concat();
    let (old, new) = (side("a"), side("b"));
    let found = diff(old.as_bytes(), new.as_bytes(), Duration::from_hours(1)).unwrap();
    assert_eq!((found.changes.len(), found.coarse), (1, false));
}

/// Every two versions of the corpus in one dialect, either way.
fn corpus() -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders =
        vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus/sql")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_pair_of_the_corpus_leads_from_one_to_the_other() {
    let files = corpus();
    assert!(files.len() >= 20, "{}", files.len());
    for (from, old) in &files {
        for (to, new) in &files {
            assert!(apply(old, &patch(old, new, 3)) == *new, "{} to {}", from.display(), to.display());
        }
    }
}

#[test]
fn patch_and_git_apply_take_it() {
    use std::process::Command;
    let dir = tempfile::tempdir().unwrap();
    let (file, patch_file) = (dir.path().join("f"), dir.path().join("p"));
    let files = corpus();
    let mut cases: Vec<(&[u8], &[u8])> = vec![
        (b"a\nb\nc\n", b"a\nB\nc"),
        (b"a\nb\nc", b"x\na\nb\nc\n"),
        (b"", b"a\n"),
        (b"a\n", b""),
        (b"", b"a"),
        (b"a\r\nb\r\n", b"a\nb\r\nc\r\n"),
        (b"a\r\nb\r\n", b"a\nb\n"),
        (b"SELECT 1;\rDROP\n", b"SELECT 1;\rDROP\n-- x\n"),
        (b"\ta\n", b"    a\n\t\n"),
        (b"\xff\xfe\n\x80", b"\xff\n\x80\n"),
        (b"--- a\n+++ b\n", b"--- b\n+++ a\n@@ -1 +1 @@\n"),
        (b"\n", b"\n\n\n"),
    ];
    // Neighbours in the list are two directions or two dialects of one change; every pair would take minutes.
    cases.extend(files.windows(2).map(|pair| (pair[0].1.as_slice(), pair[1].1.as_slice())));
    for (old, new) in cases {
        std::fs::write(&patch_file, patch(old, new, 3)).unwrap();
        for tool in [["patch", "-p1", "-s", "-i"].as_slice(), &["git", "apply"]] {
            std::fs::write(&file, old).unwrap();
            let run =
                Command::new(tool[0]).args(&tool[1..]).arg(&patch_file).current_dir(dir.path()).output();
            // Neither tool is needed to build or to run.
            let Ok(run) = run else { continue };
            assert!(
                run.status.success(),
                "{tool:?} {:?}: {}",
                String::from_utf8_lossy(&old[..old.len().min(200)]),
                String::from_utf8_lossy(&run.stderr)
            );
            assert!(std::fs::read(&file).unwrap_or_default() == new, "{tool:?}");
        }
    }
}

#[test]
fn patch_and_git_apply_find_files_of_any_name() {
    use std::process::Command;
    for name in ["a\"b.sql", "trail ", " lead", "a\\b", "größe", "a b", "\"", "a\tb", "\u{85}x", "x\u{a0}"]
    {
        let dir = tempfile::tempdir().unwrap();
        let (old_name, new_name) = (format!("a/{name}"), format!("b/{name}"));
        let diff = compare(b"a\n", b"b\n");
        let text = diff.unified((b"a\n", &old_name, "CHG-1 v1"), (b"b\n", &new_name, "CHG-1 v2"), 3);
        std::fs::write(dir.path().join("p.patch"), &text).unwrap();
        for tool in [["patch", "-p1", "-s", "-i", "p.patch"].as_slice(), &["git", "apply", "p.patch"]] {
            std::fs::write(dir.path().join(name), "a\n").unwrap();
            // Neither tool is needed to build or to run.
            let Ok(run) = Command::new(tool[0]).args(&tool[1..]).current_dir(dir.path()).output() else {
                continue;
            };
            let error = String::from_utf8_lossy(&run.stderr);
            assert!(run.status.success(), "{} {name:?}: {error}", tool[0]);
            assert_eq!(std::fs::read(dir.path().join(name)).unwrap(), b"b\n", "{} {name:?}", tool[0]);
        }
    }
}
