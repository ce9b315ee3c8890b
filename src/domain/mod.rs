//! The rules, as pure functions over plain data.
//!
//! May use: std, serde, ids, times, digests. May not enter: async, sqlx, axum, a clock, randomness.

pub mod digest;
pub mod id;
pub mod policy;
pub mod time;
pub mod window;
