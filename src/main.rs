//! `countersign`: takes the command line apart and hands it on.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use countersign::{admin, demo};

/// A portal for database change tickets: what the change board approved, byte for byte, is the only thing that can be
/// applied, only in its window, only once.
#[derive(Debug, Parser)]
#[command(name = "countersign", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Server(admin::Command),
    /// Look at Countersign: a portal with people, tickets and evidence, on a file of its own.
    Demo(demo::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Server(command) => admin::run(command).await,
        Command::Demo(options) => demo::run(options).await,
    }
}
