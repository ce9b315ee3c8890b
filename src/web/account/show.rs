//! `GET /account`, and the page that its forms come back to.

use axum::extract::State;

use crate::domain::time::Timestamp;
use crate::domain::user::{Scope, Via};
use crate::service::ServiceError;
use crate::service::api_tokens::ApiToken;
use crate::service::sign_in::SessionLine;
use crate::web::error::Page;
use crate::web::session::Reader;
use crate::web::site::{Site, WebState};
use crate::web::view::format::Time;
use crate::web::view::forms::{Choice, Input};
use crate::web::view::pages::account::{
    AccountPage, ApiTokenRow, ChangePassword, MakeToken, SessionRow, Tick,
};
use crate::web::view::parts::Empty;
use crate::web::view::prose::Prose;
use crate::web::view::shell::Nav;
use crate::web::{frame, respond};

pub(super) async fn show(State(site): State<WebState>, reader: Reader) -> Page {
    respond::page(&page(&site, &reader).await?)
}

/// The page as it is before anything is typed.
pub(super) async fn page(site: &Site, reader: &Reader) -> Result<AccountPage, ServiceError> {
    let actor = reader.actor();
    let now = site.services.now();
    let tokens = site.services.list_api_tokens(actor.user).await?;
    let sessions = site.services.own_sessions(actor).await?;
    Ok(AccountPage {
        shell: frame::shell(site, reader, "Your account", Nav::Menu).await?,
        name: actor.name.clone(),
        email: reader.email().to_owned(),
        roles_text: frame::roles_text(actor.roles.iter().copied()),
        errors: None,
        new_token: None,
        new_token_name: String::new(),
        tokens: tokens.iter().map(|token| token_row(token, now)).collect(),
        no_tokens: Empty::new(
            "key-round",
            "You have no API token.",
            "A pipeline needs one to file tickets, upload evidence or apply.",
        ),
        make: MakeToken { days: Input::of("90"), ..MakeToken::default() },
        scopes: scopes(&[]),
        lifetimes: [("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("0", "until it is revoked")]
            .map(|(value, text)| Choice::new(value, text))
            .into(),
        sessions: sessions.iter().map(|line| session_row(line, &actor.via, now)).collect(),
        password: ChangePassword::default(),
    })
}

pub(super) fn scopes(chosen: &[Scope]) -> Vec<Tick> {
    let tick = |scope: &Scope| Tick {
        name: scope.to_string(),
        text: words(*scope).to_owned(),
        chosen: chosen.contains(scope),
    };
    Scope::ALL.iter().map(tick).collect()
}

const fn words(scope: Scope) -> &'static str {
    match scope {
        Scope::TicketsRead => "Reads tickets and their evidence.",
        Scope::TicketsWrite => "Files and edits tickets, ticks items, declares incidents.",
        Scope::ArtifactsWrite => "Uploads artifacts.",
        Scope::Apply => "Releases and redeems apply tokens, reports runs.",
        Scope::AuditRead => "Reads the audit log.",
    }
}

fn token_row(token: &ApiToken, now: Timestamp) -> ApiTokenRow {
    let names: Vec<&str> = token.scopes.0.iter().map(|scope| scope.as_str()).collect();
    let expired = token.expires_at.is_some_and(|end| end <= now);
    ApiTokenRow {
        id: token.id.to_string(),
        name: token.name.clone(),
        scopes: names.join(", "),
        made: Time::short(token.created_at, now),
        used: token.used_at.map_or_else(|| Prose::from("never"), |at| Time::since(at, now).into()),
        expires: match token.expires_at {
            None => "never".into(),
            Some(end) if expired => Prose::from("expired ").time(Time::short(end, now)),
            Some(end) => Time::until(end, now).into(),
        },
        active: token.revoked_at.is_none(),
    }
}

fn session_row(line: &SessionLine, via: &Via, now: Timestamp) -> SessionRow {
    SessionRow {
        browser: if line.agent.is_empty() { "A nameless browser".to_owned() } else { line.agent.clone() },
        since: Time::long(line.created_at, now),
        seen: Time::since(line.seen_at, now).into(),
        current: *via == Via::Session(line.id),
    }
}
