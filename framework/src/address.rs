//! Clients' addresses, by which limits are counted, and the proxies that are trusted to report them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A client's address: one IPv4 address, or a /64 of IPv6, because a client that has one address of a /64 has all of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientAddress(Kept);

/// The part of an address that counts. It has no padding, because each session and each connection has one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Kept {
    V4(Ipv4Addr),
    /// The upper half, which is the network.
    V6([u8; 8]),
}

impl ClientAddress {
    /// Converts an address. An IPv4 address that is written as IPv6 counts as IPv4.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => Kept::V4(address),
            IpAddr::V6(address) => {
                let network = address.to_bits() >> 64;
                Kept::V6((network as u64).to_be_bytes())
            }
        })
    }

    /// Whether it is a public address, and not a loopback or private one.
    pub(crate) fn is_public(self) -> bool {
        match self.ip() {
            IpAddr::V4(address) => {
                let [first, second, ..] = address.octets();
                let is_shared = first == 100 && second & 0xc0 == 64;
                !(address.is_private()
                    || address.is_loopback()
                    || address.is_link_local()
                    || address.is_unspecified()
                    || is_shared)
            }
            // The /64 that contains the loopback address has no other use.
            IpAddr::V6(address) => {
                !(address.is_unspecified()
                    || address.is_unique_local()
                    || address.is_unicast_link_local())
            }
        }
    }

    /// The address; for IPv6, the first of its /64.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        match self.0 {
            Kept::V4(address) => address.into(),
            Kept::V6(network) => {
                let network = u128::from(u64::from_be_bytes(network)) << 64;
                Ipv6Addr::from_bits(network).into()
            }
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip() {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => write!(f, "{address}/64"),
        }
    }
}

/// The proxies that are trusted to report clients' addresses.
#[derive(Clone, Default, Debug)]
pub(crate) struct TrustedProxies(Vec<Network>);

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug)]
struct Network {
    first: IpAddr,
    bits: u32,
}

/// The prefix of an IPv4 address that is written as IPv6.
const MAPPED_BITS: u32 = 96;

impl TrustedProxies {
    /// Trusts one address or a network: `10.0.0.1`, `10.0.0.0/8`, `::1`. Returns false if it is neither.
    pub(crate) fn add(&mut self, proxy: &str) -> bool {
        let network = Network::parse(proxy);
        self.0.extend(network);
        network.is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.holds(address))
    }

    /// The client's address of a connection from `peer`, with the `X-Forwarded-For` headers of its request, in order.
    ///
    /// Each proxy appends its client's address, so the list is read from the end: the first address that is not a trusted proxy is
    /// the client. The entries before it come from the client itself and may be anything. `None` if the proxies name only
    /// themselves.
    pub(crate) fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> Option<ClientAddress> {
        let entries = forwarded_for
            .rev()
            .flat_map(|list| list.rsplit(|byte| *byte == b','));
        let mut client = peer;
        for entry in entries {
            if !self.trusts(client) {
                break;
            }
            // If a trusted proxy does not know the address, it is unknown.
            client = parse_entry(entry)?;
        }
        (!self.trusts(client)).then(|| ClientAddress::new(client))
    }
}

/// An address, with or without a port.
fn parse_entry(entry: &[u8]) -> Option<IpAddr> {
    let entry = str::from_utf8(entry).ok()?.trim();
    let bare = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || entry.parse().ok().map(|address: SocketAddr| address.ip());
    entry.parse().ok().or_else(with_port).or_else(bare)
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (first, bits) = match text.split_once('/') {
            None => (text, None),
            Some((first, bits)) => (first, Some(bits.parse().ok()?)),
        };
        let first: IpAddr = first.parse().ok()?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits: u32 = bits.unwrap_or(most);
        if bits > most {
            return None;
        }
        // Addresses are compared in their canonical form, and so is this one.
        match first.to_canonical() {
            canonical if canonical.is_ipv4() && first.is_ipv6() => Some(Self {
                first: canonical,
                bits: bits.checked_sub(MAPPED_BITS)?,
            }),
            _ => Some(Self { first, bits }),
        }
    }

    fn holds(&self, address: IpAddr) -> bool {
        let differing = match (self.first, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u32::from(a) ^ u32::from(b)).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b)).leading_zeros(),
            _ => return false,
        };
        differing >= self.bits
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn proxies(trusted: &[&str]) -> TrustedProxies {
        let mut proxies = TrustedProxies::default();
        assert!(trusted.iter().all(|proxy| proxies.add(proxy)));
        proxies
    }

    fn client(trusted: &[&str], peer: &str, headers: &[&str]) -> String {
        let peer = peer.parse().unwrap();
        proxies(trusted)
            .client(peer, headers.iter().map(|header| header.as_bytes()))
            .map_or_else(|| "nobody".to_owned(), |client| client.to_string())
    }

    #[test]
    fn without_a_trusted_proxy_the_header_is_anybodys_word() {
        assert_eq!(client(&[], "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        let other = &["10.0.0.0/8"];
        assert_eq!(client(other, "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
    }

    #[test]
    fn the_rightmost_that_is_no_trusted_proxy_is_the_client() {
        let trusted = &["127.0.0.1", "10.0.0.0/8", "fd00::/8"];
        for (headers, expected) in [
            (&["203.0.113.9"][..], "203.0.113.9"),
            (&["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            (&["1.1.1.1,203.0.113.9 , 10.1.2.3,fd00::7"], "203.0.113.9"),
            (&["1.1.1.1", "203.0.113.9", "10.1.2.3"], "203.0.113.9"),
            (&["203.0.113.9:4711"], "203.0.113.9"),
            (&["[2001:db8:1:2:3::4]:4711"], "2001:db8:1:2::/64"),
            (&["[2001:db8:1:2:3::4]"], "2001:db8:1:2::/64"),
            (&["::ffff:203.0.113.9"], "203.0.113.9"),
            (&["unknown, \u{e9}, 203.0.113.9, 10.1.2.3"], "203.0.113.9"),
            // The proxies name only themselves.
            (&["10.9.9.9, 10.1.2.3"], "nobody"),
            (&["203.0.113.9, unknown, 10.1.2.3"], "nobody"),
            (&["203.0.113.9, "], "nobody"),
            (&[], "nobody"),
        ] {
            assert_eq!(
                client(trusted, "127.0.0.1", headers),
                expected,
                "{headers:?}"
            );
        }
        assert_eq!(
            client(trusted, "::ffff:10.0.0.2", &["203.0.113.9"]),
            "203.0.113.9"
        );
    }

    #[test]
    fn what_the_client_writes_before_it_spoils_no_proxys_word() {
        let peer = "10.0.0.2".parse().unwrap();
        for header in [&b"\xe9, 203.0.113.9"[..], b"\xff\xfe,\x00,203.0.113.9"] {
            let client = proxies(&["10.0.0.0/8"]).client(peer, [header].into_iter());
            assert_eq!(client.unwrap().to_string(), "203.0.113.9");
        }
    }

    #[test]
    fn a_proxy_may_be_written_as_an_address_of_ipv6() {
        for trusted in ["::ffff:10.0.0.2", "::ffff:10.0.0.0/104"] {
            for peer in ["10.0.0.2", "::ffff:10.0.0.2"] {
                let client = client(&[trusted], peer, &["203.0.113.9"]);
                assert_eq!(client, "203.0.113.9", "{trusted} {peer}");
            }
        }
        // This covers more than the IPv4 addresses.
        assert!(!TrustedProxies::default().add("::ffff:10.0.0.0/95"));
    }

    #[test]
    fn an_address_that_may_be_a_proxys_is_not_of_the_internet() {
        let is_public = |text: &str| ClientAddress::new(text.parse().unwrap()).is_public();
        for own in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.0.1",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(own), "{own}");
        }
        for public in ["203.0.113.9", "100.128.0.1", "172.32.0.1", "2001:db8::1"] {
            assert!(is_public(public), "{public}");
        }
    }

    #[test]
    fn neighbours_of_ipv6_are_one_client() {
        let address = |text: &str| ClientAddress::new(text.parse().unwrap());
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:0:0:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    }

    #[test]
    fn a_network_is_an_address_with_or_without_a_length() {
        let mut proxies = TrustedProxies::default();
        for wrong in [
            "",
            "localhost",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/x",
            "/8",
        ] {
            assert!(!proxies.add(wrong), "{wrong}");
        }
        assert!(proxies.add("0.0.0.0/0"));
        assert!(proxies.trusts("192.0.2.1".parse().unwrap()));
        assert!(!proxies.trusts("2001:db8::1".parse().unwrap()));
    }
}
