//! What can go wrong in the store, said the same way for both engines.

use sqlx::error::ErrorKind;

/// A store operation failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another transaction was in the way (lock, deadlock, no free connection): trying again can help.
    #[error("the database is busy")]
    Busy(#[source] sqlx::Error),
    /// A unique index or primary key refused the row.
    #[error("a row with this key exists already")]
    Unique(#[source] sqlx::Error),
    /// A query that must find a row found none.
    #[error("no such row")]
    NotFound,
    /// A write touched another number of rows than it had to.
    #[error("a write touched {got} rows instead of {expected}")]
    RowsAffected { expected: u64, got: u64 },
    /// The statement has another number of placeholders than values were bound. SQLite would read a missing
    /// value as NULL without a word.
    #[error("a statement with {placeholders} placeholders got {bound} values: {sql}")]
    BindCount { placeholders: usize, bound: usize, sql: String },
    /// A stored value is not one that this program could have written.
    #[error("a stored value can't be read: {0}")]
    Corrupt(String),
    /// An earlier statement of this transaction failed or was abandoned half-way, so nothing was committed.
    #[error("nothing was saved, because an earlier statement of the same transaction failed")]
    Aborted,
    /// The schema and this program don't fit together; the sentence says why and what to do.
    #[error("{0}")]
    Migration(String),
    /// Anything else that the database or its driver reports.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether a unique index or primary key refused the row.
    pub fn is_unique(&self) -> bool {
        matches!(self, Self::Unique(_))
    }

    /// Whether the same transaction can succeed when it is tried again from its beginning.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::RowNotFound => Self::NotFound,
            sqlx::Error::PoolTimedOut => Self::Busy(error),
            sqlx::Error::ColumnDecode { index, source } => Self::Corrupt(format!("column {index}: {source}")),
            sqlx::Error::Decode(source) => Self::Corrupt(source.to_string()),
            sqlx::Error::Database(report) if report.kind() == ErrorKind::UniqueViolation => {
                Self::Unique(error)
            }
            sqlx::Error::Database(report) if report.code().is_some_and(|code| means_busy(&code)) => {
                Self::Busy(error)
            }
            _ => Self::Database(error),
        }
    }
}

/// PostgreSQL reports five characters of SQLSTATE, SQLite a decimal result code of at most four digits whose
/// low byte is the primary code.
fn means_busy(code: &str) -> bool {
    const SERIALIZATION_FAILURE: &str = "40001";
    const DEADLOCK: &str = "40P01";
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    const SQLITE_BUSY: u32 = 5;
    const SQLITE_LOCKED: u32 = 6;
    if code.len() == 5 {
        return [SERIALIZATION_FAILURE, DEADLOCK, LOCK_NOT_AVAILABLE].contains(&code);
    }
    code.parse::<u32>().is_ok_and(|code| [SQLITE_BUSY, SQLITE_LOCKED].contains(&(code & 0xff)))
}

#[cfg(test)]
mod tests {
    use super::means_busy;

    #[test]
    fn busy_is_told_from_other_failures() {
        for busy in ["5", "6", "261", "517", "773", "262", "40001", "40P01", "55P03"] {
            assert!(means_busy(busy), "{busy}");
        }
        for other in ["1", "8", "2067", "1555", "787", "23505", "42601", "25P02", "57014", ""] {
            assert!(!means_busy(other), "{other}");
        }
    }
}
