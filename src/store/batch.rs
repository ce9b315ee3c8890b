//! Several reads of one moment, sent together.
//!
//! SQLite's driver hands every statement to a thread of the connection and waits for it, which costs more than most
//! statements do. It takes many statements in one text, though, and then the threads meet once. PostgreSQL gets them one
//! by one.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use futures_util::TryStreamExt as _;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments as _, AssertSqlSafe, Connection as _, Either, Executor as _, Postgres, Sqlite};

use super::db::{Link, POSTGRES_READ, Session};
use super::query::Rows;
use super::types::Bind;
use super::{Record, StoreError};

/// Statements gathered so far. Each is put together from text of ours, with everything that comes from outside bound.
#[must_use = "statements do nothing until they are run"]
pub struct Batch<'c> {
    session: &'c mut Session,
    gathered: Gathered,
    /// The first value that could not be encoded.
    refused: Option<sqlx::Error>,
    count: u64,
}

enum Gathered {
    /// One text, whose placeholders are numbered on and on.
    Sqlite {
        text: String,
        values: SqliteArguments,
        bound: usize,
    },
    Postgres(Vec<(String, PgArguments)>),
}

impl<'c> Batch<'c> {
    pub(super) fn new(session: &'c mut Session) -> Self {
        let gathered = match session.link {
            Link::Sqlite(_) | Link::SqliteAlone(_) => {
                Gathered::Sqlite { text: String::new(), values: SqliteArguments::default(), bound: 0 }
            }
            Link::Postgres(_) | Link::PostgresAlone(_) => Gathered::Postgres(Vec::new()),
        };
        Self { session, gathered, refused: None, count: 0 }
    }

    /// Adds a statement in which every `(?)` stands for the list of these values.
    pub fn add<'v, V: Bind<'v> + Copy>(&mut self, text: &str, values: &[V]) {
        self.count += 1;
        match &mut self.gathered {
            Gathered::Sqlite { text: all, values: arguments, bound } => {
                all.push_str(&text.replace("(?)", &placeholders(*bound + 1, values.len())));
                all.push_str(";\n");
                *bound += values.len();
                for value in values {
                    if let Err(error) = arguments.add(*value) {
                        self.refused.get_or_insert(sqlx::Error::Encode(error));
                    }
                }
            }
            Gathered::Postgres(statements) => {
                let mut arguments = PgArguments::default();
                for value in values {
                    if let Err(error) = arguments.add(*value) {
                        self.refused.get_or_insert(sqlx::Error::Encode(error));
                    }
                }
                statements.push((text.replace("(?)", &placeholders(1, values.len())), arguments));
            }
        }
    }

    /// Runs the statements and keeps all their rows.
    ///
    /// # Errors
    /// Whatever the database reports; nothing is answered then.
    pub async fn all(self) -> Result<Answers, StoreError> {
        let Self { session, gathered, refused, count } = self;
        if let Some(error) = refused {
            return Err(error.into());
        }
        session.queries.fetch_add(count, Ordering::Relaxed);
        let before = std::mem::replace(&mut session.failed, true);
        let answers = match (&mut session.link, gathered) {
            (Link::Sqlite(conn), Gathered::Sqlite { text, values, .. }) => many(conn, text, values).await?,
            (Link::SqliteAlone(conn), Gathered::Sqlite { text, values, .. }) => {
                // The moment is begun and ended on the way. A connection that is left in the midst of it is no good.
                let mut whole = Whole { conn, ended: false };
                let mut sets = many(whole.conn, format!("BEGIN DEFERRED;\n{text}COMMIT"), values).await?;
                whole.ended = true;
                sets.pop_back();
                sets.pop_front();
                sets
            }
            (Link::Postgres(conn), Gathered::Postgres(statements)) => one_by_one(conn, statements).await?,
            (Link::PostgresAlone(conn), Gathered::Postgres(statements)) => {
                let mut moment = conn.begin_with(POSTGRES_READ).await?;
                let sets = one_by_one(&mut moment, statements).await?;
                moment.commit().await?;
                sets
            }
            (Link::Sqlite(_) | Link::SqliteAlone(_), Gathered::Postgres(_))
            | (Link::Postgres(_) | Link::PostgresAlone(_), Gathered::Sqlite { .. }) => {
                return Err(StoreError::Corrupt("a batch for the other engine".to_owned()));
            }
        };
        session.failed = before;
        Ok(Answers(answers))
    }
}

/// Closes a connection that was left before its moment had ended.
struct Whole<'c> {
    conn: &'c mut PoolConnection<Sqlite>,
    ended: bool,
}

impl Drop for Whole<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.conn.close_on_drop();
        }
    }
}

/// The rows of every statement in the text.
async fn many(
    conn: &mut SqliteConnection,
    text: String,
    values: SqliteArguments,
) -> Result<VecDeque<Rows>, sqlx::Error> {
    let mut steps = conn.fetch_many(sqlx::query_with::<Sqlite, _>(AssertSqlSafe(text), values));
    let (mut sets, mut rows) = (VecDeque::new(), Vec::new());
    while let Some(step) = steps.try_next().await? {
        match step {
            Either::Left(_) => sets.push_back(Rows::Sqlite(std::mem::take(&mut rows))),
            Either::Right(row) => rows.push(row),
        }
    }
    Ok(sets)
}

async fn one_by_one(
    conn: &mut PgConnection,
    statements: Vec<(String, PgArguments)>,
) -> Result<VecDeque<Rows>, sqlx::Error> {
    let mut sets = VecDeque::with_capacity(statements.len());
    for (text, values) in statements {
        let query = sqlx::query_with::<Postgres, _>(AssertSqlSafe(text), values);
        sets.push_back(Rows::Postgres(query.fetch_all(&mut *conn).await?));
    }
    Ok(sets)
}

/// What the statements of a batch answered, in their order.
pub struct Answers(VecDeque<Rows>);

impl Answers {
    /// The rows of the next statement.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when there was no further statement, or as reading a row fails.
    pub fn rows<T: Record>(&mut self) -> Result<Vec<T>, StoreError> {
        let rows = self.0.pop_front();
        rows.ok_or_else(|| StoreError::Corrupt("a batch has fewer statements".to_owned()))?.read()
    }
}

/// `($from, $from+1, …)`; a list of nothing holds NULL, which nothing is equal to.
fn placeholders(from: usize, count: usize) -> String {
    let mut text = String::from("(");
    for n in from..from + count {
        if n > from {
            text.push_str(", ");
        }
        text.push('$');
        text.push_str(&n.to_string());
    }
    text.push_str(if count == 0 { "NULL)" } else { ")" });
    text
}
