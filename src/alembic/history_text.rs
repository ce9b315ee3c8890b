//! What `alembic history --verbose` prints, as revisions.

use super::formats::{FormatError, field, plain};
use super::history::{Revision, WHAT};

/// The revisions of the listing, newest first as printed.
pub(super) fn revisions(text: &str) -> Result<Vec<Revision>, FormatError> {
    let mut found: Vec<Revision> = Vec::new();
    let mut has_parent = true;
    for (i, line) in text.lines().enumerate() {
        let at = || format!("line {}", i + 1);
        // Descriptions are indented; nothing that counts is.
        if line.starts_with(' ') || line.trim().is_empty() {
            if let Some(last) = found.last_mut().filter(|r| r.doc.is_empty()) {
                plain(line.trim()).trim().clone_into(&mut last.doc);
            }
            continue;
        }
        let Some((key, value)) = line.split_once(':') else {
            return Err(field(WHAT, at(), "is not part of what `alembic history --verbose` prints"));
        };
        let value = value.trim();
        if key == "Rev" {
            if !has_parent {
                return Err(field(WHAT, at(), "begins a revision before the last one has its `Parent:`"));
            }
            found.push(heading(value).ok_or_else(|| {
                field(WHAT, at(), "must be `Rev: ID`, and in brackets only what Alembic writes there")
            })?);
            has_parent = false;
            continue;
        }
        let Some(last) = found.last_mut() else {
            return Err(field(WHAT, at(), "must be `Rev: ID`: log output or another command's answer?"));
        };
        match key {
            "Parent" | "Merges" if has_parent => {
                return Err(field(WHAT, at(), "names the parent a second time"));
            }
            "Parent" if value == "<base>" => has_parent = true,
            "Parent" | "Merges" => {
                last.down_revisions = list(value);
                has_parent = true;
            }
            "Also depends on" => last.depends_on = list(value),
            "Branch names" => last.branch_labels = list(value),
            "Path" | "Branches into" => {}
            _ => return Err(field(WHAT, at(), "is not part of what `alembic history --verbose` prints")),
        }
    }
    if has_parent {
        Ok(found)
    } else {
        Err(field(WHAT, "the last revision", "has no `Parent:`: is the listing cut?"))
    }
}

/// `ID (head) (branchpoint)`.
fn heading(value: &str) -> Option<Revision> {
    const MARKS: [&str; 5] = ["head", "effective head", "branchpoint", "mergepoint", "current"];
    let (id, marks) = value.split_once(' ').unwrap_or((value, ""));
    let mut is_head = false;
    let mut rest = marks.trim();
    while !rest.is_empty() {
        let (mark, after) = rest.strip_prefix('(')?.split_once(')')?;
        if !MARKS.contains(&mark) {
            return None;
        }
        is_head |= mark == "head";
        rest = after.trim_start();
    }
    Some(Revision {
        revision: id.to_owned(),
        down_revisions: Vec::new(),
        branch_labels: Vec::new(),
        depends_on: Vec::new(),
        is_head,
        doc: String::new(),
    })
}

/// `a, b`; some projects have `None` for nothing.
fn list(value: &str) -> Vec<String> {
    let entries = value.split(',').map(str::trim);
    entries.filter(|e| !e.is_empty() && *e != "None").map(str::to_owned).collect()
}
