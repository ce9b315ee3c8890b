//! One statement: its text, the values bound to it, and the only `match` on the engine for running it.

use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments as _, Postgres, SqlStr, Sqlite};

use super::StoreError;
use super::row::{Record, RowRef};
use super::types::Bind;

/// A statement with the values bound so far.
#[must_use = "a statement does nothing until it is run"]
pub struct Query<'c> {
    pending: Pending<'c>,
    text: SqlStr,
    bound: usize,
    /// The first value that could not be encoded.
    refused: Option<sqlx::Error>,
    queries: &'c AtomicU64,
    /// The transaction's mark that it can't be committed any more.
    failed: &'c mut bool,
}

/// A connection and the values for it.
pub(super) enum Pending<'c> {
    Sqlite(&'c mut SqliteConnection, SqliteArguments),
    Postgres(&'c mut PgConnection, PgArguments),
}

/// What a statement answered.
pub(super) enum Rows {
    Sqlite(Vec<SqliteRow>),
    Postgres(Vec<PgRow>),
}

impl Rows {
    pub(super) fn read<T: Record>(self) -> Result<Vec<T>, StoreError> {
        match self {
            Self::Sqlite(rows) => rows.iter().map(|row| T::from_row(RowRef::Sqlite(row))).collect(),
            Self::Postgres(rows) => rows.iter().map(|row| T::from_row(RowRef::Postgres(row))).collect(),
        }
    }
}

/// The only `match` on the engine for running a statement. A future dropped half-way leaves the transaction failed.
macro_rules! execute {
    ($query:ident, |$conn:ident, $statement:ident| sqlite: $sqlite:expr, postgres: $postgres:expr) => {{
        let Query { pending, text, queries, failed, .. } = $query.checked()?;
        queries.fetch_add(1, Ordering::Relaxed);
        let before = std::mem::replace(failed, true);
        let outcome = match pending {
            Pending::Sqlite($conn, values) => {
                let $statement = sqlx::query_with::<Sqlite, _>(text, values);
                $sqlite
            }
            Pending::Postgres($conn, values) => {
                let $statement = sqlx::query_with::<Postgres, _>(text, values);
                $postgres
            }
        };
        *failed = before;
        outcome
    }};
}

impl<'c> Query<'c> {
    pub(super) fn new(
        pending: Pending<'c>,
        text: SqlStr,
        queries: &'c AtomicU64,
        failed: &'c mut bool,
    ) -> Self {
        Self { pending, text, bound: 0, refused: None, queries, failed }
    }

    /// Binds the next value.
    pub fn bind<'v>(mut self, value: impl Bind<'v>) -> Self {
        let added = match &mut self.pending {
            Pending::Sqlite(_, values) => values.add(value),
            Pending::Postgres(_, values) => values.add(value),
        };
        self.bound += 1;
        if let Err(error) = added {
            self.refused.get_or_insert(sqlx::Error::Encode(error));
        }
        self
    }

    /// The only row; more than one is not noticed. [`StoreError::NotFound`] when there is none.
    pub async fn one<T: Record>(self) -> Result<T, StoreError> {
        self.optional().await?.ok_or(StoreError::NotFound)
    }

    /// The first row, if there is one.
    pub async fn optional<T: Record>(self) -> Result<Option<T>, StoreError> {
        execute!(self, |conn, statement|
            sqlite: statement.fetch_optional(conn).await?.as_ref().map(|row| T::from_row(RowRef::Sqlite(row))),
            postgres: statement.fetch_optional(conn).await?.as_ref().map(|row| T::from_row(RowRef::Postgres(row))))
        .transpose()
    }

    /// All rows: the statement sets the limit.
    pub async fn all<T: Record>(self) -> Result<Vec<T>, StoreError> {
        let rows = execute!(self, |conn, statement|
            sqlite: Rows::Sqlite(statement.fetch_all(conn).await?),
            postgres: Rows::Postgres(statement.fetch_all(conn).await?));
        rows.read()
    }

    /// Runs a write and says how many rows it touched.
    pub async fn run(self) -> Result<u64, StoreError> {
        Ok(execute!(self, |conn, statement|
            sqlite: statement.execute(conn).await?.rows_affected(),
            postgres: statement.execute(conn).await?.rows_affected()))
    }

    /// Runs a write that must touch exactly one row, else [`StoreError::RowsAffected`].
    pub async fn run_one(self) -> Result<(), StoreError> {
        match self.run().await? {
            1 => Ok(()),
            got => Err(StoreError::RowsAffected { expected: 1, got }),
        }
    }

    fn checked(mut self) -> Result<Self, StoreError> {
        if let Some(error) = self.refused.take() {
            return Err(error.into());
        }
        let (placeholders, bound) = (highest_placeholder(self.text.as_str()), self.bound);
        if placeholders != bound {
            return Err(StoreError::BindCount { placeholders, bound, sql: self.text.as_str().to_owned() });
        }
        Ok(self)
    }
}

/// The highest `n` of all `$n` outside quotes and comments.
fn highest_placeholder(sql: &str) -> usize {
    let mut highest = 0;
    let mut rest = sql;
    while let Some(at) = rest.find(['$', '\'', '"', '-', '/']) {
        let (mark, after) = rest[at..].split_at(1);
        let skip_past = |end: &str| after.find(end).map_or("", |found| &after[found + end.len()..]);
        rest = match mark {
            "$" => {
                let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                highest = highest.max(after[..digits].parse().unwrap_or(0));
                &after[digits..]
            }
            "-" if after.starts_with('-') => skip_past("\n"),
            "/" if after.starts_with('*') => skip_past("*/"),
            "-" | "/" => after,
            quote => skip_past(quote),
        };
    }
    highest
}

#[cfg(test)]
mod tests {
    use super::highest_placeholder;

    #[test]
    fn placeholders_are_counted_outside_quotes_and_comments() {
        for (sql, highest) in [
            ("SELECT 1", 0),
            ("SELECT $1, $2, $1", 2),
            ("UPDATE t SET a=$2 WHERE b=$10", 10),
            ("SELECT '$7', \"$8\", $1", 1),
            ("SELECT 'it''s $7' || $1", 1),
            ("SELECT $1 -- not $9\n, $2", 2),
            ("SELECT $1 /* nor $9 */ - $3 / $2", 3),
            ("SELECT 'open $4", 0),
            ("SELECT $", 0),
        ] {
            assert_eq!(highest_placeholder(sql), highest, "{sql}");
        }
    }
}
