//! Rows to domain values and back, one file per aggregate. Makes no decision.
//!
//! Every query is written once and runs on SQLite and on PostgreSQL through the facade in [`db`]: reads take
//! `&mut impl Conn`, writes take `&mut Tx`, so nothing is written outside a transaction. May use: sqlx and the
//! domain. May not enter: a rule about who may do what, HTTP, a clock (bind the time that the service gives).

pub mod actors;
pub mod api_tokens;
pub mod apply_tokens;
pub mod artifacts;
pub mod audit;
pub mod batch;
pub mod db;
pub mod decisions;
pub mod dossier;
pub mod error;
pub mod freezes;
pub mod gate_epoch;
pub mod idempotency;
pub mod incidents;
pub mod listing;
pub mod migrate;
pub mod policies;
pub mod query;
pub mod readings;
pub mod row;
pub mod runs;
pub mod sessions;
pub mod throttles;
pub mod tickets;
pub mod types;
pub mod users;

#[cfg(test)]
pub(crate) mod tests;

pub use db::{Conn, Db, Engine, Glance, OpenOptions, Read, Tx};
pub use error::StoreError;
pub use query::Query;
pub use row::{Record, RowRef};
pub use types::Json;
