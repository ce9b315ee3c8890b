//! The tables.

use std::time::Duration;

/// One row: a request or a call, measured.
pub struct Line {
    pub name: String,
    /// Median from asking to the answer's last byte.
    pub wall: Duration,
    /// Mean processor time of all threads of whoever answered.
    pub cpu: Duration,
    pub statements: Option<u64>,
    pub bytes: Option<usize>,
    /// What the bare page of as many bytes cost.
    pub bare: Option<Duration>,
}

/// One row: a page that had to be worked out, asked for once.
pub struct Opened {
    pub name: String,
    /// Median of the search for the difference alone.
    pub search: Duration,
    /// Median until the page's first byte.
    pub first_byte: Duration,
    pub slowest: Duration,
    /// Of the largest page.
    pub bytes: usize,
}

pub fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn micros(time: Duration) -> String {
    format!("{:.0}", time.as_secs_f64() * 1e6)
}

/// A Markdown table, so that it can be kept as it is.
pub fn table(title: &str, lines: &[Line]) -> String {
    let mut text = format!(
        "\n{title}\n\n| | µs until answered | µs of CPU | × bare | statements | bytes |\n|---|--:|--:|--:|--:|--:|\n"
    );
    for line in lines {
        let ratio = line.bare.map(|bare| format!("{:.1}", line.cpu.as_secs_f64() / bare.as_secs_f64()));
        let cells = [
            line.name.clone(),
            micros(line.wall),
            micros(line.cpu),
            ratio.unwrap_or_default(),
            line.statements.map(|count| count.to_string()).unwrap_or_default(),
            line.bytes.map(|bytes| bytes.to_string()).unwrap_or_default(),
        ];
        text.extend(["| ", &cells.join(" | "), " |\n"]);
    }
    text
}

/// The same for pages that are asked for once, in milliseconds.
pub fn opened(title: &str, rows: &[Opened]) -> String {
    let mut text = format!(
        "\n{title}\n\n| | search | first byte | slowest | page beyond the search | bytes |\n|---|--:|--:|--:|--:|--:|\n"
    );
    let millis = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1e3);
    for row in rows {
        let cells = [
            row.name.clone(),
            millis(row.search),
            millis(row.first_byte),
            millis(row.slowest),
            millis(row.first_byte.saturating_sub(row.search)),
            row.bytes.to_string(),
        ];
        text.extend(["| ", &cells.join(" | "), " |\n"]);
    }
    text
}
