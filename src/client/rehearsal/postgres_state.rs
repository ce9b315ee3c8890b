//! Reading a PostgreSQL database at one moment, from its catalogs.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::VersionTable;
use super::state::{Contents, Depth, State, Values};
use crate::alembic::shape::{Column, Shape, Table};
use crate::client::project::ProjectError;

/// Everything about the shape in one document. System schemas and what extensions bring are left out.
const SHAPE: &str = include_str!("postgres_shape.sql");

#[derive(Deserialize)]
struct Found {
    columns: Vec<FoundColumn>,
    constraints: Vec<FoundConstraint>,
    indexes: Vec<FoundIndex>,
    others: Vec<FoundOther>,
    faults: Vec<String>,
}

#[derive(Deserialize)]
struct FoundColumn {
    t: String,
    /// None for a table without columns.
    name: Option<String>,
    kind: Option<String>,
    not_null: Option<bool>,
    def: Option<String>,
    extra: Option<String>,
}

#[derive(Deserialize)]
struct FoundConstraint {
    t: String,
    name: String,
    kind: String,
    columns: Vec<String>,
    def: String,
}

#[derive(Deserialize)]
struct FoundIndex {
    t: String,
    name: String,
    def: String,
}

#[derive(Deserialize)]
struct FoundOther {
    name: String,
    def: String,
}

pub(super) fn qualified(table: &VersionTable) -> String {
    match &table.schema {
        Some(schema) => format!("{}.{}", quoted(schema), quoted(&table.name)),
        None => quoted(&table.name),
    }
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

type Ask<'a> = &'a dyn Fn(&str) -> Result<String, ProjectError>;

pub(super) fn read(ask: Ask<'_>, depth: Depth, versions: &VersionTable) -> Result<State, ProjectError> {
    let answer = ask(SHAPE)?;
    let found: Found = serde_json::from_str(answer.trim()).map_err(|e| unread(&e.to_string()))?;
    let mut state = State { shape: shape(&found, versions), faults: found.faults, ..State::default() };
    let mut parts = Vec::new();
    for (name, table) in &state.shape.tables {
        parts.push(counting(name, table, depth));
    }
    for chunk in parts.chunks(50) {
        let answer = ask(&chunk.join(" UNION ALL "))?;
        for line in answer.lines().filter(|line| !line.is_empty()) {
            let row: Counted = serde_json::from_str(line).map_err(|e| unread(&e.to_string()))?;
            let pairs = row.columns.into_iter();
            let columns: BTreeMap<_, _> = pairs
                .map(|(column, [not_null, sum])| {
                    (column, Values { not_null: number(&not_null), checksum: number(&sum) })
                })
                .collect();
            let checksum = row.checksum.map(|sum| number(&sum));
            state.tables.insert(row.t, Contents { rows: row.rows, bytes: row.bytes, checksum, columns });
        }
    }
    Ok(state)
}

fn unread(error: &str) -> ProjectError {
    ProjectError::new(
        "E23",
        format!("the server's answer can't be read: {error}."),
        "Check the server's release: 12 and newer are known to work.",
    )
}

/// Sums are of any size; what counts is whether they are equal.
fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| {
        let wide: i128 = text.parse().unwrap_or_default();
        let bytes = wide.to_le_bytes();
        let low = u64::from_le_bytes(bytes[..8].try_into().unwrap_or_default());
        let high = u64::from_le_bytes(bytes[8..].try_into().unwrap_or_default());
        low ^ high.rotate_left(17)
    })
}

#[derive(Deserialize)]
struct Counted {
    t: String,
    rows: u64,
    /// None for counts alone.
    bytes: Option<u64>,
    checksum: Option<String>,
    columns: BTreeMap<String, [String; 2]>,
}

/// One row of JSON for a table.
fn counting(name: &str, table: &Table, depth: Depth) -> String {
    let of = name
        .split_once('.')
        .map_or_else(|| quoted(name), |(schema, table)| format!("{}.{}", quoted(schema), quoted(table)));
    let label = text(name);
    if depth == Depth::Counts {
        return format!(
            "SELECT json_build_object('t', {label}, 'rows', count(*), 'checksum', NULL, 'columns', '{{}}'::json)::text FROM {of}"
        );
    }
    let size = format!("pg_total_relation_size({})", text(&of));
    let mut columns: Vec<_> = table.columns.iter().map(|c| c.name.clone()).collect();
    columns.sort();
    let hash = |column: &str| format!("hashtextextended({}::text, 0)", quoted(column));
    // json_build_object takes 100 arguments at most, an aggregate over pairs any number.
    let pairs: Vec<_> = columns
        .iter()
        .map(|c| format!("({}, count({})::text, coalesce(sum({}), 0)::text)", text(c), quoted(c), hash(c)))
        .collect();
    let row: Vec<_> = columns.iter().map(|c| format!("coalesce({}, 1)", hash(c))).collect();
    let whole = if row.is_empty() {
        "0".to_owned()
    } else {
        format!("hashtextextended(concat_ws(',', {}), 0)", row.join(", "))
    };
    let whole =
        if row.len() > 90 { format!("hashtextextended(ARRAY[{}]::text, 0)", row.join(", ")) } else { whole };
    let object = if pairs.is_empty() {
        "'{}'::json".to_owned()
    } else {
        format!(
            "(SELECT json_object_agg(v.a, json_build_array(v.b, v.c)) FROM (VALUES {}) AS v(a, b, c))",
            pairs.join(", ")
        )
    };
    format!(
        "SELECT json_build_object('t', {label}, 'rows', count(*), 'bytes', {size}, 'checksum', coalesce(sum({whole}), 0)::text, 'columns', \
         {object})::text FROM {of}"
    )
}

fn shape(found: &Found, versions: &VersionTable) -> Shape {
    let mut shape = Shape::default();
    let own = match &versions.schema {
        Some(schema) if schema != "public" => format!("{schema}.{}", versions.name),
        _ => versions.name.clone(),
    };
    for column in found.columns.iter().filter(|c| c.t != own) {
        let table: &mut Table = shape.tables.entry(column.t.clone()).or_default();
        if let Some(name) = &column.name {
            table.columns.push(Column {
                name: name.clone(),
                kind: column.kind.clone().unwrap_or_default().to_uppercase(),
                not_null: column.not_null.unwrap_or_default(),
                default: column.def.clone(),
                extra: column.extra.clone().unwrap_or_default(),
            });
        }
    }
    for constraint in &found.constraints {
        let Some(table) = shape.tables.get_mut(&constraint.t) else { continue };
        let FoundConstraint { name, columns, def, .. } = constraint;
        match constraint.kind.as_str() {
            "p" => table.primary_key.clone_from(columns),
            "u" => drop(table.uniques.insert((name.clone(), columns.clone()))),
            "c" => drop(table.checks.insert((
                name.clone(),
                def.trim_start_matches("CHECK ").trim_matches(['(', ')']).to_owned(),
            ))),
            "f" => drop(
                table.foreign_keys.insert(def.trim_start_matches("FOREIGN KEY ").replace("REFERENCES", "to")),
            ),
            _ => drop(table.checks.insert((name.clone(), def.clone()))),
        }
    }
    for index in &found.indexes {
        if let Some(table) = shape.tables.get_mut(&index.t) {
            table.indexes.insert(index.name.clone(), index.def.clone());
        }
    }
    for other in &found.others {
        shape.others.insert(other.name.clone(), other.def.clone());
    }
    shape
}
