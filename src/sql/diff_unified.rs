//! The difference as `diff -u` writes it.

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
            out.extend_from_slice(format!("{sign} {}\t{}\n", plain(name), plain(label)).as_bytes());
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

/// A name as a header line takes it: no control characters, and nothing that git would take for a quoted name.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_control() || c == '"' || c == '\\' { '?' } else { c }).collect()
}
