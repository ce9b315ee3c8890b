//! The size, the names and the manners of files.

use super::{SourceFile, assert_none, files_below, sources};

/// A file of more lines holds more than one idea; from `WORTH_A_LOOK` on the test's output names it.
const MOST_LINES: usize = 500;
const WORTH_A_LOOK: usize = 400;
const MOST_LINES_OF_MAIN: usize = 60;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc", "shared", "stuff"];

fn size_complaint(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    let most = if path == "src/main.rs" { MOST_LINES_OF_MAIN } else { MOST_LINES };
    if lines > WORTH_A_LOOK && lines <= most {
        println!("{path} has {lines} lines: worth a look");
    }
    (lines > most).then(|| format!("{path} has {lines} lines, {most} at most"))
}

fn name_complaint(path: &str) -> Option<String> {
    let empty =
        path.split('/').map(|part| part.trim_end_matches(".rs")).find(|part| EMPTY_NAMES.contains(part))?;
    Some(format!("{path}: {empty} is no name for a room"))
}

/// A folder says at its door what it is for.
fn door_complaint(path: &str, text: &str) -> Option<String> {
    let is_door = path.ends_with("/mod.rs") || path == "src/lib.rs";
    (is_door && !text.starts_with("//! "))
        .then(|| format!("{path} does not begin by saying what the room is for (//!)"))
}

/// Put together here, so that this file does not hold them itself.
fn unfinished_marks() -> [String; 4] {
    [["TO", "DO"], ["FIX", "ME"], ["XX", "X:"], ["unimpl", "emented!"]].map(|halves| halves.concat())
}

fn unfinished_complaints(path: &str, text: &str) -> Vec<String> {
    let marks = unfinished_marks();
    let marked = |line: &str| marks.iter().any(|mark| line.contains(mark.as_str()));
    let lines = text.lines().zip(1..).filter(|(line, _)| marked(line));
    lines.map(|(line, number)| format!("{path}:{number}: unfinished: {}", line.trim())).collect()
}

/// `allow` stays when its cause has gone; `expect` complains then.
fn silenced_complaints(path: &str, text: &str) -> Vec<String> {
    let silenced = |line: &str| line.contains("#[allow(") || line.contains("#![allow(");
    let lines = text.lines().zip(1..).filter(|(line, _)| silenced(line));
    lines.map(|(_, number)| format!("{path}:{number}: a lint is allowed; expect it, with a reason")).collect()
}

fn for_each_source(check: impl Fn(&SourceFile) -> Vec<String>) {
    let complaints: Vec<_> = sources().iter().flat_map(check).collect();
    assert_none(&complaints);
}

#[test]
fn files_are_short() {
    for_each_source(|file| size_complaint(&file.path, &file.text).into_iter().collect());
    assert_eq!(size_complaint("src/a.rs", &"x\n".repeat(MOST_LINES)), None);
    assert!(size_complaint("src/a.rs", &"x\n".repeat(MOST_LINES + 1)).is_some());
    assert!(size_complaint("src/main.rs", &"x\n".repeat(MOST_LINES_OF_MAIN + 1)).is_some());
}

#[test]
fn names_say_something() {
    for_each_source(|file| name_complaint(&file.path).into_iter().collect());
    assert!(name_complaint("src/web/utils.rs").is_some());
    assert!(name_complaint("src/common/mod.rs").is_some());
    assert_eq!(name_complaint("src/web/util_rate.rs"), None);
}

#[test]
fn folders_say_what_they_are_for() {
    for_each_source(|file| door_complaint(&file.path, &file.text).into_iter().collect());
    assert!(door_complaint("src/web/mod.rs", "mod routes;\n//! Too late.").is_some());
    assert!(door_complaint("src/lib.rs", "").is_some());
    assert_eq!(door_complaint("src/web/mod.rs", "//! Pages.\nmod routes;"), None);
    assert_eq!(door_complaint("src/web/routes.rs", "fn f() {}"), None);
}

#[test]
fn nothing_is_left_unfinished() {
    let mut files = sources();
    for (folder, ending) in [
        ("tests/it", ".rs"),
        ("tests/support", ""),
        ("tests/browser", ".rs"),
        ("benches", ".rs"),
        ("templates", ""),
        ("migrations", ".sql"),
        ("static/js", ".js"),
        ("static/css", ".css"),
        ("docs", ".md"),
        (".ci", ""),
    ] {
        files.extend(files_below(folder, &[ending]));
    }
    let complaints: Vec<_> =
        files.iter().flat_map(|file| unfinished_complaints(&file.path, &file.text)).collect();
    assert_none(&complaints);
    for mark in unfinished_marks() {
        let text = format!("fn f() {{\n    // {mark} later\n}}");
        assert_eq!(unfinished_complaints("src/a.rs", &text).len(), 1, "{mark} is not seen");
    }
}

#[test]
fn lints_are_expected_not_allowed() {
    for_each_source(|file| silenced_complaints(&file.path, &file.text));
    assert_eq!(silenced_complaints("src/a.rs", "\n    #[allow(dead_code)]\n#![allow(clippy::all)]").len(), 2);
    assert_none(&silenced_complaints("src/a.rs", "#[expect(dead_code, reason = \"…\")]"));
}
