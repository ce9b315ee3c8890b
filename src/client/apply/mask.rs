//! Keeps secrets out of a log that leaves the machine: each is overwritten with asterisks of the same length, so that every
//! other byte keeps its place and a piece can be sent again.

/// What must not be seen.
#[derive(Clone)]
pub struct Mask(Vec<Vec<u8>>);

/// Shorter ones would black out half the log.
const LEAST: usize = 4;

impl Mask {
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let secrets: Vec<Vec<u8>> =
            secrets.into_iter().map(String::into_bytes).filter(|secret| secret.len() >= LEAST).collect();
        Self(secrets)
    }

    /// How many bytes have to be known on either side of a place to say whether it is part of a secret.
    pub fn reach(&self) -> usize {
        self.0.iter().map(Vec::len).max().map_or(0, |longest| longest - 1)
    }

    /// How many bytes at the end may be the beginning of a secret that is not whole yet.
    pub fn open_end(&self, bytes: &[u8]) -> usize {
        let begins = |secret: &Vec<u8>| {
            let most = secret.len().saturating_sub(1).min(bytes.len());
            (1..=most).rev().find(|length| bytes.ends_with(secret.get(..*length).unwrap_or_default()))
        };
        self.0.iter().filter_map(begins).max().unwrap_or(0)
    }

    /// Overwrites every secret in these bytes.
    pub fn cover(&self, bytes: &mut [u8]) {
        for secret in &self.0 {
            let mut at = 0;
            while let Some(window) = bytes.get(at..at + secret.len()) {
                if window == secret.as_slice() {
                    bytes[at..at + secret.len()].fill(b'*');
                    at += secret.len();
                } else {
                    at += 1;
                }
            }
        }
    }
}

/// The password of a database URL, as it stands there and as it is meant.
pub fn passwords(url: &str) -> Vec<String> {
    let Some((_, rest)) = url.split_once("://") else { return Vec::new() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else { return Vec::new() };
    let Some((_, password)) = user.split_once(':') else { return Vec::new() };
    let mut found = vec![password.to_owned()];
    let meant = percent_decoded(password);
    if meant != password {
        found.push(meant);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_covered_and_the_rest_keeps_its_place() {
        let mask = Mask::new(["hunter2".to_owned(), "csp_abc".to_owned(), "x".to_owned()]);
        assert_eq!(mask.reach(), 6);
        let mut text = b"url=pg://u:hunter2@h x hunter2hunter2 csp_ab csp_abc".to_vec();
        mask.cover(&mut text);
        assert_eq!(String::from_utf8(text).unwrap(), "url=pg://u:*******@h x ************** csp_ab *******");
        Mask::new([]).cover(&mut []);
    }

    #[test]
    fn only_what_may_become_a_secret_waits() {
        let mask = Mask::new(["hunter2".to_owned(), "terrible".to_owned()]);
        for (text, waits) in [
            ("first\n", 0),
            ("say hun", 3),
            ("say hunter", 6),
            ("say hunte", 5),
            ("hunter2", 0),
            ("", 0),
            ("h", 1),
        ] {
            assert_eq!(mask.open_end(text.as_bytes()), waits, "{text}");
        }
    }

    #[test]
    fn a_password_is_found_in_both_of_its_spellings() {
        assert_eq!(passwords("postgresql+psycopg://u:p%40ss@h:5432/db?x=1"), ["p%40ss", "p@ss"]);
        assert_eq!(passwords("postgresql://u:simple@h/db"), ["simple"]);
        for none in ["sqlite:///x.db", "postgresql://u@h/db", "nonsense", "postgresql://h/db?password=x"] {
            assert!(passwords(none).is_empty(), "{none}");
        }
    }
}
