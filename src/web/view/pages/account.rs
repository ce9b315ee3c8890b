//! `/account` and `/admin/users`.

use std::fmt;

use askama::Template;

use crate::web::view::format::Time;
use crate::web::view::forms::{Choice, ErrorSummary, Input};
use crate::web::view::parts::Empty;
use crate::web::view::prose::Prose;
use crate::web::view::shell::{Nav, Shell, Theme};
use crate::web::view::state::Status;

use super::token::Shown;

/// A box to tick: a scope or a role.
#[derive(Clone, Debug)]
pub struct Tick {
    /// The value that is sent.
    pub name: String,
    /// What it allows.
    pub text: String,
    pub chosen: bool,
}

/// One API token of the reader.
#[derive(Clone, Debug)]
pub struct ApiTokenRow {
    pub id: String,
    pub name: String,
    pub scopes: String,
    pub made: Time,
    pub used: Prose,
    pub expires: Prose,
    pub active: bool,
}

/// The form that makes an API token.
#[derive(Clone, Debug, Default)]
pub struct MakeToken {
    pub name: Input,
    pub days: Input,
    /// Fault id: `token-scopes`.
    pub scopes_error: Option<String>,
}

/// A place where the reader is signed in.
#[derive(Clone, Debug)]
pub struct SessionRow {
    pub browser: String,
    pub since: Time,
    pub seen: Prose,
    pub current: bool,
}

/// The form that changes the password. Nothing typed is kept.
#[derive(Clone, Debug, Default)]
pub struct ChangePassword {
    pub current: Input,
    pub new: Input,
    pub again: Input,
}

/// `GET /account`.
#[derive(Debug, Template)]
#[template(path = "pages/account.html")]
pub struct AccountPage {
    pub shell: Shell,
    pub name: String,
    pub email: String,
    pub roles_text: String,
    pub errors: Option<ErrorSummary>,
    /// Just made: answered to the POST itself, with `Cache-Control: no-store`.
    pub new_token: Option<Shown>,
    pub new_token_name: String,
    pub tokens: Vec<ApiTokenRow>,
    pub no_tokens: Empty,
    pub make: MakeToken,
    pub scopes: Vec<Tick>,
    pub lifetimes: Vec<Choice>,
    pub sessions: Vec<SessionRow>,
    pub password: ChangePassword,
}

/// An account in the administrators' list.
#[derive(Clone, Debug)]
pub struct UserRow {
    pub id: String,
    pub name: String,
    pub email: String,
    pub roles_text: String,
    pub roles: Vec<Tick>,
    pub status: Status,
    pub added: Time,
    pub active: bool,
}

/// The form that adds a person.
#[derive(Clone, Debug, Default)]
pub struct AddUser {
    pub name: Input,
    pub email: Input,
    pub roles: Vec<Tick>,
}

/// A one-time link on its way to the one page that shows it. Its `Debug` does not.
#[derive(Clone)]
pub struct OnceLink(pub String);

impl fmt::Debug for OnceLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnceLink")
    }
}

impl fmt::Display for OnceLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `GET /admin/users`.
#[derive(Debug, Template)]
#[template(path = "pages/users.html")]
pub struct UsersPage {
    pub shell: Shell,
    pub errors: Option<ErrorSummary>,
    /// Just made: answered to the POST itself, with `Cache-Control: no-store`.
    pub new_link: Option<OnceLink>,
    pub new_link_for: String,
    pub new_link_expires: Option<Time>,
    /// "8 active, 1 deactivated".
    pub note: String,
    pub rows: Vec<UserRow>,
    pub next: Option<String>,
    pub add: AddUser,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::pages::sample;
    use crate::web::view::state::State;

    fn tick(name: &str, chosen: bool) -> Tick {
        Tick { name: name.into(), text: format!("may {name}"), chosen }
    }

    fn account() -> AccountPage {
        let made = sample::time("2025-11-12T09:00:00Z");
        let token = |id: &str, active| ApiTokenRow {
            id: id.into(),
            name: "ci-release".into(),
            scopes: "tickets:write, artifacts:write".into(),
            made: made.clone(),
            used: "never".into(),
            expires: "in 80 d".into(),
            active,
        };
        AccountPage {
            shell: sample::shell(Nav::Menu, "Your account"),
            name: "Marta Kovács".into(),
            email: "marta.kovacs@example.org".into(),
            roles_text: "Change board".into(),
            errors: None,
            new_token: Some(Shown("csp_secret-words".into())),
            new_token_name: "ci-release".into(),
            tokens: vec![token("t1", true), token("t2", false)],
            no_tokens: Empty::new("key-round", "You have no token.", "A pipeline needs one."),
            make: MakeToken::default(),
            scopes: vec![tick("tickets:read", true), tick("apply", false)],
            lifetimes: vec![Choice::new("90", "90 days")],
            sessions: vec![SessionRow {
                browser: "Firefox on Linux".into(),
                since: made.clone(),
                seen: "now".into(),
                current: true,
            }],
            password: ChangePassword {
                new: Input::wrong("short pass", "Too short: 10 characters of at least 12."),
                ..ChangePassword::default()
            },
        }
    }

    #[test]
    fn an_account_holds_tokens_sessions_and_a_password() {
        let page = account();
        let html = sample::check("account", &page);
        assert_eq!(html.matches("csp_secret-words").count(), 1);
        assert!(!format!("{page:?}").contains("csp_secret-words"));
        assert!(html.contains("/account/tokens/t1/revoke") && !html.contains("/account/tokens/t2/revoke"));
        assert!(html.contains("value=\"tickets:read\" checked>") && html.contains("value=\"apply\">"));
        assert!(html.contains("action=\"/account/sign-out-everywhere\""));
        assert!(!html.contains("short pass"));
    }

    #[test]
    fn administrators_see_no_way_to_act_on_a_closed_account() {
        let user = |id: &str, name: &str, active| UserRow {
            id: id.into(),
            name: name.into(),
            email: format!("{id}@example.org"),
            roles_text: "Release engineer".into(),
            roles: vec![tick("engineer", true), tick("board", false)],
            status: Status::new(if active { State::Open } else { State::Idle }, "Active"),
            added: sample::time("2025-11-12T09:00:00Z"),
            active,
        };
        let page = UsersPage {
            shell: sample::shell(Nav::Menu, "People"),
            errors: None,
            new_link: Some(OnceLink("https://countersign.example/enrol/once-only".into())),
            new_link_for: "Priya Nair".into(),
            new_link_expires: Some(sample::time("2025-11-20T11:00:00Z")),
            note: "1 active, 1 deactivated".into(),
            rows: vec![user("u1", "Priya Nair", true), user("u2", "Old Hand", false)],
            next: None,
            add: AddUser { roles: vec![tick("engineer", false)], ..AddUser::default() },
        };
        let html = sample::check("users", &page);
        assert_eq!(html.matches("once-only").count(), 1);
        assert!(!format!("{page:?}").contains("once-only"));
        for act in ["roles", "reset", "deactivate"] {
            assert!(html.contains(&format!("/admin/users/u1/{act}")), "{act}");
            assert!(!html.contains(&format!("/admin/users/u2/{act}")), "{act}");
        }
        assert!(html.contains("<button class=\"btn act\">Add person</button>"));
    }
}
