//! What a database holds at one moment: its shape, its rows in numbers and checksums, its faults.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::alembic::report::Orphans;
use crate::alembic::shape::Shape;

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Shape, rows, integrity.
    Counts,
    /// And a checksum over every value, to compare with another moment.
    Values,
}

/// A database at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub shape: Shape,
    /// By table, without Alembic's own.
    pub tables: BTreeMap<String, Contents>,
    /// What the database finds wrong with itself.
    pub faults: Vec<String>,
    pub orphans: Vec<Orphans>,
}

/// The rows of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    pub rows: u64,
    /// What the table and its indexes take of the disk. None if values were not read, or nobody counts it.
    pub bytes: Option<u64>,
    /// Whole rows, in any order. None if values were not read.
    pub checksum: Option<u64>,
    pub columns: BTreeMap<String, Values>,
}

/// The values of a column, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Values {
    pub not_null: u64,
    pub checksum: u64,
}

impl State {
    /// What of the data is not as it was: `trades.legacy_ref (2000 values)`, or rows of a table. Only what both moments
    /// have is compared; the rest is a matter of shape.
    pub fn lost(&self, later: &Self) -> Vec<String> {
        let mut lost = Vec::new();
        for (name, before) in &self.tables {
            let Some(after) = later.tables.get(name) else {
                if before.rows > 0 {
                    lost.push(format!("{} of {name}", counted(before.rows, "row")));
                }
                continue;
            };
            if before.rows != after.rows {
                let what = if before.rows > after.rows { "fewer" } else { "more" };
                let rows = counted(before.rows.abs_diff(after.rows), "row");
                lost.push(format!("{rows} {what} in {name}"));
                continue;
            }
            let differ: Vec<_> = before
                .columns
                .iter()
                .filter_map(|(column, was)| Some((column, was, after.columns.get(column)?)))
                .filter(|(_, was, is)| was != is)
                .collect();
            for (column, was, is) in &differ {
                let values = counted(was.not_null.abs_diff(is.not_null), "value");
                lost.push(match was.not_null.cmp(&is.not_null) {
                    Ordering::Greater => format!("{name}.{column} ({values} lost)"),
                    Ordering::Less => format!("{name}.{column} ({values} where NULL was)"),
                    Ordering::Equal => format!("{name}.{column} (other values)"),
                });
            }
            let same_columns = before.columns.keys().eq(after.columns.keys());
            if differ.is_empty() && same_columns && before.checksum != after.checksum {
                lost.push(format!("{name} (values of one column stand in other rows)"));
            }
        }
        lost
    }

    /// By table the columns that hold other values than before, where nothing else of the table's data differs: as many
    /// rows, and as many values in every column.
    pub fn other_values<'a>(&'a self, later: &Self) -> BTreeMap<&'a str, Vec<&'a str>> {
        let mut found = BTreeMap::new();
        for (name, before) in &self.tables {
            let Some(after) = later.tables.get(name) else { continue };
            let alike = before.rows == after.rows
                && before.columns.keys().eq(after.columns.keys())
                && before.columns.values().zip(after.columns.values()).all(|(a, b)| a.not_null == b.not_null);
            let pairs = before.columns.iter().zip(after.columns.values());
            let differ: Vec<&str> =
                pairs.filter(|((_, was), is)| was != is).map(|((name, _), _)| name.as_str()).collect();
            if alike && !differ.is_empty() {
                found.insert(name.as_str(), differ);
            }
        }
        found
    }
}

/// `1 row`, `2 rows`.
pub fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(rows: u64, columns: &[(&str, u64, u64)], checksum: u64) -> State {
        let values = |(name, not_null, checksum): &(&str, u64, u64)| {
            ((*name).to_owned(), Values { not_null: *not_null, checksum: *checksum })
        };
        let columns = columns.iter().map(values).collect();
        let contents = Contents { rows, bytes: None, checksum: Some(checksum), columns };
        State { tables: BTreeMap::from([("t".to_owned(), contents)]), ..State::default() }
    }

    #[test]
    fn what_does_not_come_back_is_named() {
        let before = state(3, &[("a", 3, 1), ("b", 2, 2)], 9);
        assert!(before.lost(&before).is_empty());
        assert_eq!(before.lost(&state(2, &[], 9)), ["1 row fewer in t"]);
        assert_eq!(before.lost(&state(3, &[("a", 3, 1), ("b", 0, 0)], 8)), ["t.b (2 values lost)"]);
        assert_eq!(before.lost(&state(3, &[("a", 3, 1), ("b", 3, 5)], 8)), ["t.b (1 value where NULL was)"]);
        assert_eq!(before.lost(&state(3, &[("a", 3, 7), ("b", 2, 2)], 8)), ["t.a (other values)"]);
        let mixed = before.lost(&state(3, &[("a", 3, 1), ("b", 2, 2)], 8));
        assert_eq!(mixed, ["t (values of one column stand in other rows)"]);
        assert_eq!(before.lost(&State::default()), ["3 rows of t"]);
    }

    #[test]
    fn other_values_are_told_from_other_data() {
        let before = state(3, &[("a", 3, 1), ("b", 2, 2)], 9);
        let columns = |later: &State| before.other_values(later).remove("t").map(|list| list.join(" "));
        assert_eq!(columns(&before), None);
        assert_eq!(columns(&state(3, &[("a", 3, 1), ("b", 2, 3)], 8)).as_deref(), Some("b"));
        assert_eq!(columns(&state(3, &[("a", 3, 7), ("b", 2, 3)], 8)).as_deref(), Some("a b"));
        for other in [
            state(3, &[("a", 3, 7), ("b", 1, 2)], 8),
            state(2, &[("a", 3, 7), ("b", 2, 2)], 8),
            state(3, &[("a", 3, 7)], 8),
            state(3, &[("a", 3, 1), ("b", 2, 2)], 8),
            State::default(),
        ] {
            assert_eq!(columns(&other), None, "{other:?}");
        }
    }
}
