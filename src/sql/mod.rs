//! Reading SQL: splitting, classifying, findings, the normal form and differences between two scripts.
//!
//! Pure functions over text, beside `domain`. SQL is hostile input here: everything is linear in its length,
//! nothing recurses on what it reads, nothing panics. May not enter: I/O, clocks, a database.

mod analyse;
mod bodies;
mod bookkeeping;
mod changes;
pub mod classify;
pub mod colour;
mod comments;
pub mod dialect;
pub mod diff;
mod differently;
pub mod effect;
mod events;
pub mod excerpt;
pub mod findings;
mod guard;
pub mod hidden;
mod letters;
pub mod lex;
mod lookalike;
pub mod moved;
mod named;
pub mod normalise;
pub mod offline_sql;
pub mod outline;
mod outside;
mod quoted;
mod rebuild;
mod rules;
mod rules_alter;
mod rules_other;
mod script;
mod settings;
pub mod shown;
pub mod split;
mod truth;
mod types;
pub mod undo;
mod verbs;
pub mod words;
