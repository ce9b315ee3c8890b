//! One artifact with its line numbers, and the difference between two.

use askama::Template;

use crate::web::view::code::{Diff, FileLine};
use crate::web::view::format::{Dig, Time};
use crate::web::view::forms::Choice;
use crate::web::view::parts::{Empty, Note};
use crate::web::view::prose::Prose;
use crate::web::view::review::{NewThread, Thread};
use crate::web::view::shell::{Nav, Shell, Theme};
use crate::web::view::state::Lamps;
use crate::web::view::work::{Action, StageRef, TicketHead};

/// A version in the list beside the file.
#[derive(Clone, Debug)]
pub struct VersionRow {
    pub version: u32,
    /// The one that is shown.
    pub current: bool,
    pub by: String,
    pub at: Time,
}

/// `…/artifacts/KIND?version=N`.
#[derive(Debug, Template)]
#[template(path = "pages/artifact.html")]
pub struct ArtifactPage {
    pub shell: Shell,
    pub head: TicketHead,
    pub stage: StageRef,
    /// `upgrade-sql`.
    pub kind: String,
    /// "Upgrade SQL".
    pub label: String,
    pub version: u32,
    pub filename: String,
    /// "6.1 KB, uploaded by Priya Nair on Tue 18 Nov, 11:02".
    pub summary: Prose,
    /// In full.
    pub digest: Dig,
    pub actions: Vec<Action>,
    /// "This file holds characters that can't be seen", "a newer version exists".
    pub alerts: Vec<Note>,
    /// Empty for a file that is too large or not text.
    pub lines: Vec<FileLine>,
    pub no_lines: Empty,
    /// The address of the lines that follow, if the file is shown in parts.
    pub next_part: Option<String>,
    /// "Lines 1 to 2,000 of 8,120".
    pub part_note: String,
    /// Newest first.
    pub versions: Vec<VersionRow>,
    pub threads: Vec<Thread>,
    /// Present where the reader may open a thread; `about` names the line they chose.
    pub new_thread: Option<NewThread>,
}

impl ArtifactPage {
    fn raw_href(&self) -> String {
        format!("{}/artifacts/{}/raw?version={}", self.stage.href(), self.kind, self.version)
    }

    const fn may_ask(&self) -> bool {
        self.new_thread.is_some()
    }
}

/// A file in the tabs of the diff.
#[derive(Clone, Debug)]
pub struct DiffFile {
    pub text: String,
    pub href: String,
    pub current: bool,
    /// "+18 −8".
    pub counts: String,
}

/// `…/diff?kind=upgrade-sql&from=staging:1&to=production:1`.
#[derive(Debug, Template)]
#[template(path = "pages/diff.html")]
pub struct DiffPage {
    pub shell: Shell,
    pub head: TicketHead,
    pub stage: StageRef,
    pub kind: String,
    pub files: Vec<DiffFile>,
    /// `STAGE:VERSION`, or empty for "nothing: show the whole file".
    pub from: String,
    pub to: String,
    pub from_choices: Vec<Choice>,
    pub to_choices: Vec<Choice>,
    pub lamps: Lamps,
    /// "1 of 2 signed".
    pub lamps_text: String,
    pub actions: Vec<Action>,
    pub alerts: Vec<Note>,
    /// `None` where there is nothing to draw; then `no_diff` says why.
    pub diff: Option<Diff>,
    pub no_diff: Empty,
    pub next_part: Option<String>,
    pub part_note: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::digest::Digest;
    use crate::web::view::code::{self, Change, Code, DiffRow, LineNote};
    use crate::web::view::pages::sample;
    use crate::web::view::state::State;

    fn artifact() -> ArtifactPage {
        let sql = "BEGIN;\nALTER TABLE positions ADD COLUMN x int; --\u{202e} evil\n\nCOMMIT;\n";
        let mut lines: Vec<_> = (1..)
            .zip(code::lines(sql))
            .map(|(number, code)| FileLine { number, code, notes: vec![] })
            .collect();
        lines[1].notes.push(LineNote {
            state: State::Who,
            title: "Warning: short full lock".into(),
            text: "ADD COLUMN locks positions.".into(),
        });
        ArtifactPage {
            shell: sample::shell(Nav::Tickets, "Upgrade SQL v3 of CHG-42"),
            head: sample::head(),
            stage: sample::stage(),
            kind: "upgrade-sql".into(),
            label: "Upgrade SQL".into(),
            version: 3,
            filename: "upgrade.sql".into(),
            summary: "6.1 KB, uploaded by Priya Nair".into(),
            digest: Dig::full(Digest::of(sql.as_bytes())),
            actions: vec![Action::new("Diff v2 to v3", "/tickets/CHG-42/stages/production/diff")],
            alerts: vec![Note::new(State::Stop, "This file holds a character that can’t be seen.")],
            lines,
            no_lines: Empty::new("file-diff", "This file is not shown.", "It is not text."),
            next_part: None,
            part_note: String::new(),
            versions: vec![
                VersionRow {
                    version: 3,
                    current: true,
                    by: "Priya Nair".into(),
                    at: sample::time("2025-11-18T11:02:00Z"),
                },
                VersionRow {
                    version: 2,
                    current: false,
                    by: "Priya Nair".into(),
                    at: sample::time("2025-11-17T13:40:00Z"),
                },
            ],
            threads: sample::threads(),
            new_thread: Some(NewThread { about: Some(("upgrade-sql".into(), 3, 2)), ..NewThread::default() }),
        }
    }

    #[test]
    fn a_file_is_shown_with_numbers_findings_and_hidden_characters() {
        let html = sample::check("artifact", &artifact());
        assert!(html.contains("<span class=\"hid\">U+202E</span>"));
        assert!(html.contains("id=\"L4\"") && !html.contains("id=\"L5\""));
        let finding = html.find("Warning: short full lock").unwrap();
        assert!(html.find("id=\"L2\"").unwrap() < finding && finding < html.find("id=\"L3\"").unwrap());
        assert!(html.contains("/artifacts/upgrade-sql/raw?version=3"));
        assert!(html.contains("name=\"line\" value=\"2\""));
    }

    #[test]
    fn a_diff_keeps_what_was_chosen() {
        let line = |change, old, new, code| DiffRow::Line { change, old, new, code };
        let choice = |value: &str, text: &str| Choice::new(value, text);
        let mut page = DiffPage {
            shell: sample::shell(Nav::Tickets, "Diff of CHG-42"),
            head: sample::head(),
            stage: sample::stage(),
            kind: "upgrade-sql".into(),
            files: vec![
                DiffFile {
                    text: "upgrade.sql".into(),
                    href: "?kind=upgrade-sql".into(),
                    current: true,
                    counts: "+1 −1".into(),
                },
                DiffFile {
                    text: "downgrade.sql".into(),
                    href: "?kind=downgrade-sql".into(),
                    current: false,
                    counts: String::new(),
                },
            ],
            from: "staging:1".into(),
            to: "production:3".into(),
            from_choices: vec![
                choice("", "Nothing: show the whole file"),
                choice("staging:1", "staging v1, ran Tue 14:06"),
            ],
            to_choices: vec![choice("production:3", "production v3, current")],
            lamps: Lamps { have: 1, need: 2, alone: false },
            lamps_text: "1 of 2 signed".into(),
            actions: vec![
                Action::new("Decide on production", "/tickets/CHG-42/stages/production/decide").primary(),
            ],
            alerts: vec![],
            diff: Some(Diff {
                caption: "upgrade.sql, staging v1 compared with production v3".into(),
                rows: vec![
                    line(Change::Same, Some(3), Some(3), Code::line("BEGIN;")),
                    line(
                        Change::Removed,
                        Some(4),
                        None,
                        Code::default().and("SET t = ", false).and("'30s'", true).and(";", false),
                    ),
                    line(
                        Change::Added,
                        None,
                        Some(4),
                        Code::default().and("SET t = ", false).and("'3s'", true).and(";", false),
                    ),
                    DiffRow::Fold("12 unchanged lines".into()),
                ],
            }),
            no_diff: Empty::new("file-diff", "The files are the same.", "Byte for byte."),
            next_part: Some("?part=2".into()),
            part_note: "Changes 1 to 200 of 310".into(),
        };
        let html = sample::check("diff", &page);
        assert!(html.contains("<option value=\"staging:1\" selected>"));
        assert!(
            html.contains("<mark>&#39;3s&#39;</mark>") && html.contains("<span class=\"vh\">added: </span>")
        );
        page.diff = None;
        page.next_part = None;
        let html = sample::check("diff-same", &page);
        assert!(html.contains("The files are the same.") && !html.contains("<table"));
    }
}
