//! What of a line a page shows: characters that hide, and how much of a line that has no end.

/// The most of one line that a page shows, in bytes of the line.
pub const LONGEST_LINE: usize = 32 * 1024;

/// And in bytes of the page: a character that hides is spelled out, and takes the room of thirty.
pub const LONGEST_MARKUP: usize = 96 * 1024;

/// Characters that are invisible, reorder their neighbours, or pass for a plain space.
#[must_use]
pub const fn conceals(character: char) -> bool {
    matches!(
        character,
        '\u{0}'..='\u{8}' | '\u{a}'..='\u{1f}' | '\u{7f}'..='\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}'
            | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180e}'
            | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}'
            | '\u{3000}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// What each byte of plain text takes of a page; 0 for those that want a closer look.
const PLAIN: [u8; 256] = {
    let mut sizes = [0; 256];
    let mut byte = 0x20_u8;
    while byte < 0x7f {
        sizes[byte as usize] = if matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'') { 5 } else { 1 };
        byte += 1;
    }
    sizes[b'\t' as usize] = 1;
    sizes
};

/// How much of a line is shown, in bytes, and how much of a page that takes without any colour.
#[must_use]
pub fn extent(line: &[u8]) -> (usize, usize) {
    // A page asks this of every line of a file, and nearly every one is short and plain.
    if line.len() * 5 <= LONGEST_LINE {
        let sizes = line.iter().map(|byte| PLAIN[usize::from(*byte)]);
        let (taken, least) =
            sizes.fold((0, 1), |(taken, least), size| (taken + usize::from(size), least.min(size)));
        if least > 0 {
            return (line.len(), taken);
        }
    }
    let (mut shown, mut markup) = (0, 0);
    for chunk in line.utf8_chunks() {
        for character in chunk.valid().chars() {
            let size = match character {
                '&' | '<' | '>' | '"' | '\'' => 5,
                c if conceals(c) => 34,
                c => c.len_utf8(),
            };
            if shown + character.len_utf8() > LONGEST_LINE || markup + size > LONGEST_MARKUP {
                return (shown, markup);
            }
            shown += character.len_utf8();
            markup += size;
        }
        for _ in chunk.invalid() {
            if shown + 1 > LONGEST_LINE || markup + 34 > LONGEST_MARKUP {
                return (shown, markup);
            }
            shown += 1;
            markup += 34;
        }
    }
    (shown, markup)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_whole_unless_it_has_no_end() {
        assert_eq!(extent(b"SELECT 1 < 2;"), (13, 17));
        assert_eq!(extent("\u{202e}x\u{e9}".as_bytes()), (6, 37));
        assert_eq!(extent(b"\xffa"), (2, 35));
        assert_eq!((extent(b""), extent(b"\t&<>\"'"), extent(b"\x7f\x1b~")), ((0, 0), (6, 26), (3, 69)));
        assert_eq!(extent(&vec![b'x'; LONGEST_LINE + 1]).0, LONGEST_LINE);
        let (shown, markup) = extent(&vec![1; LONGEST_LINE]);
        assert!(shown < LONGEST_LINE && markup <= LONGEST_MARKUP);
        let accents = "\u{e9}".repeat(LONGEST_LINE);
        assert!(accents.is_char_boundary(extent(accents.as_bytes()).0));
    }
}
