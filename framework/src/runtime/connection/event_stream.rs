//! A connection as server-sent events: the body of the response that carries a session's events to a client without WebSocket.
//!
//! It takes the same frames from the same send queue as the [`Writer`](super::writer::Writer) of a WebSocket, and writes each
//! event's bytes as one message of the stream, without the WebSocket header. Nothing arrives on such a connection: the client's
//! actions come as requests of their own (see [`posting`](crate::runtime::worker::posting)).

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::Stream;
use serde::Deserialize;
use uuid::Uuid;

use crate::runtime::connection::handle::ConnectionHandle;
use crate::runtime::connection::phase::Taken;
use crate::runtime::connection::writer::Writer;
use crate::runtime::messages::SessionMessage;
use crate::runtime::worker::hub::Hub;
use crate::runtime::writes::WaitingWriter;
use crate::wire::event::Reconnect;
use crate::wire::framing::{self, Kind};
use crate::wire::positions::Positions;

/// Whether the client has closed its end of the connection. It is asked when the HTTP layer polls the body for no other reason.
pub(crate) type HasGone = Rc<dyn Fn() -> bool>;

/// When a browser opens a stream again that has broken without a word, in milliseconds: this much, and up to as much again.
const RETRY: u64 = 1000;

thread_local! {
    /// The frames of one write, before they become messages of the stream.
    static FRAMES: Cell<BytesMut> = Cell::default();
}

/// The events of one connection.
pub(crate) struct EventStream {
    connection: Rc<ConnectionHandle>,
    hub: Rc<Hub>,
    has_gone: Option<HasGone>,
    messages: Messages,
    /// The rest of a long write, which is handed on in pieces, as in the writer of a WebSocket.
    rest: Bytes,
    /// Whether the last poll found nothing to write.
    was_idle: bool,
}

impl EventStream {
    /// With `positions`, the client is a plain `EventSource`: its messages have ids, and its session ends with the stream, as
    /// nobody can resume it.
    pub(crate) fn new(
        connection: Rc<ConnectionHandle>,
        hub: Rc<Hub>,
        positions: Option<Positions>,
        has_gone: Option<HasGone>,
    ) -> Self {
        Self {
            connection,
            hub,
            has_gone,
            messages: Messages::new(positions),
            rest: Bytes::new(),
            was_idle: false,
        }
    }

    fn next_piece(&mut self) -> Bytes {
        let piece = if self.rest.len() <= 2 * Writer::GATHER {
            std::mem::take(&mut self.rest)
        } else {
            self.rest.split_to(Writer::GATHER)
        };
        self.connection.note_unsent(self.rest.len());
        piece
    }

    /// Takes the frames that wait. `None` if the stream is over.
    fn poll_take(&mut self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut frames = FRAMES.take();
        let taken = self.connection.take(&mut frames, Writer::GATHER);
        let polled = match taken {
            Some(Taken::Frames) => {
                self.was_idle = false;
                self.rest = self.messages.write(&frames);
                Poll::Ready(Some(self.next_piece()))
            }
            Some(Taken::End) => Poll::Ready(None),
            None => {
                let waiting = WaitingWriter::Task(cx.waker().clone());
                self.connection.set_writer(waiting);
                // Polled twice in a row with nothing to write: the HTTP layer has seen something else, perhaps the client's end.
                let was_idle = std::mem::replace(&mut self.was_idle, true);
                match &self.has_gone {
                    Some(has_gone) if was_idle && has_gone() => Poll::Ready(None),
                    _ => Poll::Pending,
                }
            }
        };
        frames.clear();
        if frames.capacity() <= 4 * Writer::GATHER {
            FRAMES.set(frames);
        }
        polled
    }
}

impl Stream for EventStream {
    type Item = Result<Bytes, actix_web::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.rest.is_empty() {
            self.connection.note_drained();
            return Poll::Ready(Some(Ok(self.next_piece())));
        }
        if self.messages.are_over {
            return Poll::Ready(None);
        }
        self.poll_take(cx).map(|piece| piece.map(Ok))
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        if self.messages.positions.is_some()
            && let Some(session) = self.connection.session()
        {
            let connection = self.connection.id;
            session
                .address
                .do_send(SessionMessage::Closed { connection });
        }
        self.hub.closed(&self.connection);
    }
}

/// Makes messages of frames.
struct Messages {
    positions: Option<Positions>,
    has_begun: bool,
    /// The frame that ends the connection has been written.
    are_over: bool,
}

/// What a browser does with a goodbye.
#[derive(Deserialize)]
struct Goodbye {
    reconnect: Option<Reconnect>,
}

impl Messages {
    fn new(positions: Option<Positions>) -> Self {
        Self {
            positions,
            has_begun: false,
            are_over: false,
        }
    }

    fn write(&mut self, mut frames: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(frames.len() + 64);
        if !std::mem::replace(&mut self.has_begun, true) {
            retry(&mut out, RETRY, RETRY);
        }
        while let Some((kind, body)) = framing::take_frame(&mut frames) {
            match kind {
                Kind::Text => self.event(&mut out, body),
                Kind::Binary => {
                    out.put_slice(b"data: ");
                    out.put_slice(BASE64_STANDARD.encode(body).as_bytes());
                    out.put_slice(b"\n\n");
                }
                // Keeps the proxies in between from taking the connection for a dead one.
                Kind::Control => out.put_slice(b":\n\n"),
                Kind::Close => self.are_over = true,
            }
        }
        out.freeze()
    }

    fn event(&mut self, out: &mut BytesMut, event: &[u8]) {
        if let Some(positions) = &mut self.positions
            && positions.note(event)
        {
            out.put_slice(format!("id: {positions}\n").as_bytes());
        }
        if event.starts_with(br#"{"event":"goodbye""#)
            && let Ok(goodbye) = serde_json::from_slice::<Goodbye>(event)
            && let Some(reconnect) = goodbye.reconnect
        {
            retry(out, reconnect.after_ms, reconnect.jitter_ms);
        }
        out.put_slice(b"data: ");
        // A line break in JSON is white space between its tokens, and would end the message here.
        for (n, line) in event
            .split(|byte| matches!(byte, b'\n' | b'\r'))
            .enumerate()
        {
            out.put_slice(if n > 0 { b" " } else { b"" });
            out.put_slice(line);
        }
        out.put_slice(b"\n\n");
    }
}

/// When the browser opens the stream again after it has ended: after a time that is not the same for all.
fn retry(out: &mut BytesMut, after_ms: u64, jitter_ms: u64) {
    let random = Uuid::new_v4().as_u64_pair().0;
    let jitter = random.checked_rem(jitter_ms).unwrap_or_default();
    let retry = after_ms.saturating_add(jitter);
    out.put_slice(format!("retry: {retry}\n\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::close::CloseCode;
    use crate::wire::codec::Format;
    use crate::wire::event;
    use crate::wire::frame::{Encoded, Formats};

    fn begun(positions: Option<Positions>) -> Messages {
        let mut messages = Messages::new(positions);
        messages.has_begun = true;
        messages
    }

    fn frame(json: &str) -> Bytes {
        let raw = serde_json::value::RawValue::from_string(json.to_owned()).unwrap();
        Encoded::new(Formats::only(Format::Json), |w| {
            w.text("event", "x")?.field("data", &raw)?;
            Ok(())
        })
        .unwrap()
        .get(Format::Json)
    }

    #[test]
    fn an_event_is_one_message_of_one_line_whatever_its_json_looks_like() {
        let written = begun(None).write(&frame("[1,\r\n 2,\n\"a\\nb\"]"));
        let expected = "data: {\"event\":\"x\",\"data\":[1,   2, \"a\\nb\"]}\n\n";
        assert_eq!(std::str::from_utf8(&written).unwrap(), expected);
    }

    #[test]
    fn the_stream_ends_with_the_close_frame_and_the_goodbye_says_when_to_come_back() {
        let reconnect = Reconnect {
            after_ms: 700,
            jitter_ms: 100,
        };
        let goodbye = Encoded::new(Formats::only(Format::Json), |w| {
            event::goodbye(w, CloseCode::DRAIN, "restart", None, Some(reconnect))
        });
        let frames = [
            framing::control(0x9, b""),
            goodbye.unwrap().get(Format::Json),
            framing::close(4002, "restart"),
        ];
        let mut messages = begun(None);
        let written = messages.write(&frames.concat());
        let text = std::str::from_utf8(&written).unwrap();
        let rest = text.strip_prefix(":\n\nretry: 7").unwrap();
        let (_, rest) = rest.split_once("\n\n").unwrap();
        assert!(
            rest.starts_with("data: {\"event\":\"goodbye\",\"code\":4002"),
            "{text}"
        );
        assert!(messages.are_over);
    }

    #[test]
    fn events_in_messagepack_are_written_in_base64() {
        let pong = Encoded::new(Formats::only(Format::MsgPack), |w| {
            event::pong(w, None, 1, 2)
        });
        let frame = pong.unwrap().get(Format::MsgPack);
        let written = begun(None).write(&frame);
        let text = std::str::from_utf8(&written).unwrap();
        let data = text.strip_prefix("data: ").unwrap().trim_end();
        assert_eq!(BASE64_STANDARD.decode(data).unwrap(), framing::body(&frame));
    }

    #[test]
    fn only_events_that_move_a_position_have_an_id() {
        let positions = Positions::new(vec!["a".to_owned()], "e.1");
        let mut messages = begun(Some(positions));
        let publication = Encoded::new(Formats::only(Format::Json), |w| {
            let item = event::Publication {
                offset: 2,
                data: crate::wire::codec::RawData::null(Format::Json),
            };
            event::publication(w, &"a".into(), &item)
        });
        let frames = [publication.unwrap().get(Format::Json), frame("1")];
        let written = messages.write(&frames.concat());
        let text = std::str::from_utf8(&written).unwrap();
        assert_eq!(text.matches("id: ").count(), 1);
        assert!(
            text.starts_with("id: e.2\ndata: {\"event\":\"publication\""),
            "{text}"
        );
    }
}
