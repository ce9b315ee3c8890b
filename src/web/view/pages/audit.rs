//! `/audit`: the log, one entry opened, and the signed head.

use askama::Template;

use crate::web::view::code::Code;
use crate::web::view::format::{Dig, Time};
use crate::web::view::forms::Choice;
use crate::web::view::parts::{Empty, Facts, Verdict};
use crate::web::view::prose::Prose;
use crate::web::view::shell::{Nav, Shell, Theme};

/// One line of the log.
#[derive(Clone, Debug)]
pub struct AuditRow {
    /// "18,431".
    pub sequence: String,
    /// The same page with this entry opened.
    pub href: String,
    pub selected: bool,
    pub at: Time,
    pub who: String,
    pub what: Prose,
    /// `CHG-42`.
    pub ticket: Option<String>,
    pub hash: Dig,
}

/// The entry that is opened.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    pub sequence: String,
    pub at: Time,
    pub facts: Facts,
    /// The leaf, as it is hashed.
    pub canonical: Code,
}

/// `GET /audit`.
#[derive(Debug, Template)]
#[template(path = "pages/audit.html")]
pub struct AuditPage {
    pub shell: Shell,
    /// "18,442 entries".
    pub total: String,
    pub q: String,
    pub kind: String,
    pub kinds: Vec<Choice>,
    pub rows: Vec<AuditRow>,
    pub empty: Empty,
    pub shown: String,
    pub first: Option<String>,
    pub next: Option<String>,
    pub entry: Option<AuditEntry>,
    /// "Unbroken", or what is wrong. Its `id` is `answer`.
    pub verdict: Verdict,
    /// Tree size, head, key, anchor.
    pub head_facts: Facts,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::digest::Digest;
    use crate::web::view::pages::sample;
    use crate::web::view::parts::Fact;
    use crate::web::view::state::State;

    #[test]
    fn the_log_shows_entries_and_opens_one() {
        let hash = Digest::of(b"leaf");
        let at = Time::exact(sample::now());
        let mut page = AuditPage {
            shell: sample::shell(Nav::Audit, "Audit log"),
            total: "18,442 entries".into(),
            q: "CHG-42".into(),
            kind: String::new(),
            kinds: vec![Choice::new("", "Any"), Choice::new("vote", "Votes")],
            rows: vec![AuditRow {
                sequence: "18,431".into(),
                href: "/audit?q=CHG-42&entry=18431".into(),
                selected: true,
                at: at.clone(),
                who: "Daniel Okafor".into(),
                what: "approved production".into(),
                ticket: Some("CHG-42".into()),
                hash: Dig::brief(hash),
            }],
            empty: Empty::new("search", "No entry matches.", "Clear the filter to see all."),
            shown: "1 entry".into(),
            first: None,
            next: Some("/audit?q=CHG-42&cursor=18400".into()),
            entry: Some(AuditEntry {
                sequence: "18,431".into(),
                at,
                facts: Facts { rows: vec![Fact::digest("Leaf", Dig::full(hash))], ruled: true },
                canonical: Code::line("{\"actor\":\"<x>\"}"),
            }),
            verdict: Verdict {
                state: State::Open,
                question: "Entries 1 to 18,442".into(),
                answer: "Unbroken".into(),
                reason: "Head signed Wed 10:55.".into(),
                reading: None,
                id: "answer",
            },
            head_facts: Facts { rows: vec![Fact::digest("Head", Dig::short(hash))], ruled: false },
        };
        let html = sample::check("audit", &page);
        assert!(html.contains("<tr class=\"at\">") && html.contains("href=\"/tickets/CHG-42\">CHG-42</a>"));
        assert!(html.contains("{&#34;actor&#34;:&#34;&#60;x&#62;&#34;}"));
        page.rows.clear();
        page.entry = None;
        let html = sample::check("audit-empty", &page);
        assert!(html.contains("No entry matches.") && !html.contains("<table"));
    }
}
