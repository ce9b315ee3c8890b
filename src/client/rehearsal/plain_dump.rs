//! A plain dump is a script for psql: looked through before it runs, so that it stays in the database that it is given.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// What in a plain dump reaches beyond one database: the line, counted from 1, and what stands there.
///
/// # Errors
/// When the file can't be read.
pub(super) fn reaches_out(path: &Path) -> io::Result<Option<(u64, String)>> {
    Reader::default().through(BufReader::with_capacity(1 << 16, File::open(path)?))
}

/// Words of a statement that are kept: enough to tell what it does.
const WORDS: usize = 4;

#[derive(Debug, Default)]
enum Within {
    #[default]
    Sql,
    /// Up to the same quote; whether a backslash takes the next byte along.
    Quotes(u8, bool),
    /// `$tag$`, and how much of it has been seen again.
    Dollars(Vec<u8>, usize),
    Line,
    Block(u32),
    /// Rows of COPY, up to a line of `\.` alone.
    Rows,
}

#[derive(Debug, Default)]
struct Reader {
    within: Within,
    words: Vec<String>,
    word: String,
    /// COPY … FROM stdin has been read: after its end of line there are rows.
    stdin: bool,
    rows_follow: bool,
    /// The line of rows that is being read, as far as it matters.
    row: Vec<u8>,
    last: u8,
}

impl Reader {
    fn through(mut self, reader: impl BufRead) -> io::Result<Option<(u64, String)>> {
        let mut line = 1;
        let mut bytes = reader.bytes().peekable();
        while let Some(byte) = bytes.next() {
            let byte = byte?;
            let next = match bytes.peek() {
                Some(Ok(next)) => *next,
                _ => 0,
            };
            if matches!(self.within, Within::Sql) && byte == b'\\' {
                let rest = bytes.by_ref().map_while(Result::ok).take_while(|b| *b != b'\n').collect();
                let rest = String::from_utf8(rest).unwrap_or_default();
                let name = rest.split_whitespace().next().unwrap_or_default();
                // The only ones of pg_dump that lead nowhere.
                if !matches!(name, "restrict" | "unrestrict") || !self.words.is_empty() {
                    return Ok(Some((line, format!("\\{name}"))));
                }
                line += 1;
                continue;
            }
            let pair = byte == b'\\' && self.last == b'\\' && matches!(self.within, Within::Quotes(_, true));
            if let Some(found) = self.take(byte, next) {
                return Ok(Some((line, found)));
            }
            line += u64::from(byte == b'\n');
            // Two backslashes are one, and take nothing along.
            self.last = if pair { 0 } else { byte };
        }
        self.end_word();
        Ok(self.judged().map(|found| (line, found)))
    }

    fn take(&mut self, byte: u8, next: u8) -> Option<String> {
        match &mut self.within {
            Within::Sql => return self.sql(byte, next),
            Within::Quotes(quote, escapes) => {
                if *escapes && self.last == b'\\' {
                    return None;
                }
                if byte == *quote {
                    self.within = Within::Sql;
                }
            }
            Within::Dollars(tag, seen) => {
                *seen = if tag.get(*seen) == Some(&byte) { *seen + 1 } else { usize::from(byte == b'$') };
                if *seen == tag.len() {
                    self.within = Within::Sql;
                }
            }
            Within::Line if byte == b'\n' => self.within = Within::Sql,
            Within::Block(depth) => {
                match (self.last, byte) {
                    (b'*', b'/') => *depth -= 1,
                    (b'/', b'*') => *depth += 1,
                    _ => {}
                }
                if *depth == 0 {
                    self.within = Within::Sql;
                }
            }
            Within::Rows if byte == b'\n' => {
                if self.row == b"\\." || self.row == b"\\.\r" {
                    self.within = Within::Sql;
                }
                self.row.clear();
            }
            Within::Rows if self.row.len() < 4 => self.row.push(byte),
            Within::Line | Within::Rows => {}
        }
        None
    }

    fn sql(&mut self, byte: u8, next: u8) -> Option<String> {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80 {
            self.word.push(char::from(byte.to_ascii_lowercase()));
            return None;
        }
        if byte == b'$' && !self.word.is_empty() {
            // `$tag$` begins with a dollar that no name has before it.
            if self.word.starts_with('$') {
                let tag = format!("{}$", self.word).into_bytes();
                self.word.clear();
                self.within = Within::Dollars(tag, 0);
            } else {
                self.word.push('$');
            }
            return None;
        }
        if byte == b'$' && (next == b'$' || next == b'_' || next.is_ascii_alphabetic() || next >= 0x80) {
            self.word.push('$');
            return None;
        }
        let escapes = self.word == "e";
        self.end_word();
        match byte {
            b'\'' => self.within = Within::Quotes(byte, escapes),
            b'"' => self.within = Within::Quotes(byte, false),
            b'-' if next == b'-' => self.within = Within::Line,
            b'/' if next == b'*' => self.within = Within::Block(0),
            b';' => {
                let found = self.judged();
                self.rows_follow = self.stdin;
                self.stdin = false;
                self.words.clear();
                return found;
            }
            b'\n' if self.rows_follow => {
                self.rows_follow = false;
                self.within = Within::Rows;
            }
            _ => {}
        }
        None
    }

    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        let word = std::mem::take(&mut self.word);
        self.stdin |= word == "stdin" && self.words.first().is_some_and(|first| first == "copy");
        if self.words.len() < WORDS {
            self.words.push(word);
        }
    }

    /// What the statement changes for the whole server, if anything.
    fn judged(&self) -> Option<String> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let found = match words.as_slice() {
            ["create" | "drop" | "alter", "user", "mapping", ..] => false,
            [
                "create" | "drop" | "alter",
                "database" | "role" | "user" | "group" | "tablespace" | "system",
                ..,
            ]
            | ["comment", "on", "database" | "role" | "tablespace", ..] => true,
            _ => false,
        };
        found.then(|| words[..words.len().min(2)].join(" ").to_uppercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<(u64, String)> {
        Reader::default().through(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_reaches_beyond_the_database_is_found_wherever_it_stands() {
        let at = |line, what: &str| Some((line, what.to_owned()));
        assert_eq!(found("SET a = 1;\n\\connect live\n"), at(2, "\\connect"));
        assert_eq!(found("SELECT 1 \\c live\n"), at(1, "\\c"));
        assert_eq!(found("\n\\! rm x\n"), at(2, "\\!"));
        assert_eq!(found("SELECT 1; drop\n  /* x /* y */ */ Database \"live\";"), at(2, "DROP DATABASE"));
        assert_eq!(found("CREATE DATABASE live"), at(1, "CREATE DATABASE"));
        assert_eq!(found("ALTER ROLE ada SUPERUSER;"), at(1, "ALTER ROLE"));
        assert_eq!(found("COPY t FROM stdin;\n1\n\\.\n\\i other\n"), at(4, "\\i"));
        assert_eq!(found("SELECT E'\\\\'; \\o x"), at(1, "\\o"));
        assert_eq!(found("SELECT $a$ $b$ ' $a$; \\o x"), at(1, "\\o"));
        assert_eq!(found("SELECT a$b; \\o x"), at(1, "\\o"));
        let key = "k".repeat(63);
        assert_eq!(found(&format!("\\restrict {key}\nDROP DATABASE live;")), at(2, "DROP DATABASE"));
    }

    #[test]
    fn what_only_looks_like_it_is_left_alone() {
        let texts = [
            "\\restrict abc\nSET a = 1;\n\\unrestrict abc\n",
            "COPY public.t (a, b) FROM stdin;\n\\connect x\nDROP DATABASE y;\n\\.\n\nSELECT 1;\n",
            "INSERT INTO t VALUES ('\n\\connect x\nDROP DATABASE y;\n');",
            "SELECT E'it\\'s \\\\connect', \"a\\b\";",
            "-- DROP DATABASE x; \\connect\n/* \\c /* \\c */ DROP DATABASE x; */ SELECT 1;",
            "CREATE FUNCTION f() AS $_$ DROP DATABASE x; $1 \\c $_$;\nSELECT $$ \\c $$;",
            "CREATE USER MAPPING FOR ada SERVER s;\nCREATE TABLE database (role text);",
        ];
        for text in texts {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
