//! `sqlnorm1`: the digest by which a fresh render is compared with the approved one.

use sha2::{Digest as _, Sha256};

use crate::domain::digest::Digest;

/// The digest of the normal form of `sql`: LF line ends, no blanks or tabs at a line's end, runs of empty
/// lines made one, none at the start or end, one final newline. Comments, order and case stay.
#[must_use]
pub fn sqlnorm1(sql: &str) -> Digest {
    let mut hash = Sha256::new();
    let (mut any, mut empty) = (false, false);
    for line in sql.split_inclusive('\n') {
        let line = match line.strip_suffix('\n') {
            Some(ended) => ended.strip_suffix('\r').unwrap_or(ended),
            None => line,
        };
        let line = line.trim_end_matches([' ', '\t']);
        if line.is_empty() {
            empty = any;
            continue;
        }
        if empty {
            hash.update(b"\n");
        }
        hash.update(line);
        hash.update(b"\n");
        (any, empty) = (true, false);
    }
    if !any {
        hash.update(b"\n");
    }
    Digest(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use proptest::prelude::*;

    /// The definition, word for word: slow and obvious.
    fn by_the_book(sql: &str) -> Digest {
        let unix = sql.replace("\r\n", "\n");
        let lines: Vec<_> = unix.split('\n').map(|l| l.trim_end_matches([' ', '\t'])).collect();
        let mut text = lines.join("\n");
        while text.contains("\n\n\n") {
            text = text.replace("\n\n\n", "\n\n");
        }
        Digest::of(format!("{}\n", text.trim_matches('\n')).as_bytes())
    }

    proptest! {
        #[test]
        fn it_is_the_definition(sql in "[a \t\r\n;-]{0,60}") {
            prop_assert_eq!(sqlnorm1(&sql), by_the_book(&sql));
        }
    }

    #[test]
    fn rendered_corpus_has_the_measured_digests() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus");
        let text = std::fs::read(root.join("expectations.json")).unwrap();
        let expected: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let mut checked = 0;
        for (project, facts) in expected.as_object().unwrap() {
            for (window, facts) in facts["windows"].as_object().unwrap() {
                for (render, facts) in facts.as_object().unwrap() {
                    let Some(digest) = facts["sqlnorm1_sha256"].as_str() else { continue };
                    let (dialect, direction) = render.split_once('_').unwrap();
                    let file = root.join(format!("sql/{project}/{window}/{direction}.{dialect}.sql"));
                    let Ok(sql) = std::fs::read_to_string(&file) else { continue };
                    assert_eq!(sqlnorm1(&sql).to_string(), digest, "{}", file.display());
                    checked += 1;
                }
            }
        }
        assert!(checked >= 15, "only {checked} files were compared");
    }
}
