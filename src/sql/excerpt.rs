//! A statement cut to what fits beside a finding.

/// Characters an excerpt has at most, the mark of a cut included.
pub const MAX: usize = 300;

/// `text` up to [`MAX`] characters; what is longer ends with `…`.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let text = text.trim();
    if text.char_indices().nth(MAX).is_none() {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(MAX - 1).collect();
    short.push('…');
    short
}
