//! Just enough of Rust's tokens to see paths: comments, strings, characters and lifetimes are left out.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    Word(&'a str),
    /// `::`
    PathSeparator,
    /// `{`
    Open,
    /// `}`
    Close,
    Other(char),
}

/// The tokens of a text, each with its line (the first is 1).
pub fn tokens(text: &str) -> Vec<(usize, Token<'_>)> {
    let mut out = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let taken = if let Some(length) = skipped(rest) {
            length
        } else if is_word(first) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            out.push((line, Token::Word(&rest[..length])));
            length
        } else if rest.starts_with("::") {
            out.push((line, Token::PathSeparator));
            2
        } else {
            match first {
                '{' => out.push((line, Token::Open)),
                '}' => out.push((line, Token::Close)),
                space if space.is_whitespace() => {}
                other => out.push((line, Token::Other(other))),
            }
            first.len_utf8()
        };
        line += rest[..taken].matches('\n').count();
        at += taken;
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the comment, literal, lifetime or `r#` that `rest` starts with.
fn skipped(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if let Some(character) = rest.strip_prefix('\'') {
        return Some(1 + after_apostrophe(character));
    }
    let prefix = ["", "b", "c", "r", "br", "cr"].into_iter().rev().find(|prefix| {
        rest.strip_prefix(prefix)
            .is_some_and(|after| after.starts_with('"') || (prefix.contains('r') && opens_raw(after)))
    });
    if let Some(prefix) = prefix {
        let body = &rest[prefix.len()..];
        return Some(prefix.len() + if prefix.contains('r') { raw_string(body) } else { string(body) });
    }
    rest.starts_with("r#").then_some(2)
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// `rest` follows an apostrophe: a character's literal up to its end, or a lifetime's name.
fn after_apostrophe(rest: &str) -> usize {
    let mut chars = rest.char_indices();
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((_, escaped))) => {
            let escape = 1 + escaped.len_utf8();
            escape + rest[escape..].find('\'').map_or(0, |end| end + 1)
        }
        (Some(_), Some((end, '\''))) => end + 1,
        _ => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
    }
}

fn string(body: &str) -> usize {
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    body.len()
}

fn opens_raw(body: &str) -> bool {
    body.starts_with('#') && body.trim_start_matches('#').starts_with('"')
}

fn raw_string(body: &str) -> usize {
    let hashes = body.len() - body.trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    body[hashes + 1..].find(&end).map_or(body.len(), |at| hashes + 1 + at + end.len())
}

#[test]
fn only_code_is_left() {
    let text = "// crate::a\n/* b /* c */ d */ use r#mod::x; \"e \\\" f\" r#\"g \" h\"# b\"i\" br##\"j\"## 'k' '\\'' '\\u{7d}' &'l m {n}";
    let words: Vec<_> = tokens(text)
        .into_iter()
        .filter_map(|(line, token)| if let Token::Word(word) = token { Some((line, word)) } else { None })
        .collect();
    assert_eq!(words, [(2, "use"), (2, "mod"), (2, "x"), (2, "m"), (2, "n")]);
}

#[test]
fn lines_are_counted_through_literals() {
    let counted = tokens("\"a\nb\"\n/*\n*/ r\"\n\" x");
    assert_eq!(counted, [(5, Token::Word("x"))]);
}
