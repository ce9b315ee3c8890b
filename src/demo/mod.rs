//! Countersign to look at: a portal on a fresh file with people, tickets in every phase and real evidence.
//!
//! Everything is embedded and dated relative to now, and everything is done through the services: nothing here writes
//! to the database behind their backs.

mod act;
mod cast;
pub mod kit;
mod play;
mod pulse;
pub mod sample;
mod seed;
mod serve;
mod story;

pub use cast::Person;
pub use play::DemoError;
pub use pulse::Pulse;
pub use seed::{Seeded, seed};
pub use serve::{Options, run};

#[cfg(test)]
mod tests;
