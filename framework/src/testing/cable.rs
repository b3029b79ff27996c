//! An in-memory network cable, which a test can cut, stall and slow down.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::client::random::Random;

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// From the client's end to the server's.
    ToServer,
    /// From the server's end to the client's.
    ToClient,
}

impl Direction {
    /// Both directions.
    pub const BOTH: [Self; 2] = [Self::ToServer, Self::ToClient];
}

/// Makes cables.
#[derive(Clone, Copy, Debug)]
pub struct Cable;

impl Cable {
    /// A cable: the client's end, the server's end, and the hand on it.
    ///
    /// Each direction holds `capacity` bytes that were written and not read; then its writer waits, as with a full socket
    /// buffer. A capacity of zero works as one.
    #[must_use]
    pub fn pair(capacity: usize) -> (CableEnd, CableEnd, CableControl) {
        let state = || Arc::new(Mutex::new(Pipe::new(capacity.max(1))));
        let (to_server, to_client) = (state(), state());
        let control = CableControl {
            to_server: to_server.clone(),
            to_client: to_client.clone(),
        };
        let client = CableEnd::new(to_client.clone(), to_server.clone());
        (client, CableEnd::new(to_server, to_client), control)
    }
}

/// How a direction has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The writer has said everything: what is in the pipe still arrives.
    Finished,
    /// Cut: what was in the pipe is lost, the reader sees the end of the stream.
    Cut,
    /// The same, but the reader sees an error.
    Reset,
}

/// Some bytes on their way.
#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    due: Instant,
}

/// One direction.
#[derive(Debug)]
struct Pipe {
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
    fn new(capacity: usize) -> Self {
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

    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()]
            .into_iter()
            .flatten()
        {
            waker.wake();
        }
    }

    fn finish(&mut self, end: End) {
        // A cut cable cannot be finished in peace any more, and a finished one can still be cut.
        if matches!(self.end, None | Some(End::Finished)) {
            self.end = Some(end);
        }
        if end != End::Finished {
            self.chunks.clear();
            self.held = 0;
        }
        self.wake();
    }

    fn write(&mut self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
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
        // What was written later never arrives earlier.
        due = self.chunks.back().map_or(due, |last| due.max(last.due));
        if taken > 0 {
            let bytes = Bytes::copy_from_slice(&bytes[..taken]);
            self.chunks.push_back(Chunk { bytes, due });
            self.held += taken;
            self.reader.take().into_iter().for_each(Waker::wake);
        }
        Poll::Ready(Ok(taken))
    }

    /// Fills `into`, or says until when there is nothing; `None` if that is not known.
    fn read(
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

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    // A test that panicked elsewhere leaves the pipe as it was, which is good enough.
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One end of a [`Cable`]. Dropping it ends the stream for the other end, as closing a socket does.
pub struct CableEnd {
    incoming: Arc<Mutex<Pipe>>,
    outgoing: Arc<Mutex<Pipe>>,
    /// Wakes the reader when the next chunk is due.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl CableEnd {
    fn new(incoming: Arc<Mutex<Pipe>>, outgoing: Arc<Mutex<Pipe>>) -> Self {
        Self {
            incoming,
            outgoing,
            alarm: None,
        }
    }
}

impl fmt::Debug for CableEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CableEnd").finish_non_exhaustive()
    }
}

impl Drop for CableEnd {
    fn drop(&mut self) {
        lock(&self.outgoing).finish(End::Finished);
        // Whoever still writes to this end writes to nobody.
        let mut incoming = lock(&self.incoming);
        incoming.finish(End::Finished);
        incoming.chunks.clear();
        incoming.held = 0;
    }
}

impl AsyncRead for CableEnd {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let read = lock(&self.incoming).read(cx, into);
            match read {
                Ok(read) => return Poll::Ready(read),
                Err(None) => return Poll::Pending,
                Err(Some(due)) => {
                    let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
                    if alarm.deadline() != due {
                        alarm.as_mut().reset(due);
                    }
                    if alarm.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl AsyncWrite for CableEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        lock(&self.outgoing).write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.outgoing).finish(End::Finished);
        Poll::Ready(Ok(()))
    }
}

/// The hand on a [`Cable`]. A clone holds the same cable.
#[derive(Clone)]
pub struct CableControl {
    to_server: Arc<Mutex<Pipe>>,
    to_client: Arc<Mutex<Pipe>>,
}

impl fmt::Debug for CableControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CableControl").finish_non_exhaustive()
    }
}

impl CableControl {
    fn pipe(&self, direction: Direction) -> MutexGuard<'_, Pipe> {
        lock(match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        })
    }

    /// Cuts the cable for good: bytes on their way are lost, both ends see the end of the stream and can write no more.
    pub fn cut(&self) {
        for direction in Direction::BOTH {
            self.pipe(direction).finish(End::Cut);
        }
    }

    /// As [`CableControl::cut`], but both ends see the error `ConnectionReset`.
    pub fn reset(&self) {
        for direction in Direction::BOTH {
            self.pipe(direction).finish(End::Reset);
        }
    }

    /// Lets nothing pass in this direction until [`CableControl::release`]: bytes pile up to the capacity, then the writer waits.
    ///
    /// With a cut after it, it makes a network that swallows what was written last.
    pub fn stall(&self, direction: Direction) {
        self.pipe(direction).is_stalled = true;
    }

    /// Ends a stall: everything that has piled up arrives.
    pub fn release(&self, direction: Direction) {
        let mut pipe = self.pipe(direction);
        pipe.is_stalled = false;
        pipe.wake();
    }

    /// Delays what is written from now on by a time within the range, by tokio's clock. The order is kept.
    ///
    /// Each write is delayed by a random time of its own, decided by `seed`.
    /// A range of zero to zero ends the delay.
    pub fn delay(&self, direction: Direction, range: RangeInclusive<Duration>, seed: u64) {
        let delay = Delay {
            least: *range.start(),
            spread: range.end().saturating_sub(*range.start()),
            random: Random::new(Some(seed)),
        };
        self.pipe(direction).delay = Some(delay);
    }

    /// How many bytes were written and not read yet.
    #[must_use]
    pub fn in_flight(&self, direction: Direction) -> usize {
        self.pipe(direction).held
    }

    /// How many bytes were read at the far end so far.
    #[must_use]
    pub fn passed(&self, direction: Direction) -> u64 {
        self.pipe(direction).passed
    }

    /// Whether the cable was cut, or an end of it was dropped.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        Direction::BOTH
            .iter()
            .any(|direction| self.pipe(*direction).end.is_some())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn bytes_pass_both_ways_and_an_end_that_is_dropped_is_the_end() {
        let (mut client, mut server, control) = Cable::pair(64);
        client.write_all(b"ping").await.unwrap();
        server.write_all(b"pong").await.unwrap();
        assert_eq!(control.in_flight(Direction::ToServer), 4);
        let mut four = [0; 4];
        server.read_exact(&mut four).await.unwrap();
        assert_eq!(&four, b"ping");
        assert_eq!(control.passed(Direction::ToServer), 4);
        drop(server);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"pong");
        assert!(client.write_all(b"x").await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_direction_makes_its_writer_wait() {
        let (mut client, mut server, _control) = Cable::pair(4);
        assert!(timeout(MOMENT, client.write_all(b"12345")).await.is_err());
        let mut four = [0; 4];
        server.read_exact(&mut four).await.unwrap();
        assert!(timeout(MOMENT, client.write_all(b"5")).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_holds_bytes_back_and_a_cut_swallows_them() {
        let (mut client, mut server, control) = Cable::pair(64);
        let mut byte = [0; 1];
        control.stall(Direction::ToServer);
        client.write_all(b"a").await.unwrap();
        assert!(timeout(MOMENT, server.read_exact(&mut byte)).await.is_err());
        control.release(Direction::ToServer);
        server.read_exact(&mut byte).await.unwrap();

        client.write_all(b"lost").await.unwrap();
        server.write_all(b"lost").await.unwrap();
        control.cut();
        assert_eq!(server.read(&mut byte).await.unwrap(), 0);
        assert_eq!(client.read(&mut byte).await.unwrap(), 0);
        assert!(client.write_all(b"x").await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_is_an_error_and_wakes_who_waits() {
        let (mut client, _server, control) = Cable::pair(64);
        let mut byte = [0; 1];
        let (read, ()) = tokio::join!(client.read(&mut byte), async { control.reset() });
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_takes_its_time_and_keeps_the_order() {
        let (mut client, mut server, control) = Cable::pair(1 << 10);
        let range = Duration::from_millis(50)..=Duration::from_millis(150);
        control.delay(Direction::ToServer, range, 7);
        let start = Instant::now();
        for n in 0..100 {
            client.write_all(&[n]).await.unwrap();
        }
        let mut first = [0; 1];
        server.read_exact(&mut first).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(50));
        let mut rest = [0; 99];
        server.read_exact(&mut rest).await.unwrap();
        assert!(rest.into_iter().eq(1..100));
        assert!(
            start.elapsed() <= Duration::from_millis(152),
            "{:?}",
            start.elapsed()
        );
    }
}
