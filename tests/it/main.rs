//! The integration tests: one binary, so that they are linked once.
//!
//! `cfg(test)` always holds here; it tells clippy that `expect` is as good in their helpers as in the tests.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod api;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod bare_machine;
#[cfg(test)]
mod client;

#[cfg(test)]
mod http;

#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
