//! `countersign ticket attest`.

use clap::Args;
use serde_json::{Value, json};

use crate::client::output::{Done, Failure};
use crate::client::portal::segment;
use crate::client::{OnStage, fresh_key};

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub on: OnStage,
    /// The item's key, such as release-frozen.
    item: String,
    /// What is stated: the tag, the link, what was seen.
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
    /// Take the statement back.
    #[arg(long)]
    undo: bool,
}

pub(super) fn run(options: &Options) -> Result<Done, Failure> {
    let portal = options.on.with.open()?;
    let path = format!("{}/checklist/{}", options.on.at.path(), segment(&options.item));
    let body = json!({"done": !options.undo, "note": options.note});
    let document: Value = portal.post(&path, &body, &fresh_key())?.read()?;
    let label = document["label"].as_str().unwrap_or(&options.item);
    let what = if options.undo { "taken back" } else { "stated" };
    Ok(Done::new(format!("“{label}” is {what} for {}.", options.on.at), document))
}
