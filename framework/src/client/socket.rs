//! One WebSocket connection of the client.
//!
//! tokio-tungstenite reads, writes and masks frames, joins fragments, validates text, answers pings and echoes the server's close.
//! This file adds what the client needs on top of it: output that is bounded, reading that can be paused, signs of life,
//! and a close code for each fault of the server.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Result, Utf8Bytes};

use crate::client::connect::Io;
use crate::client::server_frame::Disconnection;
use crate::close::CloseCode;
use crate::wire::codec::RawData;

/// How many bytes may wait in the output before the socket has no room for another message.
const OUTPUT_BYTES: usize = 16 << 10;

/// How many bytes one read takes from the stream at most. The buffer for them is allocated with the socket.
const READ_BYTES: usize = 8 << 10;

/// How many pongs may wait in the output before the socket stops reading.
const PONGS: usize = 64;

/// The longest reason of a close frame, in bytes (RFC 6455, 5.5: 125 bytes, of which the code takes two).
const REASON_BYTES: usize = 123;

/// What happened on a connection.
#[derive(Debug)]
pub(crate) enum SocketEvent {
    /// The output is empty.
    Flushed,
    /// A whole message arrived.
    Message(RawData),
    /// Something else arrived: a control frame, or part of a message. The server is alive.
    Activity,
    /// The connection has ended.
    Closed(Disconnection),
}

/// A WebSocket connection whose handshake is done.
pub(crate) struct ClientSocket {
    stream: WebSocketStream<WatchedStream>,
    /// How many bytes were given to the stream since its output was last empty; 0 if it is empty.
    unflushed: usize,
    /// How many pongs are among them.
    pongs: usize,
    /// A close frame was written, so no other frame may follow.
    is_closing: bool,
    /// Writing has failed. What has arrived before is still read, because the code of a close frame decides what the client does next.
    broken: Option<SocketEvent>,
    /// How the connection ends as soon as the output, a close frame at its end, is written.
    ending: Option<Disconnection>,
}

impl fmt::Debug for ClientSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSocket")
            .field("unflushed", &self.unflushed)
            .field("ending", &self.ending)
            .finish_non_exhaustive()
    }
}

impl ClientSocket {
    /// Takes over a stream after its handshake.
    ///
    /// `input` holds the bytes that arrived behind the handshake. A message of more than `message_bytes` ends the connection.
    pub(crate) async fn new(io: Box<dyn Io>, input: BytesMut, message_bytes: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(OUTPUT_BYTES)
            .max_message_size(Some(message_bytes))
            .max_frame_size(Some(message_bytes));
        let io = WatchedStream {
            io,
            has_read: false,
        };
        let input = input.to_vec();
        Self {
            stream: WebSocketStream::from_partially_read(io, input, Role::Client, Some(config))
                .await,
            unflushed: 0,
            pongs: 0,
            is_closing: false,
            broken: None,
            ending: None,
        }
    }

    /// Whether [`ClientSocket::send`] may be called.
    pub(crate) fn has_room(&self) -> bool {
        self.unflushed < OUTPUT_BYTES && !self.is_closing
    }

    /// Whether everything is written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.unflushed == 0
    }

    /// Queues a message.
    pub(crate) fn send(&mut self, frame: RawData) {
        let length = frame.bytes().len();
        let message = match frame {
            // Both crates have a type for texts in shared memory, and each checks again that the text is UTF-8.
            RawData::Json(text) => Message::Text(
                Utf8Bytes::try_from(text.as_bytes().clone()).unwrap_or_else(|_| (&*text).into()),
            ),
            RawData::MsgPack(bytes) => Message::Binary(bytes),
        };
        self.write(message, length);
    }

    /// Begins the closing handshake.
    pub(crate) fn close(&mut self, code: CloseCode, reason: &str) {
        let reason = &reason[..reason.floor_char_boundary(REASON_BYTES)];
        let close = CloseFrame {
            code: code.0.into(),
            reason: reason.into(),
        };
        self.write(Message::Close(Some(close)), REASON_BYTES);
        self.is_closing = true;
    }

    /// Ends the connection because the server broke a rule. It counts as lost, not as closed by the server.
    pub(crate) fn refuse(&mut self, code: CloseCode, reason: &str) {
        self.close(code, reason);
        let reason = format!("the server broke the protocol: {reason}");
        self.ending = Some(Disconnection { code: None, reason });
    }

    fn write(&mut self, message: Message, length: usize) {
        if self.is_closing {
            return;
        }
        // An error of the network comes again with the next flush, which reports it.
        let _queued = self.stream.start_send_unpin(message);
        self.unflushed += length.max(1);
    }

    /// Waits for the next event. Reads from the stream only if `reads`.
    ///
    /// Its future can be dropped at any time: no bytes are lost.
    pub(crate) async fn next(&mut self, reads: bool) -> SocketEvent {
        std::future::poll_fn(|cx| self.poll(cx, reads)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>, reads: bool) -> Poll<SocketEvent> {
        loop {
            if self.unflushed > 0 {
                match self.stream.poll_flush_unpin(cx) {
                    Poll::Ready(Ok(())) => {
                        (self.unflushed, self.pongs) = (0, 0);
                        if self.ending.is_none() {
                            return Poll::Ready(SocketEvent::Flushed);
                        }
                    }
                    Poll::Ready(Err(error)) => match self.ending.take() {
                        Some(disconnection) => {
                            return Poll::Ready(SocketEvent::Closed(disconnection));
                        }
                        None => {
                            (self.unflushed, self.is_closing) = (0, true);
                            self.broken = Some(lost(&error));
                        }
                    },
                    Poll::Pending => {}
                }
            }
            if self.unflushed == 0
                && let Some(disconnection) = self.ending.take()
            {
                return Poll::Ready(SocketEvent::Closed(disconnection));
            }
            // A server that pings and does not read must not make the output grow. As nothing is read from it any more,
            // it soon counts as silent.
            if !reads || self.ending.is_some() || self.pongs >= PONGS {
                return self.broken.take().map_or(Poll::Pending, Poll::Ready);
            }
            let Poll::Ready(received) = self.stream.poll_next_unpin(cx) else {
                if self.stream.get_mut().take_activity() {
                    return Poll::Ready(SocketEvent::Activity);
                }
                return self.broken.take().map_or(Poll::Pending, Poll::Ready);
            };
            self.stream.get_mut().take_activity();
            if let Some(event) = self.received(received) {
                return Poll::Ready(event);
            }
        }
    }

    /// Takes what the stream has read. `None` if a close frame has to be written before the connection ends.
    fn received(&mut self, received: Option<Result<Message>>) -> Option<SocketEvent> {
        match received {
            Some(Ok(Message::Text(text))) => {
                let shared = ByteString::try_from(Bytes::from(text.clone()));
                let text = shared.unwrap_or_else(|_| text.as_str().into());
                Some(SocketEvent::Message(RawData::Json(text)))
            }
            Some(Ok(Message::Binary(bytes))) => Some(SocketEvent::Message(RawData::MsgPack(bytes))),
            Some(Ok(Message::Ping(payload))) => {
                // The stream has queued the pong.
                self.unflushed += payload.len().max(1);
                self.pongs += 1;
                Some(SocketEvent::Activity)
            }
            Some(Ok(Message::Pong(_) | Message::Frame(_))) => Some(SocketEvent::Activity),
            Some(Ok(Message::Close(close))) => {
                // The stream has queued its own close frame, unless it has sent one before.
                self.unflushed += 1;
                self.is_closing = true;
                let (code, reason) = match close {
                    Some(close) => (Some(CloseCode(close.code.into())), close.reason.to_string()),
                    None => (None, String::new()),
                };
                self.ending = Some(Disconnection { code, reason });
                None
            }
            Some(Err(error)) => match fault(&error) {
                Some(code) => {
                    self.refuse(code, &error.to_string());
                    None
                }
                None => Some(lost(&error)),
            },
            None => Some(lost(&Error::ConnectionClosed)),
        }
    }
}

/// The code with which to close if the error is the server's fault; `None` for an error of the network.
fn fault(error: &Error) -> Option<CloseCode> {
    match error {
        Error::Capacity(_) => Some(CloseCode::TOO_BIG),
        Error::Utf8(_) => Some(CloseCode::INVALID_TEXT),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(CloseCode::PROTOCOL_ERROR),
        _ => None,
    }
}

fn lost(error: &Error) -> SocketEvent {
    let reason = match error {
        Error::Io(error) => error.to_string(),
        _ => "the connection was lost".to_owned(),
    };
    SocketEvent::Closed(Disconnection { code: None, reason })
}

/// The stream under a socket, which notes whether bytes have arrived.
///
/// A long message on a slow line takes longer than a server may be silent. Its bytes show that the server is alive.
struct WatchedStream {
    io: Box<dyn Io>,
    has_read: bool,
}

impl WatchedStream {
    /// Whether bytes have arrived since this was last asked.
    fn take_activity(&mut self) -> bool {
        std::mem::take(&mut self.has_read)
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, into);
        self.has_read |= into.filled().len() > before;
        read
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex, join};

    use super::*;

    /// The server's end of the stream that a socket reads from, and a socket that cannot write.
    async fn half_open() -> (tokio::io::DuplexStream, ClientSocket) {
        let (read, to_client) = duplex(100);
        let (write, from_client) = duplex(100);
        drop(from_client);
        let mut socket = ClientSocket::new(Box::new(join(read, write)), BytesMut::new(), 100).await;
        socket.send(RawData::Json("null".into()));
        (to_client, socket)
    }

    #[tokio::test]
    async fn a_socket_that_cannot_write_ends_after_the_messages_that_have_arrived() {
        let (mut to_client, mut socket) = half_open().await;
        to_client.write_all(b"\x81\x02{}").await.unwrap();
        assert!(matches!(socket.next(true).await, SocketEvent::Message(_)));
        let end = socket.next(true).await;
        assert!(
            matches!(end, SocketEvent::Closed(Disconnection { code: None, .. })),
            "{end:?}"
        );
    }

    #[tokio::test]
    async fn a_socket_that_cannot_write_ends_at_once_if_reading_is_paused() {
        let (_to_client, mut socket) = half_open().await;
        assert!(matches!(socket.next(false).await, SocketEvent::Closed(_)));
    }

    #[tokio::test]
    async fn a_long_reason_is_cut_between_characters() {
        let (to_client, io) = duplex(1000);
        let mut socket = ClientSocket::new(Box::new(io), BytesMut::new(), 100).await;
        socket.close(CloseCode::NORMAL, &"€".repeat(50));
        assert!(matches!(socket.next(true).await, SocketEvent::Flushed));
        drop(socket);
        let mut frame = Vec::new();
        tokio::io::copy(&mut { to_client }, &mut frame)
            .await
            .unwrap();
        assert_eq!(
            (frame[0], frame[1]),
            (0x88, 0x80 | 125),
            "two bytes of code and 123 of reason"
        );
    }
}
