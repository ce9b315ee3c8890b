//! `countersign`: takes the command line apart and hands it on.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use countersign::{admin, client, demo};

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
    Client(client::Command),
    #[command(flatten)]
    Server(admin::Command),
    /// Look at Countersign: a portal with people, tickets and evidence, on a file of its own.
    Demo(demo::Options),
}

fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => return client::misused(&error),
    };
    match command {
        // Runs threads of its own and waits for other programs: nothing for an async runtime.
        Command::Client(command) => client::run(command),
        Command::Server(command) => serve(admin::run(command)),
        Command::Demo(options) => serve(demo::run(options)),
    }
}

#[tokio::main]
async fn serve(command: impl Future<Output = ExitCode>) -> ExitCode {
    command.await
}
