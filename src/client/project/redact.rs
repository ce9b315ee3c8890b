//! Taking out of quoted output what is nobody's business: passwords in URLs, private paths, values of the environment.

use std::path::Path;

use crate::alembic::formats::plain_line;

/// What is to be taken out.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// Text and what stands in its place, longest first.
    replaced: Vec<(String, &'static str)>,
}

impl Redactor {
    /// Replaces a folder's path from now on.
    pub fn path(&mut self, path: &Path, by: &'static str) {
        self.text(&path.to_string_lossy(), by);
    }

    /// Replaces a text from now on. Very short ones stay: they would be found everywhere.
    pub fn text(&mut self, text: &str, by: &'static str) {
        if text.chars().count() >= 4 {
            self.replaced.push((text.to_owned(), by));
            self.replaced.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        }
    }

    /// The text without what is secret.
    pub fn clean(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for (from, by) in &self.replaced {
            clean = clean.replace(from, by);
        }
        passwords(&clean)
    }

    /// The same as one line of at most `most` characters that any format takes.
    pub fn line(&self, text: &str, most: usize) -> String {
        plain_line(&self.clean(text), most)
    }
}

/// `scheme://user:password@host` without the password.
fn passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let authority = after.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '/' | '?' | '#'));
        let authority = &after[..authority.unwrap_or(after.len())];
        if let Some((login, host)) = authority.rsplit_once('@')
            && let Some((user, _)) = login.split_once(':')
        {
            out.push_str(user);
            out.push_str(":(hidden)@");
            out.push_str(host);
        } else {
            out.push_str(authority);
        }
        rest = &after[authority.len()..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_paths_and_named_values_are_taken_out() {
        let mut redactor = Redactor::default();
        redactor.path(Path::new("/home/ada/project"), "PROJECT");
        redactor.text("hunter22", "(hidden)");
        let text =
            "connect postgresql+psycopg://ada:s3cret@db/x?a=1 from /home/ada/project/env.py with hunter22";
        assert_eq!(
            redactor.clean(text),
            "connect postgresql+psycopg://ada:(hidden)@db/x?a=1 from PROJECT/env.py with (hidden)"
        );
        assert_eq!(redactor.clean("see https://x.org/a:b@c"), "see https://x.org/a:b@c");
        assert_eq!(redactor.line("a\n\tb \u{202E}c", 50), "a b c");
        assert_eq!(redactor.line("abcdef", 4), "abc…");
    }
}
