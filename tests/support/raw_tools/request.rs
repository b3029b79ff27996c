//! Requests below WebSocket.

use courtside::testing::TestServer;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::soon;

/// A request for a WebSocket that can be spoiled.
#[derive(Clone, Debug)]
pub struct Request {
    line: String,
    headers: Vec<(String, String)>,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    /// Such as 101.
    pub status: u16,
    head: String,
    /// Empty where it is no JSON.
    pub body: Value,
}

impl Answer {
    /// A header of the answer.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Expects a refusal in the protocol's words: a status, and a body with `code` and `message`.
    ///
    /// # Panics
    ///
    /// If it is another answer.
    #[track_caller]
    pub fn expect(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.body["code"], code, "{self:?}");
        assert!(self.body["message"].is_string(), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
    }
}

impl Request {
    /// A request that is in order.
    #[must_use]
    pub fn new(target: &str) -> Self {
        let request = Self {
            line: format!("GET {target} HTTP/1.1"),
            headers: Vec::new(),
        };
        request
            .with("Host", "example.org:4000")
            .with("Connection", "keep-alive, Upgrade")
            .with("Upgrade", "websocket")
            .with("Sec-WebSocket-Version", "13")
            .with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    }

    /// Another request line.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        line.clone_into(&mut self.line);
        self
    }

    /// A further header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// With another value of a header.
    #[must_use]
    pub fn but(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    /// As it goes over the wire.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// Sends it to a server.
    ///
    /// # Panics
    ///
    /// If there is no HTTP answer.
    pub async fn send(&self, server: &TestServer) -> Answer {
        let (mut io, _control) = server.connect();
        io.write_all(&self.bytes()).await.expect("to send");
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
            let read = soon(io.read_buf(&mut bytes)).await.expect("an answer");
            assert!(read > 0, "the answer ends early: {bytes:?}");
        };
        let mut answer = Answer {
            status: 0,
            head: String::from_utf8_lossy(&bytes[..end]).into_owned(),
            body: Value::Null,
        };
        let status = answer.head.split(' ').nth(1);
        answer.status = status.and_then(|s| s.parse().ok()).expect("a status");
        if let Some(length) = answer.header("content-length") {
            let length: usize = length.parse().expect("a length");
            while bytes.len() < end + length {
                let read = soon(io.read_buf(&mut bytes)).await.expect("a body");
                assert!(read > 0, "the body ends early");
            }
            answer.body = serde_json::from_slice(&bytes[end..]).unwrap_or_default();
        }
        answer
    }
}
