//! The integration tests: one binary, so that they are linked once.

mod architecture;

#[path = "../support/mod.rs"]
mod support;
