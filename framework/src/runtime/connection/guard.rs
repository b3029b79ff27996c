//! The guard: what comes from a client's socket, stopped before it can do harm.

use std::cell::{Cell, RefCell};
use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::task::yield_now;

use crate::close::CloseCode;
use crate::runtime::connection::frame_scanner::FrameScanner;

/// What comes from the client's socket.
pub(crate) type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>;

/// The stream again, unless it has nothing more to say than that the client is gone.
///
/// The HTTP layer reports the end only after it has passed the request on; with `waits`, this lets it do so first. A waiting request
/// holds 15 kB of the HTTP layer's memory, which that keeps for up to 128 later requests.
pub(crate) async fn unless_ended(mut rest: ByteStream, waits: bool) -> Option<ByteStream> {
    if waits {
        yield_now().await;
    }
    let first = poll_fn(|cx| Poll::Ready(rest.as_mut().poll_next(cx))).await;
    match first {
        Poll::Pending => Some(rest),
        Poll::Ready(Some(Ok(early))) => Some(Box::pin(stream::once(ready(Ok(early))).chain(rest))),
        Poll::Ready(None | Some(Err(_))) => None,
    }
}

/// What the client sends: read by the guard, and by the writer once nobody wants it any more.
#[derive(Clone)]
pub(crate) struct Incoming(Rc<GuardState>);

struct GuardState {
    payload: RefCell<ByteStream>,
    frames: RefCell<FrameScanner>,
    /// A fault was found: the rest is read and thrown away until the client has seen the close frame, and answered it. Closing
    /// at once would reset the connection, and the frame could be lost on its way.
    discards: Cell<bool>,
    /// Whole frames that the guard let through and the actor has not heard yet.
    unheard: Cell<u32>,
}

impl Incoming {
    pub(crate) fn new(payload: ByteStream) -> Self {
        Self(Rc::new(GuardState {
            payload: RefCell::new(payload),
            frames: RefCell::default(),
            discards: Cell::new(false),
            unheard: Cell::new(0),
        }))
    }

    /// From now on, nothing that comes is of interest but the client's close frame.
    pub(crate) fn discard(&self) {
        self.0.frames.borrow_mut().only_look();
        self.0.discards.set(true);
    }

    pub(crate) fn is_discarded(&self) -> bool {
        self.0.discards.get()
    }

    /// What the guard found, for whoever closes the connection.
    pub(crate) fn fault(&self) -> Option<CloseCode> {
        self.0.frames.borrow().fault()
    }

    /// The client has sent its close frame.
    pub(crate) fn has_closed(&self) -> bool {
        self.0.frames.borrow().has_closed()
    }

    /// The actor has heard a frame.
    pub(crate) fn heard(&self) {
        let unheard = &self.0.unheard;
        unheard.set(unheard.get().saturating_sub(1));
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, PayloadError>>> {
        self.0.payload.borrow_mut().as_mut().poll_next(cx)
    }

    /// Reads and forgets what comes. Ready when nothing more will come: the client has closed, or is gone.
    pub(crate) fn poll_discard(&self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.has_closed() {
            match ready!(self.poll(cx)) {
                Some(Ok(chunk)) => {
                    self.0.frames.borrow_mut().pass(&chunk, u64::MAX);
                }
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

/// Lets through what a client sends up to the first frame that breaks a rule.
///
/// The decoder would notice only when the whole frame is buffered, and a header may announce as much as it likes. It would also
/// read as long as there is anything to read before it hands on the first frame; so the guard has nothing for it while there
/// are frames that nobody has heard. What a client has sent and nobody processes stays in the network.
pub(crate) struct Guard {
    incoming: Incoming,
    /// The most that one frame may carry.
    limit: u64,
}

impl Guard {
    pub(crate) fn new(incoming: Incoming, limit: u64) -> Self {
        Self { incoming, limit }
    }
}

impl Stream for Guard {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The decoder has a frame to hand on, so that it need not be woken.
        if self.incoming.0.unheard.get() > 0 {
            return Poll::Pending;
        }
        if self.incoming.fault().is_some() {
            return Poll::Ready(None);
        }
        match self.incoming.poll(cx) {
            Poll::Ready(Some(Ok(mut chunk))) => {
                let shared = &self.incoming.0;
                let inspected = shared.frames.borrow_mut().pass(&chunk, self.limit);
                let frames = u32::try_from(inspected.frames).unwrap_or(u32::MAX);
                shared
                    .unheard
                    .set(shared.unheard.get().saturating_add(frames));
                chunk.truncate(inspected.fit);
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
