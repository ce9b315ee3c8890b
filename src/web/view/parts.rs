//! The parts that pages share, each with its partial in `templates/partials/`.
//!
//! A part is plain data; writing it into a template writes its partial.

use askama::Template;
use askama::filters::HtmlSafe;

use super::format::{Dig, Time};
use super::prose::Prose;
use super::state::{Glyph, Lamps, Pips, State, Status};

/// A link drawn as a button or in a list of links.
#[derive(Clone, Debug)]
pub struct Link {
    pub text: String,
    pub href: String,
}

impl Link {
    pub fn new(text: impl Into<String>, href: impl Into<String>) -> Self {
        Self { text: text.into(), href: href.into() }
    }
}

/// The reading beside a verdict: "Earliest apply", "Thu 20 Nov, 14:00 UTC", "in 1 d 3 h".
#[derive(Clone, Debug)]
pub struct Reading {
    pub label: String,
    pub value: Prose,
    pub note: Prose,
}

/// The answer that opens a page.
#[derive(Clone, Debug, Template)]
#[template(path = "partials/verdict.html")]
pub struct Verdict {
    pub state: State,
    /// "Can CHG-42 be applied to production?"
    pub question: String,
    /// "Not yet", "Stopped", "Ready", "Completed".
    pub answer: String,
    pub reason: Prose,
    pub reading: Option<Reading>,
    /// The id of the answer, which names the panel it stands in.
    pub id: &'static str,
}

/// One gate in words.
#[derive(Clone, Debug)]
pub struct GateRow {
    /// The gate's key: `checklist`, `dry-run`, …
    pub key: &'static str,
    pub state: State,
    /// The reason's first words, strong: "Blocked: 1 of 2 approvals."
    pub lead: String,
    pub rest: Prose,
    /// Who can clear it, or when it clears by itself.
    pub who: Prose,
    pub note: Prose,
}

impl GateRow {
    /// The gate's name for people.
    pub fn name(&self) -> &'static str {
        gate_name(self.key)
    }
}

/// The name that people read for a gate's key. An unknown key names itself badly on purpose: tests see it.
pub fn gate_name(key: &str) -> &'static str {
    match key {
        "checklist" => "Preflight checklist",
        "dry-run" => "Dry run",
        "review" => "Review",
        "approvals" => "Board approval",
        "previous-stage" => "Stage before it healthy",
        "incidents" => "No open incident",
        "freeze" => "No freeze",
        "window" => "Window",
        "single-run" => "One run at a time",
        _ => "Unnamed gate",
    }
}

/// The nine gates, sorted by urgency.
#[derive(Clone, Debug, Template)]
#[template(path = "partials/gates.html")]
pub struct GateBoard {
    rows: Vec<GateRow>,
    /// In the order they were given, which is the fixed one.
    pips: Pips,
}

impl GateBoard {
    /// `rows` come in the fixed order: checklist, dry-run, review, approvals, previous-stage, incidents,
    /// freeze, window, single-run.
    pub fn new(mut rows: Vec<GateRow>) -> Self {
        let pips = Pips(rows.iter().map(|row| row.state).collect());
        rows.sort_by_key(|row| row.state.urgency());
        Self { rows, pips }
    }

    /// The same gates at a glance.
    pub const fn pips(&self) -> &Pips {
        &self.pips
    }

    /// The gates in the order they are shown.
    pub fn rows(&self) -> &[GateRow] {
        &self.rows
    }
}

/// How far a timed stop has come, in any unit.
#[derive(Clone, Debug)]
pub struct Progress {
    pub value: u64,
    pub max: u64,
    /// "Observation, 20 h 54 m of 24 h".
    pub label: String,
}

/// One stop of a stage's track: Approved, Window, Applied, Observing.
#[derive(Clone, Debug)]
pub struct Stop {
    pub state: State,
    pub name: String,
    pub note: String,
    /// Set for the stop that is on the way.
    pub progress: Option<Progress>,
}

impl Stop {
    pub fn new(state: State, name: impl Into<String>, note: impl Into<String>) -> Self {
        Self { state, name: name.into(), note: note.into(), progress: None }
    }
}

/// A stage on the rail.
#[derive(Clone, Debug)]
pub struct Leg {
    pub name: String,
    pub href: String,
    /// The stage this page shows.
    pub current: bool,
    pub status: Status,
    pub pips: Pips,
    pub stops: Vec<Stop>,
}

/// The stages of a ticket as a track.
#[derive(Clone, Debug, Template)]
#[template(path = "partials/rail.html")]
pub struct Rail {
    /// `CHG-42`.
    pub number: String,
    pub legs: Vec<Leg>,
}

/// What became of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    Approved,
    Rejected,
    Missing,
    Stale,
    Withdrawn,
    /// Current, but not counted: a contributor, an ex-member, a deactivated account.
    NotCounted,
}

impl Signed {
    pub const fn state(self) -> State {
        match self {
            Self::Approved => State::Open,
            Self::Rejected => State::Stop,
            Self::Missing => State::Who,
            Self::Stale | Self::Withdrawn | Self::NotCounted => State::Stale,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Approved => "Signed",
            Self::Rejected => "Rejected",
            Self::Missing => "Missing",
            Self::Stale => "Stale",
            Self::Withdrawn => "Withdrawn",
            Self::NotCounted => "Not counted",
        }
    }
}

/// One line to sign on, signed or not.
#[derive(Clone, Debug)]
pub struct Signature {
    pub kind: Signed,
    /// The signer, or "Second signature".
    pub name: String,
    /// "Wed 19 Nov, 08:31", or "you can sign".
    pub when: Prose,
    pub about: Prose,
    pub comment: Option<String>,
    pub actions: Vec<Link>,
}

impl Signature {
    const fn glyph(&self) -> Glyph {
        self.kind.state().named(self.kind.word())
    }
}

/// The signatures of a stage.
#[derive(Clone, Debug, Template)]
#[template(path = "partials/signatures.html")]
pub struct Signatures {
    pub rows: Vec<Signature>,
    /// In two columns, for the printed record.
    pub two: bool,
}

impl Signatures {
    fn have(&self) -> usize {
        self.rows.iter().filter(|row| row.kind == Signed::Approved).count()
    }

    /// For the head of the panel.
    pub fn lamps(&self, need: usize) -> Lamps {
        Lamps { have: self.have(), need, alone: false }
    }

    /// "1 of 2".
    pub fn counted(&self, need: usize) -> String {
        format!("{} of {need}", self.have())
    }
}

/// The mark at the left of a line of the log.
#[derive(Clone, Copy, Debug)]
pub enum Mark {
    /// An icon of the sprite, such as `pen-line`.
    Icon(&'static str),
    Status(State, &'static str),
}

/// One line of a timeline.
#[derive(Clone, Debug)]
pub struct LogRow {
    pub time: Time,
    pub mark: Mark,
    pub text: Prose,
    /// "#18431" or a name.
    pub aside: Prose,
    pub digest: Option<Dig>,
}

/// What happened, newest first.
#[derive(Clone, Debug, Template)]
#[template(path = "partials/timeline.html")]
pub struct Timeline {
    pub rows: Vec<LogRow>,
}

/// What a list says when it has nothing.
#[derive(Clone, Debug, Template)]
#[template(path = "partials/empty.html")]
pub struct Empty {
    /// An icon of the sprite.
    pub icon: &'static str,
    /// What isn't there, as a sentence.
    pub title: String,
    /// What would appear here, or the way out.
    pub text: Prose,
}

impl Empty {
    pub fn new(icon: &'static str, title: impl Into<String>, text: impl Into<Prose>) -> Self {
        Self { icon, title: title.into(), text: text.into() }
    }
}

/// A remark in a tinted box.
#[derive(Clone, Debug, Template)]
#[template(path = "partials/note.html")]
pub struct Note {
    pub state: State,
    pub text: Prose,
}

impl Note {
    pub fn new(state: State, text: impl Into<Prose>) -> Self {
        Self { state, text: text.into() }
    }
}

/// A term and what it is: the lines of "Facts" and "Bound to".
#[derive(Clone, Debug)]
pub struct Fact {
    pub term: String,
    pub value: Value,
}

/// The right side of a [`Fact`].
#[derive(Clone, Debug)]
pub enum Value {
    Prose(Prose),
    Digest(Dig),
}

impl Fact {
    pub fn new(term: impl Into<String>, value: impl Into<Prose>) -> Self {
        Self { term: term.into(), value: Value::Prose(value.into()) }
    }

    pub fn digest(term: impl Into<String>, digest: Dig) -> Self {
        Self { term: term.into(), value: Value::Digest(digest) }
    }
}

/// A list of facts.
#[derive(Clone, Debug, Template)]
#[template(path = "partials/facts.html")]
pub struct Facts {
    pub rows: Vec<Fact>,
    /// Ruled between rows.
    pub ruled: bool,
}

impl HtmlSafe for Verdict {}
impl HtmlSafe for GateBoard {}
impl HtmlSafe for Rail {}
impl HtmlSafe for Signatures {}
impl HtmlSafe for Timeline {}
impl HtmlSafe for Empty {}
impl HtmlSafe for Note {}
impl HtmlSafe for Facts {}
