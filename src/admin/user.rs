//! `countersign user`.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use jiff::SignedDuration;

use super::{AdminError, Settings, origin};
use crate::app::AppState;
use crate::config::Config;
use crate::domain::length;
use crate::domain::user::{Role, User};
use crate::service::users::{Created, NewUser};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add an account and print the one-time link with which its owner chooses a password.
    Add(Add),
    /// List the accounts.
    List(Settings),
    /// Close an account for ever, with its sessions and API tokens.
    Deactivate(One),
    /// Print a new one-time link for somebody who can't sign in. Their sessions end.
    ResetPassword(Reset),
}

#[derive(Debug, Args)]
pub struct Add {
    #[command(flatten)]
    settings: Settings,
    /// The address to sign in with.
    #[arg(long)]
    email: String,
    /// The name that others see.
    #[arg(long)]
    name: String,
    /// A role: engineer, board, auditor or admin. May be given several times.
    #[arg(long = "role", required = true)]
    roles: Vec<Role>,
    /// The address of another account of the same person.
    #[arg(long, value_name = "EMAIL")]
    same_person_as: Option<String>,
    /// How long the link is good.
    #[arg(long, value_name = "LENGTH", default_value = "1h", value_parser = length::read)]
    link_life: SignedDuration,
}

#[derive(Debug, Args)]
pub struct One {
    #[command(flatten)]
    settings: Settings,
    #[arg(long)]
    email: String,
}

#[derive(Debug, Args)]
pub struct Reset {
    #[command(flatten)]
    one: One,
    /// How long the link is good.
    #[arg(long, value_name = "LENGTH", default_value = "1h", value_parser = length::read)]
    link_life: SignedDuration,
}

pub(super) async fn run(command: Command) -> Result<(), AdminError> {
    match command {
        Command::Add(add) => self::add(add).await,
        Command::List(settings) => list(&settings).await,
        Command::Deactivate(one) => {
            let (state, _) = one.settings.open().await?;
            let user = named(&state, &one.email).await?;
            state.services.deactivate_user(None, user.id).await?;
            println!("{} can’t sign in any more, and their approvals don’t count.", user.email);
            state.close().await;
            Ok(())
        }
        Command::ResetPassword(reset) => {
            let (state, config) = reset.one.settings.open().await?;
            let user = named(&state, &reset.one.email).await?;
            let created = state.services.reset_user(None, user.id, Some(reset.link_life)).await?;
            print(&created, &config);
            state.close().await;
            Ok(())
        }
    }
}

async fn add(add: Add) -> Result<(), AdminError> {
    let (state, config) = add.settings.open().await?;
    let person = match &add.same_person_as {
        Some(email) => Some(named(&state, email).await?.person),
        None => None,
    };
    let roles: BTreeSet<Role> = add.roles.into_iter().collect();
    let new = NewUser { email: add.email, name: add.name, roles, person };
    let created = state.services.add_user(None, new, Some(add.link_life)).await?;
    print(&created, &config);
    state.close().await;
    Ok(())
}

async fn list(settings: &Settings) -> Result<(), AdminError> {
    let (state, _) = settings.open().await?;
    let mut after = None;
    loop {
        let page = state.services.list_users(after.as_deref()).await?;
        for listed in &page {
            let user = &listed.user;
            let roles: Vec<&str> = user.roles.iter().map(|role| role.as_str()).collect();
            let standing = match (user.active, listed.enrolled) {
                (false, _) => "deactivated",
                (true, false) => "not enrolled yet",
                (true, true) => "active",
            };
            println!("{}\t{}\t{}\t{standing}", user.email, user.name, roles.join(","));
        }
        match page.last() {
            Some(last) => after = Some(last.user.email.clone()),
            None => break,
        }
    }
    state.close().await;
    Ok(())
}

/// The link alone on standard output, so that it can be passed on; the words beside it.
fn print(created: &Created, config: &Config) {
    let Created { user, enrolment, expires_at } = created;
    eprintln!("One-time link for {} <{}>, good until {}:", user.name, user.email, expires_at.words());
    println!("{}{}", origin(config), crate::web::paths::enrol(enrolment.reveal()));
}

async fn named(state: &AppState, email: &str) -> Result<User, AdminError> {
    let found = state.services.find_user(email).await?;
    found.ok_or_else(|| AdminError::Failed(format!("nobody has an account with the address {email}")))
}
