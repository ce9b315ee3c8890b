//! `countersign ticket`: file, show, list, wait, and state what only a person knows.

mod attest;
mod list;
mod new;
mod show;
mod wait;

use clap::Subcommand;

use super::output::{Done, Failure};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// File a ticket. The same ticket from the same pipeline is filed once.
    New(Box<new::Options>),
    /// Say whether a ticket can be applied; if not, why, who can clear it, and when at the earliest.
    Show(show::Options),
    /// List tickets, newest first.
    List(list::Options),
    /// Wait for the gates of a stage.
    Wait(wait::Options),
    /// State a checklist item as the owner of the API token.
    Attest(attest::Options),
}

impl Command {
    pub(super) const fn json(&self) -> bool {
        match self {
            Self::New(options) => options.with.json,
            Self::Show(options) => options.with.json,
            Self::List(options) => options.with.json,
            Self::Wait(options) => options.on.with.json,
            Self::Attest(options) => options.on.with.json,
        }
    }
}

pub(super) fn run(command: Command) -> Result<Done, Failure> {
    match command {
        Command::New(options) => new::run(&options),
        Command::Show(options) => show::run(&options),
        Command::List(options) => list::run(&options),
        Command::Wait(options) => wait::run(&options),
        Command::Attest(options) => attest::run(&options),
    }
}
