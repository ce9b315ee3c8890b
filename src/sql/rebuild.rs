//! Alembic's batch mode on SQLite: a table is copied, dropped, and the copy takes its name.

use std::collections::HashMap;

use super::classify::{Kind, Words};

const PREFIX: &str = "_alembic_tmp_";

/// The rebuilds under way in a script.
#[derive(Default)]
pub(super) struct Rebuilds {
    open: HashMap<String, Open>,
}

struct Open {
    /// Where `CREATE TABLE _alembic_tmp_x` is.
    line: u32,
    /// Every row of the table was copied.
    copied: bool,
    /// Where in the list of findings the table's drop is.
    dropped: Option<usize>,
}

/// What a statement meant to a rebuild.
pub(super) enum Step {
    /// Nothing, or not the end of one.
    Other,
    /// The last statement of a rebuild: the drop that is `finding` lost nothing that was not copied.
    Done { finding: usize, line: u32, table: String },
}

impl Rebuilds {
    /// Reads the next statement; `next_finding` is the index that its first finding will have.
    pub(super) fn see(&mut self, kind: Kind, words: &Words<'_>, line: u32, next_finding: usize) -> Step {
        match kind {
            Kind::CreateTable => {
                if let Some(table) = words.name(2).and_then(|(name, _)| copied_table(&name)) {
                    let open = Open { line, copied: false, dropped: None };
                    self.open.insert(table, open);
                }
            }
            Kind::Insert => {
                let target = words.name(words.skip(1, &["INTO"]));
                let table = target.and_then(|(name, _)| copied_table(&name));
                if let Some((table, open)) = table.and_then(|t| self.open.get_mut(&t).map(|open| (t, open))) {
                    open.copied = copies_all(words, &table);
                }
            }
            Kind::DropTable => {
                if let Some((name, end)) = words.name(words.skip(2, &["IF", "EXISTS"]))
                    && end == words.tokens.len()
                    && let Some(open) = self.open.get_mut(&name).filter(|open| open.copied)
                {
                    open.dropped = Some(next_finding);
                }
            }
            Kind::AlterTable => return self.renamed(words),
            _ => {}
        }
        Step::Other
    }

    /// Whether this statement fills the copy of a table that is being rebuilt.
    pub(super) fn copies(&self, kind: Kind, words: &Words<'_>) -> bool {
        kind == Kind::Insert
            && words
                .name(words.skip(1, &["INTO"]))
                .and_then(|(name, _)| copied_table(&name))
                .is_some_and(|table| self.open.contains_key(&table))
    }

    fn renamed(&mut self, words: &Words<'_>) -> Step {
        let Some((from, next)) = words.name(2) else {
            return Step::Other;
        };
        let to = words.name(words.skip(next, &["RENAME", "TO"]));
        let (Some(table), Some((to, end))) = (copied_table(&from), to) else {
            return Step::Other;
        };
        let renames = words.is(next, &["RENAME"]) && to == table && end == words.tokens.len();
        match self.open.remove(&table) {
            Some(Open { line, dropped: Some(finding), .. }) if renames => Step::Done { finding, line, table },
            _ => Step::Other,
        }
    }
}

fn copied_table(name: &str) -> Option<String> {
    name.strip_prefix(PREFIX).filter(|table| !table.is_empty()).map(str::to_owned)
}

/// Whether this INSERT takes every row of `table`: one SELECT that ends with `FROM table`.
fn copies_all(words: &Words<'_>, table: &str) -> bool {
    let count = |word| (0..words.tokens.len()).filter(|i| words.is(*i, &[word])).count();
    let last_from = (0..words.tokens.len()).rev().find(|i| words.is(*i, &["FROM"]));
    let source = last_from.and_then(|i| words.name(i + 1));
    !words.cut
        && count("SELECT") == 1
        && count("DISTINCT") == 0
        && source.is_some_and(|(name, end)| name == table && end == words.tokens.len())
}
