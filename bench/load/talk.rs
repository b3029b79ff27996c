//! The protocol with each kind of server: how a client connects, publishes and sends requests, and where in the answers the number
//! is by which loss, repetition and order are checked.
//!
//! Every text that the generator sends ends in `~` and 16 digits, and every server puts it at the end of its message; so the
//! number is found from the message's end without parsing, whatever the framing is.

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::ws;

/// `~` and the digits.
const MARK: usize = 17;

/// After how many bytes a Courtside client acknowledges, as the protocol recommends.
const ACKNOWLEDGE_AFTER: u32 = 64 << 10;

/// The server's protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Protocol {
    /// A Courtside server.
    Courtside,
    /// A server that broadcasts each text to all connections, or echoes it.
    Plain,
    /// A Socket.IO server that answers the event `say` by broadcasting `line` to all, and `echo` by emitting `echo` back.
    Socketio,
}

/// The purpose of the connections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Errand {
    /// Only to exist.
    Idle,
    /// To publish to a channel and receive what is published.
    Channel(String),
    /// To send `say` to one room, which broadcasts it.
    Room(String),
    /// To send `echo` to a room, which replies.
    RoomEcho(String),
    /// To call `echo`.
    Call,
    /// To be a member of some room of this kind.
    AnyRoom(String),
    /// Only for plain and Socket.IO servers, which decide what to do with a text.
    Texts,
}

/// The state of one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seat {
    /// Whether it is ready for its purpose.
    pub(crate) is_ready: bool,
    /// The token that resumes its session.
    pub(crate) token: String,
    /// Whether the last welcome resumed the session.
    pub(crate) is_resumed: bool,
    /// How many sequenced events of its session it has received.
    pub(crate) received: u64,
    unacknowledged: u32,
}

/// The client's side of the conversation, for all connections.
#[derive(Debug)]
pub(crate) struct Talk {
    protocol: Protocol,
    errand: Errand,
    path: String,
    /// The room that the first connection has created.
    room: Option<String>,
    pub(crate) seats: Vec<Seat>,
    /// The first refusal of the server, if there was any.
    pub(crate) refusal: Option<String>,
    filler: String,
    /// How many bytes of a message follow the number.
    suffix: usize,
}

impl Talk {
    pub(crate) fn new(
        protocol: Protocol,
        errand: Errand,
        path: Option<String>,
        seats: usize,
    ) -> Self {
        let is_request = matches!(errand, Errand::RoomEcho(_) | Errand::Call);
        let default = match (protocol, &errand) {
            (Protocol::Courtside, _) => "/ws",
            (Protocol::Plain, _) => "/",
            (Protocol::Socketio, _) => "/socket.io/?EIO=4&transport=websocket",
        };
        let suffix = match protocol {
            Protocol::Plain => 0,
            Protocol::Socketio => "\"]".len(),
            Protocol::Courtside if is_request || matches!(errand, Errand::Room(_)) => "\"}}".len(),
            Protocol::Courtside => "\"}".len(),
        };
        Self {
            protocol,
            errand,
            path: path.unwrap_or_else(|| default.to_owned()),
            room: None,
            seats: vec![Seat::default(); seats],
            refusal: None,
            filler: String::new(),
            suffix,
        }
    }

    /// How many bytes each text has, the number included.
    pub(crate) fn set_size(&mut self, bytes: usize) {
        self.filler = "x".repeat(bytes.saturating_sub(MARK));
    }

    /// The path of connection `n`.
    pub(crate) fn path(&self, n: usize, resumes: bool) -> String {
        let seat = &self.seats[n];
        if !resumes {
            return self.path.clone();
        }
        let joint = if self.path.contains('?') { '&' } else { '?' };
        format!(
            "{}{joint}resume={}&received={}",
            self.path, seat.token, seat.received
        )
    }

    /// The handshake is done.
    pub(crate) fn opened(&mut self, n: usize) {
        self.seats[n].is_ready = self.protocol == Protocol::Plain;
    }

    /// The number of a message, if it has one; such a message is counted.
    #[inline]
    pub(crate) fn number(&mut self, n: usize, message: &[u8], out: &mut Vec<u8>) -> Option<u64> {
        let number = self.peek(message)?;
        if self.protocol == Protocol::Courtside {
            self.count(n, message.len(), out);
        }
        Some(number)
    }

    #[inline]
    fn peek(&self, message: &[u8]) -> Option<u64> {
        let end = message.len().checked_sub(self.suffix)?;
        let mark = message.get(end.checked_sub(MARK)?..end)?;
        let (b'~', digits) = (mark[0], &mark[1..]) else {
            return None;
        };
        digits.iter().try_fold(0_u64, |number, digit| {
            let digit = digit.wrapping_sub(b'0');
            (digit < 10).then(|| number * 10 + u64::from(digit))
        })
    }

    /// Counts a sequenced event, and acknowledges from time to time.
    #[inline]
    fn count(&mut self, n: usize, bytes: usize, out: &mut Vec<u8>) {
        let seat = &mut self.seats[n];
        seat.received += 1;
        seat.unacknowledged += bytes as u32;
        if seat.unacknowledged >= ACKNOWLEDGE_AFTER {
            seat.unacknowledged = 0;
            let ping = format!("{{\"action\":\"ping\",\"received\":{}}}", seat.received);
            ws::push_text(out, &ping);
        }
    }

    /// Any other message: those that connect and keep the connection open.
    pub(crate) fn aside(&mut self, n: usize, message: &[u8], out: &mut Vec<u8>) {
        match self.protocol {
            Protocol::Plain => {}
            Protocol::Socketio => self.aside_socketio(n, message, out),
            Protocol::Courtside => self.aside_courtside(n, message, out),
        }
    }

    fn aside_socketio(&mut self, n: usize, message: &[u8], out: &mut Vec<u8>) {
        match message {
            // Engine.IO: open, then ping. Socket.IO within it: connected, refused.
            [b'0', ..] => ws::push_text(out, "40"),
            [b'2', ..] => ws::push_text(out, "3"),
            [b'4', b'0', ..] => self.seats[n].is_ready = true,
            [b'4', b'4', ..] => {
                self.refusal
                    .get_or_insert(String::from_utf8_lossy(message).into_owned());
            }
            _ => {}
        }
    }

    fn aside_courtside(&mut self, n: usize, message: &[u8], out: &mut Vec<u8>) {
        const EVENT: &[u8] = b"{\"event\":\"";
        let Some(rest) = message.strip_prefix(EVENT) else {
            return;
        };
        let name = rest.split(|byte| *byte == b'"').next().unwrap_or_default();
        if !matches!(
            name,
            b"welcome" | b"pong" | b"signal" | b"state" | b"patch" | b"goodbye"
        ) {
            self.count(n, message.len(), out);
        }
        match name {
            b"welcome" => self.welcome(n, message, out),
            b"subscribed" => self.seats[n].is_ready = true,
            b"joined" => {
                let joined: Value = serde_json::from_slice(message).unwrap_or_default();
                if self.room.is_none() {
                    self.room = joined["room"].as_str().map(str::to_owned);
                }
                self.seats[n].is_ready = true;
            }
            b"error" => {
                self.refusal
                    .get_or_insert(String::from_utf8_lossy(message).into_owned());
            }
            _ => {}
        }
    }

    fn welcome(&mut self, n: usize, message: &[u8], out: &mut Vec<u8>) {
        let welcome: Value = serde_json::from_slice(message).unwrap_or_default();
        let is_resumed = welcome["resumed"] == true;
        let seat = &mut self.seats[n];
        seat.token = welcome["resume"].as_str().unwrap_or_default().to_owned();
        seat.is_resumed = is_resumed;
        if is_resumed {
            seat.is_ready = true;
            return;
        }
        seat.received = 0;
        seat.unacknowledged = 0;
        let entry = match &self.errand {
            Errand::Idle | Errand::Call | Errand::Texts => {
                seat.is_ready = true;
                return;
            }
            Errand::Channel(channel) => json!({ "action": "subscribe", "channel": channel }),
            Errand::AnyRoom(kind) => json!({ "action": "join", "kind": kind }),
            Errand::Room(kind) | Errand::RoomEcho(kind) => match &self.room {
                // One room for all, and not one that an earlier run has left behind.
                None => json!({ "action": "join", "kind": kind, "mode": "create" }),
                Some(room) => json!({ "action": "join", "room": room }),
            },
        };
        ws::push_text(out, &entry.to_string());
    }

    /// The frame that publishes, or asks for an echo of, text number `number`.
    pub(crate) fn say(&self, number: u64, out: &mut Vec<u8>) {
        let filler = &self.filler;
        let text = match (self.protocol, &self.errand) {
            (Protocol::Plain, _) => format!("{filler}~{number:016}"),
            (Protocol::Socketio, Errand::Call) => format!("42[\"echo\",\"{filler}~{number:016}\"]"),
            (Protocol::Socketio, _) => format!("42[\"say\",\"{filler}~{number:016}\"]"),
            (Protocol::Courtside, Errand::Channel(channel)) => format!(
                "{{\"action\":\"publish\",\"channel\":\"{channel}\",\"data\":\"{filler}~{number:016}\"}}"
            ),
            (Protocol::Courtside, Errand::Room(_)) => format!(
                "{{\"action\":\"send\",\"room\":\"{}\",\"type\":\"say\",\"data\":{{\"text\":\"{filler}~{number:016}\"}}}}",
                self.room.as_deref().unwrap_or_default()
            ),
            (Protocol::Courtside, Errand::RoomEcho(_)) => format!(
                "{{\"action\":\"send\",\"id\":{number},\"room\":\"{}\",\"type\":\"echo\",\
                 \"data\":{{\"text\":\"{filler}~{number:016}\"}}}}",
                self.room.as_deref().unwrap_or_default()
            ),
            (Protocol::Courtside, _) => format!(
                "{{\"action\":\"call\",\"id\":{number},\"type\":\"echo\",\"data\":{{\"text\":\"{filler}~{number:016}\"}}}}"
            ),
        };
        ws::push_text(out, &text);
    }

    /// Calls the server, apart from what is measured.
    pub(crate) fn call(name: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let call = json!({ "action": "call", "id": 1, "type": name });
        ws::push_text(&mut out, &call.to_string());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_found_behind_every_framing() {
        let cases = [
            (Protocol::Plain, Errand::Texts, "xx~0000000000000042"),
            (
                Protocol::Socketio,
                Errand::Texts,
                "42[\"line\",\"xx~0000000000000042\"]",
            ),
            (
                Protocol::Courtside,
                Errand::Channel("bench".to_owned()),
                "{\"event\":\"publication\",\"channel\":\"bench\",\"offset\":9,\"data\":\"xx~0000000000000042\"}",
            ),
            (
                Protocol::Courtside,
                Errand::Room("bench".to_owned()),
                "{\"event\":\"message\",\"room\":\"r\",\"type\":\"say\",\"data\":{\"text\":\"~0000000000000042\"}}",
            ),
        ];
        for (protocol, errand, message) in cases {
            let mut talk = Talk::new(protocol, errand, None, 1);
            let mut out = Vec::new();
            assert_eq!(
                talk.number(0, message.as_bytes(), &mut out),
                Some(42),
                "{message}"
            );
            assert_eq!(talk.number(0, &message.as_bytes()[1..], &mut out), Some(42));
            assert_eq!(talk.number(0, b"{}", &mut out), None);
            assert_eq!(
                talk.number(0, &message.replace('~', "x").into_bytes(), &mut out),
                None
            );
        }
    }

    #[test]
    fn a_courtside_client_acknowledges_what_it_counted() {
        let mut talk = Talk::new(
            Protocol::Courtside,
            Errand::Channel("c".to_owned()),
            None,
            1,
        );
        let mut out = Vec::new();
        let message = format!(
            "{{\"event\":\"publication\",\"data\":\"{}~{:016}\"}}",
            "x".repeat(40_000),
            1
        );
        talk.number(0, message.as_bytes(), &mut out);
        assert!(out.is_empty());
        talk.number(0, message.as_bytes(), &mut out);
        assert!(!out.is_empty());
        assert_eq!(talk.seats[0].received, 2);
    }
}
