//! Percent-encoding (RFC 3986), for whoever writes an address or a header: which bytes may stay differs from place to place.

use std::fmt::Write as _;

/// The text with every byte escaped but ASCII letters, digits and those of `kept`.
pub fn encoded(text: &str, kept: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_escaped_byte_by_byte() {
        assert_eq!(encoded("aZ09-._~", b"-._~"), "aZ09-._~");
        assert_eq!(encoded("../x?y#z ü%\n", b"."), "..%2Fx%3Fy%23z%20%C3%BC%25%0A");
        assert_eq!(encoded("", b""), "");
    }
}
