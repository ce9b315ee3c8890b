//! Characters that a reader doesn't see, or that move what they do see.

/// What Unicode lets a font leave out (`Default_Ignorable_Code_Point`), format characters (`Cf`), and its separators of
/// lines and paragraphs: all but the selectors of [`selects_shape`].
#[must_use]
pub const fn is_unseen(character: char) -> bool {
    matches!(character,
        '\u{AD}' | '\u{34F}' | '\u{600}'..='\u{605}' | '\u{61C}' | '\u{6DD}' | '\u{70F}' | '\u{890}'..='\u{891}'
        | '\u{8E2}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{110BD}' | '\u{110CD}' | '\u{13430}'..='\u{1343F}' | '\u{16FE4}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// The selectors that choose between shapes of the character before them: of an emoji a person sees which, of a letter nothing.
#[must_use]
pub const fn selects_shape(character: char) -> bool {
    matches!(character, '\u{FE00}'..='\u{FE0F}')
}

/// Letters of scripts that run from right to left: a page may draw them, and what is between them, in another order.
#[must_use]
pub const fn runs_leftwards(character: char) -> bool {
    matches!(character,
        '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFE}' | '\u{10800}'..='\u{10FFF}'
        | '\u{1E800}'..='\u{1EFFF}')
}
