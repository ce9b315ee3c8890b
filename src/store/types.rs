//! How each type is stored, on both engines.
//!
//! | type | SQLite | PostgreSQL |
//! | --- | --- | --- |
//! | ids, `Uuid` | BLOB of 16 bytes | UUID |
//! | [`Timestamp`] | INTEGER, microseconds since 1970 | TIMESTAMPTZ |
//! | [`Digest`] | BLOB of 32 bytes | BYTEA |
//! | [`TicketNumber`], `i64` | INTEGER | BIGINT |
//! | `bool` | INTEGER | BOOLEAN |
//! | text enums (`text_enum!`), `String` | TEXT | TEXT |
//! | [`Json`] | TEXT | TEXT |
//! | `Vec<u8>`, `&[u8]` | BLOB | BYTEA |

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::sqlite::{SqliteTypeInfo, SqliteValueRef};
use sqlx::{Database, Decode, Encode, Postgres, Sqlite, Type};
use uuid::Uuid;

use super::row::Scalar;
use crate::domain::artifact::{ArtifactKind, Severity};
use crate::domain::digest::Digest;
use crate::domain::facts::Choice;
use crate::domain::id::{
    ApiTokenId, ApplicationId, ApplyTokenId, ArtifactId, EnvironmentId, FindingId, FreezeId, IncidentId,
    PersonId, PolicyVersionId, RunId, SessionId, StageId, ThreadId, TicketId, TicketNumber, UserId, VoteId,
};
use crate::domain::reading::How;
use crate::domain::run::{Direction, Health, Method, RunStatus, TokenState};
use crate::domain::ticket::{TicketKind, TicketOutcome, TicketState};
use crate::domain::time::Timestamp;
use crate::domain::user::Role;

type Coded<T> = Result<T, BoxDynError>;

/// A value that both engines can bind. Implemented by everything that qualifies.
pub trait Bind<'v>: Encode<'v, Sqlite> + Type<Sqlite> + Encode<'v, Postgres> + Type<Postgres> {}
impl<'v, T: Encode<'v, Sqlite> + Type<Sqlite> + Encode<'v, Postgres> + Type<Postgres>> Bind<'v> for T {}

impl Scalar for bool {}
impl Scalar for i64 {}
impl Scalar for String {}
impl Scalar for Vec<u8> {}
impl Scalar for Uuid {}

/// Stores a type as another that both drivers know: `$write` is borrowed from the value, `$read` from the row.
macro_rules! stored_as {
    (@one $db:ident, $info:ty, $value:ty, $ty:ty, $write:ty, $read:ty, $encode:expr, $decode:expr) => {
        impl Type<$db> for $ty {
            fn type_info() -> $info {
                <$write as Type<$db>>::type_info()
            }
            fn compatible(found: &$info) -> bool {
                <$write as Type<$db>>::compatible(found)
            }
        }
        impl Encode<'_, $db> for $ty {
            fn encode_by_ref(&self, buffer: &mut <$db as Database>::ArgumentBuffer) -> Coded<IsNull> {
                let encode: fn(&$ty) -> $write = $encode;
                <$write as Encode<'_, $db>>::encode(encode(self), buffer)
            }
        }
        impl<'r> Decode<'r, $db> for $ty {
            fn decode(value: $value) -> Coded<Self> {
                let decode: fn($read) -> Coded<$ty> = $decode;
                decode(<$read as Decode<'r, $db>>::decode(value)?)
            }
        }
    };
    ($ty:ty, write: $write:ty = $encode:expr, read: $read:ty = $decode:expr) => {
        stored_as!(@one Sqlite, SqliteTypeInfo, SqliteValueRef<'r>, $ty, $write, $read, $encode, $decode);
        stored_as!(@one Postgres, PgTypeInfo, PgValueRef<'r>, $ty, $write, $read, $encode, $decode);
        impl Scalar for $ty {}
    };
}

macro_rules! ids {
    ($($name:ident),+ $(,)?) => {$(
        stored_as!($name, write: Uuid = |id| id.0, read: Uuid = |uuid| Ok(Self(uuid)));
    )+};
}

ids! {
    ApiTokenId, ApplicationId, ApplyTokenId, ArtifactId, EnvironmentId, FindingId, FreezeId, IncidentId,
    PersonId, PolicyVersionId, RunId, SessionId, StageId, ThreadId, TicketId, UserId, VoteId,
}

stored_as!(TicketNumber, write: i64 = |number| number.0, read: i64 = |number| Ok(Self(number)));

stored_as!(
    Digest,
    write: &[u8] = |digest| digest.as_bytes(),
    read: &[u8] = |bytes| Ok(Self(bytes.try_into().map_err(|_| format!("a digest of {} bytes", bytes.len()))?))
);

/// Stores enums as the text of their `as_str()`; anything that `FromStr` refuses is unreadable.
macro_rules! text_enum {
    ($($ty:ty),+ $(,)?) => {$(
        stored_as!(
            $ty,
            write: &str = |value| value.as_str(),
            read: &str = |text| text.parse().map_err(|_| format!("“{text}” is not a {}", stringify!($ty)).into())
        );
    )+};
}

text_enum! {
    ArtifactKind, Choice, Direction, Health, How, Method, Role, RunStatus, Severity, TicketKind, TicketOutcome, TicketState,
    TokenState,
}

/// Microseconds from 1970 to 2000, where PostgreSQL begins to count.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;
/// The first instant that PostgreSQL can store (4714-11-24 BC). Its last one is later than any [`Timestamp`].
const EARLIEST: Timestamp = Timestamp::from_micros(-210_866_803_200_000_000);
/// `timestamptz`, whose number is the same in every PostgreSQL.
const TIMESTAMPTZ: PgTypeInfo = PgTypeInfo::with_oid(Oid(1184));

/// Both engines refuse what one of them can't store.
fn storable(time: Timestamp) -> Coded<i64> {
    if time < EARLIEST {
        return Err(format!("the time {} µs is too early to be stored", time.as_micros()).into());
    }
    Ok(time.as_micros())
}

impl Type<Sqlite> for Timestamp {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }
    fn compatible(found: &SqliteTypeInfo) -> bool {
        <i64 as Type<Sqlite>>::compatible(found)
    }
}

impl Encode<'_, Sqlite> for Timestamp {
    fn encode_by_ref(&self, buffer: &mut <Sqlite as Database>::ArgumentBuffer) -> Coded<IsNull> {
        Encode::<Sqlite>::encode(storable(*self)?, buffer)
    }
}

impl Decode<'_, Sqlite> for Timestamp {
    fn decode(value: SqliteValueRef<'_>) -> Coded<Self> {
        <i64 as Decode<'_, Sqlite>>::decode(value).map(Self::from_micros)
    }
}

impl Type<Postgres> for Timestamp {
    fn type_info() -> PgTypeInfo {
        TIMESTAMPTZ
    }
}

impl Encode<'_, Postgres> for Timestamp {
    fn encode_by_ref(&self, buffer: &mut <Postgres as Database>::ArgumentBuffer) -> Coded<IsNull> {
        Encode::<Postgres>::encode(storable(*self)?.saturating_sub(POSTGRES_EPOCH), buffer)
    }
}

impl Decode<'_, Postgres> for Timestamp {
    fn decode(value: PgValueRef<'_>) -> Coded<Self> {
        let since_2000 = <i64 as Decode<'_, Postgres>>::decode(value)?;
        if since_2000 == i64::MIN || since_2000 == i64::MAX {
            return Err("an infinite time".into());
        }
        since_2000
            .checked_add(POSTGRES_EPOCH)
            .map(Self::from_micros)
            .ok_or_else(|| "a time beyond the range of 64 bits".into())
    }
}

impl Scalar for Timestamp {}

/// A value kept as JSON.
///
/// The column is TEXT on both engines: JSONB would reorder keys and drop the spelling of numbers. Integers keep all 64
/// bits. Where a digest is taken over the text, store that very text as a `String` instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

macro_rules! json {
    ($($db:ident, $info:ty, $value:ty);+ $(;)?) => {$(
        impl<T> Type<$db> for Json<T> {
            fn type_info() -> $info {
                <String as Type<$db>>::type_info()
            }
            fn compatible(found: &$info) -> bool {
                <String as Type<$db>>::compatible(found)
            }
        }
        impl<T: Serialize> Encode<'_, $db> for Json<T> {
            fn encode_by_ref(&self, buffer: &mut <$db as Database>::ArgumentBuffer) -> Coded<IsNull> {
                Encode::<$db>::encode(serde_json::to_string(&self.0)?, buffer)
            }
        }
        impl<'r, T: DeserializeOwned> Decode<'r, $db> for Json<T> {
            fn decode(value: $value) -> Coded<Self> {
                Ok(Self(serde_json::from_str(<&str as Decode<'r, $db>>::decode(value)?)?))
            }
        }
    )+};
}

json! {
    Sqlite, SqliteTypeInfo, SqliteValueRef<'r>;
    Postgres, PgTypeInfo, PgValueRef<'r>;
}

impl<T: DeserializeOwned> Scalar for Json<T> {}

#[cfg(test)]
mod tests;
