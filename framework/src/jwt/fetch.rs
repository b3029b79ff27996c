//! Fetches a key set from its address.

use std::sync::Arc;
use std::time::Duration;

use awc::{Client, Connector};
use rustls::{ClientConfig, RootCertStore};

use super::error::JwtError;

/// How long an answer may take. Clients that sign in wait for it meanwhile.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may be, in bytes.
const MOST: usize = 256 << 10;

/// Whether keys may be fetched from here: over TLS, or from this machine. Whoever can change the answer can sign in as anyone.
pub(super) fn check(url: &str) -> Result<(), JwtError> {
    let bad = || JwtError::BadUrl(url.to_owned());
    let uri: awc::http::Uri = url.parse().map_err(|_| bad())?;
    let is_here = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match uri.scheme_str() {
        Some("https") if uri.host().is_some() => Ok(()),
        Some("http") if is_here => Ok(()),
        _ => Err(bad()),
    }
}

/// Asks for the key set. The error says what went wrong, for the log.
pub(super) async fn fetch(url: &str) -> Result<String, String> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Client::builder()
        .timeout(TIMEOUT)
        .disable_redirects()
        .connector(Connector::new().rustls_0_23(Arc::new(tls)))
        .finish();
    let mut response = client
        .get(url)
        .send()
        .await
        .map_err(|error| error.to_string())?;
    if !response.status().is_success() {
        return Err(format!("it answered with {}", response.status()));
    }
    let body = response
        .body()
        .limit(MOST)
        .await
        .map_err(|error| error.to_string())?;
    String::from_utf8(body.to_vec()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for good in [
            "https://example.org/jwks.json",
            "http://localhost:8080/keys",
            "http://127.0.0.1/keys",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "http://example.org/jwks.json",
            "jwks.json",
            "",
            "file:///etc/keys",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
