//! The guard: what comes from a client's socket, stopped before it can do harm.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;

use crate::close::CloseCode;

/// What comes from the client's socket.
pub(crate) type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>;

/// What the client sends: read by the guard, and by the writer once nobody wants it any more.
#[derive(Clone)]
pub(super) struct Incoming {
    payload: Rc<RefCell<ByteStream>>,
    /// A fault was found: the rest is read and thrown away until the peer has seen the close frame. Closing at once would
    /// reset the connection, and the frame could be lost on its way.
    discards: Rc<Cell<bool>>,
}

impl Incoming {
    pub(super) fn new(payload: ByteStream) -> Self {
        Self {
            payload: Rc::new(RefCell::new(payload)),
            discards: Rc::default(),
        }
    }

    /// From now on, nothing that comes is of interest.
    pub(super) fn discard(&self) {
        self.discards.set(true);
    }

    pub(super) fn is_discarded(&self) -> bool {
        self.discards.get()
    }

    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, PayloadError>>> {
        self.payload.borrow_mut().as_mut().poll_next(cx)
    }
}

/// Reads frame headers as the bytes pass, and stops at the first that breaks a rule.
///
/// The decoder would notice only when the whole frame is buffered, and a header may announce as much as it likes.
pub(super) struct Guard {
    incoming: Incoming,
    /// The most that one frame may carry.
    limit: u64,
    header: [u8; 14],
    header_len: usize,
    /// Payload bytes of the current frame that are still to come.
    payload_left: u64,
    fault: Fault,
}

/// What was found, for whoever closes the connection.
pub(super) type Fault = Rc<Cell<Option<CloseCode>>>;

impl Guard {
    pub(super) fn new(incoming: Incoming, limit: u64) -> Self {
        Self {
            incoming,
            limit,
            header: [0; 14],
            header_len: 0,
            payload_left: 0,
            fault: Rc::default(),
        }
    }

    pub(super) fn fault(&self) -> Fault {
        self.fault.clone()
    }

    /// How many bytes of `chunk` are fit to be passed on; fewer than all of them if there is a fault behind.
    fn inspect(&mut self, chunk: &[u8]) -> usize {
        let mut position = 0;
        // Where the header began that is being read, if it began in this chunk.
        let mut frame_start = 0;
        while position < chunk.len() {
            if self.payload_left > 0 {
                let rest = (chunk.len() - position) as u64;
                let skipped = self.payload_left.min(rest);
                self.payload_left -= skipped;
                position += skipped as usize;
                frame_start = position;
                continue;
            }
            self.header[self.header_len] = chunk[position];
            self.header_len += 1;
            position += 1;
            match self.read_header() {
                Ok(None) => {}
                Ok(Some(length)) => {
                    self.payload_left = length;
                    self.header_len = 0;
                    if length == 0 {
                        frame_start = position;
                    }
                }
                Err(code) => {
                    self.fault.set(Some(code));
                    return frame_start;
                }
            }
        }
        position
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
        let length_bytes = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(long) = header.get(2..2 + length_bytes) else {
            return Ok(None);
        };
        let long = long
            .iter()
            .fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
        let length = if length_bytes == 0 {
            u64::from(short)
        } else {
            long
        };
        if length > self.limit {
            return Err(CloseCode::TOO_BIG);
        }
        let complete = header.len() == 2 + length_bytes + 4;
        Ok(complete.then_some(length))
    }
}

impl Stream for Guard {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.fault.get().is_some() {
            return Poll::Ready(None);
        }
        match self.incoming.poll(cx) {
            Poll::Ready(Some(Ok(mut chunk))) => {
                let fit = self.inspect(&chunk);
                chunk.truncate(fit);
                Poll::Ready(Some(Ok(chunk)))
            }
            // A broken connection and one that ended are the same to us.
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}
