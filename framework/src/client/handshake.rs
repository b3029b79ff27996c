//! The client's side of the opening handshake (RFC 6455, 4.1).
//!
//! It does not use tungstenite's handshake, which needs another version of the crate `http` than actix does, and discards the part
//! of a refusal's body that has not arrived yet.

use std::io;
use std::time::Duration;

use actix_http::header::{HeaderName, HeaderValue};
use bytes::BytesMut;
use httparse::{EMPTY_HEADER, Response, Status};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::client::error::ConnectError;
use crate::client::random::Random;
use crate::error::Refusal;

/// How many bytes the answer's head may have, and how many of its body are read.
const LONGEST: usize = 16 << 10;

/// How many headers the answer may have.
const HEADERS: usize = 64;

/// A request to open a WebSocket.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) authority: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// The answer of a server that has accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    #[cfg_attr(not(feature = "testing"), allow(dead_code))] // Only the raw client shows headers.
    pub(crate) head: ResponseHead,
    /// The bytes that arrived behind the head: the first frames.
    pub(crate) rest: BytesMut,
}

/// The head of an HTTP response.
#[derive(Clone, Debug)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

impl ResponseHead {
    /// The value of a header. The case of the name does not matter.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Parses a head and returns its length, too. `None` if its end has not arrived yet.
    fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, ConnectError> {
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut response = Response::new(&mut headers);
        let not_http = |error| ConnectError::Protocol(format!("its response is not HTTP: {error}"));
        let Status::Complete(length) = response.parse(bytes).map_err(not_http)? else {
            return Ok(None);
        };
        let headers = response.headers.iter().map(|header| {
            let value = String::from_utf8_lossy(header.value);
            (header.name.to_owned(), value.trim().to_owned())
        });
        let head = Self {
            headers: headers.collect(),
            status: response.code.unwrap_or_default(),
        };
        Ok(Some((head, length)))
    }
}

/// Does the handshake on a stream.
pub(crate) async fn upgrade<Io>(
    io: &mut Io,
    request: &Request,
    random: &mut Random,
) -> Result<Accepted, ConnectError>
where
    Io: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    let key = key(random);
    io.write_all(&write(request, &key)?).await?;
    io.flush().await?;
    let mut answer = BytesMut::new();
    let (head, length) = loop {
        if io.read_buf(&mut answer).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if let Some(read) = ResponseHead::parse(&answer)? {
            break read;
        }
        if answer.len() > LONGEST {
            let what = format!("the head of its response has more than {LONGEST} bytes");
            return Err(ConnectError::Protocol(what));
        }
    };
    let mut rest = answer.split_off(length);
    if head.status != 101 {
        read_body(io, &head, &mut rest).await;
        return Err(refused(&head, &rest));
    }
    let accept = actix_http::ws::hash_key(key.as_bytes());
    let is_websocket = head
        .header("upgrade")
        .is_some_and(|u| u.eq_ignore_ascii_case("websocket"));
    if !is_websocket || head.header("sec-websocket-accept").map(str::as_bytes) != Some(&accept[..])
    {
        let what = "its response does not accept the WebSocket".to_owned();
        return Err(ConnectError::Protocol(what));
    }
    Ok(Accepted { head, rest })
}

fn write(request: &Request, key: &str) -> Result<Vec<u8>, ConnectError> {
    let Request {
        path,
        authority,
        headers,
    } = request;
    let mut text = format!("GET {path} HTTP/1.1\r\n").into_bytes();
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        text.extend_from_slice(format!("Host: {authority}\r\n").as_bytes());
    }
    text.extend_from_slice(
        format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        )
        .as_bytes(),
    );
    for (name, value) in headers {
        if HeaderName::try_from(&**name).is_err()
            || HeaderValue::from_bytes(value.as_bytes()).is_err()
        {
            let what = format!(
                "`{name}` cannot be a header: its name or its value is not allowed in HTTP"
            );
            return Err(ConnectError::Options(what));
        }
        for part in [name, ": ", value, "\r\n"] {
            text.extend_from_slice(part.as_bytes());
        }
    }
    text.extend_from_slice(b"\r\n");
    Ok(text)
}

/// 16 random bytes in base 64: 21 random digits, one whose last four bits are zero, and the padding.
fn key(random: &mut Random) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digit = |step: usize| char::from(DIGITS[(random.next() % 64) as usize / step * step]);
    let mut key: String = (0..21).map(|_| digit(1)).collect();
    key.push(digit(16));
    key.push_str("==");
    key
}

/// Reads the body of a refusal, as far as it arrives. It is only text for people, so a part of it will do.
async fn read_body<Io: AsyncRead + Unpin + ?Sized>(
    io: &mut Io,
    head: &ResponseHead,
    body: &mut BytesMut,
) {
    let length = head
        .header("content-length")
        .and_then(|length| length.parse().ok());
    let length = length.unwrap_or(LONGEST).min(LONGEST);
    while body.len() < length {
        match io.read_buf(body).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => break,
        }
    }
    body.truncate(length);
}

fn refused(head: &ResponseHead, body: &[u8]) -> ConnectError {
    #[derive(Deserialize)]
    struct Body {
        code: String,
        message: String,
    }
    let refusal = match serde_json::from_slice(body) {
        Ok(Body { code, message }) => Refusal::new(code, message),
        Err(_) => {
            let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
            Refusal::new(format!("http_{}", head.status), text)
        }
    };
    let retry_after = head
        .header("retry-after")
        .and_then(|seconds| seconds.parse().ok());
    ConnectError::Refused {
        status: head.status,
        refusal,
        retry_after: retry_after.map(Duration::from_secs),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let headers = headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Request {
            path: "/ws".to_owned(),
            authority: "h".to_owned(),
            headers: headers.collect(),
        }
    }

    /// The result of the handshake if the server sends `answer`, in which `KEY` stands for the right accept value.
    async fn answered(answer: &str) -> Result<Accepted, ConnectError> {
        let (mut client, mut server) = duplex(1024);
        let answering = async {
            let mut request = BytesMut::new();
            while !request.ends_with(b"\r\n\r\n") {
                server.read_buf(&mut request).await.unwrap();
            }
            let request = String::from_utf8(request.to_vec()).unwrap();
            let (_, key) = request.split_once("Sec-WebSocket-Key: ").unwrap();
            let accept = actix_http::ws::hash_key(key.split("\r\n").next().unwrap().as_bytes());
            let answer = answer.replace("KEY", std::str::from_utf8(&accept).unwrap());
            server.write_all(answer.as_bytes()).await.unwrap();
            drop(server);
        };
        let request = request(&[]);
        let mut random = Random::new(Some(1));
        tokio::join!(upgrade(&mut client, &request, &mut random), answering).0
    }

    #[tokio::test]
    async fn the_right_answer_is_accepted_and_the_bytes_behind_it_are_kept() {
        let answer = "HTTP/1.1 101 Switching\r\nupgrade: WebSocket\r\nSec-Websocket-Accept: KEY\r\n\r\nfirst";
        let accepted = answered(answer).await.unwrap();
        assert_eq!(&accepted.rest[..], b"first");
        assert_eq!(accepted.head.header("Upgrade"), Some("WebSocket"));
    }

    #[tokio::test]
    async fn a_wrong_accept_value_is_refused() {
        let answer = "HTTP/1.1 101 OK\r\nupgrade: websocket\r\nsec-websocket-accept: wrong\r\n\r\n";
        assert!(matches!(
            answered(answer).await,
            Err(ConnectError::Protocol(_))
        ));
        assert!(matches!(
            answered("220 smtp\r\n\r\n").await,
            Err(ConnectError::Protocol(_))
        ));
        assert!(matches!(
            answered("HTTP/1.1 101").await,
            Err(ConnectError::Io(_))
        ));
    }

    #[tokio::test]
    async fn a_refusal_is_readable() {
        let answer = "HTTP/1.1 503 Busy\r\nretry-after: 7\r\n\r\n{\"code\":\"too_many_connections\",\"message\":\"full\"}";
        let error = answered(answer).await.unwrap_err();
        let text = "the server refused the connection with HTTP 503: full (too_many_connections)";
        assert_eq!(error.to_string(), text);
        let ConnectError::Refused { retry_after, .. } = error else {
            panic!()
        };
        assert_eq!(retry_after, Some(Duration::from_secs(7)));

        let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnope and more";
        let error = answered(answer).await.unwrap_err().to_string();
        assert!(error.ends_with("nope (http_404)"), "{error}");
    }

    #[test]
    fn headers_cannot_smuggle_lines() {
        for (name, value) in [("a", "b\r\nc: d"), ("a\r\nb", "c"), ("", "x"), ("a b", "c")] {
            assert!(write(&request(&[(name, value)]), "k").is_err());
        }
        let origin = [("Origin", "https://example.org")];
        let written = String::from_utf8(write(&request(&origin), "k").unwrap()).unwrap();
        assert!(
            written.ends_with("\r\nOrigin: https://example.org\r\n\r\n"),
            "{written}"
        );
    }

    #[test]
    fn a_host_of_the_applications_own_replaces_the_address() {
        for (headers, host) in [
            (&[][..], "Host: h"),
            (&[("host", "example.org")], "host: example.org"),
        ] {
            let written = String::from_utf8(write(&request(headers), "k").unwrap()).unwrap();
            let hosts: Vec<&str> = written
                .lines()
                .filter(|line| line.to_ascii_lowercase().starts_with("host"))
                .collect();
            assert_eq!(hosts, [host]);
        }
    }

    #[test]
    fn a_key_is_sixteen_bytes_in_base_64() {
        let mut random = Random::new(Some(3));
        for _ in 0..100 {
            let key = key(&mut random);
            assert!(key.len() == 24 && key.ends_with("=="), "{key}");
            assert!("AQgw".contains(&key[21..22]), "{key}");
        }
    }
}
