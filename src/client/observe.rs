//! `countersign observe`: what somebody says of a stage after watching it.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::output::{Done, Failure};
use super::{OnStage, fresh_key, text_of};
use crate::domain::run::Health;

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub on: OnStage,
    /// healthy or unhealthy.
    #[arg(long)]
    verdict: Health,
    /// What was seen.
    #[arg(long, default_value = "", hide_default_value = true, conflicts_with = "note_file")]
    note: String,
    /// The note from a file, or from standard input for `-`.
    #[arg(long, value_name = "FILE")]
    note_file: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<Done, Failure> {
    let note = match &options.note_file {
        Some(path) => text_of(path)?,
        None => options.note.clone(),
    };
    let portal = options.on.with.open()?;
    let body = json!({"verdict": options.verdict, "note": note.trim_end()});
    let path = format!("{}/observation", options.on.at.path());
    let document: Value = portal.post(&path, &body, &fresh_key())?.read()?;
    Ok(Done::new(format!("{} is judged {}.", options.on.at, options.verdict), document))
}
