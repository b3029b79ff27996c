//! Which pages may connect: compares the page's origin, which browsers send, with the server's own host.
//!
//! Browsers allow any page to open a socket to any server and send the page's origin, so the server must check it. A page of the
//! server's own host may connect. Without a list of hosts, the server's own host is the `Host` that the browser sends, and an
//! attacker may have pointed that name at this machine (DNS rebinding). A list of the server's own hosts prevents this.

use std::net::IpAddr;

use super::cors::Grant;

/// The origins that may connect.
#[derive(Clone, Default, Debug)]
pub(crate) struct Origins {
    allows_all: bool,
    allowed: Vec<Origin>,
    own: Vec<Authority>,
}

/// The origin of a page: `https://example.org:8443`.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Origin {
    scheme: String,
    /// The part after `://`, if it is not a host with a port, as for pages of an app.
    place: Result<(Host, u16), String>,
}

/// A host, and a port if there is one.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Authority {
    host: Host,
    port: Option<u16>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Host {
    Address(IpAddr),
    /// In lower case, without a dot at the end.
    Name(String),
}

/// Why a page may not connect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stranger {
    /// The page comes from another host.
    Origin,
    /// The page comes from the host that the request names, but that is not one of this server's hosts.
    Host,
}

impl Origins {
    /// Allows pages of this origin to connect; `*` allows all. Returns false if this is not an origin.
    pub(crate) fn allow(&mut self, origin: &str) -> bool {
        if origin == "*" {
            self.allows_all = true;
            return true;
        }
        let origin = Origin::parse(origin.trim_end_matches('/'));
        let is_one = origin.is_some();
        self.allowed.extend(origin);
        is_one
    }

    /// Names one of the server's own hosts. Returns false if this is not a host.
    pub(crate) fn add_own(&mut self, host: &str) -> bool {
        let authority = Authority::parse(host);
        let is_one = authority.is_some();
        self.own.extend(authority);
        is_one
    }

    /// What a page of another origin may do with answers to its requests, if it was allowed to connect.
    pub(crate) fn grant(&self, origin: &str) -> Option<Grant> {
        let is_allowed = || Origin::parse(origin).is_some_and(|o| self.allowed.contains(&o));
        if is_allowed() {
            Some(Grant::WithCookies)
        } else {
            self.allows_all.then_some(Grant::WithoutCookies)
        }
    }

    /// Whether a page of `origin` may connect to the server under the name `host`. `is_local`: the connection came to a loopback
    /// address, and through no proxy.
    pub(crate) fn check(&self, origin: &str, host: &str, is_local: bool) -> Result<(), Stranger> {
        if self.allows_all {
            return Ok(());
        }
        let origin = Origin::parse(origin).ok_or(Stranger::Origin)?;
        if self.allowed.contains(&origin) {
            return Ok(());
        }
        // Only web pages; other kinds of pages of this host must be listed.
        let default = origin.web_port().ok_or(Stranger::Origin)?;
        let (Ok((page, port)), Some(host)) = (&origin.place, Authority::parse(host)) else {
            return Err(Stranger::Origin);
        };
        // A proxy may end TLS in front of the server, so the page's own scheme determines the default port.
        if *page != host.host || *port != host.port.unwrap_or(default) {
            return Err(Stranger::Origin);
        }
        let is_own = if self.own.is_empty() {
            !is_local || host.host.is_local()
        } else {
            let names =
                |own: &Authority| own.host == host.host && own.port.is_none_or(|own| own == *port);
            self.own.iter().any(names)
        };
        if is_own { Ok(()) } else { Err(Stranger::Host) }
    }
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, place) = text.split_once("://")?;
        if scheme.is_empty() {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let Some(default) = default_port(&scheme) else {
            let place = Err(place.to_ascii_lowercase());
            return Some(Self { scheme, place });
        };
        let Authority { host, port } = Authority::parse(place)?;
        let place = Ok((host, port.unwrap_or(default)));
        Some(Self { scheme, place })
    }

    /// The default port of a web page's scheme.
    fn web_port(&self) -> Option<u16> {
        default_port(&self.scheme)
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

impl Authority {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, rest)) => {
                let address: IpAddr = address.parse().ok()?;
                let port = if rest.is_empty() {
                    None
                } else {
                    Some(rest.strip_prefix(':')?)
                };
                (Host::Address(address.to_canonical()), port)
            }
            None => {
                let (host, port) = match text.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (text, None),
                };
                (Host::parse(host)?, port)
            }
        };
        let port = match port {
            None | Some("") => None,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(port.parse().ok()?)
            }
            Some(_) => return None,
        };
        Some(Self { host, port })
    }
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Address(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~%".contains(&byte));
        is_name.then_some(Self::Name(name))
    }

    /// Whether DNS cannot have pointed this host here: an address needs no lookup, and neither does `localhost`.
    fn is_local(&self) -> bool {
        match self {
            Self::Address(_) => true,
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(allowed: &[&str], own: &[&str]) -> Origins {
        let mut origins = Origins::default();
        assert!(allowed.iter().all(|origin| origins.allow(origin)));
        assert!(own.iter().all(|host| origins.add_own(host)));
        origins
    }

    #[test]
    fn a_page_of_the_same_host_and_port_may_connect() {
        let origins = origins(&[], &[]);
        for (origin, host) in [
            ("https://example.com", "example.com"),
            ("http://example.com", "example.com"),
            ("https://example.com", "example.com:443"),
            ("https://example.com:443", "example.com"),
            ("http://example.com", "example.com:80"),
            ("http://example.com:4000", "example.com:4000"),
            ("https://Example.COM", "example.com."),
            ("https://example.com.", "EXAMPLE.com"),
            ("http://[::1]:4000", "[::1]:4000"),
            ("http://[0:0:0:0:0:0:0:1]", "[::1]:80"),
            ("http://[::ffff:192.0.2.1]", "192.0.2.1"),
            ("HTTPS://xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(
                origins.check(origin, host, false),
                Ok(()),
                "{origin} {host}"
            );
        }
    }

    #[test]
    fn a_page_of_another_host_or_port_or_scheme_may_not() {
        let origins = origins(&[], &[]);
        for (origin, host) in [
            ("https://evil.example", "example.com"),
            ("https://example.com.evil.example", "example.com"),
            ("http://example.com", "example.com:443"),
            ("https://example.com:8443", "example.com"),
            ("https://example.com", "example.com:80"),
            ("evil://example.com", "example.com"),
            ("file://example.com", "example.com"),
            ("ws://example.com", "example.com"),
            ("://example.com", "example.com"),
            ("null", "example.com"),
            ("null", "null"),
            ("", ""),
            ("http://", ""),
            ("https://user@example.com", "example.com"),
            ("https://example.com/", "example.com"),
            ("https://example.com:443:443", "example.com"),
            ("https://example.com:+443", "example.com"),
            ("https://example.com:99999", "example.com"),
            ("http://[::1", "[::1"),
            ("http://[::1]x", "[::1]x"),
        ] {
            let stranger = origins.check(origin, host, false);
            assert_eq!(stranger, Err(Stranger::Origin), "{origin} {host}");
        }
    }

    #[test]
    fn an_allowed_origin_may_connect_however_it_is_written() {
        let origins = origins(&["https://X.example:443/", "capacitor://localhost"], &[]);
        for origin in [
            "https://x.example",
            "HTTPS://x.example.",
            "capacitor://localhost",
        ] {
            assert_eq!(
                origins.check(origin, "example.com", true),
                Ok(()),
                "{origin}"
            );
        }
        for origin in [
            "http://x.example",
            "https://x.example:8443",
            "capacitor://other",
        ] {
            let stranger = origins.check(origin, "example.com", true);
            assert_eq!(stranger, Err(Stranger::Origin), "{origin}");
        }
        for wrong in ["", "example.com", "https://", "https://a b", "://x"] {
            assert!(!Origins::default().allow(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_name_that_was_pointed_at_this_machine_is_none_of_its_own() {
        let default = origins(&[], &[]);
        let rebound = default.check("http://evil.example:5000", "evil.example:5000", true);
        assert_eq!(rebound, Err(Stranger::Host));
        for host in [
            "localhost:5000",
            "game.localhost:5000",
            "127.0.0.1:5000",
            "[::1]:5000",
        ] {
            let own = default.check(&format!("http://{host}"), host, true);
            assert_eq!(own, Ok(()), "{host}");
        }
        // For other addresses, any name may be the server's.
        let remote = default.check("http://evil.example:5000", "evil.example:5000", false);
        assert_eq!(remote, Ok(()));

        let named = origins(&[], &["Example.com", "10.0.0.7:4000"]);
        for is_local in [true, false] {
            let check = |page: &str| named.check(&format!("http://{page}"), page, is_local);
            assert_eq!(check("example.com"), Ok(()));
            assert_eq!(check("example.com:4000"), Ok(()));
            assert_eq!(check("10.0.0.7:4000"), Ok(()));
            assert_eq!(check("10.0.0.7"), Err(Stranger::Host));
            assert_eq!(check("evil.example"), Err(Stranger::Host));
            assert_eq!(check("localhost:4000"), Err(Stranger::Host));
        }
    }
}
