//! The server's own command line: what an operator does on the machine that the portal runs on.
//!
//! One file for each command. Commands work through the services, as the operator and not as a person; secrets are printed
//! once and never taken as arguments.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::app::{AppState, Schema, StartError};
use crate::clock::Env;
use crate::config::{Config, ConfigFaults, DEFAULT_FILE};
use crate::secret::hasher::Cost;
use crate::service::ServiceError;
use crate::store::StoreError;
use crate::telemetry;

mod audit;
mod backup;
mod migrate;
mod policy;
mod serve;
mod token;
mod user;

/// The commands of the server's side.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the portal.
    Serve(serve::Options),
    /// Bring the database's schema up to date.
    Migrate(Settings),
    /// Accounts: add, list, deactivate, reset the password.
    #[command(subcommand)]
    User(user::Command),
    /// API tokens: add, list, revoke.
    #[command(subcommand)]
    Token(token::Command),
    /// Policy files: check, apply, show.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Copy the database while the portal runs.
    Backup(backup::Options),
    /// The audit log.
    #[command(subcommand)]
    Audit(audit::Command),
}

/// Where the settings are.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// The settings' file; countersign.toml in this folder if it is there.
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    config: Option<PathBuf>,
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// What was asked for can't be: exit code 2.
    #[error("{0}")]
    Usage(String),
    #[error("the settings can't be used:\n{0}")]
    Config(#[from] ConfigFaults),
    #[error("{}", crate::web::error::chain(.0))]
    Start(#[from] StartError),
    #[error("{}", sentences(.0))]
    Service(#[from] ServiceError),
    #[error("{}", crate::web::error::chain(.0))]
    Store(#[from] StoreError),
    #[error("{what}: {why}")]
    Io { what: String, why: std::io::Error },
    #[error("{0}")]
    Failed(String),
}

impl AdminError {
    fn io(what: impl fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        move |why| Self::Io { what: what.to_string(), why }
    }
}

/// Every fault, or the whole chain: an operator has no other log of this.
fn sentences(error: &ServiceError) -> String {
    match error {
        ServiceError::Invalid { faults } => {
            let lines: Vec<String> = faults.iter().map(|f| format!("{}: {}", f.field, f.message)).collect();
            lines.join("\n")
        }
        other => crate::web::error::chain(other),
    }
}

/// Runs a command and says what went wrong on standard error. 0 done, 1 failed, 2 can't be asked like this.
pub async fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Serve(options) => serve::run(options).await,
        Command::Migrate(settings) => migrate::run(&settings).await,
        Command::User(command) => user::run(command).await,
        Command::Token(command) => token::run(command).await,
        Command::Policy(command) => policy::run(command).await,
        Command::Backup(options) => backup::run(&options).await,
        Command::Audit(command) => audit::run(command).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("countersign: {error}");
            ExitCode::from(if matches!(error, AdminError::Usage(_) | AdminError::Config(_)) { 2 } else { 1 })
        }
    }
}

impl Settings {
    /// Reads the settings; `given` on the command line wins over file and environment.
    fn load(&self, given: &[(&str, Option<&str>)]) -> Result<Config, ConfigFaults> {
        let usual = PathBuf::from(DEFAULT_FILE);
        let file = self.config.clone().or_else(|| usual.exists().then_some(usual));
        let given = given.iter().filter_map(|(key, value)| {
            value.map(|value| (format!("COUNTERSIGN_{}", key.to_ascii_uppercase()), value.to_owned()))
        });
        let given: Vec<_> = given.collect();
        // Variables that are not text are none of ours.
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| given.iter().all(|(key, _)| key != name));
        Config::load(file.as_deref(), env.chain(given.clone()))
    }

    /// The portal's parts for one command, on a database that is as this program wants it.
    async fn open(&self) -> Result<(AppState, Config), AdminError> {
        let config = self.load(&[])?;
        // Standard output is the command's; the log has only what is wrong.
        let _ = telemetry::start(config.log_format, "warn");
        let state = AppState::open(&config, Schema::MustBeCurrent, Env::system(), Cost::Standard).await?;
        Ok((state, config))
    }
}

/// How browsers reach the portal, for links.
fn origin(config: &Config) -> String {
    config.public_origin.as_ref().map_or_else(|| format!("http://{}", config.listen), ToString::to_string)
}

/// A file's text, or standard input's for `-`.
fn text_of(path: &std::path::Path) -> Result<String, AdminError> {
    if path.as_os_str() == "-" {
        return std::io::read_to_string(std::io::stdin()).map_err(AdminError::io("standard input"));
    }
    std::fs::read_to_string(path).map_err(AdminError::io(path.display()))
}
