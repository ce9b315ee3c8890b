//! Where a page of a list begins: opaque to clients, a number to us.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::problem::Problem;

/// The most that one page holds.
pub(super) const LIMIT: usize = 100;

const DEFAULT: usize = 50;

pub(super) fn write(number: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("n{number}"))
}

pub(super) fn read(text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let number = URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix('n')?.parse().ok());
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(Problem::bad_request("bad-cursor", "This is no cursor that the portal gave.")),
    }
}

/// How many a page is to hold.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked {
        None => Ok(DEFAULT),
        Some(n @ 1..=LIMIT) => Ok(n),
        Some(_) => Err(Problem::bad_request("bad-query", format!("limit: a page holds 1 to {LIMIT}."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_and_nothing_else_is_one() {
        for number in [1, 42, i64::MAX] {
            assert_eq!(read(Some(&write(number))).unwrap(), Some(number));
        }
        assert_eq!(read(None).unwrap(), None);
        for wrong in ["", "42", "CHG-1", "bm9wZQ", "n42", "%", "bg"] {
            assert_eq!(read(Some(wrong)).unwrap_err().code, "bad-cursor", "{wrong}");
        }
        assert_eq!(limit(None).unwrap(), 50);
        assert_eq!(limit(Some(100)).unwrap(), 100);
        assert!(limit(Some(0)).is_err() && limit(Some(101)).is_err());
    }
}
