//! Characters that make a person read other text than a database runs.

use crate::domain::unseen::{is_unseen, selects_shape};

/// A character that is not seen, or that moves what is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Its first byte in the text.
    pub at: usize,
    /// The line it is on, counted from 1.
    pub line: u32,
    pub character: char,
}

/// Whether this character must never reach a reviewer unmarked: bidirectional controls, zero-width
/// characters and control characters other than tab and LF. [`find`] judges carriage returns and selectors of shapes.
#[must_use]
pub const fn is_hidden(character: char) -> bool {
    matches!(character, '\u{0}'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{7F}'..='\u{9F}')
        || is_unseen(character)
}

/// Signs that come in two shapes, as text and as emoji.
const fn is_sign(character: char) -> bool {
    matches!(character, '\u{A9}' | '\u{AE}' | '\u{203C}'..='\u{27BF}' | '\u{2900}'..='\u{2BFF}' | '\u{3030}' | '\u{303D}'
        | '\u{3297}' | '\u{3299}' | '\u{1F000}'..='\u{1FAFF}')
}

/// Every hidden character of `text`: also a carriage return that no LF follows, and a selector without a sign before it.
pub fn find(text: &str) -> impl Iterator<Item = Hidden> + '_ {
    let bytes = text.as_bytes();
    let mut next_line = 1_u32;
    let mut before = '\0';
    text.char_indices().filter_map(move |(at, character)| {
        let line = next_line;
        if character == '\n' {
            next_line = line.saturating_add(1);
        }
        let alone = character == '\r' && bytes.get(at + 1) != Some(&b'\n');
        let shapeless = selects_shape(character) && !is_sign(before);
        before = character;
        (alone || shapeless || is_hidden(character)).then_some(Hidden { at, line, character })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_character_is_found_and_plain_text_is_not() {
        let hidden = ('\u{202A}'..='\u{202E}')
            .chain('\u{2066}'..='\u{2069}')
            .chain('\u{200B}'..='\u{200F}')
            .chain([
                '\u{180B}',
                '\u{2065}',
                '\u{FFF0}',
                '\u{1BCA0}',
                '\u{1D173}',
                '\u{E0080}',
                '\u{E01F0}',
                '\u{13430}',
            ])
            .chain(['\u{FE0F}', '\u{3164}', '\u{115F}', '\u{34F}', '\u{E0100}', '\u{16FE4}', '\u{180F}'])
            .chain(['\u{61C}', '\u{FEFF}', '\0', '\u{1B}', '\u{7F}', '\u{85}', '\u{9F}']);
        for character in hidden {
            let text = format!("SELECT 1;\nSELECT {character}2;");
            let found: Vec<_> = find(&text).collect();
            assert_eq!(found.len(), 1, "U+{:04X}", u32::from(character));
            assert_eq!((found[0].line, found[0].at), (2, 17));
        }
        assert_eq!(find("a\tb\r\nñ – “ж” \u{1F600}\n").count(), 0);
        assert_eq!(find("SELECT '\u{2764}\u{FE0F}'; -- \u{26A0}\u{FE0F}").count(), 0);
    }

    #[test]
    fn a_carriage_return_is_hidden_unless_it_ends_a_line() {
        assert_eq!(find("a\r\nb\r").map(|h| h.at).collect::<Vec<_>>(), [4]);
        assert_eq!(find("a\r\r\n").map(|h| h.at).collect::<Vec<_>>(), [1]);
    }
}
