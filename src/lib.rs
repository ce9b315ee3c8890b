//! Countersign: a self-hosted portal for database change tickets.
//!
//! The rooms and who may know whom are drawn in `docs/architecture.md`; a test reads the `use crate::`
//! lines of every file and fails on an arrow that is not in that picture.

pub mod admin;
pub mod alembic;
pub mod api;
pub mod app;
pub mod client;
pub mod clock;
pub mod config;
pub mod demo;
pub mod domain;
pub mod secret;
pub mod service;
pub mod sql;
pub mod store;
pub mod sweeper;
pub mod telemetry;
pub mod web;
