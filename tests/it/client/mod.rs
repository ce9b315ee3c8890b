//! The client's commands, run as people and pipelines run them, against a portal that answers.

mod aborts;
mod apply;
mod attach;
mod between;
mod ci;
mod console;
mod dry_run;
mod dry_run_codes;
mod dry_run_errors;
mod dry_run_losses;
mod dry_run_postgres;
mod dry_run_projects;
mod dry_run_scene;
mod dry_run_scratch;
mod dry_run_snapshots;
mod resume;
mod rollback;
mod ticket;
