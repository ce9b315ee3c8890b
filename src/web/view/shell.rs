//! What every page has around it: the bar, the strip, the foot.

use std::fmt;

use askama::filters::HtmlSafe;

use super::format::Time;
use super::prose::{Prose, escaped};
use super::state::{Glyph, State};
use crate::domain::time::Timestamp;
use crate::web::assets;

/// The section of the main navigation that a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nav {
    Queue,
    Tickets,
    Incidents,
    Audit,
    /// Account, policies, people: reached through the menu.
    Menu,
}

/// The colour scheme a person chose; the browser's own unless they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    /// The value of the cookie and of the form field `theme`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Reads the cookie or the form field; anything unknown is the system's.
    pub fn named(name: &str) -> Self {
        [Self::Light, Self::Dark].into_iter().find(|theme| theme.name() == name).unwrap_or_default()
    }

    /// The choices of the menu, in order.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::System, "Match system"), (Self::Light, "Light"), (Self::Dark, "Dark")];
}

/// The hidden field that every POST form carries.
#[derive(Clone, Default)]
pub struct Csrf(pub String);

impl fmt::Debug for Csrf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Csrf")
    }
}

impl fmt::Display for Csrf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<input type=\"hidden\" name=\"_csrf\" value=\"")?;
        escaped(f, &self.0)?;
        f.write_str("\">")
    }
}

impl HtmlSafe for Csrf {}

/// The signed-in person, as the menu names them.
#[derive(Clone, Debug)]
pub struct ShellUser {
    pub name: String,
    /// "Change board", "Release engineer, administrator".
    pub roles_text: String,
    /// Shows the way to the list of people.
    pub admin: bool,
    /// Shows **New ticket**.
    pub may_file: bool,
}

/// One reading of the strip under the bar: next window, incidents, freeze.
#[derive(Clone, Debug)]
pub struct StripItem {
    pub state: State,
    pub text: Prose,
}

/// What a form's handler has to say at the top of the next page.
#[derive(Clone, Debug)]
pub struct Flash {
    pub state: State,
    pub text: Prose,
}

/// The frame of a page.
#[derive(Clone, Debug)]
pub struct Shell {
    /// The page's own title, without the product's name.
    pub title: String,
    pub nav: Nav,
    /// `None` on the pages before signing in.
    pub user: Option<ShellUser>,
    /// How many tickets wait for this person.
    pub queue_count: usize,
    pub csrf: Csrf,
    pub theme: Theme,
    pub strip: Vec<StripItem>,
    pub flash: Option<Flash>,
    /// The instant the page speaks of.
    pub now: Timestamp,
    pub version: &'static str,
}

impl Shell {
    /// The address of a static file.
    pub fn asset(&self, name: &str) -> &'static str {
        assets::asset(name)
    }

    /// "Wed 19 Nov, 11:00 UTC".
    pub fn clock(&self) -> Time {
        Time::long_utc(self.now, self.now)
    }

    /// "11:00 UTC".
    pub fn rendered(&self) -> String {
        format!("{} UTC", &Time::clock(self.now).words[..5])
    }

    /// The choices of the menu, for the template.
    pub fn themes(&self) -> [(Theme, &'static str); 3] {
        Theme::ALL
    }
}

impl StripItem {
    pub fn new(state: State, text: impl Into<Prose>) -> Self {
        Self { state, text: text.into() }
    }

    pub const fn glyph(&self) -> Glyph {
        self.state.glyph()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_theme_is_only_one_of_three() {
        assert_eq!(Theme::named("dark"), Theme::Dark);
        assert_eq!(Theme::named("light"), Theme::Light);
        assert_eq!(Theme::named("\" onload=\"x"), Theme::System);
    }

    #[test]
    fn the_token_is_escaped_and_never_printed() {
        assert_eq!(
            Csrf("a\"b".into()).to_string(),
            "<input type=\"hidden\" name=\"_csrf\" value=\"a&#34;b\">"
        );
        assert_eq!(format!("{:?}", Csrf("secret".into())), "Csrf");
    }
}
