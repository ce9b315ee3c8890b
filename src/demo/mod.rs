//! Countersign to look at: a portal on a fresh file with people, tickets in every phase and real evidence.
//!
//! Everything is embedded and dated relative to now, and everything is done through the services: nothing here writes
//! to the database behind their backs.

pub mod kit;
