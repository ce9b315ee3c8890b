//! Reading what Alembic and the dry run leave behind: reports, manifests, histories, rendered SQL, test results.
//!
//! Pure functions over bytes, used by server and client alike; the formats are written down in `docs/formats.md`.
//! Every file is hostile input: sizes are bounded, unknown fields and versions are refused, nothing panics.
//! May not enter: I/O, clocks, a database.

pub mod backup;
pub mod checks;
pub mod formats;
pub mod graph;
pub mod history;
mod history_text;
pub mod junit;
pub mod manifest;
pub mod matching;
pub mod not_possible;
pub mod render_checks;
pub mod report;
pub mod shape;
mod shape_diff;
pub mod volatile;

#[cfg(test)]
mod tests;
