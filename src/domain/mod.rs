//! The rules, as pure functions over plain data.
//!
//! May use: std, serde, ids, times, digests. May not enter: async, sqlx, axum, a clock, randomness.

pub mod address;
pub mod artifact;
pub mod audit;
pub mod authority;
pub mod blocker;
pub mod checklist;
pub mod digest;
pub mod dossier;
pub mod earliest;
pub mod evidence;
pub mod facts;
pub mod figures;
pub mod gate;
pub mod id;
pub mod length;
pub(crate) mod named;
pub mod percent;
pub mod phase;
pub mod policy;
pub mod presented;
pub mod queue;
pub mod reading;
pub mod refusal;
pub mod rule;
pub mod run;
pub mod sql_digest;
pub mod ticket;
pub mod time;
pub mod transition;
pub mod unseen;
pub mod user;
pub mod window;
