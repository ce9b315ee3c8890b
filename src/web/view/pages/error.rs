//! What is shown when something can't be done: 403, 404, 409, 413, 500, 503.

use askama::Template;

use crate::web::view::forms::Input;
use crate::web::view::parts::Facts;
use crate::web::view::prose::Prose;
use crate::web::view::shell::{Nav, Shell, Theme};
use crate::web::view::state::Status;
use crate::web::view::work::Action;

/// A fault, or something that isn't there. Says what did not happen, what is unchanged, what to do, whom
/// to tell which reference.
#[derive(Debug, Template)]
#[template(path = "pages/error.html")]
pub struct ErrorPage {
    pub shell: Shell,
    /// The HTTP status.
    pub status: u16,
    /// "Your approval was not recorded", "There is no such ticket".
    pub title: String,
    pub what: Prose,
    pub actions: Vec<Action>,
    pub facts: Facts,
    /// The operation's id, which is also in the log; empty where the log says nothing.
    pub reference: String,
}

impl ErrorPage {
    /// The page of a status, in the words that hold for any page.
    ///
    /// `reference` is the operation's id.
    pub fn of(mut shell: Shell, status: u16, reference: &str) -> Self {
        let (title, what) = words(status);
        title.clone_into(&mut shell.title);
        let asked = if shell.user.is_some() { "Back to your queue" } else { "Sign in" };
        Self {
            shell,
            status,
            title: title.into(),
            what: what.into(),
            actions: vec![Action::new(asked, "/").primary()],
            facts: Facts { rows: vec![], ruled: true },
            reference: reference.into(),
        }
    }
}

fn words(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => (
            "This form could not be read",
            "Nothing has been changed. Go back, reload the page and try again.",
        ),
        403 => (
            "You can’t do this",
            "Nothing has been changed. Either your roles don’t allow it, or the form came from another \
             site or an older session. Reload the page and try again.",
        ),
        404 => ("There is nothing here", "The address is wrong, or what it named was never there."),
        405 => ("This address does not do that", "Nothing has been changed. Use the buttons of the page."),
        409 => (
            "This has changed meanwhile",
            "Nothing has been recorded. Go back, reload the page, read what changed and decide again.",
        ),
        413 => (
            "This file is too large",
            "Nothing has been stored. The limit is set by whoever runs this portal.",
        ),
        429 => ("Too many tries", "Nothing has been changed. Wait a quarter of an hour and try again."),
        503 => (
            "Countersign is busy for a moment",
            "Nothing has been changed. Wait a few seconds and try again.",
        ),
        _ => (
            "Something went wrong here, not with you",
            "Nothing that the page did not confirm has been recorded. Try again; if it happens again, give \
             the reference below to whoever runs this portal.",
        ),
    }
}

/// A field that is offered again.
#[derive(Clone, Debug)]
pub struct KeptField {
    pub name: String,
    pub label: String,
    pub input: Input,
}

/// The form once more, for what there is now.
#[derive(Clone, Debug)]
pub struct Again {
    pub action: String,
    /// Names and values, with the current version or evidence digest among them.
    pub hidden: Vec<(String, String)>,
    pub fields: Vec<KeptField>,
    /// "Reply anyway", "Save changes".
    pub button: String,
}

/// 409: what was seen is no longer current, or gates closed meanwhile.
#[derive(Debug, Template)]
#[template(path = "pages/refused.html")]
pub struct RefusedPage {
    pub shell: Shell,
    /// "Your note was not recorded".
    pub title: String,
    pub what: Prose,
    pub changes: Vec<Prose>,
    pub blockers: Vec<Status>,
    /// Present where doing it again is sensible. A password is never among its fields.
    pub again: Option<Again>,
    pub back: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::pages::sample;
    use crate::web::view::parts::Fact;
    use crate::web::view::state::State;

    #[test]
    fn every_status_says_what_to_do() {
        for status in [400, 403, 404, 405, 409, 413, 429, 500, 503] {
            let page = ErrorPage::of(sample::shell(Nav::Queue, ""), status, "CSE-7QX4-19M2");
            let html = sample::check(&format!("error-{status}"), &page);
            assert!(html.contains(&format!("Error {status},")), "{status}");
            assert!(html.contains("<code class=\"refid\">CSE-7QX4-19M2</code>"), "{status}");
            assert!(html.contains(&format!("<title>{} · Countersign</title>", page.title)), "{status}");
            assert!(!page.title.contains('!') && !page.title.contains("Oops"), "{status}");
        }
    }

    #[test]
    fn an_error_can_say_more() {
        let mut page = ErrorPage::of(sample::visitor(""), 503, "");
        page.title = "Your approval was not recorded".into();
        page.facts.rows.push(Fact::new("Your comment", "Kept for 30 minutes."));
        let html = sample::check("error-more", &page);
        assert!(html.contains("Kept for 30 minutes.") && !html.contains("refid"));
        assert!(html.contains(">Sign in</a>"), "a visitor is led to the door");
    }

    #[test]
    fn a_refused_form_keeps_what_was_typed() {
        let page = RefusedPage {
            shell: sample::shell(Nav::Tickets, "Your note was not recorded"),
            title: "Your note was not recorded".into(),
            what: "The evidence changed while you were writing.".into(),
            changes: vec!["Upgrade SQL is now v4; you saw v3.".into()],
            blockers: vec![Status::new(State::Time, "Opens Thu 14:00 UTC.")],
            again: Some(Again {
                action: "/tickets/CHG-42/stages/production/checklist/release-frozen".into(),
                hidden: vec![("done".into(), "true".into()), ("evidence_digest".into(), "ab\"cd".into())],
                fields: vec![KeptField {
                    name: "note".into(),
                    label: "Note".into(),
                    input: Input::of("frozen <since> Monday"),
                }],
                button: "State this for what there is now".into(),
            }),
            back: "/tickets/CHG-42/stages/production".into(),
        };
        let html = sample::check("refused", &page);
        assert!(html.contains("frozen &#60;since&#62; Monday</textarea>"));
        assert!(html.contains("name=\"evidence_digest\" value=\"ab&#34;cd\""));
        assert!(html.contains("Upgrade SQL is now v4; you saw v3."));
    }
}
