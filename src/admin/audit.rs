//! `countersign audit`.

use std::io::Write as _;

use clap::{Args, Subcommand};

use super::{AdminError, Settings};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the log's events in order, one canonical JSON object a line.
    Export(Export),
}

#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    settings: Settings,
    /// Only events after this one.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: i64,
}

/// Events that are read at once.
const PAGE: i64 = crate::service::audit_log::EVENTS_AT_ONCE;

pub(super) async fn run(command: Command) -> Result<(), AdminError> {
    let Command::Export(export) = command;
    let (state, _) = export.settings.open().await?;
    let mut after = export.after;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    loop {
        let page = state.services.audit_events(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for entry in &page {
            writeln!(out, "{}", entry.event).map_err(AdminError::io("standard output"))?;
        }
    }
    out.flush().map_err(AdminError::io("standard output"))?;
    state.close().await;
    Ok(())
}
