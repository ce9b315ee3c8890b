//! Tokens of SQL: enough to know what is code, what is quoted and what is a comment.

use super::dialect::Dialect;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A keyword, an identifier without quotes, or a number.
    Word,
    /// `'…'`, `E'…'`, and `"…"` on MySQL.
    Text,
    /// An identifier in quotes: `"…"`, `` `…` ``, `[…]`.
    Quoted,
    /// `$tag$…$tag$`.
    Dollar,
    Comment,
    Semicolon,
    Open,
    Close,
    Comma,
    Dot,
    /// A backslash outside quotes: no SQL has one, the commands of psql and mysql do.
    Backslash,
    /// Any other single character.
    Other,
}

/// A quote or comment that the text ends within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unterminated {
    Text,
    Identifier,
    DollarQuote,
    Comment,
}

/// A token: bytes `start..end` of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
    /// The text ended before this token did.
    pub unterminated: Option<Unterminated>,
}

impl Token {
    /// Its text in `sql`, quotes included.
    #[must_use]
    pub fn of<'a>(&self, sql: &'a str) -> &'a str {
        sql.get(self.start..self.end).unwrap_or_default()
    }

    /// Whether this is the keyword `word`, in any case.
    #[must_use]
    pub fn is(&self, sql: &str, word: &str) -> bool {
        self.kind == Kind::Word && self.of(sql).eq_ignore_ascii_case(word)
    }

    /// Whether this is one of these keywords, in any case.
    #[must_use]
    pub fn is_any(&self, sql: &str, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(sql, word))
    }

    /// Whether it can name something: a word, or an identifier in quotes.
    #[must_use]
    pub fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted | Kind::Text)
    }
}

/// The tokens of `sql[from..]`, comments included, white space left out.
pub struct Lexer<'a> {
    sql: &'a [u8],
    at: usize,
    dialect: Dialect,
    /// Inside MySQL's `/*! … */`, whose content the server runs.
    executable: bool,
}

impl<'a> Lexer<'a> {
    #[must_use]
    pub const fn new(sql: &'a str, dialect: Dialect) -> Self {
        Self { sql: sql.as_bytes(), at: 0, dialect, executable: false }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.sql.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn next_byte(&self, from: usize, byte: u8) -> Option<usize> {
        let rest = self.sql.get(from..)?;
        rest.iter().position(|b| *b == byte).map(|i| from + i)
    }

    /// White space, and the borders of MySQL's executable comments.
    fn skip_blanks(&mut self) {
        loop {
            let rest = self.sql.get(self.at..).unwrap_or_default();
            if rest.first().is_some_and(|b| matches!(b, b' ' | b'\t'..=b'\r')) {
                self.at += 1;
            } else if self.executable && rest.starts_with(b"*/") {
                self.executable = false;
                self.at += 2;
            } else if self.dialect == Dialect::MySql
                && (rest.starts_with(b"/*!") || rest.starts_with(b"/*M!"))
            {
                self.executable = true;
                self.at += if rest.starts_with(b"/*!") { 3 } else { 4 };
                while self.peek(0).is_ascii_digit() {
                    self.at += 1;
                }
            } else {
                return;
            }
        }
    }

    /// Where the next piece of a PostgreSQL text opens: after white space that holds a line end, or a `--` comment.
    fn continues(&self, from: usize) -> Option<usize> {
        let (mut i, mut broken) = (from, false);
        loop {
            let rest = self.sql.get(i..)?;
            match rest.first()? {
                b'\n' | b'\r' => broken = true,
                b' ' | b'\t' | b'\x0b' | b'\x0c' => {}
                b'-' if rest.starts_with(b"--") => {
                    i += rest.iter().position(|b| matches!(b, b'\n' | b'\r'))?;
                    continue;
                }
                b'\'' if broken => return Some(i),
                _ => return None,
            }
            i += 1;
        }
    }

    /// SQLite's `$a`, `@a`, `:a` and `#1`, with `::` and a bracket as Tcl has them: quotes in the bracket are no quotes.
    fn variable(&mut self) -> Token {
        let (mut i, mut named) = (self.at + 1, false);
        while let Some(&byte) = self.sql.get(i) {
            if is_word(byte) {
                named = true;
            } else if byte == b':' && self.sql.get(i + 1) == Some(&b':') {
                i += 1;
            } else {
                if byte == b'(' && named {
                    let rest = self.sql.get(i + 1..).unwrap_or_default();
                    let ends = |b: &u8| matches!(b, b')' | b' ' | b'\t'..=b'\r' | 0);
                    i += 1 + rest.iter().position(ends).unwrap_or(rest.len());
                    i += usize::from(self.sql.get(i) == Some(&b')'));
                }
                break;
            }
            i += 1;
        }
        self.token(if named { Kind::Word } else { Kind::Other }, i, None)
    }

    fn token(&mut self, kind: Kind, end: usize, unterminated: Option<Unterminated>) -> Token {
        let start = self.at;
        self.at = end;
        Token { kind, start, end, unterminated }
    }

    fn line_comment(&mut self) -> Token {
        // For PostgreSQL a carriage return ends it too, and what follows is run.
        let returns = self.dialect == Dialect::PostgreSql;
        let rest = self.sql.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|b| *b == b'\n' || (returns && *b == b'\r'));
        let end = end.map_or(self.sql.len(), |i| self.at + i);
        self.token(Kind::Comment, end, None)
    }

    fn block_comment(&mut self) -> Token {
        let nests = self.dialect == Dialect::PostgreSql;
        let (mut i, mut depth) = (self.at + 2, 1_usize);
        while let Some(rest) = self.sql.get(i..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with(b"*/") {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return self.token(Kind::Comment, i, None);
                }
            } else if nests && rest.starts_with(b"/*") {
                depth += 1;
                i += 2;
            } else {
                i += 1;
            }
        }
        self.token(Kind::Comment, self.sql.len(), Some(Unterminated::Comment))
    }

    /// Where a text that seems to end goes on: PostgreSQL joins pieces, and reads all of them as it does the first.
    fn piece(&self, kind: Kind, from: usize) -> Option<usize> {
        let joins = kind == Kind::Text && self.dialect == Dialect::PostgreSql;
        joins.then(|| self.continues(from)).flatten()
    }

    /// A quoted token whose first quote is at `open`; a doubled quote stays inside.
    fn quoted(&mut self, kind: Kind, open: usize, quote: u8, backslash: bool) -> Token {
        let mut i = open + 1;
        while let Some(&byte) = self.sql.get(i) {
            if backslash && byte == b'\\' {
                i += 2;
            } else if byte != quote {
                i += 1;
            } else if quote != b']' && self.sql.get(i + 1) == Some(&quote) {
                i += 2;
            } else if let Some(next) = self.piece(kind, i + 1) {
                i = next + 1;
            } else {
                return self.token(kind, i + 1, None);
            }
        }
        let what = if kind == Kind::Text { Unterminated::Text } else { Unterminated::Identifier };
        self.token(kind, self.sql.len(), Some(what))
    }

    /// `$tag$…$tag$`, or nothing if this dollar begins no such quote.
    fn dollar_quote(&mut self) -> Option<Token> {
        // MySQL has names made of dollars, SQLite has variables.
        if self.dialect != Dialect::PostgreSql || self.peek(1).is_ascii_digit() {
            return None;
        }
        let mut close = self.at + 1;
        while self.sql.get(close).is_some_and(|b| is_word(*b) && *b != b'$') {
            close += 1;
        }
        if self.sql.get(close) != Some(&b'$') {
            return None;
        }
        let tag = self.sql.get(self.at..=close)?;
        let mut from = close + 1;
        while let Some(i) = self.next_byte(from, b'$') {
            if self.sql.get(i..).is_some_and(|rest| rest.starts_with(tag)) {
                return Some(self.token(Kind::Dollar, i + tag.len(), None));
            }
            from = i + 1;
        }
        let end = self.sql.len();
        Some(self.token(Kind::Dollar, end, Some(Unterminated::DollarQuote)))
    }

    fn word(&mut self) -> Token {
        let postgres = self.dialect == Dialect::PostgreSql;
        // For PostgreSQL no number holds a dollar: a quote of dollars may touch it.
        let number = postgres && self.peek(0).is_ascii_digit();
        let mut end = self.at;
        while self.sql.get(end).is_some_and(|b| is_word(*b) && !(number && *b == b'$')) {
            end += 1;
        }
        let word = self.sql.get(self.at..end).unwrap_or_default();
        // Up to version 14 a number may touch the E: `1E'…'` is a number and a text.
        let escapes = postgres
            && self.sql.get(end) == Some(&b'\'')
            && word.split_last().is_some_and(|(last, digits)| {
                matches!(last, b'e' | b'E') && digits.iter().all(u8::is_ascii_digit)
            });
        if escapes {
            return self.quoted(Kind::Text, end, b'\'', true);
        }
        self.token(Kind::Word, end, None)
    }

    /// Whether `--` begins a comment here: MySQL wants a blank after it.
    fn dashes(&self) -> bool {
        self.peek(0) == b'-'
            && self.peek(1) == b'-'
            && (self.dialect != Dialect::MySql || self.peek(2) <= b' ')
    }
}

/// Letters, digits, `_`, `$` and everything beyond ASCII, as all three databases have it.
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.skip_blanks();
        let first = *self.sql.get(self.at)?;
        let mysql = self.dialect == Dialect::MySql;
        let kind = match first {
            b'-' if self.dashes() => return Some(self.line_comment()),
            b'#' if mysql => return Some(self.line_comment()),
            b'/' if self.peek(1) == b'*' => return Some(self.block_comment()),
            b'\'' => return Some(self.quoted(Kind::Text, self.at, first, mysql)),
            b'"' if mysql => return Some(self.quoted(Kind::Text, self.at, first, true)),
            b'"' => return Some(self.quoted(Kind::Quoted, self.at, first, false)),
            b'`' if self.dialect != Dialect::PostgreSql => {
                return Some(self.quoted(Kind::Quoted, self.at, first, false));
            }
            b'[' if self.dialect == Dialect::Sqlite => {
                return Some(self.quoted(Kind::Quoted, self.at, b']', false));
            }
            b'$' | b'@' | b':' | b'#' if self.dialect == Dialect::Sqlite => return Some(self.variable()),
            b'$' => match self.dollar_quote() {
                Some(token) => return Some(token),
                None if mysql => return Some(self.word()),
                None => Kind::Other,
            },
            byte if is_word(byte) => return Some(self.word()),
            b';' => Kind::Semicolon,
            b'(' => Kind::Open,
            b')' => Kind::Close,
            b',' => Kind::Comma,
            b'.' => Kind::Dot,
            b'\\' => Kind::Backslash,
            _ => Kind::Other,
        };
        Some(self.token(kind, self.at + 1, None))
    }
}

/// The name a token stands for: without quotes; lower case if it had none.
#[must_use]
pub fn name(token: &Token, sql: &str) -> String {
    let text = token.of(sql);
    match token.kind {
        Kind::Quoted | Kind::Text if text.len() >= 2 && token.unterminated.is_none() => {
            let quote = &text[text.len() - 1..];
            text[1..text.len() - 1].replace(&quote.repeat(2), quote)
        }
        _ => text.to_ascii_lowercase(),
    }
}
