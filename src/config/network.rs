//! Origins, address ranges, and whose word about a client's address is believed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use hyper::Uri;

/// The origin of a web site as browsers send it: scheme, host in lower case, and the port unless it is the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    text: String,
    host: String,
    https: bool,
}

/// The text is not an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not an origin such as https://changes.example.org: a scheme, a host, perhaps a port, and nothing more"
)]
pub struct NotAnOrigin;

impl Origin {
    /// The origin as it stands in an `Origin` header, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub const fn is_https(&self) -> bool {
        self.https
    }

    /// Whether the host is this machine, whatever the name service says.
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let uri: Uri = text.parse().map_err(|_| NotAnOrigin)?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(NotAnOrigin),
        };
        let authority = uri.authority().ok_or(NotAnOrigin)?;
        let bare = uri.path() == "/" && uri.query().is_none() && !text.contains(['#', '@']);
        let host = authority.host().to_ascii_lowercase();
        // `https://host:` and `https://host:0` parse as authorities, and mean nothing.
        let port_is_number =
            authority.as_str().len() == host.len() || authority.port_u16().is_some_and(|p| p != 0);
        if !bare || host.is_empty() || !port_is_number {
            return Err(NotAnOrigin);
        }
        let scheme = if https { "https" } else { "http" };
        let usual = if https { 443 } else { 80 };
        let text = match authority.port_u16().filter(|port| *port != usual) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        };
        Ok(Self { text, host, https })
    }
}

/// An address, or a block of them such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpRange {
    first: IpAddr,
    prefix: u8,
}

/// Why the text is not a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnIpRange {
    #[error("holds something that is not an address or a block such as 10.0.0.0/8")]
    Syntax,
    #[error("holds a block that does not begin at its first address: did you mean {0}?")]
    Unaligned(IpRange),
    #[error("holds a block of every address there is: name the proxies")]
    Everybody,
}

impl IpRange {
    /// Whether the address is in the range. An IPv4 address in IPv6 clothes counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(_), address @ IpAddr::V4(_)) | (IpAddr::V6(_), address @ IpAddr::V6(_)) => {
                masked(address, self.prefix) == self.first
            }
            _ => false,
        }
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

impl FromStr for IpRange {
    type Err = NotAnIpRange;

    fn from_str(text: &str) -> Result<Self, NotAnIpRange> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| NotAnIpRange::Syntax)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(width), str::parse).map_err(|_| NotAnIpRange::Syntax)?;
        match prefix {
            0 => return Err(NotAnIpRange::Everybody),
            1.. if prefix > width => return Err(NotAnIpRange::Syntax),
            _ => {}
        }
        let range = Self { first: masked(address, prefix), prefix };
        if range.first == address { Ok(range) } else { Err(NotAnIpRange::Unaligned(range)) }
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

/// The address of the client behind a connection: the peer's own, or, where a trusted proxy says so in
/// `X-Forwarded-For` (several headers joined by commas), the last address in it that is not a trusted proxy's. What stands
/// further left was written by the client, and proves nothing.
pub fn client_address(trusted: &[IpRange], peer: IpAddr, forwarded_for: Option<&str>) -> IpAddr {
    let is_proxy = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    let mut client = peer.to_canonical();
    for entry in forwarded_for.unwrap_or_default().rsplit(',') {
        match entry.trim().parse::<IpAddr>() {
            Ok(next) if is_proxy(client) => client = next.to_canonical(),
            _ => break,
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Result<Origin, NotAnOrigin> {
        text.parse()
    }

    #[test]
    fn origins_are_spelled_as_browsers_send_them() {
        let cases = [
            ("https://Changes.Example.org", "https://changes.example.org"),
            ("https://changes.example.org/", "https://changes.example.org"),
            ("https://changes.example.org:443", "https://changes.example.org"),
            ("https://changes.example.org:8443", "https://changes.example.org:8443"),
            ("http://localhost:80", "http://localhost"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ];
        for (given, expected) in cases {
            assert_eq!(origin(given).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused() {
        let cases = [
            "",
            "changes.example.org",
            "//changes.example.org",
            "ftp://changes.example.org",
            "https://",
            "https://:443",
            "https://changes.example.org:",
            "https://changes.example.org:0",
            "https://changes.example.org:70000",
            "https://changes.example.org/portal",
            "https://changes.example.org?a",
            "https://changes.example.org#a",
            "https://user:pw@changes.example.org",
        ];
        for text in cases {
            assert_eq!(origin(text), Err(NotAnOrigin), "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (text, expected) in [
            ("http://localhost:8080", true),
            ("http://127.0.0.2", true),
            ("http://[::1]", true),
            ("http://localhost.example.org", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(origin(text).unwrap().is_loopback(), expected, "{text}");
        }
    }

    #[test]
    fn ranges_hold_their_first_and_last_address_and_no_neighbour() {
        for (range, inside, outside) in [
            ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"]),
            ("192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.6", "192.0.2.8"]),
            ("2001:db8::/33", ["2001:db8::", "2001:db8:7fff::1"], ["2001:db8:8000::", "10.0.0.1"]),
            ("128.0.0.0/1", ["128.0.0.0", "255.255.255.255"], ["127.255.255.255", "::1"]),
            ("::1", ["::1", "0:0::1"], ["::2", "0.0.0.1"]),
        ] {
            let parsed: IpRange = range.parse().unwrap();
            for address in inside {
                assert!(parsed.contains(address.parse().unwrap()), "{address} in {range}");
            }
            for address in outside {
                assert!(!parsed.contains(address.parse().unwrap()), "{address} not in {range}");
            }
        }
    }

    #[test]
    fn ranges_that_are_none_are_refused() {
        for text in ["", "proxy", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0/8", "::/129"] {
            assert_eq!(text.parse::<IpRange>(), Err(NotAnIpRange::Syntax), "{text}");
        }
        for text in ["0.0.0.0/0", "::/0"] {
            assert_eq!(text.parse::<IpRange>(), Err(NotAnIpRange::Everybody), "{text}");
        }
        let message = "10.0.0.1/8".parse::<IpRange>().unwrap_err().to_string();
        assert!(message.contains("did you mean 10.0.0.0/8?"), "{message}");
    }

    #[test]
    fn only_trusted_proxies_are_believed_about_a_client() {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "127.0.0.1".parse().unwrap()];
        let client = |peer: &str, header: Option<&str>| {
            client_address(&trusted, peer.parse().unwrap(), header).to_string()
        };
        assert_eq!(client("203.0.113.9", None), "203.0.113.9");
        assert_eq!(client("203.0.113.9", Some("198.51.100.1")), "203.0.113.9", "not a proxy of ours");
        assert_eq!(client("10.0.0.1", Some("198.51.100.1")), "198.51.100.1");
        assert_eq!(client("::ffff:10.0.0.1", Some("198.51.100.1")), "198.51.100.1");
        assert_eq!(client("10.0.0.1", Some("6.6.6.6, 198.51.100.1, 10.0.0.2")), "198.51.100.1");
        assert_eq!(client("10.0.0.1", Some("10.0.0.3,10.0.0.2")), "10.0.0.3");
        assert_eq!(client("10.0.0.1", Some("198.51.100.1, unknown")), "10.0.0.1");
        assert_eq!(client("10.0.0.1", Some("")), "10.0.0.1");
        assert_eq!(client("10.0.0.1", None), "10.0.0.1");
    }
}
