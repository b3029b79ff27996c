//! An in-memory network connection that a test can cut, stall and slow down.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

use crate::testing::pipe::{End, Pipe};

/// The direction of bytes.
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

/// Creates cables.
#[derive(Clone, Copy, Debug)]
pub struct Cable;

impl Cable {
    /// Returns a cable: the client's end, the server's end, and its control.
    ///
    /// Each direction holds `capacity` bytes that were written and not read; then its writer waits, as with a full socket
    /// buffer. A capacity of zero counts as one.
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

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    // If a test panicked elsewhere, the pipe is unchanged, so a poisoned lock does no harm.
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

    /// The cable's control, for code that has only the server's end.
    pub(crate) fn control_of_server_end(&self) -> CableControl {
        CableControl {
            to_server: self.incoming.clone(),
            to_client: self.outgoing.clone(),
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
        // What is still written towards this end is lost.
        lock(&self.incoming).finish(End::Cut);
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

/// Controls a [`Cable`]. A clone controls the same cable.
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

    /// Cuts the cable for good: bytes in flight are lost, and both ends see the end of the stream and cannot write any more.
    pub fn cut(&self) {
        for direction in Direction::BOTH {
            self.pipe(direction).finish(End::Cut);
        }
    }

    /// Like [`CableControl::cut`], but both ends see the error `ConnectionReset`.
    pub fn reset(&self) {
        for direction in Direction::BOTH {
            self.pipe(direction).finish(End::Reset);
        }
    }

    /// Stops this direction until [`CableControl::release`]: bytes queue up to the capacity, then the writer waits.
    ///
    /// Followed by a cut, it simulates a network that drops what was written last.
    pub fn stall(&self, direction: Direction) {
        self.pipe(direction).stall();
    }

    /// Ends a stall: all queued bytes arrive.
    pub fn release(&self, direction: Direction) {
        let mut pipe = self.pipe(direction);
        pipe.release();
    }

    /// Delays bytes written from now on by a time within the range, by tokio's clock. The order is kept.
    ///
    /// Each write gets its own random delay, derived from `seed`.
    /// A range of zero to zero ends the delay.
    pub fn delay(&self, direction: Direction, range: RangeInclusive<Duration>, seed: u64) {
        self.pipe(direction)
            .delay(*range.start(), *range.end(), seed);
    }

    /// The number of bytes that were written and not read yet.
    #[must_use]
    pub fn in_flight(&self, direction: Direction) -> usize {
        self.pipe(direction).held()
    }

    /// The number of bytes that the far end has read so far.
    #[must_use]
    pub fn passed(&self, direction: Direction) -> u64 {
        self.pipe(direction).passed()
    }

    /// Whether the cable was cut, or an end of it was dropped.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        Direction::BOTH
            .iter()
            .any(|direction| self.pipe(*direction).has_ended())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{Instant, timeout};

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
