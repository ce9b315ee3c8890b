//! The command line that release engineers and their pipelines use.
//!
//! It speaks to the portal over HTTP only. Databases, their credentials and snapshots stay on the machine it runs on.

pub mod project;
