//! Whether a statement may be given to a parser, told from its tokens alone.

use crate::sql::dialect::Dialect;
use crate::sql::lex::{Kind as Tok, Lexer};

/// How deep brackets, CASE and prefixes may nest. Written SQL stays below ten; parsers abort the process at thousands.
const MOST_NESTING: usize = 200;

/// Chains such as `a OR b OR c` become trees as deep as they are long.
const MOST_TOKENS: usize = 10_000;

const MOST_BYTES: usize = 256 * 1024;

const DEEP: &str = "This statement nests too deeply to be parsed: only its keywords were read.";
const LONG: &str = "This statement is too long to be parsed: only its keywords were read.";

/// The statement as parsers may see it: comments are blanks, so that none of them steers a parser.
pub(super) fn fit(text: &str, dialect: Dialect) -> Result<String, &'static str> {
    if text.len() > MOST_BYTES {
        return Err(LONG);
    }
    let (mut brackets, mut cases, mut prefixes, mut tokens) = (0_usize, 0_usize, 0_usize, 0_usize);
    let mut clean = text.as_bytes().to_vec();
    for token in Lexer::new(text, dialect) {
        if token.kind == Tok::Comment {
            let comment = clean.get_mut(token.start..token.end).unwrap_or_default();
            comment.iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
            continue;
        }
        tokens += 1;
        let word = token.of(text);
        match token.kind {
            Tok::Open => brackets += 1,
            Tok::Close => brackets = brackets.saturating_sub(1),
            Tok::Word if token.is(text, "CASE") => cases += 1,
            Tok::Word if token.is(text, "END") => cases = cases.saturating_sub(1),
            Tok::Other if word == "[" || word == "{" => brackets += 1,
            Tok::Other if word == "]" || word == "}" => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        let prefix = token.kind == Tok::Other || token.is_any(text, PREFIXES);
        prefixes = if prefix { prefixes + 1 } else { 0 };
        if brackets + cases > MOST_NESTING || prefixes > MOST_NESTING {
            return Err(DEEP);
        }
        if tokens > MOST_TOKENS {
            return Err(LONG);
        }
    }
    let clean = String::from_utf8(clean).map_err(|_| LONG)?;
    // Our reading of quotes may differ from a parser's: such a comment is broken wherever it stands.
    Ok(clean.replace("squawk-", "squeak-"))
}

/// Words that can stand one after the other without end.
const PREFIXES: &[&str] =
    &["NOT", "EXPLAIN", "ANALYZE", "VERBOSE", "PRIOR", "BINARY", "SELECT", "ALL", "DISTINCT", "WITH"];
