//! What `docs/architecture.md` promises about the sources, held to the sources themselves.
//!
//! Each check is a function from a path and a text to its complaints, so that it can be shown a bad text
//! and seen to complain: a rule that can't fail keeps nothing.

mod arrows;
mod files;
mod migrations;
mod templates;
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};

/// A text file of the checkout, under its path from the root, with `/` between the parts.
struct SourceFile {
    path: String,
    text: String,
}

/// The files below `folder` whose names end in one of `endings`, sorted; none if there is no such folder.
fn files_below(folder: &str, endings: &[&str]) -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut waiting: Vec<PathBuf> = vec![root.join(folder)];
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.ends_with("node_modules") {
            continue;
        }
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a readable folder");
            waiting.extend(entries.map(|entry| entry.expect("a readable entry").path()));
        } else if path.is_file()
            && path.to_str().is_some_and(|name| endings.iter().any(|ending| name.ends_with(ending)))
        {
            let inside = path.strip_prefix(root).expect("a path below the root");
            let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
            found.push(SourceFile {
                path: parts.join("/"),
                text: fs::read_to_string(&path).expect("a file in UTF-8"),
            });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Every Rust file of the package. An empty answer would make every check pass, so it fails here.
fn sources() -> Vec<SourceFile> {
    let files = files_below("src", &[".rs"]);
    assert!(files.iter().any(|file| file.path == "src/lib.rs"), "the sources were not found");
    files
}

/// Fails with all complaints at once: mending them one run at a time is nobody's idea of a good day.
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
