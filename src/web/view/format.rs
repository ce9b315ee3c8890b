//! Numbers, times and digests in words. Pure: the time of the page is passed in.

use std::fmt;

use askama::filters::HtmlSafe;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::prose::escaped;
use crate::domain::digest::Digest;
use crate::domain::time::Timestamp;

pub use crate::domain::figures::{bytes, count, plural};

/// An instant with the words a reader sees: `<time datetime="…">Thu 14:00</time>`.
#[derive(Clone, Debug)]
pub struct Time {
    pub at: Timestamp,
    pub words: String,
}

impl Time {
    fn pattern(at: Timestamp, pattern: &str) -> Self {
        Self { at, words: at.to_jiff().to_zoned(TimeZone::UTC).strftime(pattern).to_string() }
    }

    /// "Thu 14:00" within six days of `now`, else "27 Nov", with the year if it is another.
    pub fn short(at: Timestamp, now: Timestamp) -> Self {
        let (there, here) =
            (at.to_jiff().to_zoned(TimeZone::UTC).date(), now.to_jiff().to_zoned(TimeZone::UTC).date());
        let days = (at.as_micros().div_euclid(DAY) - now.as_micros().div_euclid(DAY)).abs();
        let pattern = match () {
            () if days < 7 => "%a %H:%M",
            () if there.year() == here.year() => "%-d %b",
            () => "%-d %b %Y",
        };
        Self::pattern(at, pattern)
    }

    /// "Thu 20 Nov, 14:00", with the year if it is not that of `now`.
    pub fn long(at: Timestamp, now: Timestamp) -> Self {
        let year = |instant: Timestamp| instant.to_jiff().to_zoned(TimeZone::UTC).date().year();
        Self::pattern(at, if year(at) == year(now) { "%a %-d %b, %H:%M" } else { "%a %-d %b %Y, %H:%M" })
    }

    /// "Thu 20 Nov, 14:00 UTC".
    pub fn long_utc(at: Timestamp, now: Timestamp) -> Self {
        let mut time = Self::long(at, now);
        time.words.push_str(" UTC");
        time
    }

    /// "20 Nov 2025, 14:08:12 UTC": for records and the audit log.
    pub fn exact(at: Timestamp) -> Self {
        Self::pattern(at, "%-d %b %Y, %H:%M:%S UTC")
    }

    /// "14:08:12".
    pub fn clock(at: Timestamp) -> Self {
        Self::pattern(at, "%H:%M:%S")
    }

    /// "in 1 d 3 h"; "now" for what is not ahead.
    pub fn until(at: Timestamp, now: Timestamp) -> Self {
        let left = at.since(now);
        let words = if left.is_zero() { "now".to_owned() } else { format!("in {}", duration(left)) };
        Self { at, words }
    }

    /// "3 h 6 m ago"; "just now" within a minute.
    pub fn since(at: Timestamp, now: Timestamp) -> Self {
        let gone = now.since(at);
        let words = if gone < SignedDuration::from_mins(1) {
            "just now".to_owned()
        } else {
            format!("{} ago", duration(gone))
        };
        Self { at, words }
    }
}

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<time datetime=\"{}\">", self.at)?;
        escaped(f, &self.words)?;
        f.write_str("</time>")
    }
}

impl HtmlSafe for Time {}

/// "38 ms", "1.8 s", "52 s", "12 min", "20 h 54 m", "1 d 3 h": at most two units, rounded down.
pub fn duration(length: SignedDuration) -> String {
    let length = length.max(SignedDuration::ZERO);
    let minutes = length.as_mins();
    match () {
        () if length < SignedDuration::from_secs(1) && !length.is_zero() => {
            format!("{} ms", length.as_millis().max(1))
        }
        () if length < SignedDuration::from_secs(10) && length.subsec_millis() >= 100 => {
            format!("{}.{} s", length.as_secs(), length.subsec_millis() / 100)
        }
        () if minutes == 0 => format!("{} s", length.as_secs()),
        () if minutes < 60 => format!("{minutes} min"),
        () if minutes < 24 * 60 => hours(length),
        () => two(minutes / (24 * 60), "d", minutes / 60 % 24, "h"),
    }
}

/// "20 h 54 m", "48 h 2 m", "24 h": for observations, which are counted in hours. "18 min" below one.
pub fn hours(length: SignedDuration) -> String {
    let minutes = length.max(SignedDuration::ZERO).as_mins();
    if minutes < 60 { format!("{minutes} min") } else { two(minutes / 60, "h", minutes % 60, "m") }
}

fn two(large: i64, large_unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large} {large_unit}")
    } else {
        format!("{large} {large_unit} {small} {small_unit}")
    }
}

/// "Ana", "Ana and Ben", "Ana, Ben and Cem".
pub fn and(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// How much of a digest is shown. It is never cut at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Eight,
    Sixteen,
    Full,
}

/// A digest in groups of four, the first eight digits strong.
#[derive(Clone, Copy, Debug)]
pub struct Dig {
    digest: Digest,
    extent: Extent,
}

impl Dig {
    /// The first eight digits, for sentences and log lines.
    pub const fn brief(digest: Digest) -> Self {
        Self { digest, extent: Extent::Eight }
    }

    /// The first sixteen digits and "…", for tables.
    pub const fn short(digest: Digest) -> Self {
        Self { digest, extent: Extent::Sixteen }
    }

    /// All sixty-four, where a person signs or compares.
    pub const fn full(digest: Digest) -> Self {
        Self { digest, extent: Extent::Full }
    }
}

impl fmt::Display for Dig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.digest.to_string();
        write!(f, "<code class=\"dig\"><b>{} {}</b>", &hex[..4], &hex[4..8])?;
        let end = match self.extent {
            Extent::Eight => 8,
            Extent::Sixteen => 16,
            Extent::Full => hex.len(),
        };
        for start in (8..end).step_by(4) {
            write!(f, " {}", &hex[start..start + 4])?;
        }
        if self.extent == Extent::Sixteen {
            f.write_str(" …")?;
        }
        f.write_str("</code>")
    }
}

impl HtmlSafe for Dig {}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn times_say_the_weekday_near_and_the_date_far() {
        let now = at("2025-11-19T11:00:00Z");
        let short = |text| Time::short(at(text), now).words;
        assert_eq!(short("2025-11-20T14:00:00Z"), "Thu 14:00");
        assert_eq!(short("2025-11-13T00:00:00Z"), "Thu 00:00");
        // A week on is the same weekday: its name alone would be misread.
        assert_eq!(short("2025-11-26T10:00:00Z"), "26 Nov");
        assert_eq!(short("2025-11-12T23:59:59Z"), "12 Nov");
        assert_eq!(short("2026-01-04T00:00:00Z"), "4 Jan 2026");
        assert_eq!(Time::short(at("2026-01-01T08:00:00Z"), at("2025-12-31T08:00:00Z")).words, "Thu 08:00");
    }

    #[test]
    fn longer_times() {
        let now = at("2025-11-19T11:00:00Z");
        assert_eq!(Time::long(at("2025-11-20T14:00:00Z"), now).words, "Thu 20 Nov, 14:00");
        assert_eq!(Time::long_utc(at("2024-11-20T14:00:00Z"), now).words, "Wed 20 Nov 2024, 14:00 UTC");
        assert_eq!(Time::exact(at("2025-11-20T14:08:12.5Z")).words, "20 Nov 2025, 14:08:12 UTC");
        assert_eq!(Time::until(at("2025-11-20T14:00:00Z"), now).words, "in 1 d 3 h");
        assert_eq!(Time::until(at("2025-11-18T14:00:00Z"), now).words, "now");
        assert_eq!(Time::since(at("2025-11-19T10:59:30Z"), now).words, "just now");
        assert_eq!(Time::since(at("2025-11-19T07:54:00Z"), now).words, "3 h 6 m ago");
    }

    #[test]
    fn a_time_is_always_machine_readable() {
        let now = at("2025-11-19T11:00:00Z");
        assert_eq!(
            Time::short(at("2025-11-20T14:00:00Z"), now).to_string(),
            "<time datetime=\"2025-11-20T14:00:00Z\">Thu 14:00</time>"
        );
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let said = |seconds| duration(SignedDuration::from_secs(seconds));
        assert_eq!(said(-5), "0 s");
        assert_eq!(said(41), "41 s");
        assert_eq!(said(60), "1 min");
        assert_eq!(said(12 * 60 + 59), "12 min");
        assert_eq!(said(3 * 3600 + 6 * 60), "3 h 6 m");
        assert_eq!(said(24 * 3600 - 1), "23 h 59 m");
        assert_eq!(said(27 * 3600 + 59 * 60), "1 d 3 h");
        assert_eq!(said(48 * 3600), "2 d");
        assert_eq!(duration(SignedDuration::from_millis(38)), "38 ms");
        assert_eq!(duration(SignedDuration::from_micros(5)), "1 ms");
        assert_eq!(duration(SignedDuration::from_millis(1_840)), "1.8 s");
        assert_eq!(duration(SignedDuration::from_millis(26_840)), "26 s");
        assert_eq!(hours(SignedDuration::from_mins(48 * 60 + 2)), "48 h 2 m");
        assert_eq!(hours(SignedDuration::from_mins(24 * 60)), "24 h");
        assert_eq!(hours(SignedDuration::from_mins(18)), "18 min");
    }

    #[test]
    fn names_are_listed() {
        let names = ["Ana", "Ben", "Cem"].map(str::to_owned);
        assert_eq!(and(&names), "Ana, Ben and Cem");
        assert_eq!(and(&names[..2]), "Ana and Ben");
        assert_eq!(and(&names[..0]), "");
    }

    #[test]
    fn digests_are_grouped_and_cut_only_at_the_end() {
        let digest = Digest::of(b"");
        assert_eq!(Dig::brief(digest).to_string(), "<code class=\"dig\"><b>e3b0 c442</b></code>");
        assert_eq!(Dig::short(digest).to_string(), "<code class=\"dig\"><b>e3b0 c442</b> 98fc 1c14 …</code>");
        let full = Dig::full(digest).to_string();
        assert!(full.ends_with(" 7852 b855</code>") && !full.contains('…'), "{full}");
    }
}
