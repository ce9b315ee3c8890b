//! What changed within a line: which line became which, and which of its words are others.

use std::ops::Range;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

/// Longer lines are compared only from their ends, in bytes.
const LONGEST: usize = 4_000;

/// More lines than this on a side are paired by their places.
const MOST_LINES: usize = 40;

/// Two lines are told as one that changed if so much of them is the same, in hundredths.
const ALIKE: usize = 40;

/// A line's words take no longer than this.
const LIMIT: Duration = Duration::from_millis(5);

/// Stretches of both lines that the other line lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    pub old: Vec<Range<usize>>,
    pub new: Vec<Range<usize>>,
}

/// The words of a line: runs of letters, digits and `_`, runs of blanks, and every other character by itself.
fn words(line: &str) -> Vec<&str> {
    let class = |c: char| match c {
        c if c.is_alphanumeric() || c == '_' => 0,
        c if c.is_whitespace() => 1,
        _ => 2,
    };
    let mut found = Vec::new();
    let (mut start, mut last) = (0, 2);
    for (at, c) in line.char_indices() {
        let this = class(c);
        if at > 0 && (this != last || this == 2) {
            found.push(&line[start..at]);
            start = at;
        }
        last = this;
    }
    if start < line.len() {
        found.push(&line[start..]);
    }
    found
}

/// Where two lines differ; nothing if they have too little in common for that to help a reader.
#[must_use]
pub fn changed(old: &str, new: &str) -> Option<Changed> {
    if old == new {
        return None;
    }
    if old.len().max(new.len()) > LONGEST {
        return Some(between_ends(old, new));
    }
    let (a, b) = (words(old), words(new));
    let deadline = Instant::now() + LIMIT;
    let ops = capture_diff_slices_deadline(Algorithm::Myers, &a, &b, Some(deadline));
    let length = |words: &[&str], range: Range<usize>| -> usize {
        words.get(range).unwrap_or_default().iter().map(|word| word.trim().len()).sum()
    };
    let mut found = Changed::default();
    let (mut same, mut at) = (0, (0, 0));
    for op in &ops {
        let (old_words, new_words) = (op.old_range(), op.new_range());
        let bytes = |words: &[&str], range: Range<usize>| -> usize {
            words.get(range).unwrap_or_default().iter().map(|word| word.len()).sum()
        };
        let next = (at.0 + bytes(&a, old_words.clone()), at.1 + bytes(&b, new_words));
        if matches!(op, DiffOp::Equal { .. }) {
            same += length(&a, old_words);
        } else {
            push(&mut found.old, at.0..next.0);
            push(&mut found.new, at.1..next.1);
        }
        at = next;
    }
    let most = length(&a, 0..a.len()).max(length(&b, 0..b.len()));
    (same * 100 >= most * ALIKE).then_some(found)
}

fn push(list: &mut Vec<Range<usize>>, range: Range<usize>) {
    if range.is_empty() {
        return;
    }
    match list.last_mut() {
        Some(before) if before.end == range.start => before.end = range.end,
        _ => list.push(range),
    }
}

/// The stretch between what both lines begin and end with.
fn between_ends(old: &str, new: &str) -> Changed {
    let pairs = old.chars().zip(new.chars());
    let start: usize = pairs.take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    let pairs = old[start..].chars().rev().zip(new[start..].chars().rev());
    let end: usize = pairs.take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    let stretch = |line: &str| Some(start..line.len() - end).filter(|range| !range.is_empty());
    Changed { old: stretch(old).into_iter().collect(), new: stretch(new).into_iter().collect() }
}

/// How alike two lines are, in hundredths, by the words that both have: quick, and blind to their order.
fn likeness(old: &[&str], new: &[&str]) -> usize {
    let weigh = |words: &[&str]| words.iter().map(|word| word.trim().len()).sum::<usize>();
    let most = weigh(old).max(weigh(new)).max(1);
    let mut left: Vec<&str> = new.to_vec();
    let mut same = 0;
    for word in old {
        if let Some(at) = left.iter().position(|other| other == word) {
            left.swap_remove(at);
            same += word.trim().len();
        }
    }
    same * 100 / most
}

/// Which old line became which new one, rising on both sides; in long changes, and among long lines, by their places.
#[must_use]
pub fn pairs(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let long = |lines: &[&str]| lines.len() > MOST_LINES || lines.iter().any(|line| line.len() > 400);
    if old.is_empty() || new.is_empty() || long(old) || long(new) {
        return (0..old.len().min(new.len())).map(|at| (at, at)).collect();
    }
    let (old, new): (Vec<_>, Vec<_>) =
        (old.iter().map(|line| words(line)).collect(), new.iter().map(|line| words(line)).collect());
    // The most that can be had from the lines after (i, j): the longest common subsequence, weighed by likeness.
    let width = new.len() + 1;
    let mut best = vec![0_usize; (old.len() + 1) * width];
    let mut like = vec![0_usize; old.len() * new.len()];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let weight = likeness(&old[i], &new[j]);
            let weight = if weight >= ALIKE { weight } else { 0 };
            like[i * new.len() + j] = weight;
            let both = if weight > 0 { best[(i + 1) * width + j + 1] + weight } else { 0 };
            best[i * width + j] = both.max(best[(i + 1) * width + j]).max(best[i * width + j + 1]);
        }
    }
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    while i < old.len() && j < new.len() {
        let (here, weight) = (best[i * width + j], like[i * new.len() + j]);
        if weight > 0 && here == best[(i + 1) * width + j + 1] + weight {
            found.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if here == best[(i + 1) * width + j] {
            i += 1;
        } else {
            j += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(old: &str, new: &str) -> Option<(Vec<String>, Vec<String>)> {
        let found = changed(old, new)?;
        let cut = |line: &str, ranges: &[Range<usize>]| {
            ranges.iter().map(|range| line[range.clone()].to_owned()).collect::<Vec<_>>()
        };
        Some((cut(old, &found.old), cut(new, &found.new)))
    }

    #[test]
    fn the_words_that_changed_are_marked() {
        let (old, new) = marked("SET lock_timeout = '30s';", "SET lock_timeout = '3s';").unwrap();
        assert_eq!((old, new), (vec!["30s".to_owned()], vec!["3s".to_owned()]));
        let (old, new) = marked("CREATE INDEX a ON ä (b);", "CREATE INDEX CONCURRENTLY a ON ä (b);").unwrap();
        assert_eq!((old.len(), new.concat().trim()), (0, "CONCURRENTLY"));
        assert_eq!(marked("UPDATE positions", "DO $$"), None);
        assert_eq!(marked("same", "same"), None);
    }

    #[test]
    fn a_long_line_is_marked_between_its_ends() {
        let old = format!("{}a{}", "x".repeat(5_000), "y ".repeat(5_000));
        let new = format!("{}äb{}", "x".repeat(5_000), "y ".repeat(5_000));
        assert_eq!(marked(&old, &new).unwrap(), (vec!["a".to_owned()], vec!["äb".to_owned()]));
    }

    #[test]
    fn lines_are_paired_with_what_they_became() {
        let old = ["    FOREIGN KEY (a) REFERENCES b (id);"];
        let new = ["SET LOCAL x = 1;", "    FOREIGN KEY (a) REFERENCES b (id) NOT VALID;"];
        assert_eq!(pairs(&old, &new), [(0, 1)]);
        assert_eq!(pairs(&["UPDATE a", "SET b = 1"], &["DO $$", "BEGIN"]), []);
        assert_eq!(pairs(&[], &["x"]), []);
        let many: Vec<&str> = vec!["x"; 100];
        assert_eq!(pairs(&many, &many[..50]).len(), 50);
    }
}
