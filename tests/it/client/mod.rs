//! The client's commands, run as an engineer runs them.

mod dry_run;
mod dry_run_errors;
mod dry_run_postgres;
mod dry_run_projects;
mod dry_run_scene;
