//! Ways through a history: what an abbreviated end means, and what keeps two ends from being one line apart.

use std::collections::{HashMap, HashSet};

use super::history::{History, Revision};

/// Why there is no such revision or no such line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: &'static str,
    pub message: String,
    pub advice: String,
}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>, advice: &str) -> Self {
        Self { code, message: message.into(), advice: advice.to_owned() }
    }
}

/// The full identifier that `text` means: one in full, the beginning of one, `head`, `label@head`, or one of these
/// with `+N` or `-N` steps.
///
/// # Errors
/// When it means none, or several.
pub fn resolve(history: &History, text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    if let Some(exact) = history.revisions.iter().find(|r| r.revision == text) {
        return Ok(exact.revision.clone());
    }
    if let Some(at) = text.rfind(['+', '-']).filter(|at| *at > 0)
        && let Ok(steps) = text[at + 1..].parse::<usize>()
    {
        let start = resolve(history, text[..at].trim_end_matches(':'))?;
        return walk(history, start, steps, text[at..].starts_with('+'), text);
    }
    let unknown = "Give a full identifier out of the migration history.";
    match text {
        "head" | "heads" => return sole_head(history),
        "base" | "" => {
            return Err(Refusal::new(
                "E21",
                "the base is no revision that a database can be at.",
                "Name the revision that the database is at.",
            ));
        }
        _ => {}
    }
    if let Some(label) = text.strip_suffix("@head") {
        let labelled = |r: &&Revision| history_labels(history, r).contains(label);
        let heads: Vec<_> = history.revisions.iter().filter(|r| r.is_head).filter(labelled).collect();
        return match heads.as_slice() {
            [one] => Ok(one.revision.clone()),
            _ => Err(Refusal::new("E21", format!("“{text}” means {} revisions.", heads.len()), unknown)),
        };
    }
    let like: Vec<_> = history.revisions.iter().filter(|r| r.revision.starts_with(text)).collect();
    match like.as_slice() {
        [one] => Ok(one.revision.clone()),
        [] => Err(Refusal::new("E21", format!("revision “{text}” is not in the history."), unknown)),
        [first, second, ..] => Err(Refusal::new(
            "E21",
            format!("“{text}” may be {} or {}.", first.revision, second.revision),
            unknown,
        )),
    }
}

fn walk(history: &History, start: String, steps: usize, up: bool, text: &str) -> Result<String, Refusal> {
    let mut at = start;
    for _ in 0..steps {
        let next: Vec<String> = if up {
            let follows = |r: &&Revision| r.down_revisions.contains(&at);
            history.revisions.iter().filter(follows).map(|r| r.revision.clone()).collect()
        } else {
            let here = history.revisions.iter().find(|r| r.revision == at);
            here.map(|r| r.down_revisions.clone()).unwrap_or_default()
        };
        match next.as_slice() {
            [one] => at.clone_from(one),
            other => {
                return Err(Refusal::new(
                    "E21",
                    format!("“{text}” leads nowhere: {} revisions come next to {at}.", other.len()),
                    "Give a full identifier out of the migration history.",
                ));
            }
        }
    }
    Ok(at)
}

fn sole_head(history: &History) -> Result<String, Refusal> {
    match history.heads.as_slice() {
        [one] => Ok(one.clone()),
        _ => Err(several_heads(history)),
    }
}

/// A label names a branch: every revision above the labelled one up to the next merge; below, it means nothing.
fn history_labels<'a>(history: &'a History, of: &'a Revision) -> HashSet<&'a str> {
    let below = ancestors(history, &of.revision);
    let here = history.revisions.iter().filter(|r| below.contains(r.revision.as_str()));
    here.flat_map(|r| &r.branch_labels).map(String::as_str).collect()
}

/// The revision itself and everything that it stands on.
fn ancestors<'a>(history: &'a History, of: &'a str) -> HashSet<&'a str> {
    let known: HashMap<&str, &Revision> =
        history.revisions.iter().map(|r| (r.revision.as_str(), r)).collect();
    let mut found = HashSet::new();
    let mut open = vec![of];
    while let Some(id) = open.pop() {
        if found.insert(id)
            && let Some(entry) = known.get(id)
        {
            open.extend(entry.down_revisions.iter().map(String::as_str));
        }
    }
    found
}

/// The revision at which two branches part: the newest that both stand on.
#[must_use]
pub fn branch_point(history: &History, one: &str, other: &str) -> Option<String> {
    let (first, second) = (ancestors(history, one), ancestors(history, other));
    let both: HashSet<&str> = first.intersection(&second).copied().collect();
    let newest = both.iter().max_by_key(|id| ancestors(history, id).len())?;
    Some((*newest).to_owned())
}

fn several_heads(history: &History) -> Refusal {
    let named = |id: &String| {
        let entry = history.revisions.iter().find(|r| r.revision == *id);
        let labels = entry.map(|r| history_labels(history, r)).unwrap_or_default();
        let mut labels: Vec<_> = labels.into_iter().collect();
        labels.sort_unstable();
        if labels.is_empty() { id.clone() } else { format!("{id} ({})", labels.join(", ")) }
    };
    let mut heads = history.heads.clone();
    heads.sort();
    let list: Vec<_> = heads.iter().take(6).map(named).collect();
    let part = match heads.as_slice() {
        [one, other, ..] => branch_point(history, one, other),
        _ => None,
    };
    let part = part.map_or("they share no revision".to_owned(), |id| format!("they part at {id}"));
    Refusal::new(
        "E10",
        format!("the history has {} heads: {}; {part}.", heads.len(), list.join(" and ")),
        "Merge them with `alembic merge`, or take the second one out of the release.",
    )
}

/// The revisions after `from` up to `to`, oldest first.
///
/// # Errors
/// When no single line of revisions leads from one to the other.
pub fn line(history: &History, from: &str, to: &str) -> Result<Vec<String>, Refusal> {
    if history.heads.len() > 1 {
        return Err(several_heads(history));
    }
    let whole = History { ends: None, ..history.clone() };
    let facts = whole.facts(from, to);
    facts.linear_between.map_err(|why| {
        if from == to {
            return Refusal::new(
                "E21",
                format!("both ends are {from}: there is nothing to do."),
                "Name the revision that the database is at with --from, and a later one with --to.",
            );
        }
        if ancestors(history, to).contains(from) {
            return Refusal::new(
                "E11",
                format!("from {from} to {to} is not one line: {why}"),
                "Promote up to the branch point first, or merge the branches before the release.",
            );
        }
        if ancestors(history, from).contains(to) {
            return Refusal::new(
                "E21",
                format!("{from} comes after {to}: the ends are swapped."),
                "Give the older revision with --from and the newer one with --to.",
            );
        }
        Refusal::new(
            "E21",
            format!("{from} does not come before {to}: {why}"),
            "Give two revisions of one line.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `id parent,parent`, newest first.
    fn history(text: &str) -> History {
        let mut revisions: Vec<Revision> = text
            .split(';')
            .map(|entry| {
                let (id, down) = entry.trim().split_once(' ').unwrap();
                Revision {
                    revision: id.to_owned(),
                    down_revisions: down.split(',').filter(|d| *d != "-").map(str::to_owned).collect(),
                    branch_labels: Vec::new(),
                    depends_on: Vec::new(),
                    is_head: false,
                    doc: String::new(),
                }
            })
            .collect();
        let followed: HashSet<_> = revisions.iter().flat_map(|r| r.down_revisions.clone()).collect();
        for revision in &mut revisions {
            revision.is_head = !followed.contains(&revision.revision);
        }
        let heads = revisions.iter().filter(|r| r.is_head).map(|r| r.revision.clone()).collect();
        History { ends: None, heads, revisions }
    }

    #[test]
    fn an_end_is_told_in_full_by_its_beginning_by_head_or_by_steps() {
        let line = history("dd4 cc3;cc3 bb2;bb2 aa1;aa1 -");
        for (text, id) in [
            ("cc3", "cc3"),
            ("cc", "cc3"),
            ("head", "dd4"),
            ("head-1", "cc3"),
            ("aa1+2", "cc3"),
            ("aa1:+2", "cc3"),
        ] {
            assert_eq!(resolve(&line, text).unwrap(), id, "{text}");
        }
        for text in ["base", "", "zz", "dd4+1", "aa1-1"] {
            assert_eq!(resolve(&line, text).unwrap_err().code, "E21", "{text}");
        }
        let alike = history("ab2 ab1;ab1 -");
        assert!(resolve(&alike, "ab").unwrap_err().message.contains("may be ab2 or ab1"));
    }

    #[test]
    fn heads_are_named_with_the_revision_at_which_they_part() {
        let two = history("x c;d c;c b;b a;a -");
        let refusal = resolve(&two, "head").unwrap_err();
        assert_eq!(
            (refusal.code, refusal.message.as_str()),
            ("E10", "the history has 2 heads: d and x; they part at c.")
        );
        assert_eq!(line(&two, "a", "d").unwrap_err().code, "E10");
        let apart = history("b a;a -;y x;x -");
        assert!(resolve(&apart, "head").unwrap_err().message.contains("share no revision"));
    }

    #[test]
    fn what_is_not_one_line_is_refused_by_cause() {
        let merged = history("e c,d;d b;c b;b a;a -");
        assert_eq!(line(&merged, "a", "c").unwrap_err().code, "E11");
        assert!(line(&merged, "a", "e").unwrap_err().message.contains("e merges 2 revisions"));
        let plain = history("c b;b a;a -");
        assert_eq!(line(&plain, "a", "c").unwrap(), ["b", "c"]);
        assert!(line(&plain, "c", "a").unwrap_err().message.contains("swapped"));
        assert!(line(&plain, "c", "c").unwrap_err().message.contains("nothing to do"));
    }
}
