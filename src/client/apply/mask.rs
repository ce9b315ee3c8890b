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
        // Found in the text as it was: where two overlap, both are covered.
        let text = bytes.to_vec();
        for secret in &self.0 {
            for (at, window) in text.windows(secret.len()).enumerate() {
                if window == secret.as_slice() {
                    bytes[at..at + secret.len()].fill(b'*');
                }
            }
        }
    }
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
        let mut text = b"abcdefgh abcdef".to_vec();
        Mask::new(["cdef".to_owned(), "abcdef".to_owned(), "efgh".to_owned()]).cover(&mut text);
        assert_eq!(String::from_utf8(text).unwrap(), "******** ******");
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
}
