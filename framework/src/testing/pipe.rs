//! One direction of a [`Cable`](crate::testing::Cable): the bytes in flight and their arrival times.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::ReadBuf;
use tokio::time::Instant;

use crate::client::random::Random;

/// How a direction has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The writer has finished: the bytes in the pipe still arrive.
    Finished,
    /// Cut: the bytes in the pipe are lost, and the reader sees the end of the stream.
    Cut,
    /// The same, but the reader sees an error.
    Reset,
}

/// Some bytes in flight.
#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    due: Instant,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Pipe {
    capacity: usize,
    chunks: VecDeque<Chunk>,
    held: usize,
    passed: u64,
    is_stalled: bool,
    delay: Option<Delay>,
    end: Option<End>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Debug)]
struct Delay {
    least: Duration,
    spread: Duration,
    random: Random,
}

impl Pipe {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            chunks: VecDeque::new(),
            held: 0,
            passed: 0,
            is_stalled: false,
            delay: None,
            end: None,
            reader: None,
            writer: None,
        }
    }

    pub(super) fn stall(&mut self) {
        self.is_stalled = true;
    }

    pub(super) fn release(&mut self) {
        self.is_stalled = false;
        self.wake();
    }

    pub(super) fn delay(&mut self, least: Duration, most: Duration, seed: u64) {
        self.delay = Some(Delay {
            least,
            spread: most.saturating_sub(least),
            random: Random::new(Some(seed)),
        });
    }

    /// How many bytes were written and not read yet.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// How many bytes were read so far.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()]
            .into_iter()
            .flatten()
        {
            waker.wake();
        }
    }

    pub(super) fn finish(&mut self, end: End) {
        // A cut cable stays cut, and a finished one can still be cut.
        if matches!(self.end, None | Some(End::Finished)) {
            self.end = Some(end);
        }
        if end != End::Finished {
            self.chunks.clear();
            self.held = 0;
        }
        self.wake();
    }

    pub(super) fn write(&mut self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.end.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = self.capacity - self.held;
        if room == 0 && !bytes.is_empty() {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let taken = bytes.len().min(room);
        let mut due = Instant::now();
        if let Some(delay) = &mut self.delay {
            due += delay.least + delay.spread.mul_f64(delay.random.fraction());
        }
        // Later bytes never arrive before earlier ones.
        due = self.chunks.back().map_or(due, |last| due.max(last.due));
        if taken > 0 {
            let bytes = Bytes::copy_from_slice(&bytes[..taken]);
            self.chunks.push_back(Chunk { bytes, due });
            self.held += taken;
            self.reader.take().into_iter().for_each(Waker::wake);
        }
        Poll::Ready(Ok(taken))
    }

    /// Fills `into`, or returns the time of the next arrival; `None` if that is unknown.
    pub(super) fn read(
        &mut self,
        cx: &Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Result<io::Result<()>, Option<Instant>> {
        if into.remaining() == 0 {
            return Ok(Ok(()));
        }
        self.reader = Some(cx.waker().clone());
        match self.end {
            Some(End::Reset) => return Ok(Err(io::ErrorKind::ConnectionReset.into())),
            Some(End::Cut) => return Ok(Ok(())),
            _ if self.is_stalled => return Err(None),
            Some(End::Finished) if self.chunks.is_empty() => return Ok(Ok(())),
            _ => {}
        }
        let now = Instant::now();
        let mut read = 0;
        while let Some(chunk) = self.chunks.front_mut() {
            if chunk.due > now || into.remaining() == 0 {
                break;
            }
            let count = chunk.bytes.len().min(into.remaining());
            into.put_slice(&chunk.bytes[..count]);
            chunk.bytes.advance(count);
            read += count;
            if chunk.bytes.is_empty() {
                self.chunks.pop_front();
            }
        }
        if read == 0 {
            return Err(self.chunks.front().map(|chunk| chunk.due));
        }
        self.held -= read;
        self.passed += read as u64;
        self.writer.take().into_iter().for_each(Waker::wake);
        Ok(Ok(()))
    }
}
