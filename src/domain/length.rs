//! Lengths of time as people write them: `90s`, `30m`, `24h`, `3d`, `1d 12h`.

use jiff::SignedDuration;
use serde::Serializer;

/// The longest length a policy may name: 400 days.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(400 * 24);

/// The units, longest first, in seconds. A day is always 24 hours.
const UNITS: [(char, i64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Why a text is not a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotALength {
    #[error("is not a length of time: write it like 90s, 30m, 24h, 3d or 1d 12h")]
    Form,
    #[error("names its units out of order or twice: write days, hours, minutes, seconds, like 1d 12h")]
    Order,
    #[error("is longer than 400 days")]
    TooLong,
}

/// Reads a length of whole seconds, from zero to [`LONGEST`].
///
/// # Errors
/// When the text has another form, repeats a unit or is too long.
pub fn read(text: &str) -> Result<SignedDuration, NotALength> {
    let mut units = UNITS.iter();
    let mut seconds: i64 = 0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(NotALength::Form);
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let mut tail = tail.chars();
        let unit = tail.next().ok_or(NotALength::Form)?;
        if number.is_empty() || !UNITS.iter().any(|(known, _)| *known == unit) {
            return Err(NotALength::Form);
        }
        let (_, worth) = units.find(|(known, _)| *known == unit).ok_or(NotALength::Order)?;
        // All digits, so the only way for this to fail is a number beyond all bounds.
        let number: i64 = number.parse().map_err(|_| NotALength::TooLong)?;
        seconds = number
            .checked_mul(*worth)
            .and_then(|part| seconds.checked_add(part))
            .filter(|sum| *sum <= LONGEST.as_secs())
            .ok_or(NotALength::TooLong)?;
        rest = tail.as_str().trim_start();
    }
    Ok(SignedDuration::from_secs(seconds))
}

/// Writes a length so that [`read`] gives it back: `90s` is `1m 30s`, and days begin where people stop counting in
/// hours, at four: `24h`, `72h`, `4d`. Fractions of a second are dropped; a negative length is written as `0s`.
#[must_use]
pub fn write(length: SignedDuration) -> String {
    let mut left = length.as_secs().max(0);
    let skipped = usize::from(left < 4 * 86_400);
    let mut parts = Vec::new();
    for (unit, worth) in UNITS.iter().skip(skipped) {
        if left >= *worth {
            parts.push(format!("{}{unit}", left / worth));
            left %= worth;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// For `#[serde(serialize_with)]`: the text of [`write()`].
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(length: &SignedDuration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&write(*length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, seconds) in [
            ("90s", 90),
            ("30m", 1_800),
            ("24h", 86_400),
            ("3d", 259_200),
            ("1d 12h", 129_600),
            ("1d12h", 129_600),
            (" 2h ", 7_200),
            ("0s", 0),
            ("400d", 34_560_000),
        ] {
            assert_eq!(read(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest_and_says_why() {
        for (text, why) in [
            ("", NotALength::Form),
            ("24", NotALength::Form),
            ("h", NotALength::Form),
            ("-1h", NotALength::Form),
            ("1.5h", NotALength::Form),
            ("1w", NotALength::Form),
            ("2 h", NotALength::Form),
            ("٣h", NotALength::Form),
            ("1h 1d", NotALength::Order),
            ("1h 1h", NotALength::Order),
            ("401d", NotALength::TooLong),
            ("400d 1s", NotALength::TooLong),
            ("99999999999999999999999s", NotALength::TooLong),
            ("9223372036854775807d", NotALength::TooLong),
        ] {
            assert_eq!(read(text), Err(why), "{text}");
        }
    }

    #[test]
    fn writes_what_people_would_say() {
        for (seconds, text) in
            [(0, "0s"), (-5, "0s"), (90, "1m 30s"), (86_400, "24h"), (259_200, "72h"), (345_600, "4d")]
        {
            assert_eq!(write(SignedDuration::from_secs(seconds)), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(seconds in 0_i64..=34_560_000) {
            let length = SignedDuration::from_secs(seconds);
            prop_assert_eq!(read(&write(length)), Ok(length));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}|[0-9dhms ]{0,40}") {
            let _ = read(&text);
        }
    }
}
