//! The guard: stops what a client sends before it can do harm.

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

/// The bytes from the client's socket.
pub(crate) type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>;

/// Returns the stream, unless the client has gone already and has sent nothing more.
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

/// The bytes that the client sends. The guard reads them; when they are discarded, the writer does.
#[derive(Clone)]
pub(crate) struct Incoming(Rc<GuardState>);

struct GuardState {
    payload: RefCell<ByteStream>,
    frames: RefCell<FrameScanner>,
    /// A fault was found. The rest is read and discarded until the client has received the close frame and answered it.
    /// Closing at once would reset the connection, and the close frame could be lost.
    discards: Cell<bool>,
    /// Whole frames that the guard has passed on and the actor has not processed yet.
    unprocessed: Cell<u32>,
}

impl Incoming {
    pub(crate) fn new(payload: ByteStream) -> Self {
        Self(Rc::new(GuardState {
            payload: RefCell::new(payload),
            frames: RefCell::default(),
            discards: Cell::new(false),
            unprocessed: Cell::new(0),
        }))
    }

    /// From now on, discards everything but the client's close frame.
    pub(crate) fn discard(&self) {
        self.0.frames.borrow_mut().seek_close();
        self.0.discards.set(true);
    }

    pub(crate) fn is_discarded(&self) -> bool {
        self.0.discards.get()
    }

    /// The first broken rule.
    pub(crate) fn fault(&self) -> Option<CloseCode> {
        self.0.frames.borrow().fault()
    }

    /// Whether the client has sent its close frame.
    pub(crate) fn has_closed(&self) -> bool {
        self.0.frames.borrow().has_closed()
    }

    /// The actor has processed a frame.
    pub(crate) fn note_processed(&self) {
        let unprocessed = &self.0.unprocessed;
        unprocessed.set(unprocessed.get().saturating_sub(1));
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, PayloadError>>> {
        self.0.payload.borrow_mut().as_mut().poll_next(cx)
    }

    /// Reads and discards. Ready when nothing more will arrive: the client has closed, or is gone.
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

/// Passes on what a client sends up to the first frame that breaks a rule.
///
/// The decoder would find a fault only when the whole frame is buffered, and a header may announce any length. It would also
/// read as long as there is anything to read before it hands on the first frame. So the guard passes on nothing while the
/// actor has frames to process. What a client sends meanwhile stays in the network.
pub(crate) struct Guard {
    incoming: Incoming,
    /// The longest payload of one frame.
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
        // The decoder has a frame to hand on, and polls again after that without being woken.
        if self.incoming.0.unprocessed.get() > 0 {
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
                    .unprocessed
                    .set(shared.unprocessed.get().saturating_add(frames));
                chunk.truncate(inspected.fit);
                Poll::Ready(Some(Ok(chunk)))
            }
            // A connection that broke is treated like one that ended.
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
    fn no_more_is_read_than_the_actor_has_processed() {
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
        incoming.note_processed();
        assert_eq!(next(&mut guard), Poll::Ready(Some(5)));
        assert_eq!(next(&mut guard), Poll::Pending);
        incoming.note_processed();
        assert_eq!(next(&mut guard), Poll::Ready(Some(16)));
        incoming.note_processed();
        assert_eq!(next(&mut guard), Poll::Pending);
        incoming.note_processed();
        assert_eq!(next(&mut guard), Poll::Ready(None));
    }
}
