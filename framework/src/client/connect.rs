//! Opening the stream under a connection: TCP, or a stream of the application's own.

use std::fmt;
use std::future::Future;
use std::io;

use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::client::error::ConnectError;

/// A stream of bytes in both directions.
pub trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// Opens the streams for a client's connections: one when it starts, and one for each attempt to reconnect.
///
/// A closure that returns a future of a stream implements it. Use one for TLS, for a Unix socket, or for a stream in memory.
pub trait Connect {
    /// Opens a stream.
    ///
    /// # Errors
    ///
    /// An error of the network. A client that was connected before tries again later.
    fn connect(&self) -> LocalBoxFuture<'static, io::Result<Box<dyn Io>>>;
}

impl<F, Opening, Stream> Connect for F
where
    F: Fn() -> Opening,
    Opening: Future<Output = io::Result<Stream>> + 'static,
    Stream: Io + 'static,
{
    fn connect(&self) -> LocalBoxFuture<'static, io::Result<Box<dyn Io>>> {
        let opening = self();
        Box::pin(async move { Ok(Box::new(opening.await?) as Box<dyn Io>) })
    }
}

/// Plain TCP to a host and port.
#[derive(Clone, Debug)]
pub(crate) struct Tcp {
    host: String,
    port: u16,
}

impl Connect for Tcp {
    fn connect(&self) -> LocalBoxFuture<'static, io::Result<Box<dyn Io>>> {
        let Self { host, port } = self.clone();
        Box::pin(async move {
            let stream = TcpStream::connect((host, port)).await?;
            // Small messages must not wait for each other.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Io>)
        })
    }
}

/// The parts of a `ws://` URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ServerUrl {
    /// The value of the `Host` header: the host, and the port if the URL has one.
    pub(crate) authority: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) path: Path,
}

impl ServerUrl {
    pub(crate) fn parse(url: &str) -> Result<Self, ConnectError> {
        let wrong = |what: &str| ConnectError::Url(format!("`{url}` {what}"));
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| wrong("is not a URL such as ws://127.0.0.1:4000/ws"))?;
        match scheme {
            "ws" => {}
            "wss" => {
                return Err(wrong(
                    "needs TLS, which this client does not have: \
                     open an encrypted stream and pass it to `Client::connect_with`",
                ));
            }
            _ => return Err(wrong("must begin with ws://")),
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port
                    .parse()
                    .map_err(|_| wrong("has a port that is not a number up to 65535"))?;
                (host, port)
            }
            _ => (authority, 80),
        };
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        if host.is_empty() || host.contains('@') {
            return Err(wrong("has no host, or has a user name before the host"));
        }
        Ok(Self {
            authority: authority.to_owned(),
            host,
            port,
            path: Path::parse(path)?,
        })
    }

    pub(crate) fn tcp(&self) -> Tcp {
        Tcp {
            host: self.host.clone(),
            port: self.port,
        }
    }
}

/// The path of a request, with its query.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Path(String);

impl Path {
    pub(crate) fn parse(path: &str) -> Result<Self, ConnectError> {
        let is_graphic = |c: char| c.is_ascii_graphic() && c != '#';
        if !path.chars().all(is_graphic) {
            let what = format!("the path `{path}` has characters that must be percent-encoded");
            return Err(ConnectError::Url(what));
        }
        Ok(Self(match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/{path}"),
        }))
    }

    /// The path with further parameters. Their values must not need encoding.
    pub(crate) fn with(&self, parameters: &[(&str, &dyn fmt::Display)]) -> String {
        let mut path = self.0.clone();
        for (name, value) in parameters {
            let separator = if path.contains('?') { '&' } else { '?' };
            path.push_str(&format!("{separator}{name}={value}"));
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (url, authority, host, port, path) in [
            (
                "ws://127.0.0.1:4000/ws",
                "127.0.0.1:4000",
                "127.0.0.1",
                4000,
                "/ws",
            ),
            ("ws://example.org", "example.org", "example.org", 80, "/"),
            ("ws://[::1]:9/a?b=c#d", "[::1]:9", "::1", 9, "/a?b=c"),
            ("ws://[::1]", "[::1]", "::1", 80, "/"),
            ("ws://h?b=c", "h", "h", 80, "/?b=c"),
        ] {
            let target = ServerUrl::parse(url).unwrap();
            let path = Path(path.to_owned());
            let (authority, host) = (authority.to_owned(), host.to_owned());
            let expected = ServerUrl {
                authority,
                host,
                port,
                path,
            };
            assert_eq!(target, expected, "{url}");
        }
    }

    #[test]
    fn an_error_says_what_is_wrong_with_the_url() {
        for (url, hint) in [
            ("wss://example.org/ws", "TLS"),
            ("http://example.org", "ws://"),
            ("example.org", "ws://"),
            ("ws://:80/", "host"),
            ("ws://h:99999/", "port"),
            ("ws://h/a b", "percent"),
            ("ws://h/a\r\nX: y", "percent"),
        ] {
            let error = ServerUrl::parse(url).unwrap_err().to_string();
            assert!(error.contains(hint), "{url}: {error}");
        }
    }

    #[test]
    fn parameters_are_appended_to_those_that_are_there() {
        let with = |path| {
            Path::parse(path)
                .unwrap()
                .with(&[("format", &"json"), ("received", &3)])
        };
        assert_eq!(with("/ws"), "/ws?format=json&received=3");
        assert_eq!(with("/ws?a=b"), "/ws?a=b&format=json&received=3");
    }
}
