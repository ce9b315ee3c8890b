//! Tests in a real browser, one binary of their own: they need Chromium and its driver (`tests/run` installs both).

#[cfg(test)]
mod driver;

#[cfg(test)]
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "each binary uses its part of it")]
mod support;

#[cfg(test)]
mod runbook;

#[cfg(test)]
mod pages;

#[cfg(test)]
mod review;
