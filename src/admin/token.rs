//! `countersign token`: API tokens.

use clap::{Args, Subcommand};
use jiff::SignedDuration;

use super::{AdminError, Settings};
use crate::domain::id::ApiTokenId;
use crate::domain::length;
use crate::domain::user::Scope;
use crate::service::api_tokens::NewApiToken;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an API token for somebody and print it, once.
    Add(Add),
    /// List somebody's API tokens.
    List(List),
    /// Revoke an API token.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub struct Add {
    #[command(flatten)]
    settings: Settings,
    /// The address of the person whom the token acts for.
    #[arg(long, value_name = "EMAIL")]
    user: String,
    /// What will use it.
    #[arg(long)]
    name: String,
    /// tickets:read, tickets:write, artifacts:write, apply or audit:read. May be given several times.
    #[arg(long = "scope", required = true)]
    scopes: Vec<Scope>,
    /// How long it works; until it is revoked, if not given.
    #[arg(long, value_name = "LENGTH", value_parser = length::read)]
    life: Option<SignedDuration>,
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    settings: Settings,
    /// The address of the tokens' owner.
    #[arg(long, value_name = "EMAIL")]
    user: String,
}

#[derive(Debug, Args)]
pub struct Revoke {
    #[command(flatten)]
    settings: Settings,
    /// The token's id, as `token list` tells it.
    id: ApiTokenId,
}

pub(super) async fn run(command: Command) -> Result<(), AdminError> {
    match command {
        Command::Add(add) => {
            let (state, _) = add.settings.open().await?;
            let expires_at = add.life.map(|life| state.services.now() + life);
            let new = NewApiToken { name: add.name, scopes: add.scopes.into_iter().collect(), expires_at };
            let (id, token) = state.services.create_api_token_for(&add.user, new).await?;
            eprintln!("The token {id}, shown once:");
            println!("{}", token.reveal());
            state.close().await;
        }
        Command::List(list) => {
            let (state, _) = list.settings.open().await?;
            let owner = state.services.find_user(&list.user).await?;
            let owner =
                owner.ok_or_else(|| AdminError::Failed(format!("nobody has the address {}", list.user)))?;
            for token in state.services.list_api_tokens(owner.id).await? {
                let scopes: Vec<&str> = token.scopes.0.iter().map(|scope| scope.as_str()).collect();
                let standing = match (token.revoked_at, token.expires_at) {
                    (Some(_), _) => "revoked".to_owned(),
                    (None, Some(end)) => format!("until {end}"),
                    (None, None) => "until revoked".to_owned(),
                };
                println!("{}\t{}\t{}\t{standing}", token.id, token.name, scopes.join(","));
            }
            state.close().await;
        }
        Command::Revoke(revoke) => {
            let (state, _) = revoke.settings.open().await?;
            state.services.revoke_api_token(None, revoke.id).await?;
            println!("revoked");
            state.close().await;
        }
    }
    Ok(())
}
