//! `/policies`: the rules in force, and one version with what it changed.

use askama::Template;

use crate::web::view::code::{Diff, FileLine};
use crate::web::view::format::Dig;
use crate::web::view::parts::{Empty, Facts};
use crate::web::view::prose::Prose;
use crate::web::view::shell::{Nav, Shell, Theme};

/// The policy of one environment.
#[derive(Clone, Debug)]
pub struct PolicyRow {
    pub application: String,
    pub environment: String,
    pub href: String,
    pub version: u32,
    pub digest: Dig,
    /// "Thu 14:00 for 2 h, 2 approvals, 24 h of observation".
    pub summary: String,
    /// "Wed 12 Nov, 09:00 by Marta Kovács".
    pub applied: Prose,
}

/// `GET /policies`.
#[derive(Debug, Template)]
#[template(path = "pages/policies.html")]
pub struct PoliciesPage {
    pub shell: Shell,
    pub note: String,
    pub rows: Vec<PolicyRow>,
    pub empty: Empty,
}

/// A version in the list beside the file.
#[derive(Clone, Debug)]
pub struct PolicyVersion {
    /// "Version 3".
    pub text: String,
    pub href: String,
    /// The one that is shown.
    pub current: bool,
    pub note: Prose,
}

/// One version of one environment's policy.
#[derive(Debug, Template)]
#[template(path = "pages/policy.html")]
pub struct PolicyPage {
    pub shell: Shell,
    pub application: String,
    pub environment: String,
    pub version: u32,
    pub applied: Prose,
    /// In full.
    pub digest: Dig,
    /// The TOML, line by line.
    pub lines: Vec<FileLine>,
    /// "Against version 2".
    pub diff_title: String,
    /// `None` for the first version.
    pub diff: Option<Diff>,
    pub facts: Facts,
    pub versions: Vec<PolicyVersion>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::digest::Digest;
    use crate::web::view::code::{self, Change, Code, DiffRow};
    use crate::web::view::pages::sample;

    #[test]
    fn policies_are_read_and_compared() {
        let digest = Digest::of(b"policy");
        let list = PoliciesPage {
            shell: sample::shell(Nav::Menu, "Policies"),
            note: "2 environments".into(),
            rows: vec![PolicyRow {
                application: "trading-backend".into(),
                environment: "production".into(),
                href: "/policies/trading-backend/production".into(),
                version: 3,
                digest: Dig::short(digest),
                summary: "Thu 14:00 for 2 h, 2 approvals".into(),
                applied: "Wed 12 Nov, 09:00".into(),
            }],
            empty: Empty::new("list-checks", "No policy yet.", "Apply one with countersign policy apply."),
        };
        let html = sample::check("policies", &list);
        assert!(html.contains("href=\"/policies/trading-backend/production\">production</a>"));

        let toml = "[approvals]\nquorum = 2\n";
        let page = PolicyPage {
            shell: sample::shell(Nav::Menu, "Policy of production, version 3"),
            application: "trading-backend".into(),
            environment: "production".into(),
            version: 3,
            applied: "Applied Wed 12 Nov, 09:00".into(),
            digest: Dig::full(digest),
            lines: (1..)
                .zip(code::lines(toml))
                .map(|(number, code)| FileLine { number, code, notes: vec![] })
                .collect(),
            diff_title: "Against version 2".into(),
            diff: Some(Diff {
                caption: "Version 2 compared with version 3".into(),
                rows: vec![DiffRow::Line {
                    change: Change::Added,
                    old: None,
                    new: Some(2),
                    code: Code::line("quorum = 2"),
                }],
            }),
            facts: sample::facts(&[("Approvals", "2")]),
            versions: vec![PolicyVersion {
                text: "Version 2".into(),
                href: "/policies/trading-backend/production?version=2".into(),
                current: false,
                note: "6 Nov".into(),
            }],
        };
        let html = sample::check("policy", &page);
        assert!(html.contains("<td class=\"ln\">2</td>") && html.contains("Against version 2"));
        assert!(!html.contains("<form class=\"panel\""), "policies are not changed here");
    }
}
