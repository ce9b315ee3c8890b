//! `GET /audit`.

use std::fmt::Write as _;

use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;

use super::words;
use crate::domain::digest::Digest;
use crate::domain::id::TicketNumber;
use crate::service::audit_log::{Entry, LogSize, Search};
use crate::web::error::Page;
use crate::web::extract::Query;
use crate::web::session::Reader;
use crate::web::site::WebState;
use crate::web::view::code::Code;
use crate::web::view::format::{Dig, Time, count, plural};
use crate::web::view::pages::audit::{AuditEntry, AuditPage, AuditRow};
use crate::web::view::parts::{Empty, Fact, Facts, Verdict};
use crate::web::view::prose::Prose;
use crate::web::view::shell::Nav;
use crate::web::view::state::State as Lamp;
use crate::web::{frame, paths, respond};

/// Entries on one page.
const PER_PAGE: i64 = 100;

#[derive(Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    kind: String,
    cursor: Option<i64>,
    entry: Option<i64>,
}

impl Asked {
    /// The address of this filter with one more thing asked for.
    fn href(&self, more: &str) -> String {
        let mut href = "/audit?".to_owned();
        for (name, value) in [("q", &self.q), ("kind", &self.kind)] {
            if !value.is_empty() {
                let _ = write!(href, "{name}={}&", paths::encoded(value));
            }
        }
        href.push_str(more);
        href
    }
}

pub(super) async fn show(State(site): State<WebState>, reader: Reader, Query(asked): Query<Asked>) -> Page {
    let wanted = asked.q.trim();
    let ticket: Option<TicketNumber> = wanted.to_uppercase().parse().ok();
    let search = Search {
        before: asked.cursor,
        area: words::area(&asked.kind),
        ticket,
        who: (ticket.is_none() && !wanted.is_empty()).then_some(wanted),
    };
    let (found, log) = site.services.search_audit(&search, PER_PAGE).await?;
    let entry = match asked.entry {
        Some(seq) => Some(opened(&site.services.audit_event(seq).await?)),
        None => None,
    };
    let full = i64::try_from(found.len()).is_ok_and(|shown| shown == PER_PAGE);
    let shown = u64::try_from(found.len()).unwrap_or(u64::MAX);
    respond::page(&AuditPage {
        shell: frame::shell(&site, &reader, "Audit log", Nav::Audit).await?,
        total: plural(unsigned(log.counted), "entry", "entries"),
        kinds: words::areas(),
        rows: found.iter().map(|event| row(event, &asked)).collect(),
        empty: Empty::new("search", "No entry matches.", "Clear the filter to see all of them."),
        shown: plural(shown, "entry", "entries"),
        first: asked.cursor.map(|_| asked.href("")),
        next: found.last().filter(|_| full).map(|last| asked.href(&format!("cursor={}", last.seq))),
        entry,
        verdict: verdict(log),
        head_facts: Facts { rows: Vec::new(), ruled: false },
        q: asked.q,
        kind: asked.kind,
    })
}

fn row(event: &Entry, asked: &Asked) -> AuditRow {
    let leaf: Value = serde_json::from_str(&event.event).unwrap_or_default();
    let text = |key: &str| leaf.get(key).and_then(Value::as_str).map(str::to_owned);
    let stage = text("stage").map(|stage| format!(" in {stage}")).unwrap_or_default();
    let cursor = asked.cursor.map(|cursor| format!("cursor={cursor}&")).unwrap_or_default();
    AuditRow {
        sequence: count(unsigned(event.seq)),
        href: asked.href(&format!("{cursor}entry={}#entry", event.seq)),
        selected: asked.entry == Some(event.seq),
        at: Time::exact(event.at),
        who: who(event, &leaf),
        what: Prose::from(format!("{}{stage}", words::what(&event.kind))),
        ticket: text("ticket"),
        hash: Dig::brief(Digest::of(event.event.as_bytes())),
    }
}

fn who(event: &Entry, leaf: &Value) -> String {
    let by_operator = leaf.pointer("/data/by").and_then(Value::as_str) == Some("console");
    match &event.name {
        Some(name) => name.clone(),
        None if by_operator => "The operator".to_owned(),
        None => "Countersign".to_owned(),
    }
}

fn opened(event: &Entry) -> AuditEntry {
    let leaf: Value = serde_json::from_str(&event.event).unwrap_or_default();
    let mut rows = vec![Fact::new("Who", who(event, &leaf)), Fact::new("What", event.kind.as_str())];
    if let Some(data) = leaf.get("data").and_then(Value::as_object) {
        rows.extend(data.iter().map(|(key, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Fact::new(key.replace('_', " "), value)
        }));
    }
    rows.push(Fact::digest("SHA-256", Dig::full(Digest::of(event.event.as_bytes()))));
    AuditEntry {
        sequence: count(unsigned(event.seq)),
        at: Time::exact(event.at),
        facts: Facts { rows, ruled: true },
        canonical: Code::line(&event.event),
    }
}

/// Only what this page has looked at: that the log ends where its head says.
fn verdict(log: LogSize) -> Verdict {
    let whole = log.counted == log.newest;
    Verdict {
        state: if whole { Lamp::Open } else { Lamp::Stop },
        question: "Does the log end where its head says?".to_owned(),
        answer: if whole { "Yes".to_owned() } else { "No".to_owned() },
        reason: if whole {
            Prose::from(format!(
                "The head counts {}, and that is the number of the newest.",
                entries(log.counted)
            ))
        } else {
            Prose::from(format!(
                "The head counts {}, but the newest is number {}: entries were taken out behind the portal’s back.",
                entries(log.counted),
                count(unsigned(log.newest))
            ))
        },
        reading: None,
        id: "answer",
    }
}

fn entries(number: i64) -> String {
    plural(unsigned(number), "entry", "entries")
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
