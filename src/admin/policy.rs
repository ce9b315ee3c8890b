//! `countersign policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{AdminError, Settings, text_of};
use crate::service::Services;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read a policy file and say everything that is wrong with it. Needs no database.
    Check {
        /// The file; `-` is standard input.
        file: PathBuf,
    },
    /// Make a file the newest version of its application's policy.
    Apply(Apply),
    /// Print a version, byte for byte; or the list of all applications.
    Show(Show),
}

#[derive(Debug, Args)]
pub struct Apply {
    #[command(flatten)]
    settings: Settings,
    /// The file; `-` is standard input.
    file: PathBuf,
}

#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    settings: Settings,
    application: Option<String>,
    /// A version; the newest if none is named.
    #[arg(long = "version", value_name = "N")]
    number: Option<i64>,
}

pub(super) async fn run(command: Command) -> Result<(), AdminError> {
    match command {
        Command::Check { file } => {
            let policy = Services::check_policy(&text_of(&file)?).map_err(|faults| {
                let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
                AdminError::Failed(lines.join("\n"))
            })?;
            let names: Vec<&str> = policy.environments.iter().map(|e| e.name.as_str()).collect();
            println!("{}: {}", policy.application, names.join(", "));
        }
        Command::Apply(apply) => {
            let text = text_of(&apply.file)?;
            let (state, _) = apply.settings.open().await?;
            let applied = state.services.apply_policy(None, &text).await?;
            let unchanged = if applied.changed { "" } else { ", unchanged" };
            println!(
                "{} version {}{unchanged}, sha256:{}",
                applied.application, applied.version, applied.sha256
            );
            state.close().await;
        }
        Command::Show(show) => {
            let (state, _) = show.settings.open().await?;
            if let Some(application) = &show.application {
                print!("{}", state.services.policy_version(application, show.number).await?.toml);
            } else {
                for policy in state.services.policies().await? {
                    println!("{}\tversion {}\tsha256:{}", policy.application, policy.version, policy.sha256);
                }
            }
            state.close().await;
        }
    }
    Ok(())
}
