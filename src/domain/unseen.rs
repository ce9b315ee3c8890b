//! Characters that a reader doesn't see, or that move what they do see.

/// Soft hyphens, zero-width and direction-changing characters, line separators, tags and annotation marks.
#[must_use]
pub const fn is_unseen(character: char) -> bool {
    matches!(character,
        '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
        | '\u{E0000}'..='\u{E007F}')
}
