//! Names and keywords written with letters that only look like the ones they are taken for.

use super::dialect::Dialect;
use super::lex::{Kind, Lexer};

/// A word that misleads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lookalike {
    /// Its bytes in the text.
    pub start: usize,
    pub end: usize,
    pub line: u32,
    /// The first character that is not what it seems.
    pub character: char,
}

/// Every such word outside of texts and comments.
pub(super) fn find(sql: &str, dialect: Dialect) -> impl Iterator<Item = Lookalike> + '_ {
    let (mut line, mut counted) = (1_u32, 0);
    // Nothing in ASCII looks like something else, and most scripts are ASCII.
    let lexer = (!sql.is_ascii()).then(|| Lexer::new(sql, dialect));
    lexer.into_iter().flatten().filter_map(move |token| {
        let unquoted = match token.kind {
            Kind::Word => true,
            Kind::Quoted => false,
            _ => return None,
        };
        let text = token.of(sql);
        let character = (!text.is_ascii()).then(|| suspect(text, unquoted)).flatten()?;
        let passed = sql.get(counted..token.start).unwrap_or_default();
        let ends = passed.bytes().filter(|b| *b == b'\n').count();
        line = line.saturating_add(u32::try_from(ends).unwrap_or(u32::MAX));
        counted = token.start;
        Some(Lookalike { start: token.start, end: token.end, line, character })
    })
}

/// The first misleading character of a word.
fn suspect(word: &str, unquoted: bool) -> Option<char> {
    if let Some(never) = word.chars().find(|c| disguised(*c) || (unquoted && blank_or_mark(*c))) {
        return Some(never);
    }
    word.split(|c: char| !c.is_alphanumeric()).find_map(|part| {
        let like = part.chars().find(|c| looks_latin(*c))?;
        let latin = part.chars().any(|c| c.is_ascii_alphabetic());
        // A whole word of another alphabet is a name, unless nobody could see that it is of another alphabet.
        let all = part.chars().all(|c| looks_latin(c) || c.is_ascii_digit());
        (latin || (unquoted && all)).then_some(like)
    })
}

/// Forms of ASCII letters that no keyboard writes: full width, mathematical, Roman numerals, the Kelvin sign.
const fn disguised(c: char) -> bool {
    matches!(c, '\u{FF01}'..='\u{FF5E}' | '\u{1D400}'..='\u{1D7FF}' | '\u{2160}'..='\u{217F}' | '\u{212A}'..='\u{212B}'
        | '\u{2100}'..='\u{214E}' | '\u{115F}'..='\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{2800}' | '\u{34F}'
        | '\u{17B4}'..='\u{17B5}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

/// What looks like a blank, a semicolon, a quote or an operator, and is a letter of a name to the database.
const fn blank_or_mark(c: char) -> bool {
    matches!(c, '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' | '\u{37E}'
        | '\u{2010}'..='\u{2015}' | '\u{2018}'..='\u{201F}' | '\u{2BC}' | '\u{2212}' | '\u{2044}' | '\u{2215}'
        | '\u{2217}' | '\u{A789}' | '\u{2236}')
}

/// Letters of other alphabets that fonts draw like a Latin one.
const fn looks_latin(c: char) -> bool {
    matches!(
        c,
        // Cyrillic.
        'а' | 'е' | 'о' | 'р' | 'с' | 'у' | 'х' | 'і' | 'ј' | 'ѕ' | 'ԁ' | 'ԛ' | 'ԝ' | 'һ' | 'ѵ' | 'ӏ' | 'ѐ' | 'ё' | 'ї'
        | 'А' | 'В' | 'Е' | 'К' | 'М' | 'Н' | 'О' | 'Р' | 'С' | 'Т' | 'У' | 'Х' | 'І' | 'Ј' | 'Ѕ' | 'Ԁ' | 'Ԛ' | 'Ԝ' | 'Ӏ' | 'Ё'
        // Greek.
        | 'Α' | 'Β' | 'Ε' | 'Ζ' | 'Η' | 'Ι' | 'Κ' | 'Μ' | 'Ν' | 'Ο' | 'Ρ' | 'Τ' | 'Υ' | 'Χ' | 'ο' | 'ν' | 'ι' | 'α' | 'ρ' | 'υ'
        // Armenian, Cherokee, and the odd ones of the Latin block.
        | 'օ' | 'ս' | 'հ' | 'ց' | 'Ꭰ' | 'Ꭱ' | 'Ꭲ' | 'Ꭺ' | 'Ꮃ' | 'Ꮇ' | 'Ꮋ' | 'Ꮢ' | 'Ꮪ' | 'Ꮤ' | 'ı' | 'ȷ' | 'ɑ' | 'ɡ' | 'ɩ'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(sql: &str) -> Vec<u32> {
        find(sql, Dialect::PostgreSql).map(|l| l.line).collect()
    }

    #[test]
    fn mixed_words_are_seen_and_plain_names_of_any_language_are_not() {
        for sql in [
            "SELECT 1;\nDR\u{41E}P TABLE a",
            "SELECT 1;\nDROP TABLE tr\u{430}des",
            "SELECT 1;\nDROP TABLE \"tr\u{430}des\"",
            "SELECT 1;\nDROP TABLE \u{441}\u{443}\u{440}\u{440}",
            "SELECT 1;\nDROP\u{A0}TABLE a",
            "SELECT 1\u{37E}\nDROP\u{3000}TABLE a",
            "SELECT 1;\nDROP TABLE \u{FF54}rades",
            "SELECT 1;\nDROP TABLE \u{1D41A}",
        ] {
            assert_eq!(lines(sql).last(), Some(&2), "{sql}");
        }
        for sql in [
            "SELECT naïve, größe, 価格, таблица_a, \"цена\" FROM δρόμος",
            "SELECT 'tr\u{430}des', '\u{A0}' -- tr\u{430}des\u{A0}\n",
            "SELECT \"a\u{A0}b\", \"l’été\"",
        ] {
            assert_eq!(lines(sql), [0_u32; 0], "{sql}");
        }
    }
}
