//! `countersign dry-run` as it is typed: the dry run, and with `--ticket` the way of its evidence to a stage.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::attach::{self, Attached};
use super::output::{Done, Failure};
use super::portal::Portal;
use super::portal::shapes::Ticket;
use super::{StageOf, With, dry_run};
use crate::domain::id::TicketNumber;

/// What help adds to the options.
pub(super) const HELP: &str = "\
Examples:
  countersign dry-run --snapshot trades.db
  countersign dry-run --project . --snapshot trades.dump --scratch-url postgresql://localhost \\
    --ticket CHG-1 --stage staging

Without --ticket nothing leaves this machine and no portal is needed: the files are in countersign-dry-run, or where --out
says. Where the snapshot is of another kind of database than production, --dialect names production's.";

/// Where the evidence lies when single files go elsewhere.
const FOLDER: &str = "countersign-dry-run";

#[derive(Debug, Args)]
// The dry run’s own options are a group of this name.
#[group(skip)]
pub struct Options {
    #[command(flatten)]
    pub with: With,
    /// Attach everything to a stage of this ticket, if the rehearsal passes.
    #[arg(long, value_name = "TICKET", requires = "stage")]
    ticket: Option<TicketNumber>,
    /// The stage, such as staging.
    #[arg(long, requires = "ticket")]
    stage: Option<String>,
    #[command(flatten)]
    dry_run: dry_run::Options,
}

pub(super) fn run(options: &Options) -> Result<Done, Failure> {
    let mut asked = options.dry_run.clone();
    let to = match (options.ticket, &options.stage) {
        (Some(ticket), Some(stage)) => {
            // All six files are wanted, whichever of them somebody wants to have elsewhere.
            asked.out.get_or_insert_with(|| PathBuf::from(FOLDER));
            Some(ready(options, StageOf { ticket, stage: stage.clone() })?)
        }
        (Some(_) | None, _) => None,
    };
    let finished = dry_run::run(&asked)?;
    let mut text = finished.text;
    let mut json = finished.json;
    if let Some(error) = finished.failed {
        if !options.with.json {
            println!("{text}");
        }
        let nothing = if to.is_some() { " Nothing was attached." } else { "" };
        let failure = Failure::from(error);
        let message = format!("{}{nothing}", failure.message);
        return Err(Failure { message, ..failure }.with_document(json));
    }
    if let Some((portal, at)) = to {
        let attached = attach::upload_all(&portal, &at, &finished.evidence.files)?;
        for file in &attached {
            let _ = write!(text, "\n{}", file.line(&at));
        }
        let _ = write!(text, "\n{}", portal.page(&format!("/tickets/{}/stages/{}", at.ticket, at.stage)));
        json["attached"] = attached.iter().map(Attached::json).collect();
        json["ticket"] = json!(at.ticket);
        json["stage"] = json!(at.stage);
    }
    Ok(Done::new(text, json))
}

/// Finds out before the long part whether there is a stage to attach anything to.
fn ready(options: &Options, at: StageOf) -> Result<(Portal, StageOf), Failure> {
    let portal = options.with.open()?;
    let ticket: Ticket = portal.get(&format!("/tickets/{}", at.ticket))?;
    if ticket.stages.iter().any(|stage| stage.name == at.stage) {
        return Ok((portal, at));
    }
    let names: Vec<&str> = ticket.stages.iter().map(|stage| stage.name.as_str()).collect();
    Err(Failure::failed("no-such-stage", format!("{} has no stage {}.", at.ticket, at.stage))
        .advise(format!("Its stages are {}.", names.join(", "))))
}
