//! The migration history: which revisions there are, and whether one line leads from one to another.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::formats::{
    self, Format, FormatError, Version1, check_len, check_revision, check_text, field, format_name,
};
use super::history_text;

format_name!(HistoryFormat, "countersign/migration-history");

pub(super) const WHAT: &str = "migration history";

/// The versioned JSON form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigrationHistory {
    pub format: HistoryFormat,
    pub version: Version1,
    /// The program and its version, such as `countersign 0.1.0, alembic 1.20.1`.
    pub generated_by: String,
    pub from: String,
    pub to: String,
    pub heads: Vec<String>,
    /// Every revision that Alembic lists, not only those between `from` and `to`.
    pub revisions: Vec<Revision>,
}

/// A revision as Alembic knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    pub revision: String,
    /// None at the base, several at a merge.
    pub down_revisions: Vec<String>,
    pub branch_labels: Vec<String>,
    pub depends_on: Vec<String>,
    pub is_head: bool,
    /// First line of its description; empty if it has none.
    pub doc: String,
}

/// A history, whichever form it was given in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The ends named in the JSON form; `alembic history` names none.
    pub ends: Option<(String, String)>,
    /// The revisions that no other follows.
    pub heads: Vec<String>,
    pub revisions: Vec<Revision>,
}

/// What the item `linear-history` needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryFacts {
    pub heads: Vec<String>,
    /// The revisions after `from` up to `to`, oldest first, or a sentence that says what is in the way.
    pub linear_between: Result<Vec<String>, String>,
}

/// Reads a history: the JSON form, or what `alembic history --verbose` prints.
///
/// # Errors
/// When it is neither, or contradicts itself.
pub fn read(bytes: &[u8]) -> Result<History, FormatError> {
    let text = formats::text(WHAT, bytes, MigrationHistory::LIMIT)?;
    if text.trim_start().starts_with('{') {
        let history: MigrationHistory = formats::read(bytes)?;
        return Ok(History {
            ends: Some((history.from, history.to)),
            heads: history.heads,
            revisions: history.revisions,
        });
    }
    let revisions = history_text::revisions(text)?;
    check_graph(&revisions)?;
    let heads = revisions.iter().filter(|r| r.is_head).map(|r| r.revision.clone()).collect();
    Ok(History { ends: None, heads, revisions })
}

impl Format for MigrationHistory {
    const WHAT: &'static str = WHAT;
    const FORMAT: &'static str = HistoryFormat::TEXT;
    const LIMIT: usize = 10 * 1024 * 1024;

    fn check(&self) -> Result<(), FormatError> {
        check_text(WHAT, "generated_by", &self.generated_by, 200)?;
        check_revision(WHAT, "from", &self.from)?;
        check_revision(WHAT, "to", &self.to)?;
        check_graph(&self.revisions)?;
        let marked: HashSet<_> = self.revisions.iter().filter(|r| r.is_head).map(|r| &r.revision).collect();
        if self.heads.len() != marked.len() || self.heads.iter().any(|head| !marked.contains(head)) {
            return Err(field(WHAT, "heads", "must name each revision with `is_head` once"));
        }
        Ok(())
    }
}

/// Identifiers are sound and unique, and heads are those that no revision follows.
fn check_graph(revisions: &[Revision]) -> Result<(), FormatError> {
    check_len(WHAT, "revisions", revisions, 50_000)?;
    if revisions.is_empty() {
        return Err(field(WHAT, "revisions", "must hold at least one revision"));
    }
    let mut seen = HashSet::new();
    for (i, entry) in revisions.iter().enumerate() {
        let name = |part: &str| format!("revisions[{i}].{part}");
        check_revision(WHAT, &name("revision"), &entry.revision)?;
        if !seen.insert(&entry.revision) {
            let rule = format!("must not come twice: {}", entry.revision);
            return Err(field(WHAT, name("revision"), rule));
        }
        let lists = [("down_revisions", &entry.down_revisions), ("depends_on", &entry.depends_on)];
        for (part, list) in lists {
            check_len(WHAT, &name(part), list, 100)?;
            for id in list {
                check_revision(WHAT, &name(part), id)?;
            }
        }
        check_len(WHAT, &name("branch_labels"), &entry.branch_labels, 100)?;
        for label in &entry.branch_labels {
            check_text(WHAT, &name("branch_labels"), label, 128)?;
        }
        if !entry.doc.is_empty() {
            check_text(WHAT, &name("doc"), &entry.doc, 1_000)?;
        }
    }
    let followed: HashSet<_> = revisions.iter().flat_map(|r| &r.down_revisions).collect();
    for (i, entry) in revisions.iter().enumerate() {
        if entry.is_head == followed.contains(&entry.revision) {
            let rule = if entry.is_head {
                "can't be a head: another revision follows it"
            } else {
                "must be a head: no revision follows it (is the history cut?)"
            };
            return Err(field(WHAT, format!("revisions[{i}]"), format!("({}) {rule}", entry.revision)));
        }
    }
    Ok(())
}

impl History {
    /// The facts for a promotion from `from` to `to`.
    #[must_use]
    pub fn facts(&self, from: &str, to: &str) -> HistoryFacts {
        HistoryFacts { heads: self.heads.clone(), linear_between: self.between(from, to) }
    }

    fn between(&self, from: &str, to: &str) -> Result<Vec<String>, String> {
        let known: HashMap<&str, &Revision> =
            self.revisions.iter().map(|r| (r.revision.as_str(), r)).collect();
        if let Some((stated_from, stated_to)) = &self.ends
            && (stated_from != from || stated_to != to)
        {
            return Err(format!(
                "The history is for {stated_from} to {stated_to}, the ticket for {from} to {to}."
            ));
        }
        self.known(from, &known)?;
        self.known(to, &known)?;
        if from == to {
            return Err(format!("Both ends are {from}: there is nothing to apply."));
        }
        if let [first, second, ..] = self.heads.as_slice() {
            return Err(format!(
                "There are {} heads ({first}, {second}{}): merge them first.",
                self.heads.len(),
                if self.heads.len() > 2 { ", …" } else { "" }
            ));
        }
        let mut children: HashMap<&str, usize> = HashMap::new();
        for parent in self.revisions.iter().flat_map(|r| &r.down_revisions) {
            *children.entry(parent).or_default() += 1;
        }
        let mut line = Vec::new();
        let mut at = to;
        while at != from {
            let Some(entry) = known.get(at).filter(|_| line.len() < known.len()) else {
                return Err(format!(
                    "The line from {to} back to {from} breaks at {at}, which is not in the history."
                ));
            };
            let [parent] = entry.down_revisions.as_slice() else {
                return Err(if entry.down_revisions.is_empty() {
                    format!("{from} does not come before {to}: the line ends at {at}.")
                } else {
                    format!(
                        "{at} merges {} revisions on the way from {from} to {to}.",
                        entry.down_revisions.len()
                    )
                });
            };
            if children.get(parent.as_str()).is_some_and(|n| *n > 1) {
                return Err(format!("{parent} branches: more than one revision follows it."));
            }
            line.push(at.to_owned());
            at = parent;
        }
        check_dependencies(from, &line, &known)?;
        line.reverse();
        Ok(line)
    }

    fn known(&self, id: &str, known: &HashMap<&str, &Revision>) -> Result<(), String> {
        if known.contains_key(id) {
            return Ok(());
        }
        let full = self.revisions.iter().find(|r| !id.is_empty() && r.revision.starts_with(id));
        Err(match full {
            Some(full) => {
                format!("“{id}” is an abbreviation: give the full revision, such as {}.", full.revision)
            }
            None => format!("Revision “{id}” is not in the history."),
        })
    }
}

/// A dependency outside the line would bring other revisions along, unless `from` has it already.
fn check_dependencies(from: &str, line: &[String], known: &HashMap<&str, &Revision>) -> Result<(), String> {
    let needs = |id: &String| known.get(id.as_str()).map(|r| r.depends_on.as_slice()).unwrap_or_default();
    if line.iter().all(|id| needs(id).is_empty()) {
        return Ok(());
    }
    let mut reached: HashSet<&str> = line.iter().map(String::as_str).collect();
    let mut open = vec![from];
    while let Some(id) = open.pop() {
        if reached.insert(id)
            && let Some(entry) = known.get(id)
        {
            open.extend(entry.down_revisions.iter().chain(&entry.depends_on).map(String::as_str));
        }
    }
    for id in line {
        if let Some(missing) = needs(id).iter().find(|need| !reached.contains(need.as_str())) {
            return Err(format!("{id} depends on {missing}, which is not in the line from {from}."));
        }
    }
    Ok(())
}
