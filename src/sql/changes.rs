//! What a script adds, drops and renames, told in names that two scripts have in common: those of the moment between the
//! upgrade and the downgrade.

use std::collections::{HashMap, HashSet};

use super::dialect::Dialect;
use super::events::{Does, Event, Raw, Spot, Thing};
use super::named::Named;
use super::split::statements;

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
        let raw = Raw::of(sql, dialect);
        let opaque = raw.opaque;
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
        if opaque {
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
        let fallen = self.list.iter().filter(|c| c.does == Does::Drop);
        self.narrowed = fallen
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
