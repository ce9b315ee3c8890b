//! Which database's rules a text is read by.

use serde::{Deserialize, Serialize};

/// The family of SQL a script is written in. It decides what a quote, a comment and a body are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    Sqlite,
    PostgreSql,
    MySql,
}

impl Dialect {
    /// Every dialect, in the order in which they are tried on a text of unknown origin.
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::PostgreSql, Self::MySql];

    /// The first dialect that reads this text without an unclosed quote or comment; `Sqlite` if none does.
    #[must_use]
    pub fn likely(sql: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|dialect| super::split::statements(sql, *dialect).all(|s| s.fault.is_none()))
            .unwrap_or(Self::Sqlite)
    }

    /// The name in reports: `sqlite`, `postgresql`, `mysql`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::PostgreSql => "postgresql",
            Self::MySql => "mysql",
        }
    }
}
