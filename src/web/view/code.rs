//! Lines of SQL, logs and policies, with what a reader couldn't see made visible.

use std::fmt;

use askama::filters::HtmlSafe;

use super::prose::{Prose, escaped};
use super::state::State;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Span {
    Text(String),
    /// A stretch that differs from the other side of a diff.
    Changed(String),
    /// A character that is invisible, or that moves other characters about.
    Hidden(char),
}

/// One line of text as a page shows it.
#[derive(Clone, Debug, Default)]
pub struct Code {
    spans: Vec<Span>,
}

impl Code {
    /// A line without its line ending.
    pub fn line(text: &str) -> Self {
        Self::default().and(text, false)
    }

    /// Adds a stretch, marked if it is what changed.
    #[must_use]
    pub fn and(mut self, text: &str, changed: bool) -> Self {
        let mut run = String::new();
        for character in text.chars() {
            if hidden(character) {
                self.push(&mut run, changed);
                self.spans.push(Span::Hidden(character));
            } else {
                run.push(character);
            }
        }
        self.push(&mut run, changed);
        self
    }

    fn push(&mut self, run: &mut String, changed: bool) {
        if !run.is_empty() {
            let text = std::mem::take(run);
            self.spans.push(if changed { Span::Changed(text) } else { Span::Text(text) });
        }
    }

    /// Whether the line holds a character that can't be seen.
    pub fn has_hidden(&self) -> bool {
        self.spans.iter().any(|span| matches!(span, Span::Hidden(_)))
    }
}

/// The lines of a text. A carriage return that belongs to a line ending goes with it; any other stays and shows.
pub fn lines(text: &str) -> impl Iterator<Item = Code> {
    text.split_inclusive('\n')
        .map(|line| line.strip_suffix('\n').map_or(line, |cut| cut.strip_suffix('\r').unwrap_or(cut)))
        .map(Code::line)
}

/// Characters that are invisible, reorder their neighbours, or pass for a plain space.
fn hidden(character: char) -> bool {
    matches!(
        character,
        '\u{0}'..='\u{8}' | '\u{a}'..='\u{1f}' | '\u{7f}'..='\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}'
            | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180e}'
            | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}'
            | '\u{3000}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for span in &self.spans {
            match span {
                Span::Text(text) => escaped(f, text)?,
                Span::Changed(text) => {
                    f.write_str("<mark>")?;
                    escaped(f, text)?;
                    f.write_str("</mark>")?;
                }
                Span::Hidden(character) => {
                    write!(f, "<span class=\"hid\">U+{:04X}</span>", u32::from(*character))?;
                }
            }
        }
        Ok(())
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
            Self::Added => "added: ",
            Self::Removed => "removed: ",
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
    fn changed_words_are_marked_and_escaped() {
        let code = Code::default().and("a < ", false).and("<b>", true);
        assert_eq!(code.to_string(), "a &#60; <mark>&#60;b&#62;</mark>");
    }
}
