//! The guard: what comes from a client's socket, stopped before it can do harm.

use std::cell::{Cell, RefCell};
use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::task::yield_now;

use crate::close::CloseCode;

/// What comes from the client's socket.
pub(crate) type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>;

/// The stream again, unless it has nothing more to say than that the client is gone.
pub(crate) async fn unless_ended(mut rest: ByteStream) -> Option<ByteStream> {
    // The HTTP layer tells of an end only after it has handed on the request.
    yield_now().await;
    let first = poll_fn(|cx| Poll::Ready(rest.as_mut().poll_next(cx))).await;
    match first {
        Poll::Pending => Some(rest),
        Poll::Ready(Some(Ok(early))) => Some(Box::pin(stream::once(ready(Ok(early))).chain(rest))),
        Poll::Ready(None | Some(Err(_))) => None,
    }
}

/// What the client sends: read by the guard, and by the writer once nobody wants it any more.
#[derive(Clone)]
pub(super) struct Incoming(Rc<Shared>);

struct Shared {
    payload: RefCell<ByteStream>,
    /// A fault was found: the rest is read and thrown away until the peer has seen the close frame. Closing at once would
    /// reset the connection, and the frame could be lost on its way.
    discards: Cell<bool>,
    /// What the guard found, for whoever closes the connection.
    fault: Cell<Option<CloseCode>>,
    /// Whole frames that the guard let through and the actor has not heard yet.
    unheard: Cell<usize>,
}

impl Incoming {
    pub(super) fn new(payload: ByteStream) -> Self {
        Self(Rc::new(Shared {
            payload: RefCell::new(payload),
            discards: Cell::new(false),
            fault: Cell::new(None),
            unheard: Cell::new(0),
        }))
    }

    /// From now on, nothing that comes is of interest.
    pub(super) fn discard(&self) {
        self.0.discards.set(true);
    }

    pub(super) fn is_discarded(&self) -> bool {
        self.0.discards.get()
    }

    pub(super) fn fault(&self) -> Option<CloseCode> {
        self.0.fault.get()
    }

    /// The actor has heard a frame.
    pub(super) fn heard(&self) {
        let unheard = &self.0.unheard;
        unheard.set(unheard.get().saturating_sub(1));
    }

    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, PayloadError>>> {
        self.0.payload.borrow_mut().as_mut().poll_next(cx)
    }
}

/// Reads frame headers as the bytes pass, and stops at the first that breaks a rule.
///
/// The decoder would notice only when the whole frame is buffered, and a header may announce as much as it likes. It would also
/// read as long as there is anything to read before it hands on the first frame; so the guard has nothing for it while there
/// are frames that nobody has heard. What a client has sent and nobody processes stays in the network.
pub(super) struct Guard {
    incoming: Incoming,
    /// The most that one frame may carry.
    limit: u64,
    header: [u8; 14],
    header_len: usize,
    /// Payload bytes of the current frame that are still to come.
    payload_left: u64,
}

impl Guard {
    pub(super) fn new(incoming: Incoming, limit: u64) -> Self {
        Self {
            incoming,
            limit,
            header: [0; 14],
            header_len: 0,
            payload_left: 0,
        }
    }

    /// How many bytes of `chunk` are fit to be passed on; fewer than all of them if there is a fault behind.
    fn look_through(&mut self, chunk: &[u8]) -> usize {
        let shared = &self.incoming.0;
        let (mut position, mut frames) = (0, 0);
        // Where the header began that is being read, if it began in this chunk.
        let mut frame_start = 0;
        while position < chunk.len() {
            if self.payload_left > 0 {
                let rest = (chunk.len() - position) as u64;
                let skipped = self.payload_left.min(rest);
                self.payload_left -= skipped;
                position += skipped as usize;
                frame_start = position;
                frames += usize::from(self.payload_left == 0);
                continue;
            }
            let missing = self.known_header_size() - self.header_len;
            let taken = missing.min(chunk.len() - position);
            self.header[self.header_len..][..taken].copy_from_slice(&chunk[position..][..taken]);
            self.header_len += taken;
            position += taken;
            match self.read_header() {
                Ok(None) => {}
                Ok(Some(length)) => {
                    self.payload_left = length;
                    self.header_len = 0;
                    if length == 0 {
                        frame_start = position;
                        frames += 1;
                    }
                }
                Err(code) => {
                    shared.fault.set(Some(code));
                    position = frame_start;
                    break;
                }
            }
        }
        shared.unheard.set(shared.unheard.get() + frames);
        position
    }

    /// How many bytes of the header are certain to come; the first two tell the rest.
    fn known_header_size(&self) -> usize {
        if self.header_len < 2 {
            return 2;
        }
        match self.header[1] & 0x7f {
            126 => 2 + 2 + 4,
            127 => 2 + 8 + 4,
            _ => 2 + 4,
        }
    }

    /// The payload's length, once the header is complete. Rules: RFC 6455, 5.2 and 5.5.
    fn read_header(&self) -> Result<Option<u64>, CloseCode> {
        let header = &self.header[..self.header_len];
        let is_control = header[0] & 0x08 != 0;
        if header[0] & 0x70 != 0 || !matches!(header[0] & 0x0f, 0..=2 | 8..=10) {
            return Err(CloseCode::PROTOCOL_ERROR);
        }
        if is_control && header[0] & 0x80 == 0 {
            return Err(CloseCode::PROTOCOL_ERROR);
        }
        let Some(second) = header.get(1) else {
            return Ok(None);
        };
        let short = second & 0x7f;
        let is_close = header[0] & 0x0f == 8;
        if second & 0x80 == 0 || (is_control && short > 125) || (is_close && short == 1) {
            return Err(CloseCode::PROTOCOL_ERROR);
        }
        let length = match (short, &header[2..]) {
            (126, [a, b, ..]) => u64::from(u16::from_be_bytes([*a, *b])),
            (127, [a, b, c, d, e, f, g, h, ..]) => {
                u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])
            }
            (126 | 127, _) => return Ok(None),
            _ => u64::from(short),
        };
        if length > self.limit {
            return Err(CloseCode::TOO_BIG);
        }
        let is_complete = header.len() == self.known_header_size();
        Ok(is_complete.then_some(length))
    }
}

impl Stream for Guard {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The decoder has a frame to hand on, so that it need not be woken.
        if self.incoming.0.unheard.get() > 0 {
            return Poll::Pending;
        }
        if self.incoming.fault().is_some() {
            return Poll::Ready(None);
        }
        match self.incoming.poll(cx) {
            Poll::Ready(Some(Ok(mut chunk))) => {
                let fit = self.look_through(&chunk);
                chunk.truncate(fit);
                Poll::Ready(Some(Ok(chunk)))
            }
            // A broken connection and one that ended are the same to us.
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn next(guard: &mut Guard) -> Poll<Option<usize>> {
        let cx = &mut Context::from_waker(Waker::noop());
        let chunk = Pin::new(guard).poll_next(cx);
        chunk.map(|chunk| chunk.map(|bytes| bytes.unwrap().len()))
    }

    #[test]
    fn no_more_is_read_than_the_actor_has_heard() {
        // Masked texts of 4 bytes: one and a half, the rest of the second, one with a ping that has no payload.
        let text = [&[0x81, 0x84, 0, 0, 0, 0][..], b"text"].concat();
        let ping = [0x89, 0x80, 0, 0, 0, 0];
        let chunks = [
            [&text[..], &text[..5]].concat(),
            text[5..].to_vec(),
            [&text[..], &ping].concat(),
        ];
        let chunks = chunks.map(|chunk| Ok(Bytes::from(chunk)));
        let incoming = Incoming::new(Box::pin(stream::iter(chunks)));
        let mut guard = Guard::new(incoming.clone(), 100);
        assert_eq!(next(&mut guard), Poll::Ready(Some(15)));
        assert_eq!(next(&mut guard), Poll::Pending);
        incoming.heard();
        assert_eq!(next(&mut guard), Poll::Ready(Some(5)));
        assert_eq!(next(&mut guard), Poll::Pending);
        incoming.heard();
        assert_eq!(next(&mut guard), Poll::Ready(Some(16)));
        incoming.heard();
        assert_eq!(next(&mut guard), Poll::Pending);
        incoming.heard();
        assert_eq!(next(&mut guard), Poll::Ready(None));
    }
}
