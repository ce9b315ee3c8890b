//! What a quoted text says, once its escapes are read.

use super::classify::Words;
use super::dialect::Dialect;
use super::lex::Kind as Tok;

/// The content of a quoted text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub text: String,
    /// Characters in it were written as numbers.
    pub coded: bool,
}

/// The text at this token, with the pieces that continue it, and the index after it.
pub(super) fn at(words: &Words<'_>, i: usize, dialect: Dialect) -> Option<(Text, usize)> {
    // `U&'…'` and `N'…'` are a word before a text to the lexer.
    let mark = words.tokens.get(i + 1).is_some_and(|t| t.of(words.sql) == "&");
    let unicode = words.is(i, &["U"]) && mark && words.kind_at(i + 2) == Some(Tok::Text);
    let earlier =
        i >= 2 && words.is(i - 2, &["U"]) && words.tokens.get(i - 1).is_some_and(|t| t.of(words.sql) == "&");
    let national = words.is(i, &["N"]) && words.kind_at(i + 1) == Some(Tok::Text);
    let first = i + if unicode { 2 } else { usize::from(national) };
    let token = words.tokens.get(first)?;
    let text = token.of(words.sql);
    if token.kind == Tok::Dollar {
        let tag = text.get(1..)?.find('$')? + 2;
        let inner = text.get(tag..text.len().checked_sub(tag)?)?;
        return Some((Text { text: inner.to_owned(), coded: false }, first + 1));
    }
    if token.kind != Tok::Text {
        return None;
    }
    let mut end = first + 1;
    while words.kind_at(end) == Some(Tok::Text) {
        end += 1;
    }
    let all = words.sql.get(token.start..words.tokens.get(end - 1)?.end)?;
    let prefix = all.bytes().next().unwrap_or_default().to_ascii_lowercase();
    let escape = if unicode || earlier || prefix == b'u' {
        // UESCAPE names another character than the backslash; with one, what is coded can't be told.
        if words.is(end, &["UESCAPE"]) {
            return Some((Text { text: String::new(), coded: true }, end + 2));
        }
        Escape::Unicode
    } else if prefix == b'e' || dialect == Dialect::MySql {
        Escape::Backslash
    } else {
        Escape::None
    };
    Some((decode(all, escape), end))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Backslash,
    Unicode,
}

fn decode(all: &str, escape: Escape) -> Text {
    let mut text = Text { text: String::with_capacity(all.len()), coded: false };
    let mut chars = all.chars().peekable();
    let mut quote = None;
    while let Some(c) = chars.next() {
        match quote {
            None if c == '\'' || c == '"' => quote = Some(c),
            // Between two pieces there are blanks and comments.
            None if c == '-' => while chars.next_if(|c| *c != '\n').is_some() {},
            None => {}
            Some(open) if c == open => {
                if chars.next_if_eq(&open).is_some() {
                    text.text.push(open);
                } else {
                    quote = None;
                }
            }
            Some(_) if c == '\\' && escape != Escape::None => {
                let Some(next) = chars.next() else { break };
                let digits = match (escape, next) {
                    (_, '\\') => None,
                    (Escape::Unicode, '+') => Some((16, 6, String::new())),
                    (Escape::Unicode, digit) => Some((16, 4, digit.to_string())),
                    (_, 'x') => Some((16, 2, String::new())),
                    (_, 'u') => Some((16, 4, String::new())),
                    (_, 'U') => Some((16, 8, String::new())),
                    (_, '0'..='7') => Some((8, 3, next.to_string())),
                    _ => None,
                };
                let Some((radix, most, mut digits)) = digits else {
                    text.text.push(match next {
                        'n' | 'r' | 't' | 'b' | 'f' => ' ',
                        other => other,
                    });
                    continue;
                };
                text.coded = true;
                while digits.len() < most {
                    let Some(digit) = chars.next_if(|c| c.is_digit(radix)) else { break };
                    digits.push(digit);
                }
                let code = u32::from_str_radix(&digits, radix).ok().and_then(char::from_u32);
                text.text.push(code.unwrap_or(' '));
            }
            Some(_) => text.text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_as_the_database_reads_them() {
        for (sql, text, coded) in [
            ("'a''b'", "a'b", false),
            (r"'a\x41'", r"a\x41", false),
            ("'DR' -- so\n 'OP'", "DROP", false),
            (r"E'DR\x4f\120 \u0041\\'", r"DROP A\", true),
            (r"e'a\'b\n'", "a'b ", false),
            (r"U&'T\0041B\+00004C\\'", r"TABL\", true),
            ("N'a'", "a", false),
            ("$x$ a'b $x$", " a'b ", false),
        ] {
            let words = Words::of(sql, Dialect::PostgreSql);
            let (found, end) = at(&words, 0, Dialect::PostgreSql).unwrap();
            assert_eq!(found, Text { text: text.to_owned(), coded }, "{sql}");
            assert_eq!(end, words.tokens.len(), "{sql}");
        }
        let words = Words::of("U&'T!0041' UESCAPE '!'", Dialect::PostgreSql);
        assert!(at(&words, 0, Dialect::PostgreSql).unwrap().0.coded);
        for sql in ["1", "", "U & 1", "$x$"] {
            assert_eq!(at(&Words::of(sql, Dialect::PostgreSql), 0, Dialect::PostgreSql), None, "{sql}");
        }
    }
}
