//! Whether a downgrade undoes its upgrade, as far as the names of what they add and drop tell.

use std::collections::HashSet;

use super::classify::{Kind, Words, classify_words};
use super::dialect::Dialect;
use super::excerpt::excerpt;
use super::findings::{Finding, finding};
use super::rules::short;
use super::rules_alter;
use super::split::statements;
use crate::domain::rule::{
    DOWNGRADE_DOES_NOT_UNDO, DOWNGRADE_GOES_FURTHER, DROP_COLUMN, DROP_TABLE, Rule, TAKES_BACK,
};

/// Changes that are read of one script.
const MOST_CHANGES: usize = 20_000;

/// Findings of one comparison.
const MOST_FINDINGS: usize = 20;

/// What a schema is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Thing {
    Table(String),
    Column(String, String),
    /// With its table, where the statement names it.
    Index(String, Option<String>),
    Constraint(String, String),
}

impl Thing {
    fn table(&self) -> Option<&str> {
        match self {
            Self::Table(table) | Self::Column(table, _) | Self::Constraint(table, _) => Some(table),
            Self::Index(_, table) => table.as_deref(),
        }
    }

    /// Indexes are dropped without their table's name on some databases, so that only their own counts.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Index(one, _), Self::Index(other, _)) => one == other,
            _ => self == other,
        }
    }

    fn key(&self) -> Self {
        match self {
            Self::Index(name, _) => Self::Index(name.clone(), None),
            other => other.clone(),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Table(table) => format!("table {}", short(table)),
            Self::Column(table, column) => format!("column {}.{}", short(table), short(column)),
            Self::Index(name, _) => format!("index {}", short(name)),
            Self::Constraint(table, name) => format!("constraint {} of {}", short(name), short(table)),
        }
    }
}

/// Something that a script adds or drops.
#[derive(Clone, Debug)]
struct Change {
    adds: bool,
    thing: Thing,
    line: u32,
    last_line: u32,
    statement: String,
}

/// What a script comes to.
struct Changes {
    /// What was not taken back later in the same script.
    list: Vec<Change>,
    known: HashSet<(bool, Thing)>,
    /// Tables that Alembic's batch mode makes anew: what changes in them is not in names.
    rebuilt: HashSet<String>,
}

impl Changes {
    fn of(sql: &str, dialect: Dialect) -> Self {
        let mut list: Vec<Change> = Vec::new();
        let mut rebuilt = HashSet::new();
        for statement in statements(sql, dialect) {
            let words = Words::of(statement.text(), dialect);
            let things = things(&words);
            let copy = things.iter().find_map(|(_, t)| t.table()?.strip_prefix("_alembic_tmp_"));
            if let Some(table) = copy {
                rebuilt.insert(table.to_owned());
                continue;
            }
            for (adds, thing) in things {
                // A rebuild drops the table under its own name, too.
                if !adds && matches!(&thing, Thing::Table(table) if rebuilt.contains(table)) {
                    continue;
                }
                let earlier = list.iter().rev().take(500).position(|c| c.thing.is(&thing) && c.adds != adds);
                if let Some(earlier) = earlier {
                    list.remove(list.len() - 1 - earlier);
                    continue;
                }
                let statement_text = excerpt(statement.text());
                let (line, last_line) = (statement.line, statement.last_line);
                list.push(Change { adds, thing, line, last_line, statement: statement_text });
            }
            if list.len() > MOST_CHANGES {
                break;
            }
        }
        let known = list.iter().map(|c| (c.adds, c.thing.key())).collect();
        Self { list, known, rebuilt }
    }

    fn has(&self, adds: bool, thing: &Thing) -> bool {
        self.known.contains(&(adds, thing.key()))
    }

    /// Whether the table as a whole is added or dropped.
    fn whole(&self, adds: bool, table: &str) -> bool {
        self.known.contains(&(adds, Thing::Table(table.to_owned())))
    }

    /// Whether this undoes a change of the upgrade, or may.
    fn undoes(&self, change: &Change, upgrade: &Self) -> bool {
        if self.has(!change.adds, &change.thing) {
            return true;
        }
        let Some(table) = change.thing.table() else { return false };
        let part = !matches!(change.thing, Thing::Table(_));
        let goes_with_column = matches!(change.thing, Thing::Index(..) | Thing::Constraint(..))
            && change.adds
            && self.list.iter().any(|c| !c.adds && matches!(&c.thing, Thing::Column(t, _) if t == table));
        part && (self.rebuilt.contains(table)
            || upgrade.rebuilt.contains(table)
            || self.whole(!change.adds, table)
            || upgrade.whole(change.adds, table)
            || goes_with_column)
    }
}

/// What a statement adds (`true`) and drops.
fn things(words: &Words<'_>) -> Vec<(bool, Thing)> {
    let skip_guards = |at| words.skip(words.skip(at, &["IF", "EXISTS"]), &["IF", "NOT", "EXISTS"]);
    match classify_words(words) {
        Kind::CreateTable => words.table().map(|table| (true, Thing::Table(table))).into_iter().collect(),
        Kind::DropTable => {
            let mut at = words.skip_any(1, &["TEMPORARY", "TEMP", "FOREIGN", "TABLE"]);
            at = words.skip(at, &["IF", "EXISTS"]);
            let mut dropped = Vec::new();
            while let Some((table, next)) = words.name(at) {
                dropped.push((false, Thing::Table(table)));
                at = next + 1;
            }
            dropped
        }
        kind @ (Kind::CreateIndex | Kind::DropIndex) => {
            let index = (1..words.tokens.len().min(6)).find(|i| words.is(*i, &["INDEX"]));
            let name = index.and_then(|at| words.name(skip_guards(words.skip(at + 1, &["CONCURRENTLY"]))));
            let adds = kind == Kind::CreateIndex;
            name.map(|(name, _)| (adds, Thing::Index(name, words.table()))).into_iter().collect()
        }
        Kind::AlterTable => {
            let Some((table, actions)) = rules_alter::actions(words) else { return Vec::new() };
            actions.flat_map(|action| altered(&table, &action)).take(MOST_CHANGES).collect()
        }
        _ => Vec::new(),
    }
}

fn altered(table: &str, action: &Words<'_>) -> Vec<(bool, Thing)> {
    let named = |at: usize| action.name(at).map(|(name, _)| name);
    let guards = |at| action.skip(action.skip(at, &["IF", "EXISTS"]), &["IF", "NOT", "EXISTS"]);
    let adds = action.is(0, &["ADD"]);
    if action.is(0, &["RENAME"]) {
        let at = action.skip(1, &["COLUMN"]);
        if action.is(1, &["TO", "AS"]) {
            let new = named(2).map(|new| (true, Thing::Table(new)));
            return [(false, Thing::Table(table.to_owned()))].into_iter().chain(new).collect();
        }
        let Some((old, next)) = action.name(at).filter(|_| !action.is(1, &["CONSTRAINT", "INDEX", "KEY"]))
        else {
            return Vec::new();
        };
        let new = named(action.skip(next, &["TO"])).map(|new| (true, Thing::Column(table.to_owned(), new)));
        return [(false, Thing::Column(table.to_owned(), old))].into_iter().chain(new).collect();
    }
    if !adds && !action.is(0, &["DROP"]) {
        return Vec::new();
    }
    let keys = &[
        "CONSTRAINT",
        "FOREIGN",
        "CHECK",
        "PRIMARY",
        "UNIQUE",
        "INDEX",
        "KEY",
        "FULLTEXT",
        "PARTITION",
        "EXCLUDE",
    ];
    let table = table.to_owned();
    let thing = if action.is(1, &["CONSTRAINT"]) {
        named(guards(2)).map(|name| Thing::Constraint(table, name))
    } else if action.is(1, &["FOREIGN"]) && !adds {
        named(3).map(|name| Thing::Constraint(table, name))
    } else if action.is(1, &["INDEX", "KEY"]) {
        named(2).map(|name| Thing::Index(name, Some(table)))
    } else if action.is(1, keys) {
        None
    } else {
        named(guards(action.skip(1, &["COLUMN"]))).map(|name| Thing::Column(table, name))
    };
    thing.map(|thing| (adds, thing)).into_iter().collect()
}

/// Which of the two scripts a finding is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Upgrade,
    Downgrade,
}

/// Compares the two directions. The findings are for the script of `side`, which is the newer of the two; `own` are its
/// findings so far, and what they say of a downgrade that takes back what its upgrade added is put into proportion.
#[must_use]
pub fn compare(upgrade: &str, downgrade: &str, side: Side, own: Vec<Finding>) -> Vec<Finding> {
    let dialect = Dialect::likely(upgrade);
    let (up, down) = (Changes::of(upgrade, dialect), Changes::of(downgrade, dialect));
    let mut found = own;
    if side == Side::Downgrade {
        found = found.into_iter().map(|f| in_proportion(f, &up, &down)).collect();
    }
    let missing = up.list.iter().filter(|change| !down.undoes(change, &up));
    let left = missing.map(|change| {
        let (does, undo) = if change.adds { ("adds", "drop") } else { ("drops", "bring back") };
        let why = format!(
            "Line {} of the upgrade {does} {}; the downgrade does not {undo} it.",
            change.line,
            change.thing.words()
        );
        (&DOWNGRADE_DOES_NOT_UNDO, why, change)
    });
    extend(&mut found, left, side == Side::Upgrade);
    if side == Side::Upgrade {
        let further = down.list.iter().filter(|change| {
            !change.adds
                && matches!(change.thing, Thing::Table(_) | Thing::Column(..))
                && !up.has(true, &change.thing)
                && !change
                    .thing
                    .table()
                    .is_some_and(|table| up.whole(true, table) || up.rebuilt.contains(table))
        });
        let beyond = further.map(|change| {
            let why = format!(
                "Line {} of the downgrade drops {}, which this upgrade does not add.",
                change.line,
                change.thing.words()
            );
            (&DOWNGRADE_GOES_FURTHER, why, change)
        });
        extend(&mut found, beyond, false);
    }
    found.sort_by_key(|f| (f.line, f.last_line));
    found
}

/// Findings for changes, at their own lines or at the first line of the other script.
fn extend<'a>(
    found: &mut Vec<Finding>,
    changes: impl Iterator<Item = (&'static Rule, String, &'a Change)>,
    in_place: bool,
) {
    let all: Vec<_> = changes.collect();
    let more = all.len().saturating_sub(MOST_FINDINGS);
    for (i, (rule, mut why, change)) in all.into_iter().take(MOST_FINDINGS).enumerate() {
        if i + 1 == MOST_FINDINGS && more > 0 {
            why = format!("{why} And {more} more.");
        }
        let lines = if in_place { change.line..=change.last_line } else { 1..=1 };
        found.push(finding(rule, lines, &change.statement, why));
    }
}

/// A drop of the downgrade that takes back what the upgrade added is no loss to decide about.
fn in_proportion(own: Finding, up: &Changes, down: &Changes) -> Finding {
    if own.rule != DROP_TABLE.key && own.rule != DROP_COLUMN.key {
        return own;
    }
    let mut drops = down.list.iter().filter(|c| !c.adds && c.line == own.line).peekable();
    let all = drops.peek().is_some()
        && drops
            .all(|c| up.has(true, &c.thing) || c.thing.table().is_some_and(|table| up.whole(true, table)));
    if !all {
        return own;
    }
    let why = format!("{} The upgrade adds it: what was written there since then is lost.", own.why);
    Finding { rule: TAKES_BACK.key, severity: TAKES_BACK.severity, advice: TAKES_BACK.advice, why, ..own }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::findings::find;

    fn compared(up: &str, down: &str, side: Side) -> Vec<(&'static str, u32)> {
        let own = find(if side == Side::Upgrade { up } else { down }, None);
        let found = compare(up, down, side, own);
        found.into_iter().map(|f| (f.rule, f.line)).collect()
    }

    #[test]
    fn a_downgrade_that_undoes_everything_has_only_notes() {
        let up = "ALTER TABLE a ADD COLUMN b int;\nCREATE TABLE c (d int);\nCREATE INDEX i ON c (d);";
        let down = "DROP INDEX i;\nDROP TABLE c;\nALTER TABLE a DROP COLUMN b;";
        let expected = [("drop-index", 1), ("takes-back", 2), ("takes-back", 3)];
        assert_eq!(compared(up, down, Side::Downgrade), expected);
        assert_eq!(compared(up, down, Side::Upgrade), []);
        let renamed = ("ALTER TABLE a RENAME TO b;", "ALTER TABLE b RENAME TO a;");
        assert_eq!(compared(renamed.0, renamed.1, Side::Upgrade), [("rename", 1)]);
    }

    #[test]
    fn what_is_left_out_is_said_on_either_side() {
        let up = "SELECT 1;\nALTER TABLE a ADD COLUMN b int;\nALTER TABLE a DROP COLUMN e;\nCREATE TABLE c (d int);";
        let undone = "downgrade-does-not-undo";
        assert_eq!(compared(up, "SELECT 1;", Side::Downgrade), [(undone, 1), (undone, 1), (undone, 1)]);
        assert_eq!(
            compared(up, "DROP TABLE c;", Side::Upgrade),
            [(undone, 2), ("drop-column", 3), (undone, 3)]
        );
    }

    #[test]
    fn a_drop_beyond_the_upgrade_keeps_its_weight() {
        let up = "ALTER TABLE a ADD COLUMN b int;";
        let down = "ALTER TABLE a DROP COLUMN b; DROP TABLE trades;";
        let found = compare(up, down, Side::Downgrade, find(down, None));
        let brief: Vec<_> = found.iter().map(|f| f.rule).collect();
        assert_eq!(brief, ["drop-column", "drop-table"], "they share a line: neither is made light of");
        assert_eq!(compared(up, down, Side::Upgrade), [("downgrade-goes-further", 1)]);
        assert_eq!(
            compared("ALTER TABLE a DROP COLUMN b;", "ALTER TABLE a ADD COLUMN b int;", Side::Downgrade),
            []
        );
    }

    #[test]
    fn the_rendered_pairs_of_the_sample_and_the_corpus() {
        let (up, down) =
            (include_str!("../demo/data/upgrade.sql"), include_str!("../demo/data/downgrade.sql"));
        let found = compare(up, down, Side::Downgrade, find(down, None));
        let brief: Vec<_> = found.iter().map(|f| f.rule).collect();
        assert_eq!(brief, ["takes-back", "drop-index", "drop-index", "table-rebuild", "takes-back"]);
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus/sql/mlflow");
        let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
        for dialect in ["sqlite", "postgresql", "mysql"] {
            let up = read(&format!("clean/upgrade.{dialect}.sql"));
            let down = read(&format!("clean/downgrade.{dialect}.sql"));
            let found = compare(&up, &down, Side::Downgrade, find(&down, None));
            assert!(found.iter().all(|f| f.severity == crate::domain::artifact::Severity::Note), "{found:?}");
        }
        let up = read("silent-downgrade/upgrade.postgresql.sql");
        let down = read("silent-downgrade/downgrade.postgresql.sql");
        let found = compare(&up, &down, Side::Downgrade, find(&down, None));
        assert_eq!(found.iter().filter(|f| f.rule == "downgrade-does-not-undo").count(), 3, "{found:?}");
    }
}
