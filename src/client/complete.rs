//! `countersign complete`: the notes that close a ticket.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::output::{Done, Failure};
use super::{With, fresh_key, text_of};
use crate::domain::id::TicketNumber;

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub with: With,
    /// The ticket's number, such as CHG-1.
    ticket: TicketNumber,
    /// The notes, or standard input for `-`. The portal adds the links to evidence, approvals and runs.
    #[arg(long, value_name = "FILE")]
    notes: PathBuf,
    /// What happened and what changes so that it doesn't again: an emergency needs it.
    #[arg(long, value_name = "FILE")]
    retrospective: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<Done, Failure> {
    let notes = text_of(&options.notes)?;
    let retrospective = options.retrospective.as_deref().map(text_of).transpose()?;
    let portal = options.with.open()?;
    let body = json!({
        "notes": notes.trim_end(),
        "retrospective": retrospective.as_deref().map(str::trim_end),
    });
    let path = format!("/tickets/{}/completion", options.ticket);
    let document: Value = portal.post(&path, &body, &fresh_key())?.read()?;
    let outcome = document["outcome"].as_str().unwrap_or("completed");
    let page = portal.page(&format!("/tickets/{}/completion", options.ticket));
    Ok(Done::new(format!("{} is completed: {outcome}.\n{page}", options.ticket), document))
}
