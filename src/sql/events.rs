//! The changes that statements name, one after the other: what each adds, drops and renames.

use std::collections::HashSet;
use std::ops::Range;

use super::classify::{Kind, Words, classify_words};
use super::dialect::Dialect;
use super::excerpt::{MAX, excerpt};
use super::lex::Kind as Tok;
use super::named::{Named, Names, created};
use super::rules::short;
use super::rules_alter;
use super::split::statements;

/// Changes that are read of one script.
const MOST_CHANGES: usize = 20_000;

/// Alembic's batch mode copies a table under its name with this before it.
const COPY: &str = "_alembic_tmp_";

/// What a schema is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Thing {
    Table(Named),
    /// The column's name, and how often the table had another one of that name.
    Column(Named, String, u32),
    /// By its own name alone: some databases drop an index without naming its table.
    Index(String),
    Constraint(Named, String),
}

impl Thing {
    pub(super) const fn table(&self) -> Option<&Named> {
        match self {
            Self::Table(table) | Self::Column(table, ..) | Self::Constraint(table, _) => Some(table),
            Self::Index(_) => None,
        }
    }

    pub(super) fn words(&self) -> String {
        match self {
            Self::Table(table) => format!("table {}", short(&table.words())),
            Self::Column(table, column, _) => format!("column {}.{}", short(&table.words()), short(column)),
            Self::Index(name) => format!("index {}", short(name)),
            Self::Constraint(table, name) => {
                format!("constraint {} of {}", short(name), short(&table.words()))
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Does {
    Add,
    Drop,
    Rename,
    /// Takes over rows that were there before, such as those of a partition.
    Absorb,
}

/// Where a statement is.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub line: u32,
    pub last_line: u32,
    pub statement: String,
    /// No database runs what is a comment in it for another.
    pub plain: bool,
    /// The whole statement is in `statement`.
    pub whole: bool,
    pub span: Range<usize>,
}

/// One change as its statement says it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub does: Does,
    pub thing: Thing,
    /// The new name, of a rename.
    pub new: Option<Thing>,
    /// The table of an index.
    pub on: Option<Named>,
    /// It fails if the thing is there: what it adds holds nothing that is older.
    pub surely: bool,
    pub spot: usize,
}

/// The changes of a script, one after the other.
pub(super) struct Raw {
    names: Names,
    pub events: Vec<Event>,
    pub spots: Vec<Spot>,
    /// Tables that Alembic's batch mode makes anew.
    pub rebuilt: HashSet<Named>,
    /// Tables whose copy is made and not renamed yet.
    rebuilding: HashSet<Named>,
    /// Temporary tables: they hide others of the same name.
    temporary: HashSet<Named>,
    /// Code in the script may rename what isn't named here, or there is more than is read.
    pub opaque: bool,
}

impl Raw {
    /// Reads a script.
    pub(super) fn of(sql: &str, dialect: Dialect) -> Self {
        let mut raw = Raw::new(dialect);
        for statement in statements(sql, dialect) {
            let text = statement.text();
            let spot = Spot {
                line: statement.line,
                last_line: statement.last_line,
                statement: String::new(),
                whole: text.char_indices().nth(MAX).is_none(),
                plain: !text.contains("/*!") && !text.contains("/*M!"),
                span: statement.span.clone(),
            };
            raw.read(&Words::of(text, dialect), spot);
            if raw.events.len() > MOST_CHANGES {
                raw.opaque = true;
                break;
            }
        }
        raw
    }

    fn new(dialect: Dialect) -> Self {
        Self {
            names: Names::new(dialect),
            events: Vec::new(),
            spots: Vec::new(),
            rebuilt: HashSet::new(),
            rebuilding: HashSet::new(),
            temporary: HashSet::new(),
            opaque: false,
        }
    }

    fn read(&mut self, words: &Words<'_>, mut spot: Spot) {
        self.names.see(words);
        let before = self.events.len();
        match classify_words(words) {
            Kind::CreateTable => self.create(words),
            Kind::DropTable => self.drop(words),
            kind @ (Kind::CreateIndex | Kind::DropIndex) => self.index(words, kind == Kind::CreateIndex),
            Kind::AlterTable => self.alter(words),
            Kind::Other if words.is(0, &["RENAME"]) => self.rename_list(words),
            Kind::Other => self.opaque |= hides_renames(words),
            _ => {}
        }
        if self.events.len() > before {
            spot.statement = excerpt(words.sql);
            for event in self.events.iter_mut().skip(before) {
                event.spot = self.spots.len();
            }
            self.spots.push(spot);
        }
    }

    fn push(&mut self, does: Does, thing: Thing, surely: bool) {
        if thing.table().is_some_and(|table| self.temporary.contains(table)) {
            if does == Does::Drop
                && let Thing::Table(table) = &thing
            {
                self.temporary.remove(table);
            }
            return;
        }
        self.events.push(Event { does, thing, new: None, on: None, surely, spot: 0 });
    }

    fn rename(&mut self, old: Thing, new: Thing) {
        if let (Thing::Table(old), Thing::Table(new)) = (&old, &new) {
            let copied =
                |table: &Named| table.name.strip_prefix(COPY).map(|name| table.beside(name.to_owned()));
            // The end of a rebuild is no rename; anything else that touches the copy ends the rebuild.
            if let Some(table) = copied(old)
                && self.rebuilding.remove(&table)
                && table == *new
            {
                return;
            }
            if let Some(table) = copied(new) {
                self.rebuilding.remove(&table);
            }
            if self.temporary.remove(old) {
                self.temporary.insert(new.clone());
                return;
            }
        }
        if old.table().is_some_and(|table| self.temporary.contains(table)) || old == new {
            return;
        }
        self.events.push(Event {
            does: Does::Rename,
            thing: old,
            new: Some(new),
            on: None,
            surely: false,
            spot: 0,
        });
    }

    fn create(&mut self, words: &Words<'_>) {
        let Some(created) = created(words) else { return };
        let Some((table, _)) = self.names.at(words, created.at) else { return };
        if created.temporary {
            self.temporary.insert(table);
        } else if let Some(copied) = table.name.strip_prefix(COPY).filter(|_| created.surely) {
            let copied = table.beside(copied.to_owned());
            self.rebuilt.insert(copied.clone());
            self.rebuilding.insert(copied);
        } else {
            self.push(Does::Add, Thing::Table(table), created.surely);
        }
    }

    fn drop(&mut self, words: &Words<'_>) {
        let mut at = words.skip_any(1, &["TEMPORARY", "TEMP", "FOREIGN", "TABLE", "TABLES"]);
        at = words.skip(at, &["IF", "EXISTS"]);
        while let Some((table, next)) = self.names.at(words, at) {
            if let Some(copied) = table.name.strip_prefix(COPY) {
                self.rebuilding.remove(&table.beside(copied.to_owned()));
            } else if !self.rebuilding.contains(&table) {
                self.push(Does::Drop, Thing::Table(table), false);
            }
            if words.kind_at(next) != Some(Tok::Comma) {
                break;
            }
            at = next + 1;
        }
    }

    fn index(&mut self, words: &Words<'_>, adds: bool) {
        let guards = |at| words.skip(words.skip(at, &["IF", "EXISTS"]), &["IF", "NOT", "EXISTS"]);
        let index = (1..words.tokens.len().min(6)).find(|i| words.is(*i, &["INDEX"]));
        let name = index.and_then(|at| words.name(guards(words.skip(at + 1, &["CONCURRENTLY"]))));
        let Some((name, _)) = name else { return };
        let on = self.names.table(words);
        let copies = on.as_ref().is_some_and(|table| table.name.starts_with(COPY));
        if copies || on.as_ref().is_some_and(|table| self.temporary.contains(table)) {
            return;
        }
        let does = if adds { Does::Add } else { Does::Drop };
        self.events.push(Event { does, thing: Thing::Index(name), new: None, on, surely: false, spot: 0 });
    }

    fn alter(&mut self, words: &Words<'_>) {
        let mut at = words.skip_any(1, &["IGNORE", "FOREIGN", "TABLE"]);
        at = words.skip(words.skip(at, &["IF", "EXISTS"]), &["ONLY"]);
        let Some((table, _)) = self.names.at(words, at) else { return };
        let Some((_, actions)) = rules_alter::actions(words) else { return };
        for action in actions.take(MOST_CHANGES) {
            self.action(&table, &action);
        }
    }

    fn action(&mut self, table: &Named, action: &Words<'_>) {
        let adds = action.is(0, &["ADD"]);
        if action.is(0, &["RENAME", "CHANGE"]) || action.skip(0, &["SET", "SCHEMA"]) > 0 {
            self.renaming(table, action);
        } else if action.is(0, &["ATTACH", "EXCHANGE"]) {
            self.push(Does::Absorb, Thing::Table(table.clone()), false);
            let other = (1..action.tokens.len().min(8)).find(|i| action.is(*i, &["TABLE"]));
            if let Some((other, _)) = other.and_then(|at| self.names.at(action, at + 1)) {
                self.push(Does::Absorb, Thing::Table(other), false);
            }
        } else if adds || action.is(0, &["DROP"]) {
            let does = if adds { Does::Add } else { Does::Drop };
            match part(table, action, adds) {
                Some((Thing::Index(name), _)) => {
                    let (thing, on) = (Thing::Index(name), Some(table.clone()));
                    self.events.push(Event { does, thing, new: None, on, surely: false, spot: 0 });
                }
                Some((thing, surely)) => self.push(does, thing, surely),
                None => {}
            }
        }
    }

    fn renaming(&mut self, table: &Named, action: &Words<'_>) {
        let whole = |new| (Thing::Table(table.clone()), Thing::Table(new));
        let column = |name| Thing::Column(table.clone(), name, 0);
        let pair = if action.is(0, &["SET"]) {
            action.name(2).map(|(schema, _)| whole(table.within(schema)))
        } else if action.is(0, &["CHANGE"]) {
            let at = action.skip(1, &["COLUMN"]);
            action.name(at).and_then(|(old, next)| Some((column(old), column(action.name(next)?.0))))
        } else if action.is(1, &["CONSTRAINT", "INDEX", "KEY"]) {
            None
        } else if action.is(1, &["TO", "AS"]) || action.tokens.len() == 2 {
            let at = action.skip_any(1, &["TO", "AS"]);
            // Without a schema of its own it stays where it was.
            action.name(at).map(|(new, end)| {
                let qualified = end > at + 1;
                let there = self.names.at(action, at).filter(|_| qualified);
                whole(there.map_or_else(|| table.beside(new), |(named, _)| named))
            })
        } else {
            let at = action.skip(1, &["COLUMN"]);
            action.name(at).and_then(|(old, next)| {
                Some((column(old), column(action.name(action.skip(next, &["TO"]))?.0)))
            })
        };
        if let Some((old, new)) = pair {
            self.rename(old, new);
        }
    }

    /// MySQL's `RENAME TABLE a TO b, c TO d`.
    fn rename_list(&mut self, words: &Words<'_>) {
        let mut at = words.skip_any(1, &["TABLE", "TABLES"]);
        while let Some((old, next)) = self.names.at(words, at) {
            let Some((new, end)) = self.names.at(words, words.skip(next, &["TO"])) else { return };
            self.rename(Thing::Table(old), Thing::Table(new));
            at = end + 1;
        }
    }
}

/// The part of a table that an ADD or DROP names, and whether it can't have been there before.
fn part(table: &Named, action: &Words<'_>, adds: bool) -> Option<(Thing, bool)> {
    const KEYS: &[&str] = &[
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
    let named = |at: usize| action.name(at).map(|(name, _)| name);
    let guards = |at| action.skip(action.skip(at, &["IF", "EXISTS"]), &["IF", "NOT", "EXISTS"]);
    let table = table.clone();
    let thing = if action.is(1, &["CONSTRAINT"]) {
        Thing::Constraint(table, named(guards(2))?)
    } else if action.is(1, &["FOREIGN"]) && !adds {
        Thing::Constraint(table, named(3)?)
    } else if action.is(1, &["INDEX", "KEY"]) {
        Thing::Index(named(2)?)
    } else if action.is(1, KEYS) {
        return None;
    } else {
        let at = action.skip(1, &["COLUMN"]);
        let surely = adds && guards(at) == at;
        return Some((Thing::Column(table, named(guards(at))?, 0), surely));
    };
    Some((thing, false))
}

/// Whether code in this statement may give things other names.
fn hides_renames(words: &Words<'_>) -> bool {
    if words.is(0, &["CALL", "EXECUTE", "PREPARE"]) {
        return true;
    }
    let code = words.is(0, &["DO"])
        || (words.is(0, &["CREATE"])
            && (1..words.tokens.len().min(6)).any(|i| words.is(i, &["FUNCTION", "PROCEDURE", "EVENT"])));
    let text = if code { words.sql.to_lowercase() } else { return false };
    ["rename", "execute", "search_path", "schema", "u&'", "\\"].iter().any(|word| text.contains(word))
}
