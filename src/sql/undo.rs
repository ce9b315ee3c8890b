//! Whether a downgrade undoes its upgrade, as far as the names of what they add and drop tell.

use std::collections::HashMap;

use super::changes::{Change, Changes, Dropped, Way};
use super::dialect::Dialect;
use super::events::{Does, Spot, Thing};
use super::findings::{Finding, finding};
use crate::domain::rule::{
    DOWNGRADE_DOES_NOT_UNDO, DOWNGRADE_GOES_FURTHER, DROP_COLUMN, DROP_TABLE, Rule, TAKES_BACK,
};

/// Findings of one comparison.
const MOST_FINDINGS: usize = 20;

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
    let up = Changes::of(upgrade, dialect, Way::Up);
    let down = Changes::of(downgrade, dialect, Way::Down);
    let mut found = if side == Side::Downgrade { in_proportion(own, &up, &down) } else { own };
    let missing = up.list.iter().filter(|change| !undoes(&down, change, &up));
    let left = missing.filter_map(|change| {
        let (does, undo) = match change.does {
            Does::Add => ("adds", "drop it"),
            Does::Drop => ("drops", "bring it back"),
            Does::Rename | Does::Absorb => ("renames", "give it its name back"),
        };
        let spot = up.spots.get(change.spot)?;
        let why = format!(
            "Line {} of the upgrade {does} {}; the downgrade does not {undo}.",
            spot.line, change.words
        );
        Some((&DOWNGRADE_DOES_NOT_UNDO, why, spot))
    });
    extend(&mut found, left, side == Side::Upgrade);
    if side == Side::Upgrade {
        let further = down.drops.iter().filter(|dropped| goes_further(dropped, &up));
        let beyond = further.filter_map(|dropped| {
            let spot = down.spots.get(dropped.spot)?;
            let why = format!(
                "Line {} of the downgrade drops {}, which this upgrade does not add.",
                spot.line, dropped.words
            );
            Some((&DOWNGRADE_GOES_FURTHER, why, spot))
        });
        extend(&mut found, beyond, false);
    }
    found.sort_by_key(|f| (f.line, f.last_line));
    found
}

/// Whether the downgrade undoes a change of the upgrade, or may.
fn undoes(down: &Changes, change: &Change, up: &Changes) -> bool {
    let counter = match change.does {
        Does::Add => Does::Drop,
        Does::Drop => Does::Add,
        Does::Rename | Does::Absorb => Does::Rename,
    };
    let undone = if counter == Does::Rename {
        down.renames_back(&change.thing, up)
    } else {
        down.has(counter, &change.thing)
    };
    if undone {
        return true;
    }
    let Some(table) = change.thing.table().or(change.on.as_ref()) else { return false };
    let part = !matches!(change.thing, Thing::Table(_));
    let goes_with_column = matches!(change.thing, Thing::Index(..) | Thing::Constraint(..))
        && change.does == Does::Add
        && down.narrowed.contains(table);
    part && (down.rebuilt.contains(table)
        || up.rebuilt.contains(table)
        || down.whole(counter, table)
        || up.whole(change.does, table)
        || goes_with_column)
}

/// Whether a drop of the downgrade reaches what the upgrade didn't bring.
fn goes_further(dropped: &Dropped, up: &Changes) -> bool {
    let rebuilt = matches!(&dropped.thing, Thing::Column(table, ..) if up.rebuilt.contains(table));
    !dropped.own && !rebuilt && !up.surely_adds(&dropped.thing)
}

/// Findings for changes, at their own lines or at the first line of the other script.
fn extend<'a>(
    found: &mut Vec<Finding>,
    changes: impl Iterator<Item = (&'static Rule, String, &'a Spot)>,
    in_place: bool,
) {
    let all: Vec<_> = changes.collect();
    let more = all.len().saturating_sub(MOST_FINDINGS);
    for (i, (rule, mut why, spot)) in all.into_iter().take(MOST_FINDINGS).enumerate() {
        if i + 1 == MOST_FINDINGS && more > 0 {
            why = format!("{why} And {more} more.");
        }
        let lines = if in_place { spot.line..=spot.last_line } else { 1..=1 };
        found.push(finding(rule, lines, &spot.statement, why));
    }
}

/// What the drops of one statement come to.
struct Drops {
    /// Each takes back what the upgrade added, and the statement reads the same for every database.
    harmless: bool,
    tables: usize,
    columns: usize,
}

/// A statement as a finding tells it: statements that can't be told apart are judged together.
type Told = (u32, u32, String);

/// A drop of the downgrade that takes back what the upgrade added is no loss to decide about.
fn in_proportion(own: Vec<Finding>, up: &Changes, down: &Changes) -> Vec<Finding> {
    let mut drops: HashMap<Told, Drops> = HashMap::new();
    for dropped in &down.drops {
        let Some(spot) = down.spots.get(dropped.spot) else { continue };
        let told = (spot.line, spot.last_line, spot.statement.clone());
        let entry = drops.entry(told).or_insert(Drops { harmless: true, tables: 0, columns: 0 });
        entry.harmless &= spot.plain && spot.whole && up.surely_adds(&dropped.thing);
        match dropped.thing {
            Thing::Table(_) => entry.tables += 1,
            _ => entry.columns += 1,
        }
    }
    let of_drops = |f: &Finding| f.rule == DROP_TABLE.key || f.rule == DROP_COLUMN.key;
    let told = |f: &Finding| (f.line, f.last_line, f.statement.clone());
    // More findings than drops: another database reads more in the statement than was compared.
    let mut counted: HashMap<(Told, &str), usize> = HashMap::new();
    for finding in own.iter().filter(|f| of_drops(f)) {
        *counted.entry((told(finding), finding.rule)).or_default() += 1;
    }
    let harmless = |f: &Finding| {
        let told = told(f);
        drops.get(&told).is_some_and(|drops| {
            let compared = if f.rule == DROP_TABLE.key { drops.tables } else { drops.columns };
            drops.harmless && counted.get(&(told, f.rule)).is_some_and(|found| *found <= compared)
        })
    };
    own.into_iter()
        .map(|own| {
            if !of_drops(&own) || !harmless(&own) {
                return own;
            }
            let why = format!("{} The upgrade adds it: what was written there since then is lost.", own.why);
            Finding {
                rule: TAKES_BACK.key,
                severity: TAKES_BACK.severity,
                advice: TAKES_BACK.advice,
                why,
                ..own
            }
        })
        .collect()
}

#[cfg(test)]
#[path = "undo_tests.rs"]
mod tests;
