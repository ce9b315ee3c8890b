//! What a script adds, drops and renames, told in names that two scripts have in common: those of the moment between the
//! upgrade and the downgrade.

use std::collections::{HashMap, HashSet};

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

    fn words(&self) -> String {
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
    span: std::ops::Range<usize>,
}

/// One change as its statement says it.
#[derive(Clone, Debug)]
struct Event {
    does: Does,
    thing: Thing,
    /// The new name, of a rename.
    new: Option<Thing>,
    /// The table of an index.
    on: Option<Named>,
    /// It fails if the thing is there: what it adds holds nothing that is older.
    surely: bool,
    spot: usize,
}

/// What is left of the changes at the end of the script.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub does: Does,
    pub thing: Thing,
    pub on: Option<Named>,
    /// The thing as the statement names it.
    pub words: String,
    pub spot: usize,
}

/// A table or column that is dropped, whether it comes back later or not.
pub(super) struct Dropped {
    pub thing: Thing,
    pub words: String,
    pub spot: usize,
    /// The same script added it.
    pub own: bool,
}

/// In which of the two scripts names are followed: through the upgrade backwards, through the downgrade forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

/// What a script comes to.
#[derive(Default)]
pub(super) struct Changes {
    pub list: Vec<Change>,
    pub drops: Vec<Dropped>,
    pub spots: Vec<Spot>,
    /// Tables that Alembic's batch mode makes anew: what changes in them is not in names.
    pub rebuilt: HashSet<Named>,
    /// Tables that lose a column.
    pub narrowed: HashSet<Named>,
    known: HashSet<(Does, Thing)>,
    renames: HashMap<Thing, (Thing, String, usize)>,
    /// Added by this script and by nothing before it.
    sure: HashSet<Thing>,
}

impl Changes {
    pub(super) fn of(sql: &str, dialect: Dialect, way: Way) -> Self {
        let mut raw = Raw::new(dialect);
        let mut cut = false;
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
                cut = true;
                break;
            }
        }
        let mut changes = Self { rebuilt: raw.rebuilt, spots: raw.spots, ..Self::default() };
        let mut frame = Frame::default();
        let mut told: Vec<(Event, Thing)> = Vec::with_capacity(raw.events.len());
        let order: Box<dyn Iterator<Item = Event>> = match way {
            Way::Up => Box::new(raw.events.into_iter().rev()),
            Way::Down => Box::new(raw.events.into_iter()),
        };
        for event in order {
            let thing = match &event.new {
                None => frame.thing(&event.thing),
                Some(new) => {
                    let (known, other) =
                        if way == Way::Up { (new, &event.thing) } else { (&event.thing, new) };
                    let (thing, other) = frame.rename(known, other);
                    changes.renames.insert(thing.clone(), (other, event.thing.words(), event.spot));
                    thing
                }
            };
            told.push((event, thing));
        }
        if way == Way::Up {
            told.reverse();
        }
        changes.sum(told);
        if cut || raw.opaque {
            changes.sure.clear();
        } else if way == Way::Up {
            changes.doubt(sql, dialect);
        }
        changes
    }

    /// Adds the changes up, in the order in which they happen.
    fn sum(&mut self, told: Vec<(Event, Thing)>) {
        let mut list: Vec<Option<Change>> = Vec::new();
        let mut live: HashMap<Thing, usize> = HashMap::new();
        let mut older: HashSet<Thing> = HashSet::new();
        for (event, thing) in told {
            let Event { does, spot, surely, on, .. } = event;
            let words = event.thing.words();
            let counter = match does {
                Does::Add if surely && !older.contains(&thing) => {
                    self.sure.insert(thing.clone());
                    Does::Drop
                }
                Does::Add => {
                    older.insert(thing.clone());
                    self.sure.remove(&thing);
                    Does::Drop
                }
                Does::Drop => {
                    if !self.sure.remove(&thing) {
                        older.insert(thing.clone());
                    }
                    Does::Add
                }
                Does::Absorb => {
                    self.sure.remove(&thing);
                    older.insert(thing);
                    continue;
                }
                Does::Rename => continue,
            };
            let earlier = live
                .get(&thing)
                .copied()
                .filter(|at| list.get(*at).is_some_and(|c| c.as_ref().is_some_and(|c| c.does == counter)));
            if does == Does::Drop && matches!(thing, Thing::Table(_) | Thing::Column(..)) {
                let (thing, words) = (thing.clone(), words.clone());
                self.drops.push(Dropped { thing, words, spot, own: earlier.is_some() });
            }
            if let Some(earlier) = earlier.and_then(|at| list.get_mut(at)) {
                *earlier = None;
                live.remove(&thing);
                continue;
            }
            live.entry(thing.clone()).or_insert(list.len());
            list.push(Some(Change { does, thing, on, words, spot }));
        }
        self.list = list.into_iter().flatten().collect();
        self.known = self.list.iter().map(|c| (c.does, c.thing.clone())).collect();
        let lost = self.list.iter().filter(|c| c.does == Does::Drop);
        self.narrowed = lost
            .filter_map(|c| match &c.thing {
                Thing::Column(table, ..) => Some(table.clone()),
                _ => None,
            })
            .collect();
        for (thing, (other, words, spot)) in &self.renames {
            // What was made here under another name, or has its old name again, is renamed by nobody else.
            if thing != other && !self.known.contains(&(Does::Add, thing.clone())) {
                let change = Change {
                    does: Does::Rename,
                    thing: thing.clone(),
                    on: None,
                    words: words.clone(),
                    spot: *spot,
                };
                self.list.push(change);
            }
        }
        self.list.sort_by_key(|c| c.spot);
    }

    /// Keeps as surely added only what every database's reading of the script has as a statement.
    fn doubt(&mut self, sql: &str, dialect: Dialect) {
        let others: Vec<HashSet<_>> = Dialect::ALL
            .into_iter()
            .filter(|other| *other != dialect)
            .map(|other| statements(sql, other).map(|s| (s.span.start, s.span.end)).collect())
            .collect();
        for change in &self.list {
            let Some(spot) = self.spots.get(change.spot) else { continue };
            let same = spot.plain && others.iter().all(|all| all.contains(&(spot.span.start, spot.span.end)));
            if change.does == Does::Add && !same {
                self.sure.remove(&change.thing);
            }
        }
    }

    pub(super) fn has(&self, does: Does, thing: &Thing) -> bool {
        self.known.contains(&(does, thing.clone()))
    }

    /// Whether the table as a whole is added or dropped.
    pub(super) fn whole(&self, does: Does, table: &Named) -> bool {
        self.known.contains(&(does, Thing::Table(table.clone())))
    }

    /// Whether this script gives the thing back the name that `other` took from it.
    pub(super) fn renames_back(&self, thing: &Thing, other: &Self) -> bool {
        match (self.renames.get(thing), other.renames.get(thing)) {
            (Some((here, ..)), Some((there, ..))) => here == there,
            _ => false,
        }
    }

    /// Whether the thing came with this script, alone or with its table: nothing in it is older.
    pub(super) fn surely_adds(&self, thing: &Thing) -> bool {
        let whole = || thing.table().is_some_and(|table| self.sure.contains(&Thing::Table(table.clone())));
        self.sure.contains(thing) || whole()
    }
}

/// Which thing a name means, as names pass from one to another.
#[derive(Default)]
struct Frame {
    now: HashMap<Thing, Thing>,
    turns: HashMap<Thing, u32>,
}

impl Frame {
    fn table(&self, named: &Named) -> Named {
        match self.now.get(&Thing::Table(named.clone())) {
            Some(Thing::Table(table)) => table.clone(),
            _ => named.clone(),
        }
    }

    fn thing(&self, said: &Thing) -> Thing {
        let placed = self.placed(said);
        self.now.get(&placed).cloned().unwrap_or(placed)
    }

    /// The thing by its own name, within the table that is meant.
    fn placed(&self, said: &Thing) -> Thing {
        match said {
            Thing::Column(table, column, turn) => Thing::Column(self.table(table), column.clone(), *turn),
            Thing::Constraint(table, name) => Thing::Constraint(self.table(table), name.clone()),
            other => other.clone(),
        }
    }

    /// From here on `other` names what `known` named so far. What that is, and `other` as it stands in its table.
    fn rename(&mut self, known: &Thing, other: &Thing) -> (Thing, Thing) {
        let thing = self.thing(known);
        let (known, other) = (self.placed(known), self.placed(other));
        let turn = self.turns.entry(known.clone()).or_default();
        *turn += 1;
        let next = match known.clone() {
            Thing::Table(table) => Thing::Table(table.at_turn(*turn)),
            Thing::Column(table, column, _) => Thing::Column(table, column, *turn),
            rest => rest,
        };
        self.now.insert(known, next);
        self.now.insert(other.clone(), thing.clone());
        (thing, other)
    }
}

/// The changes of a script, one after the other.
struct Raw {
    names: Names,
    events: Vec<Event>,
    spots: Vec<Spot>,
    rebuilt: HashSet<Named>,
    /// Tables whose copy is made and not renamed yet.
    rebuilding: HashSet<Named>,
    /// Temporary tables: they hide others of the same name.
    temporary: HashSet<Named>,
    /// Code in the script may rename what isn't named here.
    opaque: bool,
}

impl Raw {
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
