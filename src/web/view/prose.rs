//! Sentences with strong words, code, links and times in them, escaped by construction.

use std::fmt;

use askama::filters::{Escaper as _, Html, HtmlSafe};

use super::format::Time;

/// Writes text as HTML text.
pub(super) fn escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    Html.write_escaped_str(f, text)
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Strong(String),
    Code(String),
    Link { text: String, href: String },
    Time(Time),
    Until(Time),
}

/// A sentence for a page. Built piece by piece; every piece is escaped when it is written.
///
/// The pieces follow one another without spaces: put them in the text.
#[derive(Clone, Debug, Default)]
pub struct Prose(Vec<Piece>);

impl Prose {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Text(text.into()));
        self
    }

    /// The words that matter, in the state's colour where there is one.
    #[must_use]
    pub fn strong(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Strong(text.into()));
        self
    }

    #[must_use]
    pub fn code(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Code(text.into()));
        self
    }

    /// A link inside the portal: `href` begins with `/` or `#`.
    #[must_use]
    pub fn link(mut self, text: impl Into<String>, href: impl Into<String>) -> Self {
        self.0.push(Piece::Link { text: text.into(), href: href.into() });
        self
    }

    /// An address that a person typed: a link if it is http or https, else only its text.
    #[must_use]
    pub fn typed_link(self, address: &str) -> Self {
        if address.starts_with("https://") || address.starts_with("http://") {
            self.link(address, address)
        } else {
            self.text(address)
        }
    }

    #[must_use]
    pub fn time(mut self, time: Time) -> Self {
        self.0.push(Piece::Time(time));
        self
    }

    /// "in 1 d 3 h", counted down once a minute where scripts run.
    #[must_use]
    pub fn until(mut self, time: Time) -> Self {
        self.0.push(Piece::Until(time));
        self
    }
}

impl From<&str> for Prose {
    fn from(text: &str) -> Self {
        Self::new().text(text)
    }
}

impl From<String> for Prose {
    fn from(text: String) -> Self {
        Self::new().text(text)
    }
}

impl From<Time> for Prose {
    fn from(time: Time) -> Self {
        Self::new().time(time)
    }
}

impl fmt::Display for Prose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrapped = |f: &mut fmt::Formatter<'_>, tag: &str, text: &str| {
            write!(f, "<{tag}>")?;
            escaped(f, text)?;
            write!(f, "</{tag}>")
        };
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => escaped(f, text)?,
                Piece::Strong(text) => wrapped(f, "b", text)?,
                Piece::Code(text) => wrapped(f, "code", text)?,
                Piece::Link { text, href } => {
                    f.write_str("<a href=\"")?;
                    escaped(f, href)?;
                    f.write_str("\">")?;
                    escaped(f, text)?;
                    f.write_str("</a>")?;
                }
                Piece::Time(time) => write!(f, "{time}")?,
                Piece::Until(time) => {
                    write!(f, "<span class=\"nw\" data-until=\"{}\">", time.at)?;
                    escaped(f, &time.words)?;
                    f.write_str("</span>")?;
                }
            }
        }
        Ok(())
    }
}

impl HtmlSafe for Prose {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_escaped() {
        let prose = Prose::from("<i>").strong("a & b").code("x<y").link("\"q\"", "/a?b=\"c\"&d");
        assert_eq!(
            prose.to_string(),
            "&#60;i&#62;<b>a &#38; b</b><code>x&#60;y</code>\
             <a href=\"/a?b=&#34;c&#34;&#38;d\">&#34;q&#34;</a>"
        );
    }

    #[test]
    fn a_typed_address_is_a_link_only_if_a_browser_may_follow_it() {
        assert!(Prose::new().typed_link("https://ci.example/1").to_string().starts_with("<a "));
        assert_eq!(Prose::new().typed_link("javascript:alert(1)").to_string(), "javascript:alert(1)");
        assert_eq!(Prose::new().typed_link(" https://x").to_string(), " https://x");
    }
}
