//! A render that is impossible is declared, not faked: a file that says why instead of SQL.

/// The reason in a file of the one line `not possible: REASON`, which may be written as an SQL comment
/// (`-- not possible: REASON`) so that running it does nothing. Anything else is SQL, and gives nothing here.
///
/// The reason has 10 to 500 characters, none of them hidden.
#[must_use]
pub fn reason(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes.get(..bytes.len().min(4_096))?).ok()?;
    if bytes.len() > 4_096 {
        return None;
    }
    let line = text.trim_end_matches(['\r', '\n']);
    let line = line.strip_prefix("-- ").unwrap_or(line);
    let reason = line.strip_prefix("not possible: ")?.trim();
    let sound = (10..=500).contains(&reason.chars().count())
        && !reason.chars().any(|c| c.is_control() || crate::sql::hidden::is_hidden(c));
    sound.then_some(reason)
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn one_line_with_a_reason_is_a_declaration_and_anything_more_is_sql() {
        let why = "revision f50d9e7b3a26 has no downgrade()";
        assert_eq!(reason(format!("not possible: {why}").as_bytes()), Some(why));
        assert_eq!(reason(format!("-- not possible: {why}\r\n").as_bytes()), Some(why));
        for sql in [
            "",
            "not possible:",
            "not possible: no",
            "Not possible: it has no downgrade()",
            "-- not possible: it has no downgrade()\nDROP TABLE trades;",
            "\n-- not possible: it has no downgrade()",
            "-- not possible: it has\rno downgrade()",
            "-- not possible: it has \u{202E} no downgrade()",
            "DROP TABLE trades; -- not possible: it has no downgrade()",
        ] {
            assert_eq!(reason(sql.as_bytes()), None, "{sql:?}");
        }
        assert_eq!(reason(&[b"not possible: ".as_slice(), &[b'x'; 5_000]].concat()), None);
        assert_eq!(reason(b"not possible: \xFF\xFE and more of it"), None);
    }
}
