//! One connection: WebSocket frames over a stream of bytes.
//!
//! Pings are answered and fragments put together here; what comes out are whole messages and the end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_codec::{Decoder, Encoder};
use actix_http::ws;
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use crate::client::connect::Io;
use crate::client::heard::Farewell;
use crate::close::CloseCode;
use crate::wire::codec::{Format, RawData};

/// What a connection did.
#[derive(Debug)]
pub(crate) enum Turn {
    /// What was to be written is written: there is room for more.
    Flushed,
    /// A message arrived.
    Message(RawData),
    /// Something else arrived: the server lives.
    Sign,
    /// The connection has ended.
    Ended(Farewell),
}

/// One connection.
pub(crate) struct Link {
    io: Box<dyn Io>,
    codec: ws::Codec,
    most: usize,
    input: BytesMut,
    output: BytesMut,
    fragments: Option<(Format, BytesMut)>,
    /// A close frame was written; no other frame may follow it.
    has_closed: bool,
    /// How the connection ends as soon as the close frame has left.
    ending: Option<Farewell>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("ending", &self.ending)
            .finish_non_exhaustive()
    }
}

/// How much may wait in the output before more is asked for.
const ROOM: usize = 16 << 10;

impl Link {
    /// A connection after its handshake. `input` holds the bytes that came with it, `most` bounds a message.
    pub(crate) fn new(io: Box<dyn Io>, input: BytesMut, most: usize) -> Self {
        Self {
            io,
            codec: ws::Codec::new().max_size(most).client_mode(),
            most,
            input,
            output: BytesMut::new(),
            fragments: None,
            has_closed: false,
            ending: None,
        }
    }

    /// Whether more may be written.
    pub(crate) fn has_room(&self) -> bool {
        self.output.len() < ROOM && !self.has_closed
    }

    pub(crate) fn is_flushed(&self) -> bool {
        self.output.is_empty()
    }

    fn write(&mut self, message: ws::Message) {
        if self.has_closed {
            return;
        }
        self.has_closed = matches!(message, ws::Message::Close(_));
        // It fails for fragments out of order alone, and none are written.
        let _encoded = self.codec.encode(message, &mut self.output);
    }

    /// Puts a message into the output.
    pub(crate) fn send(&mut self, frame: RawData) {
        let text = match frame.format {
            Format::Json => frame.bytes.clone().try_into().ok(),
            Format::MsgPack => None,
        };
        self.write(match text {
            Some(text) => ws::Message::Text(text),
            None => ws::Message::Binary(frame.bytes),
        });
    }

    /// Begins the closing handshake.
    pub(crate) fn close(&mut self, code: CloseCode, reason: &str) {
        let code = ws::CloseCode::from(code.0);
        let description = Some(reason.chars().take(30).collect());
        self.write(ws::Message::Close(Some(ws::CloseReason {
            code,
            description,
        })));
    }

    /// Waits for what happens next; reads only if `reads`. It can be dropped at any time, nothing is lost.
    pub(crate) async fn turn(&mut self, reads: bool) -> Turn {
        std::future::poll_fn(|cx| self.poll(cx, reads)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>, reads: bool) -> Poll<Turn> {
        if !self.output.is_empty() {
            match self.poll_write(cx) {
                Poll::Ready(Ok(())) if self.ending.is_none() => return Poll::Ready(Turn::Flushed),
                Poll::Ready(Ok(())) | Poll::Pending => {}
                Poll::Ready(Err(error)) => return Poll::Ready(self.ended(None, error.to_string())),
            }
        }
        if let Some(farewell) = self.ending.take_if(|_| self.output.is_empty()) {
            return Poll::Ready(Turn::Ended(farewell));
        }
        if !reads || self.ending.is_some() {
            return Poll::Pending;
        }
        loop {
            match self.codec.decode(&mut self.input) {
                Ok(Some(frame)) => {
                    if let Some(turn) = self.frame(frame) {
                        return Poll::Ready(turn);
                    }
                    // A close was answered: it has to leave first.
                    return self.poll(cx, reads);
                }
                Ok(None) => {}
                Err(error) => return self.broken(cx, error),
            }
            match ready!(self.poll_read(cx)) {
                Ok(1..) => {}
                Ok(0) => {
                    return Poll::Ready(self.ended(None, "the connection was lost".to_owned()));
                }
                Err(error) => return Poll::Ready(self.ended(None, error.to_string())),
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while !self.output.is_empty() {
            match ready!(Pin::new(&mut self.io).poll_write(cx, &self.output))? {
                0 => return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())),
                written => self.output.advance(written),
            }
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        self.input.reserve(4 << 10);
        actix_codec::poll_read_buf(Pin::new(&mut self.io), cx, &mut self.input)
    }

    fn ended(&mut self, code: Option<CloseCode>, reason: String) -> Turn {
        Turn::Ended(Farewell { code, reason })
    }

    fn broken(&mut self, cx: &mut Context<'_>, error: ws::ProtocolError) -> Poll<Turn> {
        let code = match error {
            ws::ProtocolError::Overflow => CloseCode::TOO_BIG,
            _ => CloseCode::PROTOCOL_ERROR,
        };
        self.refuse(code, &error.to_string());
        self.poll(cx, false)
    }

    /// Ends the connection for a fault of the server. It counts as lost, not as closed by the server's will.
    pub(crate) fn refuse(&mut self, code: CloseCode, reason: &str) {
        self.close(code, reason);
        let reason = format!("the server sent what it must not: {reason}");
        self.ending = Some(Farewell { code: None, reason });
    }

    /// Takes one frame; `None` if it has led to the end.
    fn frame(&mut self, frame: ws::Frame) -> Option<Turn> {
        match frame {
            ws::Frame::Text(bytes) => Some(message(Format::Json, bytes)),
            ws::Frame::Binary(bytes) => Some(message(Format::MsgPack, bytes)),
            ws::Frame::Continuation(item) => self.fragment(item),
            ws::Frame::Ping(payload) => {
                // A server that pings without reading must not make the output grow.
                if self.has_room() {
                    self.write(ws::Message::Pong(payload));
                }
                Some(Turn::Sign)
            }
            ws::Frame::Pong(_) => Some(Turn::Sign),
            ws::Frame::Close(close) => {
                let (code, reason) = match close {
                    Some(ws::CloseReason { code, description }) => (
                        Some(CloseCode(u16::from(code))),
                        description.unwrap_or_default(),
                    ),
                    None => (None, String::new()),
                };
                self.write(ws::Message::Close(
                    code.map(|code| ws::CloseCode::from(code.0).into()),
                ));
                self.ending = Some(Farewell { code, reason });
                None
            }
        }
    }

    fn fragment(&mut self, item: ws::Item) -> Option<Turn> {
        let (part, is_last) = match item {
            ws::Item::FirstText(part) => {
                self.fragments = Some((Format::Json, BytesMut::new()));
                (part, false)
            }
            ws::Item::FirstBinary(part) => {
                self.fragments = Some((Format::MsgPack, BytesMut::new()));
                (part, false)
            }
            ws::Item::Continue(part) => (part, false),
            ws::Item::Last(part) => (part, true),
        };
        let (_, whole) = self.fragments.as_mut()?;
        if whole.len() + part.len() > self.most {
            self.refuse(CloseCode::TOO_BIG, "a message is too long");
            return None;
        }
        whole.extend_from_slice(&part);
        if !is_last {
            return Some(Turn::Sign);
        }
        let (format, whole) = self.fragments.take()?;
        Some(message(format, whole.freeze()))
    }
}

fn message(format: Format, bytes: Bytes) -> Turn {
    Turn::Message(RawData { format, bytes })
}
