//! Clients without WebSocket: event streams and requests with actions, byte by byte.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // Everything here is part of a test, whose failure is a panic.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use courtside::Format;
use courtside::testing::{CableControl, CableEnd, TestServer};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::raw_tools::{encode, soon};
use crate::wire_tools::is_sequenced;

/// The answer to a request: its head, and its body as far as it was read.
#[derive(Debug)]
pub struct Reply {
    /// Such as 200.
    pub status: u16,
    head: String,
    io: CableEnd,
    /// What has arrived and was not taken apart yet, without the marks of its chunks if it is chunked.
    raw: Vec<u8>,
    text: String,
    has_ended: bool,
    /// The means to break the connection.
    pub control: CableControl,
}

impl Reply {
    /// A header of the answer.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Reads more. False at the end.
    async fn read(&mut self) -> bool {
        if self.has_ended {
            return false;
        }
        let read = soon(self.io.read_buf(&mut self.raw)).await.unwrap_or(0);
        self.has_ended = read == 0;
        self.take_chunks();
        !self.has_ended
    }

    fn take_chunks(&mut self) {
        loop {
            let Some(end) = self.raw.windows(2).position(|two| two == b"\r\n") else {
                return;
            };
            let length = std::str::from_utf8(&self.raw[..end]).unwrap();
            let length = usize::from_str_radix(length, 16).expect("a chunk's length");
            if self.raw.len() < end + length + 4 {
                return;
            }
            let chunk = &self.raw[end + 2..end + 2 + length];
            self.text.push_str(std::str::from_utf8(chunk).unwrap());
            self.raw.drain(..end + length + 4);
            if length == 0 {
                self.has_ended = true;
                return;
            }
        }
    }

    /// The whole body of an answer with a length, as JSON.
    pub async fn json(&mut self) -> Value {
        let Some(length) = self.header("content-length") else {
            return Value::Null;
        };
        let length: usize = length.parse().unwrap();
        while self.raw.len() < length {
            let read = soon(self.io.read_buf(&mut self.raw)).await.unwrap();
            assert!(read > 0, "the body ends early");
        }
        serde_json::from_slice(&self.raw[..length]).unwrap_or_default()
    }

    /// Expects a refusal in the protocol's words. Returns its body.
    #[track_caller]
    pub fn expect(mut self, status: u16, code: &'static str) -> impl Future<Output = Value> {
        assert_eq!(self.status, status, "{}", self.head);
        async move {
            let body = self.json().await;
            assert_eq!(body["code"], code, "{body}");
            assert!(body["message"].is_string(), "{body}");
            if matches!(status, 429 | 503) {
                assert!(self.header("retry-after").is_some(), "{}", self.head);
            }
            body
        }
    }
}

/// Sends one request to a worker and reads the head of its answer.
pub async fn request(
    server: &TestServer,
    worker: usize,
    line: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let (mut io, control) = server.connect_to(worker);
    let mut head = format!("{line} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head.push_str("Host: example.org:4000\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if line.starts_with("POST") {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    // A server that refuses the request need not read its body.
    let _refused = io.write_all(&[head.as_bytes(), body].concat()).await;
    let mut raw = Vec::new();
    let end = loop {
        if let Some(end) = raw.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        let read = soon(io.read_buf(&mut raw)).await.expect("an answer");
        assert!(read > 0, "the answer ends early: {raw:?}");
    };
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    raw.drain(..end);
    let mut reply = Reply {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head,
        io,
        raw,
        text: String::new(),
        has_ended: false,
        control,
    };
    if reply.header("transfer-encoding") == Some("chunked") {
        reply.take_chunks();
    }
    reply
}

/// A message of a stream.
#[derive(Debug, Default)]
pub struct Message {
    /// What a browser sends back as `Last-Event-ID`.
    pub id: Option<String>,
    /// When a browser comes back, in milliseconds.
    pub retry: Option<u64>,
    /// The event; null if the message has none.
    pub event: Value,
}

/// An event stream that was accepted, and what its client has counted.
#[derive(Debug)]
pub struct Stream {
    /// The answer that it is.
    pub reply: Reply,
    format: Format,
    /// The stream's first event.
    pub welcome: Value,
    /// How many sequenced events of the session were received.
    pub received: u64,
    /// The number of the last counted action.
    pub sent: u64,
    /// The id of the last message that had one.
    pub last_id: String,
    /// The last `retry`.
    pub retry: Option<u64>,
}

impl Stream {
    /// Opens a stream on a worker, and expects its welcome.
    pub async fn open(server: &TestServer, worker: usize, format: Format, query: &str) -> Self {
        let query = format!("format={}&{query}", format.name());
        Self::open_with(server, worker, format, &query, &[]).await
    }

    /// With all of the query, and with headers.
    pub async fn open_with(
        server: &TestServer,
        worker: usize,
        format: Format,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Self {
        let line = format!("GET /ws/events?{query}");
        let reply = request(server, worker, &line, headers, b"").await;
        assert_eq!(reply.status, 200, "{}", reply.head);
        assert_eq!(reply.header("content-type"), Some("text/event-stream"));
        let mut stream = Self {
            reply,
            format,
            welcome: Value::Null,
            received: 0,
            sent: 0,
            last_id: String::new(),
            retry: None,
        };
        stream.welcome = stream.next().await.expect("a welcome");
        assert_eq!(stream.welcome["event"], "welcome", "{}", stream.welcome);
        stream
    }

    /// The newest token.
    #[must_use]
    pub fn token(&self) -> String {
        self.welcome["resume"].as_str().unwrap().to_owned()
    }

    /// The next message, also one without an event.
    pub async fn message(&mut self) -> Option<Message> {
        let end = loop {
            if let Some(end) = self.reply.text.find("\n\n") {
                break end;
            }
            // The last bytes may come together with the end.
            if !self.reply.read().await && !self.reply.text.contains("\n\n") {
                return None;
            }
        };
        let text: String = self.reply.text.drain(..end + 2).collect();
        let mut message = Message::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            match line.split_once(": ") {
                Some(("id", id)) => message.id = Some(id.to_owned()),
                Some(("retry", retry)) => message.retry = retry.parse().ok(),
                Some(("data", data)) => message.event = decode(data),
                _ => assert!(line.starts_with(':'), "{line}"),
            }
        }
        Some(message)
    }

    /// The next event, counted. `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            let message = self.message().await?;
            self.retry = message.retry.or(self.retry);
            self.last_id = message.id.unwrap_or(std::mem::take(&mut self.last_id));
            if !message.event.is_null() {
                self.received += u64::from(is_sequenced(&message.event));
                return Some(message.event);
            }
        }
    }

    /// The next event of this name.
    pub async fn event(&mut self, name: &str) -> Value {
        loop {
            let event = self.next().await;
            let event = event.unwrap_or_else(|| panic!("the stream ended without {name}"));
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Sends actions and expects that all are counted.
    pub async fn send(&mut self, server: &TestServer, worker: usize, actions: &[Value]) {
        let first = self.sent + 1;
        let mut reply = self.post(server, worker, first, actions).await;
        let answer = reply.json().await;
        assert_eq!(reply.status, 200, "{answer}");
        let counted = actions.iter().filter(|a| a["action"] != "ping").count();
        self.sent += counted as u64;
        assert_eq!(answer["received"], self.sent);
    }

    /// Sends actions, of which the first counted one has this number.
    pub async fn post(
        &self,
        server: &TestServer,
        worker: usize,
        first: u64,
        actions: &[Value],
    ) -> Reply {
        let body = encode(self.format, &Value::Array(actions.to_vec()));
        let kind = match self.format {
            Format::Json => "application/json",
            Format::MsgPack => "application/msgpack",
        };
        post(server, worker, &self.token(), first, kind, &body).await
    }
}

/// Sends a body with a token.
pub async fn post(
    server: &TestServer,
    worker: usize,
    token: &str,
    first: u64,
    kind: &str,
    body: &[u8],
) -> Reply {
    let line = format!("POST /ws/actions?first={first}");
    let headers = [("Courtside-Session", token), ("Content-Type", kind)];
    request(server, worker, &line, &headers, body).await
}

fn decode(data: &str) -> Value {
    if data.starts_with('{') {
        return serde_json::from_str(data).unwrap();
    }
    let bytes = BASE64_STANDARD.decode(data).unwrap();
    rmp_serde::from_slice(&bytes).unwrap()
}
