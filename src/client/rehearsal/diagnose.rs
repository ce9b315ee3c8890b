//! After a failed upgrade: which rows are in the way, and in what state the copy was left.

use super::state::{State, counted};
use super::{Copy, Goal};
use crate::client::project::Failure;
use crate::sql::classify::Words;
use crate::sql::dialect::Dialect;
use crate::sql::lex::Kind as Tok;

/// Groups and rows that are named at most.
const NAMED: usize = 10;

/// Sentences to be put behind what the database said.
pub(super) fn remains(
    goal: &Goal<'_>,
    copy: &dyn Copy,
    dialect: Dialect,
    failure: Option<&Failure>,
    (before, after): (&State, &State),
) -> String {
    let mut said = String::new();
    if let Some(rows) = failure.and_then(|f| rows_in_the_way(copy, before, f, dialect)) {
        said = format!(". In the way: {rows}");
    }
    let at = copy.versions(&goal.table).ok().flatten().unwrap_or_default();
    let at = if at.is_empty() { "no revision".to_owned() } else { at.join(", ") };
    let mut half: Vec<String> = Vec::new();
    let changes = before.shape.changes(&after.shape);
    half.extend(changes.tables_added.iter().map(|table| format!("table {table} exists")));
    half.extend(changes.tables_dropped.iter().map(|table| format!("table {table} is gone")));
    half.extend(changes.columns_added.iter().map(|column| format!("column {column} exists")));
    half.extend(changes.columns_dropped.iter().map(|column| format!("column {column} is gone")));
    half.truncate(12);
    if half.is_empty() {
        format!("{said}. The copy was left at {at}, with the schema that it had")
    } else {
        format!("{said}. The copy was left at {at}, yet {}", half.join(", "))
    }
}

/// Rows that a constraint refuses, told by their keys: values may be nobody's business.
fn rows_in_the_way(copy: &dyn Copy, before: &State, failure: &Failure, dialect: Dialect) -> Option<String> {
    match broken(failure, dialect)? {
        Broken::Unique { table, columns } => duplicates(copy, before, &table, &columns),
        Broken::NotNull { table, column } => nulls(copy, before, &table, &column),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Broken {
    Unique { table: String, columns: Vec<String> },
    NotNull { table: String, column: String },
}

/// Which constraint the database refused, from its message and the statement.
fn broken(failure: &Failure, dialect: Dialect) -> Option<Broken> {
    let message = failure.message.as_str();
    let after = |mark: &str| message.split_once(mark).map(|(_, rest)| rest);
    let column = |text: &str| {
        let name: String =
            text.trim().chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '$')).collect();
        let (table, column) = name.rsplit_once('.')?;
        let table = table.strip_prefix("_alembic_tmp_").unwrap_or(table);
        Some((table.to_owned(), column.to_owned()))
    };
    if let Some(rest) = after("NOT NULL constraint failed: ") {
        let (table, column) = column(rest)?;
        return Some(Broken::NotNull { table, column });
    }
    if let Some((name, rest)) = after("column \"").and_then(|rest| rest.split_once("\" of relation \""))
        && let Some((table, _)) = rest.split_once("\" contains null values")
    {
        return Some(Broken::NotNull { table: table.to_owned(), column: name.to_owned() });
    }
    let list = after("UNIQUE constraint failed: ").filter(|rest| !rest.starts_with("index"));
    if let Some(list) = list {
        let columns: Option<Vec<_>> = list.split(", ").map(column).take_while(Option::is_some).collect();
        let columns = columns?;
        let table = columns.first()?.0.clone();
        return Some(Broken::Unique { table, columns: columns.into_iter().map(|(_, c)| c).collect() });
    }
    if !message.to_lowercase().contains("unique") {
        return None;
    }
    unique_in(failure.statement.as_deref()?, dialect)
}

/// The table and columns of `CREATE UNIQUE INDEX` and `ALTER TABLE … ADD … UNIQUE`.
fn unique_in(statement: &str, dialect: Dialect) -> Option<Broken> {
    let words = Words::of(statement, dialect);
    let find = |word: &str| (0..words.tokens.len()).find(|i| words.is(*i, &[word]));
    let (table, open) = if words.is(0, &["CREATE"]) {
        words.name(words.skip(find("ON")? + 1, &["ONLY"]))?
    } else {
        let at = words.skip(words.skip(2, &["IF", "EXISTS"]), &["ONLY"]);
        (words.name(at)?.0, find("UNIQUE")? + 1)
    };
    let open = (open..words.tokens.len()).find(|i| words.kind_at(*i) == Some(Tok::Open))?;
    let close = (open..words.tokens.len()).find(|i| words.kind_at(*i) == Some(Tok::Close))?;
    let names = words.tokens.get(open + 1..close)?.iter().filter(|t| t.is_name());
    let columns: Vec<_> = names.map(|t| crate::sql::lex::name(t, statement)).collect();
    (!columns.is_empty()).then_some(Broken::Unique { table, columns })
}

fn duplicates(copy: &dyn Copy, before: &State, table: &str, columns: &[String]) -> Option<String> {
    let list: Vec<_> = columns.iter().map(|c| quoted(c)).collect();
    let (list, of) = (list.join(", "), quoted(table));
    let not_null: Vec<_> = columns.iter().map(|c| format!("{} IS NOT NULL", quoted(c))).collect();
    let groups = format!(
        "SELECT {list} FROM {of} WHERE {} GROUP BY {list} HAVING count(*) > 1",
        not_null.join(" AND ")
    );
    let number = copy.ask(&format!("SELECT count(*) FROM ({groups}) g"))?;
    let number: u64 = number.first()?.first()?.parse().ok()?;
    if number == 0 {
        return None;
    }
    let key = before.shape.tables.get(table).map(|t| t.primary_key.clone()).unwrap_or_default();
    let what = format!("{} of {table} ({})", counted(number, "duplicated value"), columns.join(", "));
    let [key] = key.as_slice() else { return Some(what) };
    let same: Vec<_> = columns.iter().map(|c| format!("t.{0} = g.{0}", quoted(c))).collect();
    let ours: Vec<_> = columns.iter().map(|c| format!("t.{}", quoted(c))).collect();
    let (same, ours, id) = (same.join(" AND "), ours.join(", "), format!("t.{}", quoted(key)));
    let rows = copy.ask(&format!(
        "SELECT {ours}, {id} FROM {of} t JOIN ({groups} ORDER BY {list} LIMIT {NAMED}) g ON {same} ORDER BY {ours}, {id}"
    ));
    let Some(rows) = rows else { return Some(what) };
    let mut named: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for mut row in rows {
        let id = row.pop()?;
        match named.last_mut() {
            Some((value, ids)) if *value == row => ids.push(id),
            _ => named.push((row, vec![id])),
        }
    }
    let named: Vec<_> = named.iter().map(|(_, ids)| format!("{key} {}", ids.join(" and "))).collect();
    Some(format!("{what}: rows with {}", named.join("; ")))
}

fn nulls(copy: &dyn Copy, before: &State, table: &str, column: &str) -> Option<String> {
    let condition = format!("FROM {} WHERE {} IS NULL", quoted(table), quoted(column));
    let number = copy.ask(&format!("SELECT count(*) {condition}"))?;
    let number: u64 = number.first()?.first()?.parse().ok()?;
    if number == 0 {
        return None;
    }
    let what = format!("{} of {table} without {column}", counted(number, "row"));
    let key = before.shape.tables.get(table).map(|t| t.primary_key.clone()).unwrap_or_default();
    let [key] = key.as_slice() else { return Some(what) };
    let rows = copy.ask(&format!("SELECT {0} {condition} ORDER BY {0} LIMIT {NAMED}", quoted(key)))?;
    let ids: Vec<_> = rows.into_iter().filter_map(|mut row| row.pop()).collect();
    Some(format!("{what}: {key} {}", ids.join(", ")))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constraint_is_told_from_what_the_database_said() {
        let broken = |message: &str, statement: &str| {
            let failure = Failure {
                revision: None,
                statement: Some(statement.to_owned()),
                message: message.to_owned(),
                no_way_back: false,
            };
            broken(&failure, Dialect::PostgreSql)
        };
        let unique = |table: &str, columns: &[&str]| {
            let columns = columns.iter().map(|c| (*c).to_owned()).collect();
            Some(Broken::Unique { table: table.to_owned(), columns })
        };
        let of = |table: &str, column: &str| {
            Some(Broken::NotNull { table: table.to_owned(), column: column.to_owned() })
        };
        let sqlite =
            "IntegrityError: (sqlite3.IntegrityError) UNIQUE constraint failed: trades.external_id [SQL: x]";
        assert_eq!(broken(sqlite, ""), unique("trades", &["external_id"]));
        assert_eq!(
            broken("UNIQUE constraint failed: _alembic_tmp_t.a, _alembic_tmp_t.b", ""),
            unique("t", &["a", "b"])
        );
        assert_eq!(broken("NOT NULL constraint failed: _alembic_tmp_t.c [SQL", ""), of("t", "c"));
        assert_eq!(broken("column \"c\" of relation \"t\" contains null values", ""), of("t", "c"));
        let pg = "could not create unique index \"uq\" DETAIL: Key (a)=(1) is duplicated.";
        assert_eq!(broken(pg, "CREATE UNIQUE INDEX uq ON \"T\" (a, \"B\")"), unique("T", &["a", "B"]));
        assert_eq!(broken(pg, "ALTER TABLE t ADD CONSTRAINT uq UNIQUE (a)"), unique("t", &["a"]));
        assert_eq!(broken("no such table", "DROP TABLE t"), None);
    }
}
