//! The client's commands, run as people and pipelines run them, against a portal that answers.

mod aborts;
mod apply;
mod attach;
mod ci;
mod console;
mod resume;
mod ticket;
