//! Tests in a real browser, one binary of their own: they need Chromium and its driver (`tests/run` installs both).

#[cfg(test)]
mod driver;

#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;

#[cfg(test)]
mod runbook;
