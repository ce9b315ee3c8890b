//! Parts of an address: what is not well-formed is not there (404).

use std::fmt;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::error::Failure;
use super::fields::Pairs;
use super::site::WebState;

/// The variable parts of an address, in order: `Path((number, stage)): Path<(TicketNumber, StageName)>`.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<WebState> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, site: &WebState) -> Result<Self, Failure> {
        let found = axum::extract::Path::<T>::from_request_parts(parts, site).await;
        found.map(|axum::extract::Path(value)| Self(value)).map_err(|_| Failure::not_found())
    }
}

/// The query. Names that `T` doesn't have are passed over, so that links may grow; a name that comes twice is refused.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<WebState> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &WebState) -> Result<Self, Failure> {
        let pairs = Pairs::parse(parts.uri.query().unwrap_or_default().as_bytes())?;
        pairs.fit_loosely().map(Self).map_err(|why| Failure::unreadable(why.to_string()))
    }
}

/// The name of a stage, spelled as policies may spell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageName(String);

/// The longest name of an environment.
const LONGEST: usize = 64;

impl Deref for StageName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for StageName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let letters =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if letters && !name.is_empty() && name.len() <= LONGEST {
            Ok(Self(name))
        } else {
            Err(serde::de::Error::custom("not the name of a stage"))
        }
    }
}
