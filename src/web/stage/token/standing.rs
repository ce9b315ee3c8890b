//! What there is to say of a stage's tokens at this instant.

use crate::domain::facts::{Facts, Purpose};
use crate::domain::gate::Clearance;
use crate::domain::presented::Expected;
use crate::domain::run::{ApplyToken, Direction, TokenState};
use crate::domain::transition::{self, Action as Act};
use crate::web::present::{Judged, actions::words};
use crate::web::session::Reader;
use crate::web::view::format::{Dig, Time, and};
use crate::web::view::pages::token::{Offer, TokenView};
use crate::web::view::parts::{Fact, Facts as FactList, LogRow, Mark, Reading, Timeline, Verdict, gate_name};
use crate::web::view::prose::Prose;
use crate::web::view::state::State as Lamp;

pub(super) fn newest(facts: &Facts) -> Option<&ApplyToken> {
    facts.this.tokens.iter().max_by_key(|token| (token.released_at, token.id))
}

pub(super) fn view(stage: &Judged, reader: &Reader, token: Option<&ApplyToken>) -> TokenView {
    let now = stage.now();
    let question = format!("Can a token for {} be released?", stage.name());
    let say = |state, answer: &str, reason: Prose| Verdict {
        state,
        question: question.clone(),
        answer: answer.to_owned(),
        reason,
        reading: None,
        id: "answer",
    };
    let last = token.map(|token| told(token, stage));
    if let Some(token) = token.filter(|token| token.outstanding(now)) {
        let what = if token.direction == Direction::Rollback { "A rollback token" } else { "A token" };
        let mut verdict = say(
            Lamp::Time,
            "One is out",
            Prose::from(format!("{what} was released by {} on ", token.released_by_name))
                .time(Time::long(token.released_at, now))
                .text(". Only one is out at a time."),
        );
        verdict.reading = Some(Reading {
            label: "Expires".into(),
            value: Prose::new().until(Time::until(token.expires_at, now)),
            note: Time::long_utc(token.expires_at, now).into(),
        });
        return TokenView::Outstanding(verdict);
    }
    let facts = Facts { purpose: Purpose::Release, ..stage.facts.clone() };
    match transition::decide(&facts, reader.actor(), &Act::Authorise) {
        Ok(decision) => {
            let waived: Vec<String> = decision
                .clearance
                .iter()
                .flat_map(Clearance::waived)
                .map(|key| gate_name(key.as_str()).to_owned())
                .collect();
            let open = if waived.is_empty() {
                "All nine gates are open.".to_owned()
            } else {
                format!("Every gate is open or waived; waived: {}.", and(&waived))
            };
            let reason = match last {
                Some(last) => Prose::from(format!("{open} The last token ")).text(last),
                None => open.into(),
            };
            let longest = now + stage.facts.this.policy.token_ttl;
            let window = decision.clearance.and_then(|clearance| clearance.window_ends());
            let until = window.map_or(longest, |end| end.min(longest));
            TokenView::Offer(Box::new(Offer {
                verdict: say(Lamp::Open, "Ready", reason),
                direction: Direction::Upgrade.as_str(),
                consequence: Prose::from("The token is shown once, works once, and expires ")
                    .time(Time::long_utc(until, now))
                    .text(". Releasing it is written to the audit log with your name."),
            }))
        }
        Err(refusal) => {
            let used = token.filter(|token| token.state == TokenState::Used);
            if let Some(used) = used.filter(|_| !stage.facts.this.runs.is_empty()) {
                let why = Prose::from("The last token ").text(told(used, stage)).text(" ");
                let why = why.link("Open the run", format!("{}/run", stage.href())).text(". ");
                return TokenView::Past(say(Lamp::Idle, "Not again", why.text(words(&refusal))));
            }
            let reason = match last {
                Some(last) => Prose::from(words(&refusal)).text(" The last token ").text(last),
                None => words(&refusal).into(),
            };
            TokenView::Closed(say(Lamp::Who, "Not yet", reason))
        }
    }
}

/// What became of a token: "was revoked on Thu 20 Nov, 14:10 UTC: the evidence changed."
fn told(token: &ApplyToken, stage: &Judged) -> String {
    let now = stage.now();
    let on = |at| Time::long_utc(at, now).words;
    match token.state {
        TokenState::Used => format!("was used on {}.", on(token.ended_at.unwrap_or(token.released_at))),
        TokenState::Revoked => format!(
            "was revoked on {}: {}.",
            on(token.ended_at.unwrap_or(token.released_at)),
            token.ended_why.as_deref().unwrap_or("no reason given")
        ),
        TokenState::Expired => format!("expired on {}.", on(token.expires_at)),
        TokenState::Issued if now >= token.expires_at => format!("expired on {}.", on(token.expires_at)),
        TokenState::Issued => format!("is out until {}.", on(token.expires_at)),
    }
}

pub(super) fn earlier(stage: &Judged) -> Timeline {
    let mut tokens: Vec<&ApplyToken> = stage.facts.this.tokens.iter().collect();
    tokens.sort_by_key(|token| std::cmp::Reverse((token.released_at, token.id)));
    let row = |token: &ApplyToken| {
        let what = if token.direction == Direction::Rollback { "Rollback token of " } else { "Token of " };
        LogRow {
            time: Time::short(token.released_at, stage.now()),
            mark: Mark::Icon("key-round"),
            text: Prose::from(what)
                .strong(token.released_by_name.clone())
                .text(format!(" {}", told(token, stage))),
            aside: Prose::new(),
            digest: Some(Dig::brief(token.evidence)),
        }
    };
    Timeline { rows: tokens.into_iter().map(row).collect() }
}

pub(super) fn bound(
    stage: &Judged,
    holder: &str,
    expected: Option<&Expected>,
    expires: Option<Time>,
) -> FactList {
    let mut rows = vec![Fact::new("Holder", holder), Fact::digest("Evidence", Dig::full(stage.evidence()))];
    if let Some(expected) = expected {
        rows.push(Fact::new("File", format!("{} v{}", expected.kind.label(), expected.version)));
        rows.push(Fact::digest("File SHA-256", Dig::full(expected.raw)));
        rows.push(Fact::new("Presented as", Prose::new().code(expected.sql_digest.to_string())));
        if let Some(manifest) = expected.manifest {
            rows.push(Fact::digest("Manifest", Dig::full(manifest)));
        }
        if let Some(database) = &expected.database {
            rows.push(Fact::new("Database", Prose::new().code(database.clone())));
        }
    }
    rows.push(Fact::new("Uses", "one"));
    if let Some(expires) = expires {
        rows.push(Fact::new("Expires", expires));
    }
    FactList { rows, ruled: false }
}
