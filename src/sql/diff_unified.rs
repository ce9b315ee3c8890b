//! The difference as `diff -u` writes it.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{LineDiff, Row, Tag};

impl LineDiff {
    /// A unified diff that `patch` and `git apply` take; empty if nothing differs. A label follows its name after a tab,
    /// where programs expect a time and people read what they like.
    #[must_use]
    pub fn unified(
        &self,
        (old, old_name, old_label): (&[u8], &str, &str),
        (new, new_name, new_label): (&[u8], &str, &str),
        context: u32,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        if self.is_empty() {
            return out;
        }
        for (sign, name, label) in [("---", old_name, old_label), ("+++", new_name, new_label)] {
            out.extend_from_slice(format!("{sign} {}\t{}\n", quoted(name), plain(label)).as_bytes());
        }
        for hunk in self.hunks(context) {
            let (old_side, new_side) = (side(&hunk.old), side(&hunk.new));
            out.extend_from_slice(format!("@@ -{old_side} +{new_side} @@\n").as_bytes());
            for row in self.rows(&hunk) {
                self.write(&mut out, row, old, new);
            }
        }
        out
    }

    fn write(&self, out: &mut Vec<u8>, row: Row, old: &[u8], new: &[u8]) {
        let (sign, text, lines, line) = match (row.tag, row.old, row.new) {
            (Tag::Delete, Some(line), _) => (b'-', old, &self.old, line),
            (Tag::Insert, _, Some(line)) => (b'+', new, &self.new, line),
            (Tag::Equal, _, Some(line)) => (b' ', new, &self.new, line),
            _ => return,
        };
        out.push(sign);
        out.extend_from_slice(text.get(lines.span(line)).unwrap_or_default());
        out.push(b'\n');
        if !lines.is_ended(line) {
            out.extend_from_slice(b"\\ No newline at end of file\n");
        }
    }
}

/// `start,length` counted from 1; an empty side names the line before, and a length of 1 is left out.
fn side(lines: &std::ops::Range<u32>) -> String {
    match lines.end - lines.start {
        0 => format!("{},0", lines.start),
        1 => (lines.start + 1).to_string(),
        length => format!("{},{length}", lines.start + 1),
    }
}

/// The name of a file as git writes it: in quotes with escapes, if it holds what would end or change it there.
fn quoted(name: &str) -> Cow<'_, str> {
    let odd = |c: char| c.is_control() || matches!(c, '"' | '\\' | '\u{2028}' | '\u{2029}');
    if !name.contains(odd) && name.trim() == name {
        return Cow::Borrowed(name);
    }
    let mut out = String::from("\"");
    for c in name.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if odd(c) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(out, "\\{byte:03o}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    Cow::Owned(out)
}

/// A label behind a name: no control characters, and no quotes.
fn plain(label: &str) -> String {
    label.chars().map(|c| if c.is_control() || c == '"' || c == '\\' { '?' } else { c }).collect()
}
