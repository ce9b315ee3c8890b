use std::str::FromStr;

use sqlx::encode::IsNull;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::sqlite::{SqliteTypeInfo, SqliteValueRef};
use sqlx::{Database, Decode, Encode, Postgres, Sqlite, Type};
use uuid::Uuid;

use super::{Bind, Coded, EARLIEST, Json, Scalar};
use crate::domain::digest::Digest;
use crate::domain::id::{TicketId, TicketNumber};
use crate::domain::time::Timestamp;
use crate::store::row::Column;
use crate::store::tests::{TestDb, on_both_engines};
use crate::store::{Conn, StoreError, Tx};

on_both_engines! {
    every_type_comes_back, null_is_not_a_value, what_cant_be_read_is_corrupt, times_sort, an_early_time_is_refused,
    canonical_json_survives,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Red,
    Green,
}

impl Colour {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Green => "green",
        }
    }
}

impl FromStr for Colour {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Red, Self::Green].into_iter().find(|colour| colour.as_str() == text).ok_or(())
    }
}

text_enum!(Colour);

async fn begin(test: &TestDb) -> Tx {
    let mut tx = test.db.write().await.unwrap();
    tx.sql_by_engine(
        "CREATE TABLE cell (i INTEGER, t TEXT, b BLOB, f INTEGER, u BLOB, at INTEGER) STRICT",
        "CREATE TABLE cell (i BIGINT, t TEXT, b BYTEA, f BOOLEAN, u UUID, at TIMESTAMPTZ)",
    )
    .run()
    .await
    .unwrap();
    tx
}

/// Stores the value and NULL in one column, and reads them back directly and as options.
async fn round_trip<T>(tx: &mut Tx, column: &str, value: T)
where
    T: Scalar + Clone + PartialEq + std::fmt::Debug + Send + 'static,
    T: for<'v> Bind<'v>,
{
    let insert = format!("INSERT INTO cell ({column}) VALUES ($1)");
    let select = format!("SELECT {column} FROM cell");
    tx.sql_owned(insert.clone()).bind(value.clone()).run_one().await.unwrap();
    assert_eq!(tx.sql_owned(select.clone()).one::<(T,)>().await.unwrap().0, value);
    assert_eq!(tx.sql_owned(select.clone()).one::<(Option<T>,)>().await.unwrap().0.as_ref(), Some(&value));
    let found =
        tx.sql_owned(format!("{select} WHERE {column} = $1")).bind(&value).all::<(T,)>().await.unwrap();
    assert_eq!(found, [(value.clone(),)]);
    tx.sql("DELETE FROM cell").run_one().await.unwrap();
    tx.sql_owned(insert.clone()).bind(Some(value.clone())).run_one().await.unwrap();
    tx.sql_owned(insert).bind(None::<T>).run_one().await.unwrap();
    let both =
        tx.sql_owned(format!("{select} ORDER BY {column} IS NULL")).all::<(Option<T>,)>().await.unwrap();
    assert_eq!(both, [(Some(value),), (None,)]);
    tx.sql("DELETE FROM cell").run().await.unwrap();
}

async fn every_type_comes_back(test: &TestDb) {
    let mut tx = begin(test).await;
    for number in [i64::MIN, -1, 0, 1, 1 << 53, (1 << 53) + 1, i64::MAX] {
        round_trip(&mut tx, "i", number).await;
        round_trip(&mut tx, "i", TicketNumber(number)).await;
    }
    for text in ["", "a", "'; DROP TABLE cell; --", "$1", "ünï 🦀 \u{10ffff}\r\n\t\\"] {
        round_trip(&mut tx, "t", text.to_owned()).await;
    }
    round_trip(&mut tx, "t", "x".repeat(1 << 20)).await;
    for bytes in [vec![], vec![0], vec![0xff, 0, 0xfe], (0..=255).collect(), vec![7; 1 << 20]] {
        round_trip(&mut tx, "b", bytes).await;
    }
    for flag in [true, false] {
        round_trip(&mut tx, "f", flag).await;
    }
    for uuid in [Uuid::nil(), Uuid::max(), Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001)] {
        round_trip(&mut tx, "u", uuid).await;
        round_trip(&mut tx, "u", TicketId(uuid)).await;
    }
    for digest in [Digest([0; 32]), Digest([0xff; 32]), Digest::of(b"bytes")] {
        round_trip(&mut tx, "b", digest).await;
    }
    for micros in [0, -1, 1, 1_763_647_200_123_456, 946_684_800_000_000, 946_684_799_999_999, i64::MAX] {
        round_trip(&mut tx, "at", Timestamp::from_micros(micros)).await;
    }
    for time in [EARLIEST, Timestamp::MAX] {
        round_trip(&mut tx, "at", time).await;
    }
    for colour in [Colour::Red, Colour::Green] {
        round_trip(&mut tx, "t", colour).await;
    }
    round_trip(&mut tx, "t", Json(vec![i64::MIN, i64::MAX])).await;
    round_trip(&mut tx, "t", Json(Some(("ü".to_owned(), true)))).await;
    tx.sql("INSERT INTO cell (t, b) VALUES ($1, $2)")
        .bind("borrowed")
        .bind(&b"bytes"[..])
        .run_one()
        .await
        .unwrap();
    let borrowed = tx.sql("SELECT t, b FROM cell").one::<(String, Vec<u8>)>().await.unwrap();
    assert_eq!(borrowed, ("borrowed".into(), b"bytes".to_vec()));
}

async fn corrupt<T: Column>(tx: &mut Tx, select: &'static str) -> String {
    match tx.sql(select).one::<(T,)>().await.map(|_| "a value") {
        Err(StoreError::Corrupt(why)) => why,
        other => panic!("{select}: {other:?}"),
    }
}

async fn null_is_not_a_value(test: &TestDb) {
    let mut tx = begin(test).await;
    tx.sql("INSERT INTO cell (i) VALUES (NULL)").run_one().await.unwrap();
    assert_eq!(corrupt::<i64>(&mut tx, "SELECT i FROM cell").await, "column 0 is NULL");
    corrupt::<String>(&mut tx, "SELECT t FROM cell").await;
    corrupt::<Vec<u8>>(&mut tx, "SELECT b FROM cell").await;
    corrupt::<bool>(&mut tx, "SELECT f FROM cell").await;
    corrupt::<TicketId>(&mut tx, "SELECT u FROM cell").await;
    corrupt::<Timestamp>(&mut tx, "SELECT at FROM cell").await;
    corrupt::<Json<Option<i64>>>(&mut tx, "SELECT t FROM cell").await;
    tx.commit_unaudited("reading badly breaks nothing").await.unwrap();
}

async fn what_cant_be_read_is_corrupt(test: &TestDb) {
    let mut tx = begin(test).await;
    tx.sql("INSERT INTO cell (i, t, b) VALUES (7, 'blue', $1)").bind(vec![1_u8; 31]).run_one().await.unwrap();
    let colour = corrupt::<Colour>(&mut tx, "SELECT t FROM cell").await;
    assert_eq!(colour, "column 0: “blue” is not a Colour");
    let digest = corrupt::<Digest>(&mut tx, "SELECT b FROM cell").await;
    assert_eq!(digest, "column 0: a digest of 31 bytes");
    corrupt::<Json<i64>>(&mut tx, "SELECT t FROM cell").await;
    corrupt::<String>(&mut tx, "SELECT i FROM cell").await;
    corrupt::<i64>(&mut tx, "SELECT t FROM cell").await;
    corrupt::<Timestamp>(&mut tx, "SELECT t FROM cell").await;
    corrupt::<TicketId>(&mut tx, "SELECT i FROM cell").await;
}

async fn times_sort(test: &TestDb) {
    let mut tx = begin(test).await;
    let sorted = [-1_000_001, -1, 0, 1, 500_000, 1_000_000, 1_500_000].map(Timestamp::from_micros);
    for time in [3, 0, 6, 2, 5, 1, 4].map(|position| sorted[position]) {
        tx.sql("INSERT INTO cell (at) VALUES ($1)").bind(time).run_one().await.unwrap();
    }
    let times: Vec<Timestamp> = tx.sql("SELECT at FROM cell ORDER BY at").all().await.unwrap();
    assert_eq!(times, sorted);
    let later = tx.sql("SELECT at FROM cell WHERE at > $1 ORDER BY at").bind(sorted[4]);
    assert_eq!(later.all::<Timestamp>().await.unwrap(), sorted[5..]);
    // Both engines mean the same instant, not only the same number.
    let written: String = tx
        .sql_by_engine(
            "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', at / 1000000, 'unixepoch') FROM cell WHERE at = 1000000",
            "SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM cell \
             WHERE at = to_timestamp(1)",
        )
        .one()
        .await
        .unwrap();
    assert_eq!(written, Timestamp::from_micros(1_000_000).to_string());
}

async fn an_early_time_is_refused(test: &TestDb) {
    let mut tx = begin(test).await;
    for micros in [EARLIEST.as_micros() - 1, i64::MIN] {
        let insert = tx.sql("INSERT INTO cell (at) VALUES ($1)").bind(Timestamp::from_micros(micros));
        let error = insert.run().await.unwrap_err();
        assert!(matches!(error, StoreError::Database(sqlx::Error::Encode(_))), "{error:?}");
    }
    tx.commit_unaudited("refused values never reached the database").await.unwrap();
}

async fn canonical_json_survives(test: &TestDb) {
    let mut tx = begin(test).await;
    let json = "{\"b\":1,  \"a\":1.50, \"a\":2}";
    tx.sql("INSERT INTO cell (t) VALUES ($1)").bind(json).run_one().await.unwrap();
    assert_eq!(tx.sql("SELECT t FROM cell").one::<String>().await.unwrap(), json);
}
