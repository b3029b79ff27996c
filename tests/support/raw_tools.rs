//! Peers without manners: one that speaks the protocol frame by frame, and requests below WebSocket.
#![allow(clippy::expect_used, reason = "a tool of tests fails by panicking")]

mod request;

use std::future::Future;
use std::time::Duration;

use courtside::Format;
use courtside::testing::raw::{RawClient, frame, opcode};
use courtside::testing::{CableControl, Direction, TestServer};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

pub use request::{Answer, Request};

/// Longer than anything that is waited for; on a paused clock it costs nothing.
const PATIENCE: Duration = Duration::from_secs(120);

/// The mask of all frames that are made here.
pub const MASK: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);

/// Awaits what must happen.
///
/// # Panics
///
/// If it does not.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it never happened")
}

/// A value in one of the formats.
#[must_use]
pub fn encode(format: Format, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match format {
        Format::Json => out = value.to_string().into_bytes(),
        Format::MsgPack => msgpack(value, &mut out),
    }
    out
}

/// MessagePack in its plainest form, with headers of one size: not the encoder that is under test.
fn msgpack(value: &Value, out: &mut Vec<u8>) {
    let head = |out: &mut Vec<u8>, marker: u8, length: usize| {
        out.push(marker);
        out.extend((length as u32).to_be_bytes());
    };
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(is) => out.push(0xc2 | u8::from(*is)),
        Value::Number(n) => match n.as_u64() {
            Some(n) => {
                out.push(0xcf);
                out.extend(n.to_be_bytes());
            }
            None => {
                out.push(0xcb);
                out.extend(n.as_f64().unwrap_or_default().to_be_bytes());
            }
        },
        Value::String(text) => {
            head(out, 0xdb, text.len());
            out.extend(text.as_bytes());
        }
        Value::Array(items) => {
            head(out, 0xdd, items.len());
            items.iter().for_each(|item| msgpack(item, out));
        }
        Value::Object(fields) => {
            head(out, 0xdf, fields.len());
            for (name, value) in fields {
                msgpack(&json!(name), out);
                msgpack(value, out);
            }
        }
    }
}

/// The opcode of a data frame in this format.
#[must_use]
pub fn opcode_of(format: Format) -> u8 {
    match format {
        Format::Json => opcode::TEXT,
        Format::MsgPack => opcode::BINARY,
    }
}

/// A whole data frame that holds `value`.
#[must_use]
pub fn data_frame(format: Format, value: &Value) -> Vec<u8> {
    let payload = encode(format, value);
    frame(true, 0, opcode_of(format), MASK, &payload)
}

/// What a peer finds on the wire.
#[derive(Debug, PartialEq)]
pub enum Heard {
    /// An event, decoded.
    Event(Value),
    /// With its payload.
    Ping(Vec<u8>),
    /// With its payload.
    Pong(Vec<u8>),
    /// With its payload.
    Close(Vec<u8>),
    /// The stream is over.
    End,
}

/// How a connection ended.
#[derive(Debug)]
pub struct Farewell {
    /// The events before the close frame.
    pub events: Vec<Value>,
    /// The close frame's payload; `None` if there was no such frame.
    pub close: Option<Vec<u8>>,
    /// When the close frame came, or the end if there was none.
    pub closed_at: Instant,
    /// When the stream was over.
    pub ended_at: Instant,
}

impl Farewell {
    /// The close frame's code.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        let code = self.close.as_ref()?.first_chunk()?;
        Some(u16::from_be_bytes(*code))
    }

    /// The last event, if it is a `goodbye`.
    #[must_use]
    pub fn goodbye(&self) -> Option<&Value> {
        self.events.last().filter(|last| last["event"] == "goodbye")
    }

    /// Expects a goodbye and a close frame of one code.
    ///
    /// # Panics
    ///
    /// If it was another end.
    #[track_caller]
    pub fn expect(&self, code: u16, what: &str) {
        assert_eq!(self.code(), Some(code), "{what}: {self:?}");
        let goodbye = self
            .goodbye()
            .unwrap_or_else(|| panic!("{what}: no goodbye: {self:?}"));
        assert_eq!(goodbye["code"], code, "{what}");
        let comes_back = courtside::CloseCode(code).comes_back();
        assert_eq!(goodbye.get("reconnect").is_some(), comes_back, "{what}");
    }
}

/// A connection that has been welcomed, of which each frame is in the test's hands.
#[derive(Debug)]
pub struct Peer {
    /// The frames.
    pub raw: RawClient,
    /// The cable under it.
    pub control: CableControl,
    /// The first event.
    pub welcome: Value,
    /// What the session speaks.
    pub format: Format,
    /// How many sequenced events have come on this connection.
    pub counted: u64,
    asked: u64,
}

impl Peer {
    /// Connects, and reads the welcome.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub async fn open(server: &TestServer, format: Format) -> Self {
        Self::open_with(server, format, "").await
    }

    /// As [`Peer::open`], with more of a query: `&resume=…`.
    ///
    /// # Panics
    ///
    /// If there is no welcome.
    pub async fn open_with(server: &TestServer, format: Format, query: &str) -> Self {
        Self::open_as(server, format, query, &[]).await
    }

    /// Connects from an address, as a proxy that the server trusts reports it.
    ///
    /// # Panics
    ///
    /// If there is no welcome.
    pub async fn open_from(server: &TestServer, format: Format, address: &str) -> Self {
        Self::open_as(server, format, "", &[("X-Forwarded-For", address)]).await
    }

    /// As [`Peer::open_with`], with further headers.
    ///
    /// # Panics
    ///
    /// If there is no welcome.
    pub async fn open_as(
        server: &TestServer,
        format: Format,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Self {
        let query = format!("?format={}{query}", format.name());
        let mut peer = Self::open_to_anything(server, format, &query, headers).await;
        peer.welcome = peer.event().await;
        assert_eq!(peer.welcome["event"], "welcome");
        peer
    }

    /// Connects, and leaves to the test what comes. Events are expected in this format.
    ///
    /// # Panics
    ///
    /// If the handshake is refused.
    pub async fn open_to_anything(
        server: &TestServer,
        format: Format,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Self {
        let (io, control) = server.connect();
        let raw = soon(RawClient::open(io, &format!("/ws{query}"), headers)).await;
        Self {
            raw: raw.expect("the handshake"),
            control,
            welcome: Value::Null,
            format,
            counted: 0,
            asked: 1000,
        }
    }

    /// Comes back to the session of `self`, which has received `received` sequenced events.
    pub async fn resume(&self, server: &TestServer, received: u64) -> Self {
        let token = self.welcome["resume"].as_str().unwrap_or_default();
        let query = format!("&resume={token}&received={received}");
        Self::open_with(server, self.format, &query).await
    }

    /// The next thing on the wire, which is not answered.
    pub async fn hear(&mut self) -> Heard {
        let Ok(Some(frame)) = soon(self.raw.next_frame()).await else {
            return Heard::End;
        };
        assert!(
            frame.fin && frame.reserved == 0,
            "a server sends whole frames: {frame:?}"
        );
        let payload = frame.payload.to_vec();
        match frame.opcode {
            opcode::PING => Heard::Ping(payload),
            opcode::PONG => Heard::Pong(payload),
            opcode::CLOSE => Heard::Close(payload),
            other => {
                assert_eq!(other, opcode_of(self.format), "the session's format");
                let event = frame.json().expect("an event");
                let name = event["event"].as_str().expect("an event's name");
                let is_plain = matches!(
                    name,
                    "welcome"
                        | "pong"
                        | "signal"
                        | "state"
                        | "patch"
                        | "latest"
                        | "rooms"
                        | "expiring"
                        | "goodbye"
                );
                self.counted += u64::from(!is_plain);
                Heard::Event(event)
            }
        }
    }

    /// The next event; pings are answered.
    ///
    /// # Panics
    ///
    /// If the connection ends.
    pub async fn event(&mut self) -> Value {
        soon(async {
            loop {
                match self.hear().await {
                    Heard::Event(event) => return event,
                    // The connection may be over already; then the next frame says so.
                    Heard::Ping(payload) => {
                        let _over = self.raw.send_frame(true, opcode::PONG, &payload).await;
                    }
                    Heard::Pong(_) => {}
                    end => panic!("an event was expected, not {end:?}"),
                }
            }
        })
        .await
    }

    /// Passes over events up to one of this name.
    pub async fn until(&mut self, name: &str) -> Value {
        soon(async {
            loop {
                let event = self.event().await;
                if event["event"] == name {
                    return event;
                }
            }
        })
        .await
    }

    /// Sends an action.
    ///
    /// # Panics
    ///
    /// If the connection is over.
    pub async fn act(&mut self, action: &Value) {
        let frame = data_frame(self.format, action);
        soon(self.raw.send_bytes(&frame)).await.expect("to send");
    }

    /// Sends an action and passes over everything up to its answer.
    pub async fn ask(&mut self, mut action: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        action["id"] = id.into();
        self.act(&action).await;
        soon(async {
            loop {
                let event = self.event().await;
                if event["id"] == id {
                    return event;
                }
            }
        })
        .await
    }

    /// Joins a room of this kind, in a room of its own if there is none, and returns its id.
    pub async fn join(&mut self, kind: &str) -> String {
        let joined = self.ask(json!({"action": "join", "kind": kind})).await;
        assert_eq!(joined["event"], "joined", "{joined}");
        joined["room"].as_str().unwrap_or_default().to_owned()
    }

    /// Expects that the connection works in both directions.
    pub async fn expect_alive(&mut self) {
        let pong = self.ask(json!({"action": "ping"})).await;
        assert_eq!(pong["event"], "pong");
    }

    /// Sends bytes in pieces of `size`, each of which the server has taken before the next is sent.
    ///
    /// # Panics
    ///
    /// If the connection is over.
    pub async fn send_in_pieces(&mut self, bytes: &[u8], size: usize) {
        for piece in bytes.chunks(size.max(1)) {
            self.send_and_wait(piece).await;
        }
    }

    /// Sends bytes and waits until the server has taken them.
    ///
    /// # Panics
    ///
    /// If the connection is over.
    pub async fn send_and_wait(&mut self, bytes: &[u8]) {
        self.raw.send_bytes(bytes).await.expect("to send");
        while self.control.in_flight(Direction::ToServer) > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Listens to the end, and answers pings and the close frame as every client does.
    pub async fn farewell(&mut self) -> Farewell {
        self.farewell_with(true).await
    }

    /// Listens to the end, and says nothing.
    pub async fn silent_farewell(&mut self) -> Farewell {
        self.farewell_with(false).await
    }

    async fn farewell_with(&mut self, answers: bool) -> Farewell {
        let (mut events, mut close) = (Vec::new(), None);
        let mut closed_at = None;
        let listening = async {
            loop {
                // What is sent into a connection that is over is lost, and the next frame says so.
                match self.hear().await {
                    Heard::Event(event) => events.push(event),
                    Heard::Ping(payload) if answers => {
                        let _over = self.raw.send_frame(true, opcode::PONG, &payload).await;
                    }
                    Heard::Ping(_) | Heard::Pong(_) => {}
                    Heard::Close(payload) => {
                        assert_eq!(close, None, "one close frame is enough");
                        closed_at = Some(Instant::now());
                        if answers {
                            let code = &payload[..payload.len().min(2)];
                            let _over = self.raw.send_frame(true, opcode::CLOSE, code).await;
                        }
                        close = Some(payload);
                    }
                    Heard::End => break,
                }
            }
        };
        soon(listening).await;
        let ended_at = Instant::now();
        Farewell {
            events,
            close,
            closed_at: closed_at.unwrap_or(ended_at),
            ended_at,
        }
    }
}
