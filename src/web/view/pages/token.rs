//! `/tickets/CHG-1/stages/production/token`: releasing an apply token, showing it once, revoking it.

use std::fmt;

use askama::Template;

use crate::web::view::forms::ErrorSummary;
use crate::web::view::parts::{Facts, GateBoard, Reading, Timeline, Verdict};
use crate::web::view::prose::Prose;
use crate::web::view::shell::{Nav, Shell, Theme};
use crate::web::view::work::{StageRef, TicketHead};

/// A secret on its way to the one page that shows it. Its `Debug` does not.
#[derive(Clone)]
pub struct Shown(pub String);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One thing to do with a token.
#[derive(Clone, Debug)]
pub struct Step {
    /// "Put it in a file only you can read".
    pub title: String,
    pub hint: String,
    /// A command to copy; empty if there is none.
    pub command: String,
}

/// The page after a release: answered to the POST itself, with `Cache-Control: no-store`.
#[derive(Clone, Debug)]
pub struct ShownToken {
    pub secret: Shown,
    /// "Expires with the window", "in 1 h 52 m", "today, 16:00 UTC".
    pub expires: Reading,
    pub steps: Vec<Step>,
}

/// The page on which a token can be released.
#[derive(Clone, Debug)]
pub struct Offer {
    /// "Ready". Its `id` is `answer`, here and in the other states.
    pub verdict: Verdict,
    /// `upgrade` or `rollback`.
    pub direction: &'static str,
    /// "The token is shown once, works once, and expires today at 16:00 UTC."
    pub consequence: Prose,
}

/// What there is to say of this stage's token. The large ones are boxed by the page that holds one of them.
#[derive(Clone, Debug)]
pub enum TokenView {
    /// Just released.
    Shown(Box<ShownToken>),
    /// None outstanding, every gate open or waived.
    Offer(Box<Offer>),
    /// None outstanding, gates closed.
    Closed(Verdict),
    /// One outstanding, its secret no longer known.
    Outstanding(Verdict),
    /// Revoked, used or expired, and no other can be released now.
    Past(Verdict),
}

/// The token page.
#[derive(Debug, Template)]
#[template(path = "pages/token.html")]
pub struct TokenPage {
    pub shell: Shell,
    pub head: TicketHead,
    pub stage: StageRef,
    /// "Your apply token", "Release an apply token".
    pub title: String,
    pub lede: Prose,
    /// What closed between the page and the button, after a 409.
    pub errors: Option<ErrorSummary>,
    pub token: TokenView,
    /// The gates as they were at the release, or as they are now.
    pub gates: GateBoard,
    /// Whether `gates` are those of the release.
    pub released: bool,
    /// Holder, evidence digest, SQL digest, database, expiry.
    pub bound: Facts,
    pub earlier: Timeline,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::pages::sample;
    use crate::web::view::state::State;

    fn verdict(state: State, answer: &str) -> Verdict {
        Verdict {
            state,
            question: "Can a token for production be released?".into(),
            answer: answer.into(),
            reason: "All nine gates are open.".into(),
            reading: None,
            id: "answer",
        }
    }

    fn page(token: TokenView) -> TokenPage {
        TokenPage {
            shell: sample::shell(Nav::Tickets, "Apply token for CHG-42 production"),
            head: sample::head(),
            stage: sample::stage(),
            title: "Your apply token".into(),
            lede: "Shown once, on this page only. Countersign keeps only its hash.".into(),
            errors: None,
            token,
            gates: sample::gates(),
            released: false,
            bound: sample::facts(&[("Holder", "Priya Nair"), ("Uses", "1 of 1 left")]),
            earlier: Timeline { rows: vec![] },
        }
    }

    #[test]
    fn a_token_is_shown_with_what_to_do() {
        let shown = ShownToken {
            secret: Shown("csa_Hx9".repeat(8)),
            expires: Reading {
                label: "Expires with the window".into(),
                value: "in 1 h 52 m".into(),
                note: "today, 16:00 UTC".into(),
            },
            steps: vec![
                Step {
                    title: "Put it in a file only you can read".into(),
                    hint: "Not on the command line: shell history would keep it.".into(),
                    command: "umask 077 && cat > ~/.csn-42".into(),
                },
                Step {
                    title: "Apply from the release host".into(),
                    hint: String::new(),
                    command: "countersign apply CHG-42 --stage production \\\n  --project . --token-file ~/.csn-42 \
                              -- alembic upgrade head"
                        .into(),
                },
            ],
        };
        let view = page(TokenView::Shown(Box::new(shown)));
        let html = sample::check("token", &view);
        assert_eq!(html.matches("csa_Hx9").count(), 8, "once on the page");
        assert!(!format!("{view:?}").contains("csa_Hx9"), "never where a log could print it");
        assert!(html.contains("umask 077 &#38;&#38; cat"));
        assert!(html.contains("action=\"/tickets/CHG-42/stages/production/token/revoke\""));
        assert!(html.contains("<button class=\"btn no\">Revoke it</button>"));
    }

    #[test]
    fn releasing_is_offered_only_with_open_gates() {
        let offer = Offer {
            verdict: verdict(State::Open, "Ready"),
            direction: "upgrade",
            consequence: "The token works once and expires today at 16:00 UTC.".into(),
        };
        let html = sample::check("token-offer", &page(TokenView::Offer(Box::new(offer))));
        assert!(html.contains("<button class=\"btn act\">Release apply token</button>"));
        assert!(html.contains("name=\"direction\" value=\"upgrade\""));

        let html = sample::check("token-closed", &page(TokenView::Closed(verdict(State::Who, "Not yet"))));
        assert!(html.contains("disabled>Release apply token</button>"));
        assert!(!html.contains("name=\"direction\""));
    }

    #[test]
    fn an_outstanding_token_can_be_revoked_and_a_past_one_not() {
        let html = sample::check("token-out", &page(TokenView::Outstanding(verdict(State::Time, "Out"))));
        assert!(html.contains(">Revoke it</button>") && !html.contains("Release apply token"));
        let html = sample::check("token-past", &page(TokenView::Past(verdict(State::Open, "Used"))));
        assert!(!html.contains("Revoke it</button>"));
    }
}
