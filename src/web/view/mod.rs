//! What pages are made of: plain data and the templates that draw it.
//!
//! Handlers fill these structs and render them; nothing here reads a request, a clock or the database.

pub mod code;
pub mod format;
pub mod forms;
pub mod pages;
pub mod parts;
pub mod prose;
pub mod review;
pub mod shell;
pub mod state;
pub mod work;
