use std::collections::HashSet;

use jiff::civil::Weekday;
use jiff::{SignedDuration, tz::TimeZone};
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

fn weekly(weekday: Weekday, start: (i8, i8), minutes: i64, zone: &str) -> WeeklyWindow {
    WeeklyWindow::new(weekday, start, SignedDuration::from_mins(minutes), zone).unwrap()
}

fn span(start: &str, end: &str) -> Span {
    Span { start: at(start), end: at(end) }
}

fn tuesday() -> Windows {
    Windows::Weekly(vec![weekly(Weekday::Tuesday, (14, 0), 120, "UTC")])
}

/// The only span that starts on this day in UTC.
fn span_near(windows: &Windows, day: &str) -> Span {
    let midnight = at(&format!("{day}T00:00:00Z"));
    windows.next_span(midnight - SignedDuration::from_micros(1)).unwrap()
}

#[test]
fn rule_10_windows_are_half_open() {
    let whole = span("2025-11-18T14:00:00Z", "2025-11-18T16:00:00Z");
    let tick = SignedDuration::from_micros(1);
    assert_eq!(tuesday().span_at(whole.start), Some(whole));
    assert_eq!(tuesday().span_at(whole.end - tick), Some(whole));
    assert_eq!(tuesday().span_at(whole.start - tick), None);
    assert_eq!(tuesday().span_at(whole.end), None);
    assert_eq!(tuesday().next_span(whole.start - tick), Some(whole));
    assert_eq!(tuesday().next_span(whole.start).unwrap().start, whole.start + hours(168));
}

#[test]
fn rule_10_a_start_the_clocks_skip_moves_forward() {
    // Berlin jumps from 02:00 to 03:00 on 30 March 2025; New York on 9 March.
    let berlin = Windows::Weekly(vec![weekly(Weekday::Sunday, (2, 30), 60, "Europe/Berlin")]);
    assert_eq!(span_near(&berlin, "2025-03-23"), span("2025-03-23T01:30:00Z", "2025-03-23T02:30:00Z"));
    assert_eq!(span_near(&berlin, "2025-03-30"), span("2025-03-30T01:30:00Z", "2025-03-30T02:30:00Z"));
    assert_eq!(span_near(&berlin, "2025-04-06"), span("2025-04-06T00:30:00Z", "2025-04-06T01:30:00Z"));
    let new_york = Windows::Weekly(vec![weekly(Weekday::Sunday, (2, 0), 60, "America/New_York")]);
    assert_eq!(span_near(&new_york, "2025-03-09"), span("2025-03-09T07:00:00Z", "2025-03-09T08:00:00Z"));
    // Apia had no 30 December 2011, a Friday, at all: the window moves a whole day.
    let apia = Windows::Weekly(vec![weekly(Weekday::Friday, (12, 0), 60, "Pacific/Apia")]);
    assert_eq!(span_near(&apia, "2011-12-30"), span("2011-12-30T22:00:00Z", "2011-12-30T23:00:00Z"));
}

#[test]
fn rule_10_a_start_the_clocks_show_twice_is_the_first() {
    let berlin = Windows::Weekly(vec![weekly(Weekday::Sunday, (2, 30), 60, "Europe/Berlin")]);
    assert_eq!(span_near(&berlin, "2025-10-26"), span("2025-10-26T00:30:00Z", "2025-10-26T01:30:00Z"));
    let new_york = Windows::Weekly(vec![weekly(Weekday::Sunday, (1, 30), 60, "America/New_York")]);
    assert_eq!(span_near(&new_york, "2025-11-02"), span("2025-11-02T05:30:00Z", "2025-11-02T06:30:00Z"));
}

#[test]
fn rule_10_length_is_elapsed_time() {
    // From Saturday 22:00 for eight hours of both clock changes: always eight hours, whatever the wall says.
    let berlin = Windows::Weekly(vec![weekly(Weekday::Saturday, (22, 0), 480, "Europe/Berlin")]);
    assert_eq!(span_near(&berlin, "2025-03-29"), span("2025-03-29T21:00:00Z", "2025-03-30T05:00:00Z"));
    assert_eq!(span_near(&berlin, "2025-10-25"), span("2025-10-25T20:00:00Z", "2025-10-26T04:00:00Z"));
}

#[test]
fn rule_10_overlapping_and_touching_windows_unite() {
    let windows = Windows::Weekly(vec![
        weekly(Weekday::Tuesday, (16, 0), 60, "UTC"),
        weekly(Weekday::Tuesday, (14, 0), 120, "UTC"),
        weekly(Weekday::Tuesday, (15, 30), 30, "Europe/Berlin"),
        weekly(Weekday::Tuesday, (17, 1), 60, "UTC"),
    ]);
    let first = span("2025-11-18T14:00:00Z", "2025-11-18T17:00:00Z");
    let second = span("2025-11-18T17:01:00Z", "2025-11-18T18:01:00Z");
    assert_eq!(windows.span_at(at("2025-11-18T16:00:00Z")), Some(first));
    assert_eq!(windows.span_at(at("2025-11-18T17:00:30Z")), None);
    let day = windows.spans_between(at("2025-11-18T00:00:00Z"), at("2025-11-19T00:00:00Z"));
    assert_eq!(day.collect::<Vec<_>>(), [first, second]);
}

#[test]
fn a_window_crosses_midnight_and_the_end_of_the_week() {
    let windows = Windows::Weekly(vec![weekly(Weekday::Sunday, (23, 0), 48 * 60, "UTC")]);
    let whole = span("2025-11-16T23:00:00Z", "2025-11-18T23:00:00Z");
    for instant in ["2025-11-16T23:00:00Z", "2025-11-17T12:00:00Z", "2025-11-18T22:59:59Z"] {
        assert_eq!(windows.span_at(at(instant)), Some(whole), "{instant}");
    }
}

#[test]
fn weeks_without_a_gap_are_one_span_cut_at_the_horizon() {
    let now = at("2025-11-18T14:00:00Z");
    let windows = Windows::Weekly(vec![weekly(Weekday::Monday, (0, 0), 7 * 24 * 60, "UTC")]);
    assert_eq!(windows.span_at(now), Some(Span { start: now - HORIZON, end: now + HORIZON }));
    assert_eq!(windows.next_span(now), None);
    // In Berlin the week in which the clocks go back is an hour longer than the window.
    let berlin = Windows::Weekly(vec![weekly(Weekday::Monday, (0, 0), 7 * 24 * 60, "Europe/Berlin")]);
    assert_eq!(berlin.span_at(now), Some(span("2025-10-26T23:00:00Z", "2026-10-25T22:00:00Z")));
    assert_eq!(berlin.span_at(at("2025-10-26T22:30:00Z")), None);
    assert_eq!(berlin.next_span(now).map(|next| next.start), Some(at("2026-10-25T23:00:00Z")));
}

#[test]
fn always_and_never() {
    let now = at("2025-11-18T14:00:00Z");
    assert_eq!(Windows::Always.span_at(now), Some(Span::ALWAYS));
    assert_eq!(Windows::Always.next_span(now), None);
    assert_eq!(Windows::Always.spans_between(now, now + hours(1)).count(), 1);
    assert_eq!(Span::ALWAYS.start, Timestamp::from(jiff::Timestamp::MIN));
    assert_eq!(earliest_open(&Windows::Always, now, &[], None), Some(now));
    let never = Windows::Weekly(Vec::new());
    assert_eq!(never.span_at(now), None);
    assert_eq!(never.next_span(now), None);
    assert_eq!(earliest_open(&never, now, &[], None), None);
}

#[test]
fn spans_between_is_bounded() {
    let from = at("2025-11-18T15:00:00Z");
    let all: Vec<Span> = tuesday().spans_between(from, Timestamp::MAX).collect();
    assert_eq!(all.len(), 58);
    assert_eq!(all.first().unwrap().start, at("2025-11-18T14:00:00Z"));
    assert_eq!(tuesday().spans_between(from, from).count(), 0);
}

#[test]
fn rule_11_the_earliest_moment_waits_for_window_freeze_and_soak() {
    let soaked = at("2025-11-17T10:00:00Z");
    let first = at("2025-11-18T14:00:00Z");
    assert_eq!(earliest_open(&tuesday(), soaked, &[], None), Some(first));
    // Inside the window it is the very instant the soak ends.
    assert_eq!(earliest_open(&tuesday(), first + hours(1), &[], None), Some(first + hours(1)));
    // A freeze over the window's beginning, one over all of the next.
    let part = Span { start: first - hours(5), end: first + hours(1) };
    assert_eq!(earliest_open(&tuesday(), soaked, &[part], None), Some(first + hours(1)));
    let rest = Span { start: first + hours(1), end: first + hours(2) };
    assert_eq!(earliest_open(&tuesday(), soaked, &[rest, part], None), Some(first + hours(168)));
    // A freeze in the future never blocks today.
    assert_eq!(earliest_open(&tuesday(), first, &[rest], None), Some(first));
    let endless = Span { start: first - hours(5), end: Timestamp::MAX };
    assert_eq!(earliest_open(&tuesday(), soaked, &[endless], None), None);
    assert_eq!(earliest_open(&Windows::Always, soaked, &[endless], None), Some(soaked));
    assert_eq!(earliest_open(&Windows::Always, first, &[endless], None), None);
}

#[test]
fn rule_11_there_is_no_earliest_moment_once_the_evidence_expires() {
    let soaked = at("2025-11-17T10:00:00Z");
    let first = at("2025-11-18T14:00:00Z");
    let tick = SignedDuration::from_micros(1);
    assert_eq!(earliest_open(&tuesday(), soaked, &[], Some(first)), None);
    assert_eq!(earliest_open(&tuesday(), soaked, &[], Some(first + tick)), Some(first));
    assert_eq!(earliest_open(&Windows::Always, soaked, &[], Some(soaked)), None);
}

#[test]
fn a_window_that_makes_no_sense_is_refused() {
    let make = |time, minutes, zone| {
        WeeklyWindow::new(Weekday::Tuesday, time, SignedDuration::from_mins(minutes), zone).err()
    };
    assert_eq!(make((24, 0), 60, "UTC"), Some(NotAWindow::Start));
    assert_eq!(make((12, 60), 60, "UTC"), Some(NotAWindow::Start));
    assert_eq!(make((12, 0), 0, "UTC"), Some(NotAWindow::Length));
    assert_eq!(make((12, 0), 7 * 24 * 60 + 1, "UTC"), Some(NotAWindow::Length));
    for zone in ["", "Mars/Olympus", "+02:00", "Etc/Unknown", "../../etc/passwd"] {
        assert_eq!(make((12, 0), 60, zone), Some(NotAWindow::Zone(zone.to_owned())), "{zone}");
    }
    assert_eq!(make((0, 0), 7 * 24 * 60, "Europe/Berlin"), None);
    assert_eq!(weekly(Weekday::Tuesday, (14, 5), 90, "europe/berlin").to_string(), {
        "Tuesday 14:05 Europe/Berlin for 1h 30m"
    });
}

const MINUTE: i64 = 60_000_000;
const TWO_WEEKS: i64 = 14 * 24 * 60;

fn any_window() -> impl Strategy<Value = WeeklyWindow> {
    let zone = prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
    ]);
    let length = prop_oneof![3 => 1_i64..600, 1 => 600_i64..=7 * 24 * 60];
    (0_i8..7, 0_i8..24, prop::sample::select(vec![0_i8, 1, 30, 59]), length, zone).prop_map(
        |(day, hour, minute, length, zone)| {
            weekly(Weekday::from_monday_zero_offset(day).unwrap(), (hour, minute), length, zone)
        },
    )
}

fn any_windows() -> impl Strategy<Value = Windows> {
    prop::collection::vec(any_window(), 0..4).prop_map(Windows::Weekly)
}

/// A whole minute between 2020 and 2030, half the time within days of a change of the clocks.
fn any_minute() -> impl Strategy<Value = i64> {
    let changes =
        ["2025-03-30T01:00:00Z", "2025-10-26T01:00:00Z", "2025-03-09T07:00:00Z", "2025-11-02T06:00:00Z"];
    let near = (prop::sample::select(changes.to_vec()), -10_000_i64..10_000)
        .prop_map(|(change, offset)| at(change).as_micros() / MINUTE + offset);
    prop_oneof![26_297_280_i64..31_556_160, near]
}

/// The minutes of three weeks from `first` that are open, found day by day without any uniting.
fn open_minutes(windows: &Windows, first: i64) -> HashSet<i64> {
    let mut open = HashSet::new();
    let Windows::Weekly(weekly) = windows else { return open };
    for window in weekly {
        let zone = TimeZone::get(window.zone()).unwrap();
        let begin = jiff::Timestamp::from_microsecond((first - 12 * 24 * 60) * MINUTE).unwrap();
        let mut day = zone.to_datetime(begin).date();
        for _ in 0..40 {
            if day.weekday() == window.weekday() {
                let start = zone.to_timestamp(day.to_datetime(window.start())).unwrap().as_second() / 60;
                open.extend(start..start + window.length().as_mins());
            }
            day = day.tomorrow().unwrap();
        }
    }
    open
}

proptest! {
    #[test]
    fn rule_10_a_span_holds_now_and_is_as_wide_as_the_minutes_say(
        windows in any_windows(), first in any_minute(), seconds in 0_i64..60,
    ) {
        let open = open_minutes(&windows, first);
        let now = Timestamp::from_micros(first * MINUTE + seconds * 1_000_000);
        let span = windows.span_at(now);
        prop_assert_eq!(span.is_some(), open.contains(&first));
        if let Some(span) = span {
            prop_assert!(span.contains(now) && span.contains(span.start) && !span.contains(span.end));
            if span.start > now - HORIZON && span.end < now + HORIZON {
                prop_assert_eq!(windows.span_at(span.start), Some(span));
                prop_assert_eq!(windows.span_at(span.end), None);
            }
            let end = span.end.as_micros() / MINUTE;
            let reach = end.min(first + TWO_WEEKS);
            prop_assert!((first..reach).all(|minute| open.contains(&minute)));
            prop_assert!(reach < end || !open.contains(&end));
        }
    }

    #[test]
    fn rule_10_the_next_span_is_the_first_minute_that_opens(windows in any_windows(), first in any_minute()) {
        let open = open_minutes(&windows, first);
        let expected = (first + 1..first + TWO_WEEKS)
            .find(|minute| open.contains(minute) && !open.contains(&(minute - 1)));
        let next = windows.next_span(Timestamp::from_micros(first * MINUTE));
        let found = next.map(|span| span.start.as_micros() / MINUTE).filter(|start| *start < first + TWO_WEEKS);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn rule_11_the_earliest_moment_is_the_first_minute_that_nothing_closes(
        windows in any_windows(), first in any_minute(),
        freezes in prop::collection::vec((-2_000_i64..TWO_WEEKS, -10_i64..5_000), 0..5),
        deadline in prop::option::of(-10_i64..TWO_WEEKS),
    ) {
        let open = open_minutes(&windows, first);
        let minute = |minute: i64| Timestamp::from_micros(minute * MINUTE);
        let blocked: Vec<Span> = freezes
            .iter()
            .map(|(from, length)| Span { start: minute(first + from), end: minute(first + from + length) })
            .collect();
        let expected = (first..first + deadline.unwrap_or(TWO_WEEKS))
            .find(|now| open.contains(now) && !blocked.iter().any(|block| block.contains(minute(*now))));
        let found = earliest_open(&windows, minute(first), &blocked, deadline.map(|end| minute(first + end)));
        let found = found.map(|instant| instant.as_micros() / MINUTE).filter(|now| *now < first + TWO_WEEKS);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn rule_10_no_instant_panics(
        windows in prop_oneof![Just(Windows::Always), any_windows()],
        now in any::<i64>().prop_map(Timestamp::from_micros), other in any::<i64>().prop_map(Timestamp::from_micros),
    ) {
        for now in [now, Timestamp::MAX, Span::ALWAYS.start, Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX)] {
            prop_assert!(windows.span_at(now).is_none_or(|span| span.contains(now)));
            prop_assert!(windows.next_span(now).is_none_or(|span| span.start > now && span.end > span.start));
            let _ = windows.spans_between(now, other).count();
            let blocked = [Span { start: now, end: other }, Span { start: other, end: now }];
            let found = earliest_open(&windows, now, &blocked, Some(other));
            prop_assert!(found.is_none_or(|instant| now <= instant && instant < other));
        }
    }
}
