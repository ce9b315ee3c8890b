//! The seven states, each with a shape, a colour and a word; and the small marks made of them.

use std::fmt;

use askama::filters::HtmlSafe;

use super::prose::{Prose, escaped};

/// What something is waiting for, or that it waits for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Passed, healthy, signed.
    Open,
    /// A person must act.
    Who,
    /// Only the clock.
    Time,
    /// A fault, an incident, a freeze, a refusal.
    Stop,
    /// Not reached.
    Idle,
    /// No longer counted: a stale approval, a waived gate.
    Stale,
    /// Under way.
    Run,
}

impl State {
    /// The class that sets the colours of everything inside.
    pub const fn css(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Who => "who",
            Self::Time | Self::Run => "time",
            Self::Stop => "stop",
            Self::Idle => "idle",
            Self::Stale => "stale",
        }
    }

    /// The sprite's symbol.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Open => "g-open",
            Self::Who => "g-who",
            Self::Time => "g-time",
            Self::Stop => "g-stop",
            Self::Idle => "g-idle",
            Self::Stale => "g-stale",
            Self::Run => "g-run",
        }
    }

    /// The word for somebody who can't see the shape.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::Who => "Waits for a person",
            Self::Time => "Waits for time",
            Self::Stop => "Stopped",
            Self::Idle => "Not reached",
            Self::Stale => "Not counted",
            Self::Run => "Under way",
        }
    }

    /// The order of the gate board: stopped, people, time, the rest, open.
    pub const fn urgency(self) -> u8 {
        match self {
            Self::Stop => 0,
            Self::Who => 1,
            Self::Time | Self::Run => 2,
            Self::Idle => 3,
            Self::Stale => 4,
            Self::Open => 5,
        }
    }

    /// The glyph beside a word that says the same.
    pub const fn glyph(self) -> Glyph {
        Glyph { state: self, label: None }
    }

    /// The glyph that stands alone, named by the state's word.
    pub const fn image(self) -> Glyph {
        Glyph { state: self, label: Some(self.word()) }
    }

    /// The glyph that stands alone, named otherwise: "Signed", "Passed".
    pub const fn named(self, label: &'static str) -> Glyph {
        Glyph { state: self, label: Some(label) }
    }
}

/// One status glyph.
#[derive(Clone, Copy, Debug)]
pub struct Glyph {
    state: State,
    label: Option<&'static str>,
}

impl fmt::Display for Glyph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<svg class=\"g\" ")?;
        match self.label {
            None => f.write_str("aria-hidden=\"true\"")?,
            Some(label) => write!(f, "role=\"img\" aria-label=\"{label}\"")?,
        }
        write!(f, "><use href=\"#{}\"/></svg>", self.state.symbol())
    }
}

impl HtmlSafe for Glyph {}

/// A glyph and its words, in the state's colour.
#[derive(Clone, Debug)]
pub struct Status {
    pub state: State,
    pub text: Prose,
}

impl Status {
    pub fn new(state: State, text: impl Into<Prose>) -> Self {
        Self { state, text: text.into() }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (css, glyph) = (self.state.css(), self.state.glyph());
        write!(f, "<span class=\"st {css}\">{glyph}<span>{}</span></span>", self.text)
    }
}

impl HtmlSafe for Status {}

/// A word in a box: the kind of a ticket, the severity of a finding.
#[derive(Clone, Debug)]
pub struct Tag {
    /// `None` is a plain tag.
    pub state: Option<State>,
    pub text: String,
}

impl Tag {
    pub fn plain(text: impl Into<String>) -> Self {
        Self { state: None, text: text.into() }
    }

    pub fn of(state: State, text: impl Into<String>) -> Self {
        Self { state: Some(state), text: text.into() }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<span class=\"tag {}\">", self.state.map_or("", State::css))?;
        escaped(f, &self.text)?;
        f.write_str("</span>")
    }
}

impl HtmlSafe for Tag {}

/// The nine gates at a glance, in their fixed order.
#[derive(Clone, Debug, Default)]
pub struct Pips(pub Vec<State>);

impl Pips {
    /// How many gates don't block: open or waived.
    pub fn passing(&self) -> usize {
        self.0.iter().filter(|state| matches!(state, State::Open | State::Stale)).count()
    }

    /// "3 of 9".
    pub fn counted(&self) -> String {
        format!("{} of {}", self.passing(), self.0.len())
    }
}

impl fmt::Display for Pips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waived = self.0.iter().filter(|state| **state == State::Stale).count();
        write!(f, "<span class=\"pips\" role=\"img\" aria-label=\"{} gates open", self.counted())?;
        if waived > 0 {
            write!(f, ", {waived} of them waived")?;
        }
        f.write_str("\">")?;
        for state in &self.0 {
            write!(f, "<span class=\"{}\">{}</span>", state.css(), state.glyph())?;
        }
        f.write_str("</span>")
    }
}

impl HtmlSafe for Pips {}

/// The two lamps: how many of the needed signatures are there.
#[derive(Clone, Copy, Debug)]
pub struct Lamps {
    pub have: usize,
    pub need: usize,
    /// False where words beside the lamps say the same.
    pub alone: bool,
}

impl Lamps {
    fn symbol(self) -> &'static str {
        match (self.need, self.have) {
            (0 | 1, 0) => "sig-0-1",
            (0 | 1, _) => "sig-1-1",
            (_, 0) => "sig-0-2",
            (need, have) if have >= need => "sig-2-2",
            _ => "sig-1-2",
        }
    }
}

impl fmt::Display for Lamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<svg class=\"sig\" ")?;
        if self.alone {
            write!(f, "role=\"img\" aria-label=\"{} of {} signed\"", self.have, self.need)?;
        } else {
            f.write_str("aria-hidden=\"true\"")?;
        }
        write!(f, "><use href=\"#{}\"/></svg>", self.symbol())
    }
}

impl HtmlSafe for Lamps {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_shape_and_a_word() {
        assert_eq!(
            Status::new(State::Who, "Second <signature>").to_string(),
            "<span class=\"st who\"><svg class=\"g\" aria-hidden=\"true\"><use href=\"#g-who\"/></svg>\
             <span>Second &#60;signature&#62;</span></span>"
        );
    }

    #[test]
    fn waived_gates_do_not_block_and_are_said() {
        let pips = Pips(vec![State::Open, State::Stale, State::Who]);
        assert_eq!(pips.counted(), "2 of 3");
        assert!(pips.to_string().contains("aria-label=\"2 of 3 gates open, 1 of them waived\""));
    }

    #[test]
    fn lamps_show_quorum() {
        let symbol = |have, need| Lamps { have, need, alone: true }.symbol();
        assert_eq!(symbol(0, 2), "sig-0-2");
        assert_eq!(symbol(1, 2), "sig-1-2");
        assert_eq!(symbol(2, 2), "sig-2-2");
        assert_eq!(symbol(3, 2), "sig-2-2");
        assert_eq!(symbol(2, 3), "sig-1-2");
        assert_eq!(symbol(0, 1), "sig-0-1");
        assert_eq!(symbol(1, 1), "sig-1-1");
    }

    #[test]
    fn the_board_puts_what_is_stopped_first() {
        let mut states = [State::Open, State::Time, State::Stop, State::Stale, State::Who];
        states.sort_by_key(|state| state.urgency());
        assert_eq!(states, [State::Stop, State::Who, State::Time, State::Stale, State::Open]);
    }
}
