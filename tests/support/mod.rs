//! What the tests stand on: databases, the running application, people who speak to it.
//!
//! Nothing here decides whether a test passes, and nothing here writes to the database of a running application.

pub mod app;
pub mod client;
pub mod database;
pub mod play;
