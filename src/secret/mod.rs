//! Secrets: made, hashed, compared and kept from view.
//!
//! A plain secret and its hash are different types, and `Debug` of either prints the type's name only. Nothing here
//! knows of the database or of HTTP.

use std::fmt;

use serde::{Deserialize, Deserializer};

pub mod grant;
pub mod hasher;
pub mod key_file;
pub mod password;
pub mod token;

/// A value from the configuration that must not be shown: it can be read in, revealed, and nothing else.
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one place that needs it.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_and_revealed_but_never_shown() {
        #[derive(Debug, Deserialize)]
        struct Held {
            key: Secret<String>,
        }
        let held: Held = toml::from_str("key = 'hunter2'").unwrap();
        assert_eq!(held.key.reveal(), "hunter2");
        assert_eq!(format!("{held:?}"), "Held { key: Secret }");
    }
}
