//! Opaque tokens: `prefix_` + 43 base62 characters (256 random bits) + `_` + 6 base62 characters of CRC-32.
//!
//! The prefix and the checksum are for secret scanners and for typing errors; the strength is in the 256 bits. The
//! checksum (CRC-32/ISO-HDLC) covers the prefix with its underscore and the 43 characters, not the second underscore.
//! Only the SHA-256 of the whole text is ever stored: at 256 bits of randomness a slow hash would add nothing.

use std::fmt;

use subtle::ConstantTimeEq as _;

use crate::clock::Env;
use crate::domain::digest::Digest;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX_LENGTH: usize = 4;
const BODY_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;
const LENGTH: usize = PREFIX_LENGTH + BODY_LENGTH + 1 + CHECKSUM_LENGTH;

/// What a token is for. One kind is never accepted in place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Authorises one run.
    Apply,
    /// Signs in a client of the API.
    Api,
    /// Lets a person choose their first or next password.
    Invite,
    /// Lives in a browser's session cookie.
    Session,
}

impl TokenKind {
    pub const ALL: [Self; 4] = [Self::Apply, Self::Api, Self::Invite, Self::Session];

    /// The four characters that such a token begins with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Apply => "csa_",
            Self::Api => "csp_",
            Self::Invite => "csi_",
            Self::Session => "css_",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Apply => "an apply token",
            Self::Api => "an API token",
            Self::Invite => "an invitation",
            Self::Session => "a session",
        }
    }
}

/// Why a text can't be a token of the kind that was asked for. Never carries the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedToken {
    #[error("this is {}, not {}", found.name(), wanted.name())]
    OtherKind { wanted: TokenKind, found: TokenKind },
    #[error("{} begins with `{}`", wanted.name(), wanted.prefix())]
    Prefix { wanted: TokenKind },
    #[error("a token has {LENGTH} characters: letters, digits and two underscores")]
    Shape,
    #[error("a character is wrong or missing: the token's checksum does not match")]
    Checksum,
}

/// A token as its holder knows it. Has no `Display`, and `Debug` shows the name of the type.
pub struct PlainToken {
    kind: TokenKind,
    text: String,
}

impl PlainToken {
    /// A new token.
    pub fn generate(kind: TokenKind, env: &Env) -> Self {
        Self::from_bytes(kind, env.bytes())
    }

    fn from_bytes(kind: TokenKind, bytes: [u8; 32]) -> Self {
        let mut text = String::with_capacity(LENGTH);
        text.push_str(kind.prefix());
        text.push_str(&base62::<BODY_LENGTH>(bytes));
        let checksum = checksum(&text);
        text.push('_');
        text.push_str(&checksum);
        Self { kind, text }
    }

    /// Reads a token of the given kind: exactly its characters, nothing around them.
    ///
    /// # Errors
    /// When the prefix, the length, a character or the checksum is wrong.
    pub fn parse(kind: TokenKind, text: &str) -> Result<Self, MalformedToken> {
        if !text.starts_with(kind.prefix()) {
            let other = TokenKind::ALL.into_iter().find(|other| text.starts_with(other.prefix()));
            return Err(other.map_or(MalformedToken::Prefix { wanted: kind }, |found| {
                MalformedToken::OtherKind { wanted: kind, found }
            }));
        }
        let (covered, given) = text
            .split_at_checked(LENGTH - CHECKSUM_LENGTH - 1)
            .and_then(|(covered, rest)| Some((covered, rest.strip_prefix('_')?)))
            .ok_or(MalformedToken::Shape)?;
        let base62 = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if given.len() != CHECKSUM_LENGTH || !base62(given) || !base62(&covered[PREFIX_LENGTH..]) {
            return Err(MalformedToken::Shape);
        }
        if checksum(covered) != given {
            return Err(MalformedToken::Checksum);
        }
        Ok(Self { kind, text: text.to_owned() })
    }

    pub const fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The token's text, for the one answer that shows it.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What is stored and looked up instead of the token.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Digest::of(self.text.as_bytes()))
    }
}

impl fmt::Debug for PlainToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainToken")
    }
}

/// SHA-256 of a token's text. Compared in constant time.
#[derive(Clone, Copy)]
pub struct TokenHash(Digest);

impl TokenHash {
    /// A hash as it was stored.
    pub const fn from_stored(digest: Digest) -> Self {
        Self(digest)
    }

    /// The digest, to be stored or looked up.
    pub const fn digest(&self) -> Digest {
        self.0
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for TokenHash {}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash")
    }
}

fn checksum(covered: &str) -> String {
    base62::<CHECKSUM_LENGTH>(crc32fast::hash(covered.as_bytes()).to_be_bytes())
}

/// The big-endian number in base 62, padded with zeros to `WIDTH` characters, which must be enough to hold it.
fn base62<const WIDTH: usize>(mut number: impl AsMut<[u8]>) -> String {
    let number = number.as_mut();
    let mut digits = [0; WIDTH];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u16;
        for byte in number.iter_mut() {
            let value = remainder * 256 + u16::from(*byte);
            // Both fit: the remainder is below 62, so the quotient is below 256.
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            remainder = value % 62;
        }
        *digit = ALPHABET[usize::from(remainder)];
    }
    digits.iter().map(|&digit| char::from(digit)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::PlayedClock;
    use crate::domain::time::Timestamp;

    const VECTOR: &str = "csa_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf_40guHj";

    #[test]
    fn rule_26_the_bytes_0_to_31_make_the_published_vector() {
        let bytes = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let token = PlainToken::from_bytes(TokenKind::Apply, bytes);
        assert_eq!(token.reveal(), VECTOR);
        assert_eq!(token.reveal().len(), 54);
        // sha256sum of the 54 characters.
        assert_eq!(
            token.hash().digest().to_string(),
            "58b0f33f1dd4b34c8802be969a7fd1efc5ad37afbd0e967eb3f74d428653824a"
        );
    }

    #[test]
    fn the_largest_number_fits() {
        let token = PlainToken::from_bytes(TokenKind::Api, [0xff; 32]);
        assert_eq!(token.reveal().len(), LENGTH);
        assert_eq!(base62::<CHECKSUM_LENGTH>([0xff; 4]), "4gfFC3");
        PlainToken::parse(TokenKind::Api, token.reveal()).unwrap();
    }

    #[test]
    fn rule_26_every_change_of_one_character_is_noticed() {
        for at in 0..VECTOR.len() {
            for &byte in ALPHABET.iter().chain(b"_- ") {
                let mut changed = VECTOR.as_bytes().to_vec();
                if changed[at] == byte {
                    continue;
                }
                changed[at] = byte;
                let changed = String::from_utf8(changed).unwrap();
                assert!(PlainToken::parse(TokenKind::Apply, &changed).is_err(), "{changed}");
            }
        }
    }

    #[test]
    fn a_token_of_another_kind_is_refused_by_name_even_with_a_right_checksum() {
        for made in TokenKind::ALL {
            let token = PlainToken::from_bytes(made, [9; 32]);
            for wanted in TokenKind::ALL {
                match PlainToken::parse(wanted, token.reveal()) {
                    Ok(read) => assert!(made == wanted && read.kind() == wanted),
                    Err(error) => {
                        assert_eq!(error, MalformedToken::OtherKind { wanted, found: made });
                    }
                }
            }
        }
        assert_eq!(
            PlainToken::parse(TokenKind::Apply, "csp_x").unwrap_err().to_string(),
            "this is an API token, not an apply token"
        );
    }

    #[test]
    fn text_around_or_short_of_a_token_is_refused() {
        let cases = ["", "csa", "csa_", &VECTOR[..53], "hello", "CSA_003"];
        for text in cases {
            assert!(PlainToken::parse(TokenKind::Apply, text).is_err(), "{text:?}");
        }
        for text in [format!(" {VECTOR}"), format!("{VECTOR}\n"), format!("{VECTOR}0")] {
            assert!(PlainToken::parse(TokenKind::Apply, &text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn debug_prints_names_and_never_the_secret_or_its_hash() {
        let token = PlainToken::parse(TokenKind::Apply, VECTOR).unwrap();
        assert_eq!(format!("{token:?} {:?}", token.hash()), "PlainToken TokenHash");
        let refused = PlainToken::parse(TokenKind::Apply, &VECTOR.replace('J', "K")).unwrap_err();
        assert!(!format!("{refused:?} {refused}").contains("UlT"));
    }

    #[test]
    fn hashes_are_equal_only_for_the_same_token() {
        let env = Env::repeatable(&PlayedClock::at(Timestamp::default()), 5);
        let (one, other) =
            (PlainToken::generate(TokenKind::Api, &env), PlainToken::generate(TokenKind::Api, &env));
        assert_eq!(one.hash(), TokenHash::from_stored(Digest::of(one.reveal().as_bytes())));
        assert_ne!(one.hash(), other.hash());
    }

    proptest! {
        #[test]
        fn every_generated_token_reads_back(bytes: [u8; 32]) {
            let token = PlainToken::from_bytes(TokenKind::Session, bytes);
            let read = PlainToken::parse(TokenKind::Session, token.reveal()).unwrap();
            prop_assert_eq!(read.reveal(), token.reveal());
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "(csa_)?\\PC{0,60}") {
            prop_assert!(PlainToken::parse(TokenKind::Apply, &text).is_err());
        }
    }
}
