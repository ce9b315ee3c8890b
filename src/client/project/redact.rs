//! Taking out of quoted output what is nobody's business: passwords in URLs, private paths, values of the environment.

use std::path::Path;

use crate::alembic::formats::plain_line;
use crate::domain::percent;

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

/// What is secret in a database URL: its passwords, as they stand there, as they are meant and as they may be written.
/// Readers differ on where a password with an `@` ends, so it is looked for in every place.
pub fn secrets_of(url: &str) -> Vec<String> {
    let Some((_, rest)) = url.split_once("://") else { return Vec::new() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let logins = [authority.rsplit_once('@'), rest.split_once('@'), rest.rsplit_once('@')];
    let passwords = logins.into_iter().flatten().filter_map(|(login, _)| Some(login.split_once(':')?.1));
    let query = rest.split_once('?').map_or("", |(_, query)| query).split(['&', ';', '#']);
    let keys = ["password", "sslpassword", "passfile"];
    let values = query.filter_map(|pair| pair.split_once('=')).filter(|(key, _)| keys.contains(key));
    let mut found = Vec::new();
    for written in passwords.chain(values.map(|(_, value)| value)).filter(|text| !text.is_empty()) {
        let meant = percent_decoded(written);
        for spelling in
            [written.to_owned(), meant.replace('+', " "), percent::encoded(&meant, b"-._~"), meant]
        {
            if !found.contains(&spelling) {
                found.push(spelling);
            }
        }
    }
    found
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let meant = hex.filter(|_| byte == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(meant.unwrap_or(byte));
        rest = if meant.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `scheme://user:password@host` without the password.
fn passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        // The Web's addresses have no login behind their first slash; a database's password may hold one.
        let web = before.ends_with("http://") || before.ends_with("https://");
        let ends =
            |c: char| c.is_whitespace() || matches!(c, '"' | '\'') || (web && matches!(c, '/' | '?' | '#'));
        let authority = &after[..after.find(ends).unwrap_or(after.len())];
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
        assert_eq!(redactor.clean("at postgresql://u:a/b?c#d@h/x now"), "at postgresql://u:(hidden)@h/x now");
    }

    #[test]
    fn a_password_is_found_wherever_it_stands_and_however_it_is_spelled() {
        assert_eq!(secrets_of("postgresql+psycopg://u:p%40ss@h:5432/db?x=1"), ["p%40ss", "p@ss"]);
        assert_eq!(secrets_of("postgresql://u:simple@h/db"), ["simple"]);
        for (url, secret) in [
            ("postgresql://u:a/b?c#d@h/db", "a/b?c#d"),
            ("postgresql://u:a/b?c#d@h/db", "a%2Fb%3Fc%23d"),
            ("postgresql://u:p@ss@h/db", "p@ss"),
            ("postgresql://u:first:second@h/db", "first:second"),
            ("postgresql://h/db?password=hunter2&x=1", "hunter2"),
            ("postgresql://u:early@h/db?mail=a@b", "early"),
            ("postgresql://h/db?sslpassword=a%20b", "a b"),
        ] {
            assert!(secrets_of(url).iter().any(|found| found == secret), "{secret} in {:?}", secrets_of(url));
        }
        for none in ["sqlite:///x.db", "postgresql://u@h/db", "nonsense", "postgresql://h/db?x=1"] {
            assert!(secrets_of(none).is_empty(), "{none}");
        }
    }
}
