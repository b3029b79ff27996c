//! When the connections of a thread write: in slices, the connection that has waited longest first.
//!
//! An event loop that writes to each client as soon as there is something to write makes many small writes: a burst of
//! publications goes out in as many writes as it has publications. So a broadcast only queues the writers of its receivers. At
//! the end of the thread's turn, after everything else that was ready to run, a slice of the queued writers writes, each with
//! all the frames that wait for it by then. The thread then processes new input and due timers before the next slice. The
//! busier a thread is, the more frames leave in one write, and no room's step waits for thousands of writes.
//!
//! [`Writes`] decides who writes next and how much; [`Flusher`](super::flusher::Flusher) calls the writers.

use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::task::Waker;
use std::time::Duration;

/// How many connections write in one slice. A larger slice delays a room's step that is due, by about 9 µs for each further
/// connection, and splits a burst to a few hundred clients into more writes. With a smaller slice, looking for input costs more
/// than the larger writes save.
pub(crate) const SLICE: usize = 16;

/// The slice while no broadcast waits to be written. New input would seldom add a frame to a write then, as broadcasts do. A
/// room's step that is due may have to wait for this many writes.
pub(crate) const SLICE_OF_ANSWERS: usize = 64;

/// How many tasks that write are woken in one slice: as many as the runtime runs before it looks for input.
const WAKES: usize = 61;

/// How many times as long as the writers everything else on the thread may take while both have too much to do. A larger factor
/// delays what waits to be written in favour of new input; with a smaller one, a thread that was blocked for a moment does
/// nothing but write afterwards.
const OTHERS: u32 = 4;

/// Below this capacity, the queue keeps its memory while it is empty.
const SPARE: usize = 4 * SLICE;

/// The writing end of a connection that has frames to write.
pub(crate) enum WaitingWriter {
    /// A task, which has to be woken first.
    Task(Waker),
    /// A connection that can write at once.
    Direct(Weak<dyn DirectWriter>),
}

/// A connection that is called rather than woken: a fan-out to thousands of receivers need not queue as many tasks.
pub(crate) trait DirectWriter {
    /// Writes the frames that wait, as far as the socket takes them.
    fn write(self: Rc<Self>);

    /// Breaks the connection: it is not known which bytes were written.
    fn cut(&self);
}

/// The queue of writers, and how many of them may write before the thread does something else.
///
/// It reads no clock: the caller hands in the time, as the duration since any fixed moment.
#[derive(Debug)]
pub(crate) struct Writes<W> {
    /// The writer that has waited longest comes first.
    queue: VecDeque<W>,
    /// How many of the queued writers, counted from the first, may have a broadcast to write.
    broadcasts: usize,
    /// When the last slice ended, if it left writers in the queue.
    interrupted_at: Option<Duration>,
}

/// A slice that is being written.
#[derive(Debug)]
pub(crate) struct Slice {
    size: usize,
    written: usize,
    woken: usize,
    /// When the slice before this one ended and when this one began, if that one left writers in the queue.
    since: Option<(Duration, Duration)>,
}

impl<W> Default for Writes<W> {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            broadcasts: 0,
            interrupted_at: None,
        }
    }
}

impl<W> Writes<W> {
    pub(crate) fn push(&mut self, writer: W) {
        self.queue.push_back(writer);
    }

    /// A broadcast was queued for some connections of the thread, and more broadcasts may soon follow.
    pub(crate) fn note_broadcast(&mut self) {
        // The writers that this broadcast queues count, too.
        self.broadcasts = usize::MAX;
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Frees the memory that a burst has left.
    pub(crate) fn shrink(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > SPARE {
            self.queue = VecDeque::new();
        }
    }

    /// Begins a slice. `now` is called only if the last slice was interrupted, since a look at the clock has its price.
    pub(crate) fn begin_slice(&mut self, now: impl FnOnce() -> Duration) -> Slice {
        self.broadcasts = self.broadcasts.min(self.queue.len());
        Slice {
            size: match self.broadcasts {
                0 => SLICE_OF_ANSWERS,
                _ => SLICE,
            },
            written: 0,
            woken: 0,
            since: self.interrupted_at.take().map(|ended| (ended, now())),
        }
    }

    /// The next writer of a slice that is not full.
    pub(crate) fn next_writer(&mut self) -> Option<W> {
        self.broadcasts = self.broadcasts.saturating_sub(1);
        self.queue.pop_front()
    }

    /// A slice is full. True if it goes on with as many writers again, because everything else has taken more than its share of
    /// the time since the slice before.
    pub(crate) fn extend(&mut self, slice: &mut Slice, now: Duration) -> bool {
        if slice.may_be_extended(now) {
            slice.written = 0;
            return true;
        }
        self.interrupted_at = (!self.queue.is_empty()).then_some(now);
        false
    }
}

impl Slice {
    /// A connection has written.
    pub(crate) fn wrote(&mut self) {
        self.written += 1;
    }

    /// A task was woken, and writes later.
    pub(crate) fn woke(&mut self) {
        self.woken += 1;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.written == self.size || self.woken == WAKES
    }

    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    fn may_be_extended(&self, now: Duration) -> bool {
        // The time that a woken task takes to write is spent later, and cannot be measured here.
        self.woken == 0
            && self.since.is_some_and(|(ended, began)| {
                let (writing, others) = (now.saturating_sub(began), began.saturating_sub(ended));
                writing.saturating_mul(OTHERS) < others
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn queued(writers: usize) -> Writes<usize> {
        let mut writes = Writes::default();
        (0..writers).for_each(|writer| writes.push(writer));
        writes
    }

    /// Runs one slice, of which each write takes `each`, from `now` on. Returns the writers that wrote, and when it ended.
    fn slice(
        writes: &mut Writes<usize>,
        mut now: Duration,
        each: Duration,
    ) -> (Vec<usize>, Duration) {
        let mut slice = writes.begin_slice(|| now);
        let mut wrote = Vec::new();
        while let Some(writer) = writes.next_writer() {
            wrote.push(writer);
            slice.wrote();
            now += each;
            if slice.is_full() && !writes.extend(&mut slice, now) {
                break;
            }
        }
        (wrote, now)
    }

    fn count(writes: &mut Writes<usize>) -> usize {
        slice(writes, at(0), at(0)).0.len()
    }

    #[test]
    fn the_writer_that_has_waited_longest_writes_first() {
        let mut writes = queued(SLICE + 2);
        writes.note_broadcast();
        let (first, _) = slice(&mut writes, at(0), at(0));
        assert_eq!(first, (0..SLICE).collect::<Vec<_>>());
        writes.push(100);
        let (second, _) = slice(&mut writes, at(0), at(0));
        assert_eq!(second, [SLICE, SLICE + 1, 100]);
        assert!(writes.is_empty());
    }

    #[test]
    fn slices_are_small_until_every_writer_that_may_have_a_broadcast_has_written() {
        let mut writes = queued(2 * SLICE_OF_ANSWERS);
        assert_eq!(count(&mut writes), SLICE_OF_ANSWERS);
        writes.note_broadcast();
        // Queued because of the broadcast.
        (0..SLICE).for_each(|writer| writes.push(writer));
        let broadcast = SLICE_OF_ANSWERS + SLICE;
        assert_eq!(count(&mut writes), SLICE);
        // Queued after the first slice: answers to one client each.
        (0..2 * SLICE_OF_ANSWERS).for_each(|writer| writes.push(writer));
        for _ in 1..broadcast / SLICE {
            assert_eq!(count(&mut writes), SLICE);
        }
        assert_eq!(count(&mut writes), SLICE_OF_ANSWERS);
    }

    #[test]
    fn a_slice_goes_on_while_everything_else_has_had_more_than_its_share() {
        let mut writes = queued(20 * SLICE);
        writes.note_broadcast();
        let (wrote, ended) = slice(&mut writes, at(0), at(1));
        assert_eq!(wrote.len(), SLICE, "nothing is known of the time before");
        // Everything else may take four times as long as the writes.
        let others = at(SLICE as u64 * 4);
        let (wrote, ended) = slice(&mut writes, ended + others, at(1));
        assert_eq!(wrote.len(), SLICE);
        let (wrote, ended) = slice(&mut writes, ended + others + at(1), at(1));
        assert_eq!(wrote.len(), 2 * SLICE);
        let (wrote, _) = slice(&mut writes, ended + 3 * others, at(1));
        assert_eq!(wrote.len(), 3 * SLICE);
    }

    #[test]
    fn the_clock_is_read_only_after_an_interrupted_slice() {
        let never = || -> Duration { panic!("the clock was read") };
        let mut writes = queued(SLICE);
        writes.note_broadcast();
        let mut slice = writes.begin_slice(never);
        for _ in 0..SLICE {
            assert!(writes.next_writer().is_some());
            slice.wrote();
        }
        assert!(slice.is_full() && !writes.extend(&mut slice, at(1)));
        let _slice = writes.begin_slice(never);
    }

    #[test]
    fn woken_tasks_are_bounded_by_number_and_end_the_slice() {
        let mut writes = queued(3 * WAKES);
        writes.interrupted_at = Some(at(0));
        let mut slice = writes.begin_slice(|| at(1000));
        for woken in 0..WAKES {
            assert!(!slice.is_full(), "{woken}");
            assert!(writes.next_writer().is_some());
            slice.woke();
        }
        assert!(slice.is_full());
        assert!(!writes.extend(&mut slice, at(1000)));
        assert_eq!(writes.len(), 2 * WAKES);
    }

    #[test]
    fn the_memory_of_a_burst_is_freed_when_the_queue_is_empty() {
        let mut writes = queued(SPARE + 1);
        writes.shrink();
        assert_eq!(writes.len(), SPARE + 1);
        while writes.next_writer().is_some() {}
        writes.shrink();
        assert_eq!(writes.queue.capacity(), 0);
    }
}
