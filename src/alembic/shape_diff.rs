//! How two shapes differ, in the lists of a report.

use std::collections::{BTreeMap, BTreeSet};

use super::formats::plain_line;
use super::report::SchemaChanges;
use super::shape::{Column, Shape, Table};

pub(super) fn changes(before: &Shape, after: &Shape) -> SchemaChanges {
    let mut found = SchemaChanges::default();
    for (name, table) in &after.tables {
        if let Some(old) = before.tables.get(name) {
            table_changes(name, old, table, &mut found);
        } else {
            found.tables_added.push(name.clone());
            found.indexes_added.extend(table.indexes.keys().cloned());
        }
    }
    for (name, table) in before.tables.iter().filter(|(name, _)| !after.tables.contains_key(*name)) {
        found.tables_dropped.push(name.clone());
        found.indexes_dropped.extend(table.indexes.keys().cloned());
    }
    for (name, text) in &after.others {
        match before.others.get(name) {
            None => found.other.push(format!("{name} is new")),
            Some(old) if old != text => found.other.push(format!("{name} is changed")),
            Some(_) => {}
        }
    }
    let gone = before.others.keys().filter(|name| !after.others.contains_key(*name));
    found.other.extend(gone.map(|name| format!("{name} is gone")));
    for list in [
        &mut found.tables_added,
        &mut found.tables_dropped,
        &mut found.columns_added,
        &mut found.columns_dropped,
        &mut found.columns_changed,
        &mut found.indexes_added,
        &mut found.indexes_dropped,
        &mut found.other,
    ] {
        list.sort();
        list.dedup();
        for entry in list.iter_mut() {
            *entry = plain_line(entry, 500);
        }
    }
    found
}

fn table_changes(name: &str, before: &Table, after: &Table, found: &mut SchemaChanges) {
    let columns = |table: &Table| -> BTreeMap<String, Column> {
        table.columns.iter().map(|c| (c.name.clone(), c.clone())).collect()
    };
    let (old, new) = (columns(before), columns(after));
    for (column, now) in &new {
        match old.get(column) {
            None => found.columns_added.push(format!("{name}.{column}")),
            Some(was) if was != now => found.columns_changed.push(format!("{name}.{column}")),
            Some(_) => {}
        }
    }
    let gone = old.keys().filter(|column| !new.contains_key(*column));
    found.columns_dropped.extend(gone.map(|column| format!("{name}.{column}")));
    for (index, now) in &after.indexes {
        match before.indexes.get(index) {
            None => found.indexes_added.push(index.clone()),
            Some(was) if was != now => found.other.push(format!("index {index} of {name} is changed")),
            Some(_) => {}
        }
    }
    let gone = before.indexes.keys().filter(|index| !after.indexes.contains_key(*index));
    found.indexes_dropped.extend(gone.cloned());
    if before.primary_key != after.primary_key {
        let key = if after.primary_key.is_empty() {
            "none".to_owned()
        } else {
            format!("({})", after.primary_key.join(", "))
        };
        found.other.push(format!("the primary key of {name} is now {key}"));
    }
    let unique = |(key, columns): &(String, Vec<String>)| {
        format!("the unique key {}({})", spaced(key), columns.join(", "))
    };
    gains(name, &before.uniques, &after.uniques, unique, &mut found.other);
    let check = |(key, condition): &(String, String)| format!("the check {}({condition})", spaced(key));
    gains(name, &before.checks, &after.checks, check, &mut found.other);
    let foreign = |key: &String| format!("the foreign key {key}");
    gains(name, &before.foreign_keys, &after.foreign_keys, foreign, &mut found.other);
}

fn spaced(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!("{name} ") }
}

fn gains<T: Ord>(
    table: &str,
    before: &BTreeSet<T>,
    after: &BTreeSet<T>,
    words: impl Fn(&T) -> String,
    into: &mut Vec<String>,
) {
    into.extend(after.difference(before).map(|key| format!("{table} gains {}", words(key))));
    into.extend(before.difference(after).map(|key| format!("{table} loses {}", words(key))));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str]) -> Table {
        let column =
            |name: &&str| Column { name: (*name).to_owned(), kind: "INT".into(), ..Column::default() };
        Table { columns: columns.iter().map(column).collect(), ..Table::default() }
    }

    fn shape(tables: &[(&str, Table)]) -> Shape {
        let tables = tables.iter().map(|(name, table)| ((*name).to_owned(), table.clone())).collect();
        Shape { tables, others: BTreeMap::new() }
    }

    #[test]
    fn what_came_went_and_changed_is_named_and_order_is_not() {
        let before = shape(&[("a", table(&["x", "y"])), ("gone", table(&["z"]))]);
        let mut now = table(&["y", "x", "new"]);
        now.columns[0].not_null = true;
        now.uniques.insert(("uq".into(), vec!["x".into()]));
        now.indexes.insert("ix".into(), "(x)".into());
        let mut after = shape(&[("a", now), ("fresh", table(&["q"]))]);
        after.others.insert("trigger t".into(), "…".into());
        let found = before.changes(&after);
        assert_eq!(found.tables_added, ["fresh"]);
        assert_eq!(found.tables_dropped, ["gone"]);
        assert_eq!(found.columns_added, ["a.new"]);
        assert_eq!(found.columns_changed, ["a.y"]);
        assert_eq!(found.indexes_added, ["ix"]);
        assert_eq!(found.other, ["a gains the unique key uq (x)", "trigger t is new"]);
        let back = after.changes(&before);
        assert_eq!(
            (back.columns_dropped, back.tables_added),
            (vec!["a.new".to_owned()], vec!["gone".to_owned()])
        );
        assert!(back.other.contains(&"trigger t is gone".to_owned()));
        let turned = shape(&[("a", table(&["y", "x"])), ("gone", table(&["z"]))]);
        assert!(before.same(&turned));
        assert_eq!(before.reordered(&turned), ["a"]);
    }
}
