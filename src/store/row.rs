//! From a row of either engine to a value.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, Postgres, Row as _, Sqlite, Type, ValueRef as _};

use super::StoreError;

/// A row of either engine, for the moment of reading it.
#[derive(Clone, Copy)]
pub enum RowRef<'r> {
    Sqlite(&'r SqliteRow),
    Postgres(&'r PgRow),
}

impl RowRef<'_> {
    /// The column with this name.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the value doesn't fit the type, or is NULL and the type isn't an `Option`;
    /// [`StoreError::Database`] when there is no such column.
    pub fn get<T: Column>(self, name: &str) -> Result<T, StoreError> {
        T::read(self, name)
    }

    /// The column at this position, counted from 0. Errors as for [`RowRef::get`].
    pub fn at<T: Column>(self, position: usize) -> Result<T, StoreError> {
        T::read(self, position)
    }

    fn value<T: Scalar>(self, index: impl Index) -> Result<Option<T>, StoreError> {
        Ok(match self {
            Self::Sqlite(row) if row.try_get_raw(index)?.is_null() => None,
            Self::Postgres(row) if row.try_get_raw(index)?.is_null() => None,
            Self::Sqlite(row) => Some(row.try_get(index)?),
            Self::Postgres(row) => Some(row.try_get(index)?),
        })
    }
}

/// What names a column: its name or its position.
pub trait Index: ColumnIndex<SqliteRow> + ColumnIndex<PgRow> + std::fmt::Debug + Copy {}
impl<T: ColumnIndex<SqliteRow> + ColumnIndex<PgRow> + std::fmt::Debug + Copy> Index for T {}

/// A type that both engines can store in one column. NULL is `Option<T>`.
pub trait Scalar:
    Type<Sqlite> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + for<'r> Decode<'r, Postgres>
{
}

/// A [`Scalar`] or an `Option` of one.
pub trait Column: Sized {
    /// Reads the value of one column. Errors as for [`RowRef::get`].
    fn read(row: RowRef<'_>, index: impl Index) -> Result<Self, StoreError>;
}

impl<T: Scalar> Column for T {
    fn read(row: RowRef<'_>, index: impl Index) -> Result<Self, StoreError> {
        // SQLite's driver reads NULL as 0, "" or no bytes: it has to be refused here.
        row.value(index)?.ok_or_else(|| StoreError::Corrupt(format!("column {index:?} is NULL")))
    }
}

impl<T: Scalar> Column for Option<T> {
    fn read(row: RowRef<'_>, index: impl Index) -> Result<Self, StoreError> {
        row.value(index)
    }
}

/// What a whole row can be read as: a `row!` type, one [`Column`], or a tuple of up to three.
pub trait Record: Sized {
    /// Reads the row. Errors as for [`RowRef::get`].
    fn from_row(row: RowRef<'_>) -> Result<Self, StoreError>;
}

impl<T: Scalar> Record for T {
    fn from_row(row: RowRef<'_>) -> Result<Self, StoreError> {
        row.at(0)
    }
}

impl<T: Scalar> Record for Option<T> {
    fn from_row(row: RowRef<'_>) -> Result<Self, StoreError> {
        row.at(0)
    }
}

macro_rules! tuples {
    ($(($($name:ident $position:literal),+))+) => {$(
        impl<$($name: Column),+> Record for ($($name,)+) {
            fn from_row(row: RowRef<'_>) -> Result<Self, StoreError> {
                Ok(($(row.at::<$name>($position)?,)+))
            }
        }
    )+};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
}

/// Makes a struct a [`Record`] whose columns are named like its fields.
///
/// Either defines the struct, `row! { pub struct Pair { pub left: i64, pub right: Option<String> } }`, or serves one
/// that exists: `row!(Pair { left, right });`.
macro_rules! row {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$doc:meta])* $fvis:vis $field:ident : $ty:ty),+ $(,)? }) => {
        $(#[$meta])*
        $vis struct $name { $($(#[$doc])* $fvis $field: $ty),+ }
        $crate::store::row::row!($name { $($field),+ });
    };
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::store::row::Record for $name {
            fn from_row(row: $crate::store::row::RowRef<'_>) -> Result<Self, $crate::store::StoreError> {
                Ok(Self { $($field: row.get(stringify!($field))?),+ })
            }
        }
    };
}
pub(crate) use row;
