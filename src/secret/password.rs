//! Passwords as people type them, and what a new one must be.
//!
//! A password is the bytes that were sent, without Unicode normalisation.

use std::fmt;

use serde::Deserialize;

const MIN_CHARS: usize = 12;
const MAX_CHARS: usize = 200;

/// The long passwords that are guessed first, in lower case.
const COMMON: [&str; 32] = [
    "123456789012",
    "1234567890123",
    "1234567890ab",
    "0123456789012",
    "abcdefghijkl",
    "abcdefghijklm",
    "abc123abc123",
    "administrator",
    "administrator1",
    "changeme1234",
    "changemechangeme",
    "correct horse battery staple",
    "correcthorsebatterystaple",
    "countersign123",
    "iloveyou1234",
    "letmeinletmein",
    "passw0rd1234",
    "passw0rdpassw0rd",
    "password1234",
    "password12345",
    "password123456",
    "password123!",
    "password2024!",
    "password2025!",
    "passwordpassword",
    "q1w2e3r4t5y6",
    "qazwsxedcrfv",
    "1qaz2wsx3edc",
    "qwerty123456",
    "qwertyqwerty",
    "qwertyuiop12",
    "welcome12345",
];

/// A password as a person typed it. Has no `Display`, and `Debug` shows the name of the type.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct PlainPassword(String);

impl PlainPassword {
    /// A password to be checked. The rules for new passwords do not apply.
    pub const fn given(text: String) -> Self {
        Self(text)
    }

    /// What is hashed. Only this room may look.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// A new password for the account with this e-mail address.
    ///
    /// # Errors
    /// When it is too short, too long, the address itself, or one of the first that anybody would guess.
    pub fn chosen(text: String, email: &str) -> Result<Self, PasswordRefused> {
        let length = text.chars().count();
        if length < MIN_CHARS {
            return Err(PasswordRefused::TooShort);
        }
        if length > MAX_CHARS {
            return Err(PasswordRefused::TooLong);
        }
        let folded = text.trim().to_lowercase();
        if folded == email.trim().to_lowercase() {
            return Err(PasswordRefused::IsTheAddress);
        }
        let repeated = folded.chars().next().is_none_or(|first| folded.chars().all(|c| c == first));
        if repeated || COMMON.contains(&folded.as_str()) {
            return Err(PasswordRefused::TooCommon);
        }
        Ok(Self(text))
    }
}

impl fmt::Debug for PlainPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainPassword")
    }
}

/// Why a new password is not accepted, as a sentence for its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefused {
    #[error("Use at least {MIN_CHARS} characters. A few unrelated words are easy to remember.")]
    TooShort,
    #[error("Use at most {MAX_CHARS} characters.")]
    TooLong,
    #[error("The password can’t be your email address.")]
    IsTheAddress,
    #[error("This password is among the first that anybody would guess. Choose another.")]
    TooCommon,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_passwords_follow_the_rules() {
        let chosen = |text: &str| PlainPassword::chosen(text.to_owned(), "ada@example.org").map(|_| ());
        assert_eq!(chosen("elevenchars"), Err(PasswordRefused::TooShort));
        assert_eq!(chosen("twelve chars"), Ok(()));
        assert_eq!(chosen("ßßßßßßßßßßß"), Err(PasswordRefused::TooShort), "characters count, not bytes");
        assert_eq!(chosen(&"ab".repeat(100)), Ok(()));
        assert_eq!(chosen(&"ab".repeat(101)), Err(PasswordRefused::TooLong));
        assert_eq!(chosen("Ada@Example.org"), Err(PasswordRefused::IsTheAddress));
        assert_eq!(chosen("Password1234"), Err(PasswordRefused::TooCommon));
        assert_eq!(chosen("            "), Err(PasswordRefused::TooCommon));
        assert_eq!(chosen("zzzzzzzzzzzzzz"), Err(PasswordRefused::TooCommon));
    }

    #[test]
    fn every_common_password_is_one_that_the_length_rule_would_let_through() {
        for text in COMMON {
            assert!(text.chars().count() >= MIN_CHARS && text == text.to_lowercase(), "{text}");
        }
    }

    #[test]
    fn debug_prints_the_name_and_never_the_secret() {
        let password: PlainPassword = serde_json::from_str("\"seven grey herons\"").unwrap();
        assert_eq!(password.as_bytes(), b"seven grey herons");
        assert_eq!(format!("{password:?}"), "PlainPassword");
    }
}
