//! Before signing in: `/sign-in` and `/enrol/{token}`.

use askama::Template;

use crate::web::view::format::Time;
use crate::web::view::forms::Input;
use crate::web::view::parts::Note;
use crate::web::view::shell::{Shell, Theme};

/// `GET /sign-in`, and the answer to a sign-in that failed.
#[derive(Debug, Template)]
#[template(path = "pages/sign_in.html")]
pub struct SignIn {
    pub shell: Shell,
    pub email: Input,
    pub password: Input,
    /// Why the last try failed, without saying which half was wrong.
    pub error: Option<String>,
    /// "You were signed out.", "Your session ended; sign in to go on."
    pub notice: Option<Note>,
    /// The path to go to afterwards; the handler checks that it is one of ours.
    pub next: String,
}

/// `GET /enrol/{token}`: a person sets their own password from a one-time link.
#[derive(Debug, Template)]
#[template(path = "pages/enrol.html")]
pub struct Enrol {
    pub shell: Shell,
    /// The secret of the link, for the form's address only.
    pub token: String,
    /// False when the link was used, replaced or has expired; then the rest is not shown.
    pub usable: bool,
    pub name: String,
    pub email: String,
    pub expires: Option<Time>,
    pub password: Input,
    pub again: Input,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::pages::sample;
    use crate::web::view::state::State;

    fn sign_in() -> SignIn {
        SignIn {
            shell: sample::visitor("Sign in"),
            email: Input::of("marta.kovacs@example.org"),
            password: Input::default(),
            error: Some("The email and password don’t match. 3 tries left, then a 15-minute pause.".into()),
            notice: None,
            next: "/tickets/CHG-42?a=\"b\"".into(),
        }
    }

    #[test]
    fn sign_in_keeps_the_email_and_never_the_password() {
        let mut page = sign_in();
        page.password = Input::of("hunter2");
        page.notice = Some(Note::new(State::Time, "Your session ended."));
        let html = sample::check("sign-in", &page);
        assert!(html.contains("value=\"marta.kovacs@example.org\""));
        assert!(html.contains(">Work email</label>") && html.contains(">Password</label>"));
        assert!(html.contains("<button class=\"btn act\">Sign in</button>"));
        assert!(html.contains("name=\"next\" value=\"/tickets/CHG-42?a=&#34;b&#34;\""));
        assert!(!html.contains("hunter2"));
    }

    #[test]
    fn a_dead_link_has_no_form() {
        let now = sample::now();
        let mut page = Enrol {
            shell: sample::visitor("Set your password"),
            token: "abc".into(),
            usable: true,
            name: "Priya Nair".into(),
            email: "priya@example.org".into(),
            expires: Some(Time::long_utc(now, now)),
            password: Input::wrong("", "Too short: 9 characters of at least 12."),
            again: Input::default(),
        };
        let html = sample::check("enrol", &page);
        assert!(html.contains("aria-describedby=\"password-hint password-error\""));
        assert!(html.contains("action=\"/enrol/abc\""));
        page.usable = false;
        let html = sample::check("enrol-dead", &page);
        assert!(!html.contains("<form") && html.contains("href=\"/sign-in\""));
    }
}
