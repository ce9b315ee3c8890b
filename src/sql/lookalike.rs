//! Names and keywords written with letters that only look like the ones they are taken for, and letters that run from
//! right to left.

use super::dialect::Dialect;
use super::lex::{Kind, Lexer, Token};
use crate::domain::unseen::runs_leftwards;

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

/// A token with letters that run from right to left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leftward {
    pub start: usize,
    pub end: usize,
    pub line: u32,
    /// It is neither a text nor a comment.
    pub code: bool,
}

/// Every word that misleads, outside of texts and comments.
pub(super) fn find(sql: &str, dialect: Dialect) -> impl Iterator<Item = Lookalike> + '_ {
    let mut lines = Lines::default();
    Code::of(sql, dialect).filter_map(move |token| {
        let unquoted = match token.kind {
            Kind::Word => true,
            Kind::Quoted => false,
            _ => return None,
        };
        let character = suspect(token.of(sql), unquoted)?;
        Some(Lookalike { start: token.start, end: token.end, line: lines.at(sql, token.start), character })
    })
}

/// Every token that a page may draw in another order than the database reads it.
pub(super) fn leftward(sql: &str, dialect: Dialect) -> impl Iterator<Item = Leftward> + '_ {
    let mut lines = Lines::default();
    Code::of(sql, dialect).filter_map(move |token| {
        let at = token.start + token.of(sql).find(runs_leftwards)?;
        let code = !matches!(token.kind, Kind::Text | Kind::Dollar | Kind::Comment);
        Some(Leftward { start: token.start, end: token.end, line: lines.at(sql, at), code })
    })
}

/// Counts lines on the way through a text.
struct Lines {
    line: u32,
    counted: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Self { line: 1, counted: 0 }
    }
}

impl Lines {
    fn at(&mut self, sql: &str, byte: usize) -> u32 {
        let passed = sql.get(self.counted..byte).unwrap_or_default();
        let ends = passed.bytes().filter(|b| *b == b'\n').count();
        self.line = self.line.saturating_add(u32::try_from(ends).unwrap_or(u32::MAX));
        self.counted = self.counted.max(byte);
        self.line
    }
}

/// What of a statement's quotes is code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bodies {
    /// No word of the statement was read yet.
    Unknown,
    None,
    Dollars,
    All,
}

/// How deep bodies within bodies are read as code.
const DEEPEST: usize = 4;

/// The tokens that hold more than ASCII: those within the body of a `DO`, a function or a procedure instead of the body.
/// Nothing in ASCII looks like something else, and most scripts are ASCII.
struct Code<'a> {
    sql: &'a str,
    dialect: Dialect,
    /// Where each begins in the script, the innermost last.
    lexers: Vec<(usize, Lexer<'a>)>,
    bodies: Bodies,
}

impl<'a> Code<'a> {
    fn of(sql: &'a str, dialect: Dialect) -> Self {
        let lexers = if sql.is_ascii() { Vec::new() } else { vec![(0, Lexer::new(sql, dialect))] };
        Self { sql, dialect, lexers, bodies: Bodies::Unknown }
    }

    fn statement(&mut self, token: &Token) {
        let routine = || token.is_any(self.sql, &["FUNCTION", "PROCEDURE"]);
        self.bodies = match (self.bodies, token.kind) {
            (_, Kind::Semicolon) => Bodies::Unknown,
            (bodies, Kind::Comment) => bodies,
            (Bodies::Unknown, _) if token.is(self.sql, "DO") => Bodies::All,
            (Bodies::Unknown, _) if token.is(self.sql, "CREATE") => Bodies::Dollars,
            (Bodies::Unknown, _) => Bodies::None,
            (Bodies::Dollars, Kind::Word) if routine() => Bodies::All,
            (bodies, _) => bodies,
        };
    }
}

impl Iterator for Code<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            let depth = self.lexers.len();
            let (offset, lexer) = self.lexers.last_mut()?;
            let Some(token) = lexer.next() else {
                self.lexers.pop();
                continue;
            };
            let token = Token { start: *offset + token.start, end: *offset + token.end, ..token };
            if depth == 1 {
                self.statement(&token);
            }
            let text = token.of(self.sql);
            if text.is_ascii() {
                continue;
            }
            let entered = match token.kind {
                Kind::Dollar => self.bodies != Bodies::None,
                Kind::Text => depth == 1 && self.bodies == Bodies::All,
                _ => false,
            };
            if !entered || depth >= DEEPEST {
                return Some(token);
            }
            let (quote, from) = if token.kind == Kind::Dollar { ('$', 1) } else { ('\'', 0) };
            let open =
                text.get(from..).and_then(|rest| rest.find(quote)).map_or(text.len(), |i| from + i + 1);
            let close = if token.unterminated.is_some() { 0 } else { open.min(text.len() - open) };
            let close = if token.kind == Kind::Dollar { close } else { close.min(1) };
            let inside = text.get(open..text.len() - close).unwrap_or_default();
            self.lexers.push((token.start + open, Lexer::new(inside, self.dialect)));
        }
    }
}

/// The first misleading character of a word.
fn suspect(word: &str, unquoted: bool) -> Option<char> {
    if let Some(never) = word.chars().find(|c| disguised(*c) || (unquoted && blank_or_mark(*c))) {
        return Some(never);
    }
    word.split(|c: char| !c.is_alphanumeric() && !joins(c)).find_map(|part| {
        let like = || part.chars().find(|c| looks_latin(*c));
        if part.chars().any(is_latin) {
            // Letters of two alphabets in one word: nobody writes so, whatever they look like.
            part.chars().find(|c| is_foreign(*c)).or_else(like)
        } else {
            // A whole word of another alphabet is a name, unless nobody could see that it is of another alphabet.
            let all = |c: char| looks_latin(c) || c.is_ascii_digit() || joins(c);
            if part.chars().all(all) { like() } else { None }
        }
    })
}

/// Marks that stand on the letter before them.
const fn joins(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}')
}

/// Letters of the Latin alphabet, those of phonetics included.
const fn is_latin(c: char) -> bool {
    c.is_ascii_alphabetic()
        || matches!(c, '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2AF}' | '\u{1D00}'..='\u{1DBF}'
            | '\u{1E00}'..='\u{1EFF}' | '\u{2C60}'..='\u{2C7F}' | '\u{A722}'..='\u{A7FF}' | '\u{AB30}'..='\u{AB6B}')
}

/// Letters of an alphabet that is not written within one word with the Latin one, as those of East Asia are, and units.
fn is_foreign(c: char) -> bool {
    let mixes = matches!(c, '\u{AA}' | '\u{B5}' | '\u{BA}' | '\u{2B0}'..='\u{2FF}' | '\u{1100}'..='\u{11FF}'
        | '\u{2E80}'..='\u{318F}' | '\u{31A0}'..='\u{9FFF}' | '\u{A960}'..='\u{A97F}' | '\u{AC00}'..='\u{D7FF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{FF66}'..='\u{FFDC}' | '\u{20000}'..='\u{3FFFF}');
    c.is_alphabetic() && !is_latin(c) && !mixes && !joins(c)
}

/// Forms of ASCII letters that no keyboard writes: full width, mathematical, Roman numerals, the Kelvin sign.
const fn disguised(c: char) -> bool {
    matches!(c, '\u{FF01}'..='\u{FF5E}' | '\u{1D400}'..='\u{1D7FF}' | '\u{2160}'..='\u{217F}' | '\u{2100}'..='\u{214E}'
        | '\u{2800}' | '\u{24B6}'..='\u{24E9}' | '\u{1F130}'..='\u{1F189}')
}

/// What looks like a blank, a semicolon, a quote or an operator, and is a letter of a name to the database.
const fn blank_or_mark(c: char) -> bool {
    matches!(c, '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' | '\u{37E}'
        | '\u{2010}'..='\u{2015}' | '\u{2018}'..='\u{201F}' | '\u{2BC}' | '\u{2212}' | '\u{2044}' | '\u{2215}'
        | '\u{2217}' | '\u{A789}' | '\u{2236}')
}

/// Letters that fonts draw like a plain Latin one, after the confusables of Unicode (UTS 39).
const fn looks_latin(c: char) -> bool {
    matches!(
        c,
        // Cyrillic.
        'а' | 'е' | 'о' | 'р' | 'с' | 'у' | 'х' | 'і' | 'ј' | 'ѕ' | 'ԁ' | 'ԛ' | 'ԝ' | 'һ' | 'ѵ' | 'ӏ' | 'ѐ' | 'ё' | 'ї'
        | 'А' | 'В' | 'Е' | 'К' | 'М' | 'Н' | 'О' | 'Р' | 'С' | 'Т' | 'У' | 'Х' | 'І' | 'Ј' | 'Ѕ' | 'Ԁ' | 'Ԛ' | 'Ԝ' | 'Ӏ' | 'Ё'
        | 'Ь' | 'Ԍ' | 'ү' | 'Ү' | 'ѡ' | 'Ѵ' | 'ԍ'
        // Greek and Coptic.
        | 'Α' | 'Β' | 'Ε' | 'Ζ' | 'Η' | 'Ι' | 'Κ' | 'Μ' | 'Ν' | 'Ο' | 'Ρ' | 'Τ' | 'Υ' | 'Χ' | 'ο' | 'ν' | 'ι' | 'α' | 'ρ' | 'υ'
        | 'γ' | 'κ' | 'ϲ' | 'Ϲ' | 'ϳ' | 'Ϳ' | 'Ϝ' | '\u{2C82}'..='\u{2C83}' | '\u{2C88}'..='\u{2C89}' | '\u{2C8E}'..='\u{2C8F}'
        | '\u{2C92}'..='\u{2C95}' | '\u{2C98}'..='\u{2C9B}' | '\u{2C9E}'..='\u{2C9F}' | '\u{2CA2}'..='\u{2CA9}'
        | '\u{2CAC}'..='\u{2CAD}'
        // Armenian, Cherokee, Lisu, Deseret.
        | 'օ' | 'ս' | 'հ' | 'ց' | 'ո' | 'ռ' | 'զ' | 'գ' | 'ք' | 'յ' | 'ւ' | 'ա' | 'ե' | 'Տ' | 'Ս' | 'Օ' | 'Լ' | 'Հ' | 'Ց'
        | 'Ꭰ' | 'Ꭱ' | 'Ꭲ' | 'Ꭵ' | 'Ꭹ' | 'Ꭺ' | 'Ꭻ' | 'Ꭼ' | 'Ꮃ' | 'Ꮇ' | 'Ꮋ' | 'Ꮍ' | 'Ꮐ' | 'Ꮒ' | 'Ꮓ' | 'Ꮖ' | 'Ꮞ' | 'Ꮟ' | 'Ꮢ'
        | 'Ꮤ' | 'Ꮥ' | 'Ꮦ' | 'Ꮩ' | 'Ꮪ' | 'Ꮮ' | 'Ꮯ' | 'Ꮲ' | 'Ꮶ' | 'Ꮷ' | 'Ꮾ' | 'Ᏻ' | 'Ᏼ' | '\u{AB70}'..='\u{ABBF}'
        | '\u{A4D0}'..='\u{A4F7}' | '\u{10404}' | '\u{10415}' | '\u{1041B}' | '\u{10420}' | '\u{1042C}' | '\u{1043D}'
        // The odd ones of the Latin alphabet: without dots, of phonetics, and small capitals.
        | 'ı' | 'ȷ' | 'ɑ' | 'ɡ' | 'ɩ' | 'ɪ' | 'ʏ' | 'ʙ' | 'ɢ' | 'ʜ' | 'ʟ' | 'ɴ' | 'ʀ' | 'ǃ' | 'ǀ' | 'ſ' | 'ɯ' | 'ʋ' | 'ⱱ'
        | '\u{1D00}'..='\u{1D2B}' | '\u{1D6B}'..='\u{1D7A}' | '\u{A730}'..='\u{A731}' | '\u{A7AE}' | '\u{A7B0}'..='\u{A7B2}'
        | '\u{A7FA}' | '\u{AB30}'..='\u{AB5A}'
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
            // Mixed alphabets, whatever they look like.
            "SELECT 1;\nDROP TABLE ждtrades",
            "SELECT 1;\nDROP TABLE payмent",
            "SELECT 1;\nDROP TABLE \"кey\"",
            "SELECT 1;\nDROP TABLE вid",
            "SELECT 1;\nDROP TABLE ⲣrice",
            "SELECT 1;\nDROP TABLE ոame",
            "SELECT 1;\nDROP TABLE Ьook",
            "SELECT 1;\nDROP TABLE pаy\u{301}é",
            // Whole words, and capitals that are small.
            "SELECT 1;\nDROP TABLE ꓔꓣꓮꓓꓰꓢ",
            "SELECT 1;\nDROP TABLE \"ѕсоре\"",
            "SELECT 1;\nDROP TABLE trᴀdes",
            "SELECT 1;\nDROP TABLE tradeꜱ",
            // The body of code is code.
            "SELECT 1; DO $$ BEGIN\nUPDATE tr\u{430}des SET a = 1; END $$",
            "SELECT 1; DO $a$ BEGIN DO $b$\nDROP TABLE tr\u{430}des; $b$; END $a$",
            "SELECT 1; DO 'BEGIN\nDROP TABLE tr\u{430}des; END'",
            "CREATE FUNCTION f() RETURNS void AS '\nDROP TABLE tr\u{430}des' LANGUAGE sql",
        ] {
            assert_eq!(lines(sql).last(), Some(&2), "{sql}");
        }
        for sql in [
            "SELECT naïve, größe, 価格, таблица_a, \"цена\" FROM δρόμος",
            "SELECT 'tr\u{430}des', '\u{A0}' -- tr\u{430}des\u{A0}\n",
            "SELECT \"a\u{A0}b\", \"l’été\"",
            "SELECT latency_µs, 価格usd, A株, nơi, ɛyɛ, \"таблица — x\" FROM a",
            "COMMENT ON TABLE a IS $$tr\u{430}des$$; DO $$ BEGIN PERFORM 'tr\u{430}des'; -- tr\u{430}des\n END $$",
        ] {
            assert_eq!(lines(sql), [0_u32; 0], "{sql}");
        }
    }

    #[test]
    fn letters_that_run_leftwards_are_seen_as_code_or_as_text() {
        let seen = |sql| leftward(sql, Dialect::PostgreSql).map(|l| (l.line, l.code)).collect::<Vec<_>>();
        assert_eq!(
            seen("SELECT 1;\nSELECT \"\u{5D0}\"; SELECT\n'\n\u{5D0}', \u{627}"),
            [(2, true), (4, false), (4, true)]
        );
        assert_eq!(
            seen("-- \u{5D0}\nDO $$ BEGIN \u{5D0}; PERFORM\n'\u{5D0}' $$"),
            [(1, false), (2, true), (3, false)]
        );
        assert_eq!(seen("INSERT INTO a VALUES ($$\u{5D0}$$, 'ж')"), [(1, false)]);
    }
}
