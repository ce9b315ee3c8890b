//! One artifact with its line numbers, and the difference between two.

use askama::Template;

use crate::web::view::code::FileLine;
use crate::web::view::difference::Difference;
use crate::web::view::format::{Dig, Time};
use crate::web::view::forms::Choice;
use crate::web::view::parts::{Empty, Note};
use crate::web::view::prose::Prose;
use crate::web::view::review::{NewThread, Thread};
use crate::web::view::shell::{Nav, Shell, Theme};
use crate::web::view::state::{Lamps, Status, Tag};
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
    /// "+18 −8", or "changed" since the reader's vote.
    pub counts: String,
    /// The reader marked it as read.
    pub read: bool,
}

/// The form that marks the file as read.
#[derive(Clone, Debug)]
pub struct MarkForm {
    pub version: i64,
    pub filename: String,
    /// When that was done already.
    pub read: Option<Status>,
}

/// How far people have read.
#[derive(Clone, Debug, Default)]
pub struct Readers {
    pub rows: Vec<Status>,
    /// How many files there are.
    pub files: usize,
}

/// `…/diff?kind=upgrade-sql&from=staging:1&to=production:1`.
#[derive(Debug, Template)]
#[template(path = "pages/diff.html")]
pub struct DiffPage {
    pub shell: Shell,
    pub head: TicketHead,
    pub stage: StageRef,
    pub kind: String,
    /// "Upgrade SQL".
    pub label: String,
    pub files: Vec<DiffFile>,
    /// `STAGE:VERSION`, or `none` for "nothing: show the whole file".
    pub from: String,
    pub to: String,
    pub from_choices: Vec<Choice>,
    pub to_choices: Vec<Choice>,
    /// Side by side.
    pub split: bool,
    /// `?kind=upgrade-sql&from=staging:1&to=production:1&`: what addresses of this page begin with.
    pub query: String,
    /// The same for forms that lead back here.
    pub back: String,
    /// Findings, in order, with their addresses.
    pub chips: Vec<(Tag, String)>,
    /// Findings that have no chip.
    pub more_findings: usize,
    pub lamps: Lamps,
    /// "1 of 2 signed".
    pub lamps_text: String,
    /// "You decide on all of the evidence, not on this file."
    pub decide: Prose,
    /// The reader votes.
    pub may_reject: bool,
    pub actions: Vec<Action>,
    pub alerts: Vec<Note>,
    /// `None` where there is nothing to draw; then `no_diff` says why.
    pub diff: Option<Difference>,
    pub no_diff: Empty,
    pub previous_part: Option<String>,
    pub next_part: Option<String>,
    pub part_note: String,
    /// Threads whose line is in neither file any more.
    pub loose: Vec<Thread>,
    /// Present where the reader may open a thread on a line of the newer file.
    pub comment: Option<NewThread>,
    /// The newer file's last line.
    pub last_line: u32,
    pub mark: Option<MarkForm>,
    pub readers: Readers,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::digest::Digest;
    use crate::web::view::code::{self, Change, Code, LineNote, Marks};
    use crate::web::view::difference::{Cell, Entry, MarginNote, Row};
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

    fn cell(change: Change, number: u32, code: Code) -> Cell {
        Cell { change, number, code, labels: Vec::new(), ask: Some(format!("?line=R{number}#ask")) }
    }

    fn row(change: Change, old: Option<u32>, new: Option<u32>, code: Code) -> Entry {
        let number = new.or(old).unwrap_or_default();
        Entry::of(Row::Line { old, new, cell: cell(change, number, code) })
    }

    fn changed(text: &str, range: std::ops::Range<usize>, element: &'static str) -> Code {
        Code::marked(text.as_bytes(), Marks { changed: &[range], element, ..Marks::default() })
    }

    fn difference(split: bool) -> Difference {
        let mut fold = Entry::of(Row::Fold {
            href: "?open=5#R5".into(),
            words: "12 unchanged lines".into(),
            holds: Some("1 statement: CREATE TABLE".into()),
            anchor: 5,
        });
        fold.notes.push(MarginNote {
            id: "f1".into(),
            state: State::Stop,
            title: "Blocking: short full lock".into(),
            text: "ADD COLUMN locks <positions>.".into(),
        });
        let mut labelled = cell(Change::Added, 17, Code::line("SELECT 1;"));
        labelled.labels.push("moved from line 3".into());
        let entries = if split {
            vec![
                Entry::of(Row::Pair {
                    old: Some(cell(Change::Removed, 4, changed("SET t = '30s';", 9..12, "del"))),
                    new: Some(cell(Change::Added, 4, changed("SET t = '3s';", 9..11, "ins"))),
                }),
                fold,
                Entry::of(Row::Pair { old: None, new: Some(labelled) }),
            ]
        } else {
            vec![
                row(Change::Same, Some(3), Some(3), Code::line("BEGIN;")),
                row(Change::Removed, Some(4), None, changed("SET t = '30s';", 9..12, "del")),
                row(Change::Added, None, Some(4), changed("SET t = '3s';", 9..11, "ins")),
                Entry::of(Row::Threads(sample::threads())),
                fold,
                Entry::of(Row::Line { old: None, new: Some(17), cell: labelled }),
                Entry::of(Row::Ask(NewThread {
                    about: Some(("upgrade-sql".into(), 3, 17)),
                    back: "kind=upgrade-sql".into(),
                    ..NewThread::default()
                })),
            ]
        };
        let mut difference = Difference {
            caption: "upgrade.sql, staging v1 compared with production v3".into(),
            split,
            single: false,
            entries,
            stage: sample::stage(),
            csrf: sample::shell(Nav::Tickets, "").csrf,
        };
        difference.set_margin();
        difference
    }

    fn page(diff: Option<Difference>) -> DiffPage {
        let choice = |value: &str, text: &str| Choice::new(value, text);
        let file = |text: &str, kind: &str, current| DiffFile {
            text: text.into(),
            href: format!("?kind={kind}"),
            current,
            counts: if current { "+1 −1".into() } else { String::new() },
            read: !current,
        };
        DiffPage {
            shell: sample::shell(Nav::Tickets, "Diff of CHG-42"),
            head: sample::head(),
            stage: sample::stage(),
            kind: "upgrade-sql".into(),
            label: "Upgrade SQL".into(),
            files: vec![
                file("Upgrade SQL", "upgrade-sql", true),
                file("Downgrade SQL", "downgrade-sql", false),
            ],
            from: "staging:1".into(),
            to: "production:3".into(),
            from_choices: vec![
                choice("none", "Nothing: show the whole file"),
                choice("staging:1", "staging v1, ran Tue 14:06"),
            ],
            to_choices: vec![choice("production:3", "production v3, current")],
            split: diff.as_ref().is_some_and(|diff| diff.split),
            query: "?kind=upgrade-sql&from=staging:1&to=production:3&".into(),
            back: "kind=upgrade-sql".into(),
            chips: vec![(Tag::of(State::Stop, "blocking, line 20"), "?at=R20#R20".into())],
            more_findings: 3,
            lamps: Lamps { have: 1, need: 2, alone: false },
            lamps_text: "1 of 2 signed".into(),
            decide: "You decide on all of the evidence.".into(),
            may_reject: true,
            actions: vec![Action::new("Patch", "?format=patch")],
            alerts: vec![],
            diff,
            no_diff: Empty::new("file-diff", "There is nothing to compare.", ""),
            previous_part: None,
            next_part: Some("?part=2".into()),
            part_note: "Part 1 of 2".into(),
            loose: vec![],
            comment: Some(NewThread { about: Some(("upgrade-sql".into(), 3, 1)), ..NewThread::default() }),
            last_line: 47,
            mark: Some(MarkForm { version: 3, filename: "upgrade.sql".into(), read: None }),
            readers: Readers { rows: vec![Status::new(State::Idle, "Marta has marked 1 of 2")], files: 2 },
        }
    }

    #[test]
    fn a_diff_keeps_what_was_chosen() {
        let html = sample::check("diff", &page(Some(difference(false))));
        assert!(html.contains("<option value=\"staging:1\" selected>"));
        assert!(html.contains("<ins>3s</ins>") && html.contains("<span class=\"vh\"> added</span>"));
        assert!(html.contains("moved from line 3") && html.contains("href=\"?open=5#R5\""));
        assert!(html.contains("rowspan=\"3\"") && html.contains("locks &#60;positions&#62;."));
        assert!(
            html.contains("name=\"line\" value=\"17\"")
                && html.contains("aria-label=\"Comment on new line 17\"")
        );
        let html = sample::check("diff-split", &page(Some(difference(true))));
        assert!(html.contains("<td class=\"c nil\">") && html.contains("<del>30s</del>"));
        let html = sample::check("diff-none", &page(None));
        assert!(html.contains("There is nothing to compare.") && !html.contains("<table"));
    }
}
