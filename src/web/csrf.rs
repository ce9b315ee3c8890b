//! Whether a form was sent by one of our own pages.
//!
//! Two proofs are asked for, because either alone has failed somewhere: what the browser says of where the form comes
//! from, and a token that only our pages know. A person's token is computed from the session's; a visitor's from a cookie,
//! with a key of ours, so that a planted cookie is worth nothing.

use axum::http::{HeaderMap, header};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::site::Site;

/// The name of the hidden field.
pub const FIELD: &str = "_csrf";

/// Whether the browser says that another site sent this. `Sec-Fetch-Site` and `Origin` are believed where they are
/// present, and both have to be right; where both are absent, the token decides.
pub fn is_foreign(site: &Site, headers: &HeaderMap) -> bool {
    let said = |name: &str| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("unreadable"));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    said("sec-fetch-site").any(|from| !matches!(from, "same-origin" | "none"))
        || said("origin").any(|origin| !site.is_our_origin(origin, host))
}

/// The token of a visitor with this cookie.
pub fn visitor_token(site: &Site, cookie: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(site.visitor_key.reveal()) else {
        return String::new();
    };
    mac.update(b"countersign visitor/1\n");
    mac.update(cookie.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Compares in constant time. Nothing equals the empty text.
pub fn matches(given: &str, expected: &str) -> bool {
    !expected.is_empty() && bool::from(given.as_bytes().ct_eq(expected.as_bytes()))
}
