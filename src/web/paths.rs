//! Addresses of pages, in one place, and which of those that come from outside are ours.

use crate::domain::id::TicketNumber;
use crate::domain::percent;

/// The page of a ticket.
pub fn ticket(number: TicketNumber) -> String {
    format!("/tickets/{number}")
}

/// The page of a stage.
pub fn stage(number: TicketNumber, stage: &str) -> String {
    format!("/tickets/{number}/stages/{stage}")
}

/// The page behind a one-time link.
pub fn enrol(token: &str) -> String {
    format!("/enrol/{token}")
}

/// Signing in, and going on to `next`.
pub fn sign_in(next: &str) -> String {
    if next == "/" { "/sign-in".to_owned() } else { format!("/sign-in?next={}", encoded(next)) }
}

/// The first parts of the addresses that may be asked for after signing in.
const PAGES: [&str; 9] =
    ["tickets", "incidents", "freezes", "calendar", "audit", "reports", "policies", "admin", "account"];

/// The address itself if it is one of our pages, else the queue. Never leads to another site.
pub fn ours(next: &str) -> &str {
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let first = path.strip_prefix('/').and_then(|rest| rest.split('/').next());
    let plain = next.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'\\') && next.len() <= 2000;
    let known = first.is_some_and(|first| first.is_empty() && path == "/" || PAGES.contains(&first));
    if plain && known && !path.contains("//") { next } else { "/" }
}

/// The page that a form was on, by the browser's `Referer`, if it is one of ours.
pub fn back(referer: Option<&str>) -> &str {
    let after_host = referer.unwrap_or_default().split_once("://").map_or("", |(_, rest)| rest);
    ours(after_host.find('/').map_or("/", |at| &after_host[at..]))
}

/// Text for one value of a query: everything but letters, digits and a few marks is escaped.
pub fn encoded(text: &str) -> String {
    percent::encoded(text, b"-._~/:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_pages_are_kept_with_their_query() {
        for path in
            ["/", "/?a=b", "/tickets", "/tickets/CHG-1/stages/staging?x=1#log", "/admin/users", "/account"]
        {
            assert_eq!(ours(path), path);
        }
    }

    #[test]
    fn whatever_could_lead_away_leads_home() {
        for path in [
            "",
            "//e",
            "///e",
            "/\\e",
            "\\\\e",
            "https:e",
            "https://e/tickets",
            "@e",
            "e",
            "tickets",
            "/%09/e",
            "/\t/e",
            "/\n/e",
            " /tickets",
            "/tickets\r\nx: y",
            "/.e/x",
            "/tickets//e",
            "/sign-out",
            "/sign-in",
            "/enrol/csi_x",
            "/static/x",
            "javascript:alert(1)",
            "/tickets\\e",
            "/tickets/ü",
            "/api/v1/tickets",
            "//tickets",
            "/healthz",
        ] {
            assert_eq!(ours(path), "/", "{path:?}");
        }
        assert_eq!(ours(&format!("/tickets?q={}", "a".repeat(2000))), "/");
    }

    #[test]
    fn the_way_back_is_one_of_ours() {
        for (referer, expected) in [
            (Some("http://localhost:8080/tickets?q=1"), "/tickets?q=1"),
            (Some("https://evil.example/evil"), "/"),
            (Some("https://evil.example"), "/"),
            (Some("/tickets"), "/"),
            (Some("https://h//tickets"), "/"),
            (None, "/"),
        ] {
            assert_eq!(back(referer), expected);
        }
    }

    #[test]
    fn values_of_a_query_are_escaped() {
        assert_eq!(sign_in("/tickets?q=a&b"), "/sign-in?next=/tickets%3Fq%3Da%26b");
        assert_eq!(sign_in("/"), "/sign-in");
        assert_eq!(encoded("ü \"#%+"), "%C3%BC%20%22%23%25%2B");
    }
}
