//! Lines of SQL, logs and policies, with what a reader couldn't see made visible.

use std::fmt;
use std::fmt::Write as _;
use std::ops::Range;

use askama::filters::{Escaper as _, Html, HtmlSafe};

use super::prose::Prose;
use super::state::State;
use crate::service::diff::Ink;
use crate::service::diff::shown::conceals;

/// One line of text as a page shows it, escaped by construction.
#[derive(Clone, Debug, Default)]
pub struct Code {
    html: String,
    hidden: bool,
}

/// What is told of the stretches of a line besides their text; each list in order, without overlaps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks<'a> {
    pub inks: &'a [(Range<usize>, Ink)],
    /// What differs from the other side.
    pub changed: &'a [Range<usize>],
    /// The element for that: `ins` or `del`.
    pub element: &'static str,
}

const fn class(ink: Ink) -> &'static str {
    match ink {
        Ink::Keyword => "qk",
        Ink::Type => "qy",
        Ink::Text => "qs",
        Ink::Number => "qn",
        Ink::Comment => "qc",
    }
}

impl Code {
    /// A line without its line ending.
    pub fn line(text: &str) -> Self {
        Self::marked(text.as_bytes(), Marks::default())
    }

    /// A line with its stretches marked. Bytes that are no text are shown as such.
    pub fn marked(line: &[u8], marks: Marks<'_>) -> Self {
        let mut code = Self { html: String::with_capacity(line.len() + line.len() / 2), hidden: false };
        let mut inks = marks.inks.iter().peekable();
        let mut changed = marks.changed.iter().peekable();
        let (mut open_ink, mut open_change) = (None, false);
        let mut at = 0;
        while at < line.len() {
            while inks.next_if(|(range, _)| range.end <= at).is_some() {}
            while changed.next_if(|range| range.end <= at).is_some() {}
            let (next_ink, next_change) = (inks.peek().copied(), changed.peek().copied());
            let ink = next_ink.filter(|(range, _)| range.start <= at);
            let change = next_change.filter(|range| range.start <= at);
            let border = |range: &Range<usize>| if range.start > at { range.start } else { range.end };
            let ends = [next_ink.map(|(range, _)| border(range)), next_change.map(border)];
            let end = ends.into_iter().flatten().min().unwrap_or(line.len()).min(line.len());
            let (ink, change) = (ink.map(|(_, ink)| *ink), change.is_some());
            code.turn(&mut open_ink, &mut open_change, ink, change, marks.element);
            code.text(line.get(at..end).unwrap_or_default());
            at = end;
        }
        code.turn(&mut open_ink, &mut open_change, None, false, marks.element);
        code
    }

    /// Ends and begins elements, so that colours lie inside changes.
    fn turn(
        &mut self,
        open_ink: &mut Option<Ink>,
        open_change: &mut bool,
        ink: Option<Ink>,
        change: bool,
        element: &str,
    ) {
        if open_ink.is_some() && (*open_ink != ink || *open_change != change) {
            self.html.push_str("</span>");
            *open_ink = None;
        }
        if *open_change != change {
            let _ = write!(self.html, "<{}{element}>", if change { "" } else { "/" });
            *open_change = change;
        }
        if let Some(ink) = ink.filter(|_| *open_ink != ink) {
            let _ = write!(self.html, "<span class=\"{}\">", class(ink));
            *open_ink = Some(ink);
        }
    }

    fn text(&mut self, bytes: &[u8]) {
        for chunk in bytes.utf8_chunks() {
            let mut rest = chunk.valid();
            while let Some(at) = rest.find(conceals) {
                let _ = Html.write_escaped_str(&mut self.html, &rest[..at]);
                let character = rest[at..].chars().next().unwrap_or_default();
                let _ = write!(self.html, "<span class=\"hid\">U+{:04X}</span>", u32::from(character));
                self.hidden = true;
                rest = &rest[at + character.len_utf8()..];
            }
            let _ = Html.write_escaped_str(&mut self.html, rest);
            for byte in chunk.invalid() {
                let _ = write!(self.html, "<span class=\"hid\">0x{byte:02X}</span>");
                self.hidden = true;
            }
        }
    }

    /// Whether the line holds a character that can't be seen.
    pub const fn has_hidden(&self) -> bool {
        self.hidden
    }

    /// Bytes that this takes of a page.
    pub fn size(&self) -> usize {
        self.html.len()
    }
}

/// The lines of a text. A carriage return that belongs to a line ending goes with it; any other stays and shows.
pub fn lines(text: &str) -> impl Iterator<Item = Code> {
    text.split_inclusive('\n')
        .map(|line| line.strip_suffix('\n').map_or(line, |cut| cut.strip_suffix('\r').unwrap_or(cut)))
        .map(Code::line)
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.html)
    }
}

impl HtmlSafe for Code {}

/// What happened to a line of a diff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Same,
    Added,
    Removed,
}

impl Change {
    pub const fn css(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::Added => "ins",
            Self::Removed => "del",
        }
    }

    /// The element for the words that changed.
    pub const fn element(self) -> &'static str {
        if matches!(self, Self::Removed) { "del" } else { "ins" }
    }

    /// The sign beside the line.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::Added => "+",
            Self::Removed => "−",
        }
    }

    /// The word for somebody who hears the page.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::Added => " added",
            Self::Removed => " removed",
        }
    }
}

/// One row of a unified diff.
#[derive(Clone, Debug)]
pub enum DiffRow {
    Line {
        change: Change,
        old: Option<u32>,
        new: Option<u32>,
        code: Code,
    },
    /// Unchanged lines that are left out, or the words of a gap: "12 unchanged lines".
    Fold(String),
}

/// A unified diff.
#[derive(Clone, Debug, askama::Template)]
#[template(path = "partials/diff.html")]
pub struct Diff {
    /// What is compared with what, for somebody who hears the page.
    pub caption: String,
    pub rows: Vec<DiffRow>,
}

impl HtmlSafe for Diff {}

/// A finding or a remark beside a line of a file.
#[derive(Clone, Debug)]
pub struct LineNote {
    pub state: State,
    pub title: String,
    pub text: Prose,
}

/// One line of a file, with what was said about it.
#[derive(Clone, Debug)]
pub struct FileLine {
    pub number: u32,
    pub code: Code,
    pub notes: Vec<LineNote>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_shown() {
        let code = Code::line("DROP\u{202e}--\u{200b}x\u{a0}y\0");
        assert_eq!(
            code.to_string(),
            "DROP<span class=\"hid\">U+202E</span>--<span class=\"hid\">U+200B</span>x\
             <span class=\"hid\">U+00A0</span>y<span class=\"hid\">U+0000</span>"
        );
        assert!(code.has_hidden());
        assert!(!Code::line("SELECT\t'é → ü 漢字'").has_hidden());
    }

    #[test]
    fn only_a_lone_carriage_return_is_shown() {
        let all: Vec<_> = lines("a\r\nb\rc\n\nd\r").map(|line| line.to_string()).collect();
        let cr = "<span class=\"hid\">U+000D</span>";
        assert_eq!(all, ["a".to_owned(), format!("b{cr}c"), String::new(), format!("d{cr}")]);
    }

    #[test]
    fn colours_lie_inside_changes_and_everything_is_escaped() {
        let inks = [(0..3, Ink::Keyword), (6..9, Ink::Text)];
        let changed = std::slice::from_ref(&(7..11));
        let code = Code::marked(b"SET < 'a' <b>", Marks { inks: &inks, changed, element: "ins" });
        assert_eq!(
            code.to_string(),
            "<span class=\"qk\">SET</span> &#60; <span class=\"qs\">&#39;</span><ins><span class=\"qs\">a&#39;</span> \
             &#60;</ins>b&#62;"
        );
        assert_eq!(Code::marked(b"a\xff", Marks::default()).to_string(), "a<span class=\"hid\">0xFF</span>");
    }
}
