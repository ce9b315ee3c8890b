//! The parts a stage is prepared with: artifacts, checklist, and the ways on from a page.

use super::format::{Dig, Time};
use super::forms::Input;
use super::parts::Link;
use super::prose::Prose;
use super::state::{Glyph, State, Status, Tag};

/// What stands above the work on a ticket, on every page of it.
#[derive(Clone, Debug)]
pub struct TicketHead {
    /// `CHG-42`.
    pub number: String,
    pub title: String,
    /// "Normal change", "Emergency".
    pub kind: Tag,
    /// "trading-backend, release v2025.11.06, revisions 4f1c83d0 → 9ab27d05 (3 migrations)".
    pub summary: Prose,
    /// "Filed by Priya Nair on Mon 17 Nov, 09:12."
    pub filed: Prose,
}

impl TicketHead {
    /// `/tickets/CHG-42`.
    pub fn href(&self) -> String {
        format!("/tickets/{}", self.number)
    }
}

/// The stage a page is about.
#[derive(Clone, Debug)]
pub struct StageRef {
    /// `CHG-42`.
    pub number: String,
    /// The environment's name in addresses: `production`.
    pub name: String,
    /// For sentences: "Production".
    pub label: String,
    /// The current evidence digest in hexadecimal, which forms send back; empty while there is none.
    pub evidence_digest: String,
}

impl StageRef {
    /// `/tickets/CHG-42/stages/production`.
    pub fn href(&self) -> String {
        format!("/tickets/{}/stages/{}", self.number, self.name)
    }
}

/// A way on: a link, or a disabled button with its reason.
#[derive(Clone, Debug)]
pub struct Action {
    pub text: String,
    pub href: String,
    /// An icon of the sprite.
    pub icon: Option<&'static str>,
    /// The one thing to do here.
    pub primary: bool,
    /// Takes something away.
    pub destructive: bool,
    /// Why the server would refuse it now.
    pub refused: Option<String>,
}

impl Action {
    pub fn new(text: impl Into<String>, href: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            href: href.into(),
            icon: None,
            primary: false,
            destructive: false,
            refused: None,
        }
    }

    #[must_use]
    pub fn primary(mut self) -> Self {
        self.primary = true;
        self
    }

    #[must_use]
    pub fn destructive(mut self) -> Self {
        self.destructive = true;
        self
    }

    #[must_use]
    pub fn icon(mut self, icon: &'static str) -> Self {
        self.icon = Some(icon);
        self
    }

    #[must_use]
    pub fn refused(mut self, reason: impl Into<String>) -> Self {
        self.refused = Some(reason.into());
        self
    }
}

/// The newest version of an artifact.
#[derive(Clone, Debug)]
pub struct ArtifactFile {
    pub filename: String,
    pub version: u32,
    /// Earlier versions, newest first.
    pub earlier: Vec<Link>,
    pub digest: Dig,
    /// "6.1 KB".
    pub size: String,
    /// The uploader: a person, or "Priya Nair, with token ci-release".
    pub by: String,
    pub at: Time,
}

/// One kind of artifact, there or missing.
#[derive(Clone, Debug)]
pub struct ArtifactRow {
    /// `upgrade-sql`.
    pub kind: &'static str,
    /// "Upgrade SQL".
    pub label: &'static str,
    /// `None` while it is missing.
    pub file: Option<ArtifactFile>,
    /// "Missing", "Older than 72 h", "Not possible: see the file".
    pub status: Option<Status>,
    /// "Diff v2 to v3", "Read report".
    pub actions: Vec<Link>,
    pub may_upload: bool,
}

impl ArtifactRow {
    /// Whether a new version changes what approvals cover.
    pub fn is_evidence(&self) -> bool {
        !matches!(self.kind, "smoke-report" | "monitoring-snapshot" | "run-log")
    }

    /// The version that an upload would make.
    pub fn next_version(&self) -> u32 {
        self.file.as_ref().map_or(1, |file| file.version + 1)
    }
}

/// The form with which a person states an attested item.
#[derive(Clone, Debug)]
pub struct Attest {
    /// "Note", or what the item asks for: "On-call engineer".
    pub label: String,
    pub note: Input,
}

/// One item of a checklist.
#[derive(Clone, Debug)]
pub struct ChecklistRow {
    /// The item's key in the policy: `release-frozen`.
    pub item: String,
    pub state: State,
    pub text: String,
    /// The evidence, or the note it was stated with.
    pub detail: Prose,
    /// "Priya Nair, Tue 15:20", "report, Tue 11:19".
    pub by: Prose,
    /// Present where the reader may state it.
    pub attest: Option<Attest>,
    /// The reader may take the statement back.
    pub may_undo: bool,
}

impl ChecklistRow {
    /// The row's glyph, named.
    pub const fn glyph(&self) -> Glyph {
        self.state.named(match self.state {
            State::Open => "Passed",
            State::Stop => "Failed",
            State::Stale => "Stated for earlier evidence",
            _ => "Waiting",
        })
    }
}

/// Items of one kind: those decided by evidence, those stated by a person.
#[derive(Clone, Debug)]
pub struct ChecklistSection {
    pub title: &'static str,
    pub rows: Vec<ChecklistRow>,
}

/// The items of a stage.
#[derive(Clone, Debug, Default)]
pub struct Checklist {
    pub sections: Vec<ChecklistSection>,
}

impl Checklist {
    /// Items in sections for the page. Sections without items are left out.
    pub fn new(automatic: Vec<ChecklistRow>, attested: Vec<ChecklistRow>) -> Self {
        let sections = [
            ChecklistSection { title: "Checked by Countersign from evidence", rows: automatic },
            ChecklistSection { title: "Stated by a person", rows: attested },
        ];
        Self { sections: sections.into_iter().filter(|section| !section.rows.is_empty()).collect() }
    }

    /// "8 of 9 done".
    pub fn counted(&self) -> String {
        let rows = || self.sections.iter().flat_map(|section| &section.rows);
        let done = rows().filter(|row| row.state == State::Open).count();
        format!("{done} of {} done", rows().count())
    }
}
