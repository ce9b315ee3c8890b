//! When a stage may be applied: weekly windows, and the first instant at which nothing in time stands in the way.
//!
//! A window is half-open, `[start, start + length)` in elapsed time. Its start is a local time of an IANA zone; one
//! that the clocks skip moves forward by what they skipped, one that they show twice is the first of the two. Windows
//! that overlap or touch are one span.

use std::fmt;
use std::sync::LazyLock;

use jiff::SignedDuration;
use jiff::civil::{Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::ser::{SerializeMap as _, SerializeStruct as _};
use serde::{Deserialize, Serialize, Serializer};

use crate::domain::length;
use crate::domain::time::Timestamp;

/// How far windows are followed from the instant asked about. A span that goes on for longer is cut here.
pub const HORIZON: SignedDuration = SignedDuration::from_hours(400 * 24);

/// The longest window: a week.
pub const LONGEST_WINDOW: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Looked through first: it holds any span of ordinary windows whole, and the one after it.
const NEARBY: SignedDuration = SignedDuration::from_hours(16 * 24);

/// The zones compiled in. What the machine has installed must not decide when a door opens.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A half-open stretch of time, `[start, end)`. Empty if it ends before it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Span {
    /// All the instants of the calendar.
    pub const ALWAYS: Self =
        Self { start: Timestamp::from_micros(-377_705_023_201_000_000), end: Timestamp::MAX };

    #[must_use]
    pub fn contains(&self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.end
    }
}

/// One window of every week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeeklyWindow {
    weekday: Weekday,
    start: Time,
    length: SignedDuration,
    zone: TimeZone,
}

/// Why there is no such window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAWindow {
    #[error("the start has to be a local time from 00:00 to 23:59")]
    Start,
    #[error("the length has to be whole minutes, from 1m to 7d")]
    Length,
    #[error("“{0}” is no IANA time zone, such as UTC or Europe/Berlin")]
    Zone(String),
}

impl WeeklyWindow {
    /// The window that opens at `hour:minute` local time of the IANA zone `zone` on every `weekday`.
    ///
    /// # Errors
    /// When there is no such time of day or zone, or the length is not whole minutes from one minute to seven days.
    pub fn new(
        weekday: Weekday,
        (hour, minute): (i8, i8),
        length: SignedDuration,
        zone: &str,
    ) -> Result<Self, NotAWindow> {
        let start = Time::new(hour, minute, 0, 0).map_err(|_| NotAWindow::Start)?;
        let whole_minutes = SignedDuration::from_mins(length.as_mins()) == length;
        if !whole_minutes || length < SignedDuration::from_mins(1) || length > LONGEST_WINDOW {
            return Err(NotAWindow::Length);
        }
        let zone = ZONES
            .get(zone)
            .ok()
            .filter(|found| found.iana_name().is_some())
            .ok_or_else(|| NotAWindow::Zone(zone.chars().take(60).collect()))?;
        Ok(Self { weekday, start, length, zone })
    }

    pub fn weekday(&self) -> Weekday {
        self.weekday
    }

    /// The local time at which it opens.
    pub fn start(&self) -> Time {
        self.start
    }

    /// Elapsed time from opening to closing.
    pub fn length(&self) -> SignedDuration {
        self.length
    }

    /// The IANA name of its time zone.
    pub fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// Its occurrences that share an instant with `[from, to]` or touch it, and maybe a few more beyond `to`.
    fn occurrences(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = Span> + '_ {
        const DAY: SignedDuration = SignedDuration::from_hours(24);
        // Two days more than the longest window: a zone may skip a whole day, and a week may be longer than 168 h.
        let first = self.zone.to_datetime(from.to_jiff()).date().saturating_sub(LONGEST_WINDOW + DAY * 2);
        let last = self.zone.to_datetime(to.to_jiff()).date().saturating_add(DAY);
        let first = first.checked_add(DAY * i32::from(first.weekday().until(self.weekday))).ok();
        std::iter::successors(first, move |day| day.checked_add(DAY * 7).ok())
            .take_while(move |day| *day <= last)
            .filter_map(|day| self.zone.to_timestamp(day.to_datetime(self.start)).ok())
            .map(Timestamp::from)
            .map(|start| Span { start, end: start + self.length })
            .filter(move |span| span.end >= from)
    }
}

impl fmt::Display for WeeklyWindow {
    /// `Tuesday 14:00 UTC for 2h`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { weekday, start, length, .. } = self;
        write!(f, "{weekday:?} {} {} for {}", hh_mm(*start), self.zone(), length::write(*length))
    }
}

impl Serialize for WeeklyWindow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut window = serializer.serialize_struct("WeeklyWindow", 4)?;
        window.serialize_field("day", &format!("{:?}", self.weekday).to_ascii_lowercase())?;
        window.serialize_field("start", &hh_mm(self.start))?;
        window.serialize_field("length", &length::write(self.length))?;
        window.serialize_field("zone", self.zone())?;
        window.end()
    }
}

fn hh_mm(time: Time) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

/// When an environment's door is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Windows {
    Always,
    /// An empty list is never open.
    Weekly(Vec<WeeklyWindow>),
}

impl Windows {
    /// The whole span that holds `now`, cut at [`HORIZON`] before and after it.
    #[must_use]
    pub fn span_at(&self, now: Timestamp) -> Option<Span> {
        let Self::Weekly(weekly) = self else {
            return Some(Span::ALWAYS).filter(|always| always.contains(now));
        };
        let mut cut = None;
        for reach in [NEARBY, HORIZON] {
            let (from, to) = (now - reach, now + reach);
            let span = united(weekly, from, to).into_iter().find(|span| span.contains(now))?;
            if span.start > from && span.end < to {
                return Some(span);
            }
            cut = Some(Span { start: span.start.max(from), end: span.end.min(to) });
        }
        cut
    }

    /// The first span that starts later than `after`, within [`HORIZON`]. A span that holds `after` is not it.
    #[must_use]
    pub fn next_span(&self, after: Timestamp) -> Option<Span> {
        let Self::Weekly(weekly) = self else {
            return Some(Span::ALWAYS).filter(|always| after < always.start);
        };
        let mut cut = None;
        for reach in [NEARBY, HORIZON] {
            let to = after + reach;
            let next =
                united(weekly, after, to).into_iter().find(|span| after < span.start && span.start < to);
            match next {
                Some(span) if span.end < to => return Some(span),
                Some(span) => cut = Some(Span { start: span.start, end: span.end.min(to) }),
                None => {}
            }
        }
        cut
    }

    /// The whole spans that share an instant with `[from, to)`, in order, and no further than [`HORIZON`] after `from`.
    pub fn spans_between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = Span> + '_ {
        let to = to.min(from + HORIZON);
        let first = if from < to { self.span_at(from).or_else(|| self.next_span(from)) } else { None };
        std::iter::successors(first, |span| self.next_span(span.end)).take_while(move |span| span.start < to)
    }
}

impl Serialize for Windows {
    /// As in the policy file: `always = true` or `windows = […]`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Always => map.serialize_entry("always", &true)?,
            Self::Weekly(weekly) => map.serialize_entry("windows", weekly)?,
        }
        map.end()
    }
}

/// The windows that touch `[from, to]`, united. A span that lies strictly inside is whole: anything that would lengthen
/// it touches `[from, to]` as well.
fn united(weekly: &[WeeklyWindow], from: Timestamp, to: Timestamp) -> Vec<Span> {
    unite(weekly.iter().flat_map(|window| window.occurrences(from, to)).collect())
}

/// Sorts spans and makes one of those that overlap or touch. Empty spans are dropped.
fn unite(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|span| span.start < span.end);
    spans.sort_unstable_by_key(|span| span.start);
    let mut united: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match united.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => united.push(span),
        }
    }
    united
}

/// The first instant at or after `not_before` that is inside a window, outside all of `blocked` (freezes; one without an
/// end has [`Timestamp::MAX`] as its end) and before `deadline` (when evidence expires). `None` if there is none.
#[must_use]
pub fn earliest_open(
    windows: &Windows,
    not_before: Timestamp,
    blocked: &[Span],
    deadline: Option<Timestamp>,
) -> Option<Timestamp> {
    let blocked = unite(blocked.to_vec());
    let end = deadline.unwrap_or(Timestamp::MAX).min(Timestamp::MAX);
    let mut instant = not_before;
    // Ends: each turn moves past one of the united blocks, or into a window, which only a block can follow.
    while instant < end {
        if let Some(block) = blocked.iter().find(|block| block.contains(instant)) {
            instant = block.end;
        } else if windows.span_at(instant).is_some() {
            return Some(instant);
        } else {
            instant = windows.next_span(instant)?.start;
        }
    }
    None
}

#[cfg(test)]
mod tests;
