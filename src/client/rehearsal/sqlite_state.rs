//! Reading a SQLite file at one moment.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};

use super::VersionTable;
use super::sqlite::quoted;
use super::state::{Contents, Depth, State, Values};
use crate::alembic::report::Orphans;
use crate::alembic::shape::{self, Column, Shape, Table};
use crate::client::project::process::Stop;
use crate::sql::dialect::Dialect;

/// Faults and orphans listed at most.
const MOST: usize = 100;

pub(super) fn read(
    connection: &Connection,
    depth: Depth,
    versions: &VersionTable,
    stop: &Stop,
) -> Result<State> {
    let mut state = State { shape: shape(connection, versions)?, ..State::default() };
    let sizes = if depth == Depth::Values { sizes(connection).unwrap_or_default() } else { BTreeMap::new() };
    for (name, table) in &state.shape.tables {
        if stop.asked() {
            return Ok(state);
        }
        let contents = match depth {
            Depth::Counts => Contents { rows: count(connection, name)?, ..Contents::default() },
            Depth::Values => {
                Contents { bytes: sizes.get(name).copied(), ..contents(connection, name, table)? }
            }
        };
        state.tables.insert(name.clone(), contents);
    }
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({MOST})"))?;
    let faults = statement.query_map([], |row| row.get::<_, String>(0))?;
    state.faults =
        faults.filter(|fault| fault.as_ref().map_or(true, |f| f != "ok")).collect::<Result<_>>()?;
    state.orphans = orphans(connection).unwrap_or_default();
    Ok(state)
}

fn shape(connection: &Connection, versions: &VersionTable) -> Result<Shape> {
    let mut shape = Shape::default();
    let mut statement = connection.prepare(
        "SELECT s.type, s.name, s.tbl_name, coalesce(s.sql, ''), coalesce(l.type, '') FROM sqlite_schema s \
         LEFT JOIN pragma_table_list l ON l.schema = 'main' AND l.name = s.name \
         WHERE s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY s.name",
    )?;
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?;
    let rows: Vec<(String, String, String, String, String)> = rows.collect::<Result<_>>()?;
    for (kind, name, of, sql, list_kind) in &rows {
        let text = || shape::normal(sql, Dialect::Sqlite);
        match kind.as_str() {
            "table" if *name == versions.name => {}
            "table" if list_kind == "table" => {
                let table = table(connection, name, sql)?;
                let options = shape::declared(sql).options;
                if !options.is_empty() {
                    shape.others.insert(format!("options of table {name}"), options.join(", "));
                }
                shape.tables.insert(name.clone(), table);
            }
            "table" if list_kind == "virtual" => {
                shape.others.insert(format!("virtual table {name}"), text());
            }
            "view" => {
                shape.others.insert(format!("view {name}"), text());
            }
            "trigger" => {
                shape.others.insert(format!("trigger {name} on {of}"), text());
            }
            _ => {}
        }
    }
    for (kind, name, of, sql, _) in &rows {
        if kind == "index"
            && let Some(table) = shape.tables.get_mut(of)
        {
            table.indexes.insert(name.clone(), shape::normal(sql, Dialect::Sqlite));
        }
    }
    Ok(shape)
}

fn table(connection: &Connection, name: &str, sql: &str) -> Result<Table> {
    let mut table = Table::default();
    let mut statement = connection.prepare(&format!("PRAGMA table_xinfo({})", quoted(name)))?;
    let mut rows = statement.query([])?;
    let mut key = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (column, kind): (String, String) = (row.get(1)?, row.get(2)?);
        let hidden: i64 = row.get(6)?;
        let place: i64 = row.get(5)?;
        if place > 0 {
            key.insert(place, column.clone());
        }
        let default: Option<String> = row.get(4)?;
        table.columns.push(Column {
            name: column,
            kind: kind.to_uppercase().split_whitespace().collect::<Vec<_>>().join(" "),
            not_null: row.get(3)?,
            default: default.map(|text| shape::normal(&text, Dialect::Sqlite)),
            extra: match hidden {
                2 => "generated".to_owned(),
                3 => "generated stored".to_owned(),
                _ => String::new(),
            },
        });
    }
    table.primary_key = key.into_values().collect();
    let mut statement = connection.prepare(&format!("PRAGMA foreign_key_list({})", quoted(name)))?;
    let mut rows = statement.query([])?;
    let mut keys: BTreeMap<i64, (String, Vec<String>, Vec<String>, String)> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let parent: String = row.get(2)?;
        let to: Option<String> = row.get(4)?;
        let (update, delete): (String, String) = (row.get(5)?, row.get(6)?);
        let mut rules = String::new();
        for (rule, word) in [(update, "on update"), (delete, "on delete")] {
            if rule != "NO ACTION" {
                rules = format!("{rules} {word} {}", rule.to_lowercase());
            }
        }
        let entry = keys.entry(row.get(0)?).or_insert((parent, Vec::new(), Vec::new(), rules));
        entry.1.push(row.get(3)?);
        entry.2.extend(to);
    }
    for (parent, from, to, rules) in keys.into_values() {
        let to = if to.is_empty() { String::new() } else { format!(" ({})", to.join(", ")) };
        table.foreign_keys.insert(format!("({}) to {parent}{to}{rules}", from.join(", ")));
    }
    let declared = shape::declared(sql);
    table.uniques = declared.uniques;
    table.checks = declared.checks;
    Ok(table)
}

/// The pages of each table and its indexes, in bytes.
fn sizes(connection: &Connection) -> Result<BTreeMap<String, u64>> {
    let mut statement = connection.prepare(
        "SELECT s.tbl_name, sum(d.pgsize) FROM dbstat d JOIN sqlite_schema s ON s.name = d.name \
         WHERE d.aggregate = TRUE GROUP BY 1",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
    rows.collect()
}

fn count(connection: &Connection, table: &str) -> Result<u64> {
    let sql = format!("SELECT count(*) FROM {}", quoted(table));
    let rows: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
    Ok(rows.unsigned_abs())
}

/// One pass over a table: rows, and for every column its values in any order.
fn contents(connection: &Connection, name: &str, table: &Table) -> Result<Contents> {
    let mut columns: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    columns.sort_unstable();
    let list: Vec<_> = columns.iter().map(|c| quoted(c)).collect();
    let mut statement = connection.prepare(&format!("SELECT {} FROM {}", list.join(", "), quoted(name)))?;
    let mut values = vec![Values::default(); columns.len()];
    let (mut rows, mut checksum) = (0, 0_u64);
    let mut cursor = statement.query([])?;
    while let Some(row) = cursor.next()? {
        rows += 1;
        let mut whole = DefaultHasher::new();
        for (i, values) in values.iter_mut().enumerate() {
            let value = row.get_ref(i)?;
            let hash = hash(value);
            whole.write_u64(hash);
            if value != ValueRef::Null {
                values.not_null += 1;
                values.checksum = values.checksum.wrapping_add(hash);
            }
        }
        checksum = checksum.wrapping_add(whole.finish());
    }
    let columns = columns.into_iter().map(str::to_owned).zip(values).collect();
    Ok(Contents { rows, bytes: None, checksum: Some(checksum), columns })
}

fn hash(value: ValueRef<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match value {
        ValueRef::Null => hasher.write_u8(0),
        ValueRef::Integer(number) => {
            hasher.write_u8(1);
            hasher.write_i64(number);
        }
        ValueRef::Real(number) => {
            // 1 and 1.0 are one value to SQLite.
            if let Some(number) = whole(number) {
                hasher.write_u8(1);
                hasher.write_i64(number);
            } else {
                hasher.write_u8(2);
                hasher.write_u64(number.to_bits());
            }
        }
        ValueRef::Text(text) => {
            hasher.write_u8(3);
            hasher.write(text);
        }
        ValueRef::Blob(bytes) => {
            hasher.write_u8(4);
            hasher.write(bytes);
        }
    }
    hasher.finish()
}

#[expect(clippy::cast_possible_truncation, reason = "only whole numbers well inside the range are cast")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

fn orphans(connection: &Connection) -> Result<Vec<Orphans>> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    let mut found: BTreeMap<(String, String), u64> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        *found.entry((row.get(0)?, row.get(2)?)).or_default() += 1;
    }
    let orphans = found.into_iter().take(MOST);
    Ok(orphans.map(|((table, parent), rows)| Orphans { table, parent, rows }).collect())
}

/// A value as text, for a sentence.
pub(super) fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}
