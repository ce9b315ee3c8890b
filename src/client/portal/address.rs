//! Addresses: which portal may be spoken to, and how names become parts of a path.

use std::net::IpAddr;

use ureq::http::Uri;

use crate::client::output::Failure;
use crate::domain::percent;

/// Where a portal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Without a slash at its end.
    pub base: String,
    /// This very machine: no proxy is asked for it.
    pub loopback: bool,
}

/// Takes an address of a portal. Plain HTTP would show the API token to everybody on the way, so it is for this machine only,
/// unless somebody says otherwise.
pub(super) fn parse(text: &str, allow_http: bool) -> Result<Address, Failure> {
    let bad = |why: &str| Failure::usage(format!("COUNTERSIGN_URL: {why}"));
    let base = text.trim().trim_end_matches('/');
    let uri: Uri =
        base.parse().map_err(|_| bad("this is not an address such as https://countersign.example.org"))?;
    let host = uri.host().ok_or_else(|| bad("it names no host"))?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(bad("it holds a user name; the portal takes an API token instead"));
    }
    if uri.query().is_some() || base.contains('#') {
        return Err(bad("it holds more than host and path"));
    }
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = host.eq_ignore_ascii_case("localhost")
        || literal.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if loopback || allow_http => {}
        Some("http") => {
            return Err(bad("over plain HTTP everybody on the way could read the API token")
                .advise("Use https://, or set COUNTERSIGN_ALLOW_HTTP=1 if the network is yours alone."));
        }
        Some(_) | None => return Err(bad("it has to begin with https://")),
    }
    Ok(Address { base: base.to_owned(), loopback })
}

/// A name as one part of a path.
pub fn segment(name: &str) -> String {
    // `.` and `..` alone mean other folders.
    percent::encoded(name, if name.len() > 2 { b"-._~" } else { b"-_~" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_or_by_consent() {
        for good in [
            "http://127.0.0.1:8080",
            "http://localhost:1/",
            "http://[::1]:80",
            "https://portal.example.org/x/",
        ] {
            assert!(parse(good, false).is_ok(), "{good}");
        }
        assert!(parse("http://portal.example.org", true).is_ok());
        for bad in [
            "http://portal.example.org",
            "http://127.0.0.1.example.org",
            "http://localhost.example.org",
            "ftp://127.0.0.1",
            "portal.example.org",
            "https://robin:pw@portal.example.org",
            "https://portal.example.org/?a=b",
            "",
        ] {
            assert!(parse(bad, false).is_err(), "{bad}");
        }
        assert_eq!(
            parse("https://portal.example.org/x/", false).map(|a| a.base),
            Ok("https://portal.example.org/x".to_owned())
        );
    }

    #[test]
    fn a_name_stays_one_part_of_a_path() {
        assert_eq!(segment("staging"), "staging");
        assert_eq!(segment("../x?y#z ü"), "..%2Fx%3Fy%23z%20%C3%BC");
        assert_eq!(segment(".."), "%2E%2E");
    }
}
