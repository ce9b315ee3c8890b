//! Which SQL is meant: by its normal form, or by its very bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// The digest of a script. Text form: `sqlnorm1:sha256:HEX` or `sha256:HEX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SqlDigest {
    /// Of the normal form, which serves to compare a fresh render.
    Norm1(Digest),
    /// Of the file itself.
    Raw(Digest),
}

impl SqlDigest {
    /// The digest itself, without saying of what.
    #[must_use]
    pub const fn digest(self) -> Digest {
        match self {
            Self::Norm1(digest) | Self::Raw(digest) => digest,
        }
    }
}

impl fmt::Display for SqlDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Norm1(digest) => write!(f, "sqlnorm1:sha256:{digest}"),
            Self::Raw(digest) => write!(f, "sha256:{digest}"),
        }
    }
}

/// The text is neither form of a digest of SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a digest of SQL: sqlnorm1:sha256: or sha256:, then 64 lower-case hexadecimal digits")]
pub struct NotASqlDigest;

impl FromStr for SqlDigest {
    type Err = NotASqlDigest;

    fn from_str(text: &str) -> Result<Self, NotASqlDigest> {
        let (form, hex): (fn(Digest) -> Self, _) = match text.strip_prefix("sqlnorm1:sha256:") {
            Some(hex) => (Self::Norm1, hex),
            None => (Self::Raw, text.strip_prefix("sha256:").ok_or(NotASqlDigest)?),
        };
        hex.parse().map(form).map_err(|_| NotASqlDigest)
    }
}

impl Serialize for SqlDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SqlDigest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_survive_text_and_json_and_nothing_else_is_read() {
        let digest = Digest::of(b"x");
        for form in [SqlDigest::Norm1(digest), SqlDigest::Raw(digest)] {
            assert_eq!(form.to_string().parse(), Ok(form));
            let json = serde_json::to_string(&form).unwrap();
            assert_eq!(serde_json::from_str::<SqlDigest>(&json).unwrap(), form);
        }
        let hex = digest.to_string();
        for wrong in [
            hex.clone(),
            format!("sqlnorm2:sha256:{hex}"),
            format!("sqlnorm1:{hex}"),
            format!("sha256:{}", hex.to_uppercase()),
            format!(" sha256:{hex}"),
            format!("sha256:{hex}0"),
        ] {
            assert_eq!(wrong.parse::<SqlDigest>(), Err(NotASqlDigest), "{wrong}");
        }
    }
}
