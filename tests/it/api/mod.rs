//! The JSON API, called through its router on both engines.

mod access;
mod description;
mod files;
mod flow;
mod idempotency;
mod lists;
mod portal;
mod problems;
mod tokens;
