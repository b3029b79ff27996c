//! How the application follows channels: the queue between a channel's shard and a [`Follower`](crate::Follower).
//!
//! A channel never waits for a follower. What does not fit into its queue is not queued, and the follower is told of the gap
//! in its place.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use matchit::Router;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::ids::ChannelName;
use crate::wire::codec::RawData;

/// What a follower receives.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Followed {
    /// The next publication of one of the channels.
    Publication(FollowedPublication),
    /// Publications that were not queued, because the follower was too far behind. What follows was published after them.
    Gap(Gap),
}

/// A publication, as a follower receives it.
#[derive(Clone, Debug)]
pub struct FollowedPublication {
    pub(crate) channel: ChannelName,
    pub(crate) epoch: Arc<str>,
    pub(crate) offset: u64,
    pub(crate) data: RawData,
}

impl FollowedPublication {
    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// Within which the offset counts. It changes when the channel begins anew.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The number of the publication in its channel, from 1.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The data as a `T`.
    ///
    /// # Errors
    ///
    /// If it is no `T`.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.data.bytes())
    }
}

/// Publications that a follower did not receive.
///
/// The queue takes publications again as soon as the follower has taken one out of it, so a follower that stays too slow sees a gap
/// again and again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Gap {
    /// How many publications are missing.
    pub missed: u64,
    /// Which ones, by channel.
    pub channels: Vec<MissedChannel>,
    /// Whether `channels` names all of them. It names as many channels as the queue holds publications; of any others, the next
    /// offset tells what is missing.
    pub is_complete: bool,
}

/// The publications of one channel that a follower did not receive: these offsets, the first and the last included.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MissedChannel {
    /// The channel.
    pub channel: ChannelName,
    /// Within which the offsets count.
    pub epoch: Arc<str>,
    /// The first offset that is missing.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

/// Why channels cannot be followed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum FollowError {
    /// This is no pattern of channels.
    #[error(
        "`{0}` is not a pattern: write a channel's name, with `{{id}}` for one segment or `{{*rest}}` for the rest of it"
    )]
    BadPattern(String),
}

/// Which channels a follower follows.
#[derive(Clone, Debug)]
pub(crate) struct FollowPattern(Router<()>);

impl FollowPattern {
    /// `None`: it is no pattern.
    pub(crate) fn new(pattern: &str) -> Option<Self> {
        // The router would take this as a letter.
        if pattern.is_empty() || pattern.replace("{*", "").contains('*') {
            return None;
        }
        let mut router = Router::new();
        router.insert(pattern, ()).ok()?;
        Some(Self(router))
    }

    pub(crate) fn matches(&self, channel: &ChannelName) -> bool {
        self.0.at(channel.as_str()).is_ok()
    }
}

/// What is followed in one shard.
#[derive(Debug, Default)]
pub(crate) struct Follows(Vec<(Arc<FollowPattern>, Arc<FollowSink>)>);

impl Follows {
    pub(crate) fn add(&mut self, pattern: Arc<FollowPattern>, sink: Arc<FollowSink>) {
        self.0.push((pattern, sink));
    }

    pub(crate) fn remove(&mut self, sink: &Weak<FollowSink>) {
        self.0.retain(|(_, known)| !known.is(sink));
    }

    /// Who follows the channel of this name.
    pub(crate) fn of(&self, channel: &ChannelName) -> Vec<Arc<FollowSink>> {
        let follows = self.0.iter();
        follows
            .filter(|(pattern, _)| pattern.matches(channel))
            .map(|(_, sink)| sink.clone())
            .collect()
    }
}

/// How much waits for a follower at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FollowBounds {
    /// Publications.
    pub(crate) number: usize,
    /// Bytes of their data.
    pub(crate) bytes: usize,
}

/// What waits for a follower.
#[derive(Debug)]
struct Waiting {
    items: VecDeque<Followed>,
    /// Of the data of the publications.
    bytes: usize,
    bounds: FollowBounds,
}

impl Waiting {
    fn push(&mut self, publication: FollowedPublication) {
        let bytes = self.bytes.saturating_add(publication.data.bytes().len());
        let is_full = self.items.len() >= self.bounds.number || bytes > self.bounds.bytes;
        if is_full && !self.items.is_empty() {
            return self.miss(publication);
        }
        self.bytes = bytes;
        self.items.push_back(Followed::Publication(publication));
    }

    /// Notes a publication as missed, in the gap at the end of the queue.
    fn miss(&mut self, publication: FollowedPublication) {
        if !matches!(self.items.back(), Some(Followed::Gap(_))) {
            self.items.push_back(Followed::Gap(Gap {
                missed: 0,
                channels: Vec::new(),
                is_complete: true,
            }));
        }
        let Some(Followed::Gap(gap)) = self.items.back_mut() else {
            return;
        };
        gap.missed += 1;
        let is_same = |missed: &&mut MissedChannel| {
            missed.channel == publication.channel && missed.epoch == publication.epoch
        };
        // The newest first: a burst is usually of one channel.
        if let Some(known) = gap.channels.iter_mut().rev().find(is_same) {
            known.last = publication.offset;
        } else if gap.channels.len() < self.bounds.number.min(MOST_NAMED) {
            gap.channels.push(MissedChannel {
                channel: publication.channel,
                epoch: publication.epoch,
                first: publication.offset,
                last: publication.offset,
            });
        } else {
            gap.is_complete = false;
        }
    }

    fn pop(&mut self) -> Option<Followed> {
        let next = self.items.pop_front();
        if let Some(Followed::Publication(publication)) = &next {
            self.bytes -= publication.data.bytes().len();
        }
        next
    }
}

/// How many channels a gap names at most, so that noting one stays cheap.
const MOST_NAMED: usize = 64;

#[derive(Debug)]
struct Shared {
    waiting: Waiting,
    /// Nothing more is published: the server has ended.
    is_over: bool,
    waker: Option<Waker>,
}

/// The queue between the shards and a follower. This is the follower's end.
#[derive(Debug)]
pub(crate) struct FollowQueue(Arc<Mutex<Shared>>);

/// The shards' end of a [`FollowQueue`]. When the last one is dropped, the follower learns that nothing more is published.
#[derive(Debug)]
pub(crate) struct FollowSink(Arc<Mutex<Shared>>);

/// Locks a queue, also after a panic of another holder: nothing here leaves it half changed.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A new queue: the follower's end, and that of the shards.
pub(crate) fn queue(bounds: FollowBounds) -> (FollowQueue, Arc<FollowSink>) {
    let shared = Arc::new(Mutex::new(Shared {
        waiting: Waiting {
            items: VecDeque::new(),
            bytes: 0,
            bounds,
        },
        is_over: false,
        waker: None,
    }));
    (FollowQueue(shared.clone()), Arc::new(FollowSink(shared)))
}

impl FollowSink {
    pub(crate) fn is(self: &Arc<Self>, other: &Weak<Self>) -> bool {
        Arc::as_ptr(self) == other.as_ptr()
    }

    pub(crate) fn push(&self, publication: FollowedPublication) {
        let mut shared = lock(&self.0);
        shared.waiting.push(publication);
        let waker = shared.waker.take();
        drop(shared);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for FollowSink {
    fn drop(&mut self) {
        let mut shared = lock(&self.0);
        shared.is_over = true;
        let waker = shared.waker.take();
        drop(shared);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl FollowQueue {
    /// The next item. `None`: there is none, and none will come.
    pub(crate) fn poll_next(&self, context: &Context<'_>) -> Poll<Option<Followed>> {
        let mut shared = lock(&self.0);
        if let Some(next) = shared.waiting.pop() {
            return Poll::Ready(Some(next));
        }
        if shared.is_over {
            return Poll::Ready(None);
        }
        shared.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// The next item, if one waits.
    pub(crate) fn try_next(&self) -> Option<Followed> {
        lock(&self.0).waiting.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::Format;

    fn publication(channel: &str, offset: u64) -> FollowedPublication {
        FollowedPublication {
            channel: channel.into(),
            epoch: "e".into(),
            offset,
            data: RawData::of(Format::Json, &offset).unwrap(),
        }
    }

    fn bounded(number: usize, bytes: usize) -> (FollowQueue, Arc<FollowSink>) {
        queue(FollowBounds { number, bytes })
    }

    /// What waits: offsets, and gaps with the number that they miss.
    fn taken(queue: &FollowQueue) -> Vec<(u64, u64)> {
        let next = || queue.try_next();
        std::iter::from_fn(next)
            .map(|followed| match followed {
                Followed::Publication(publication) => (publication.offset, 0),
                Followed::Gap(gap) => (0, gap.missed),
            })
            .collect()
    }

    #[test]
    fn what_does_not_fit_is_one_gap_in_its_place() {
        let (queue, sink) = bounded(3, 1000);
        let push = |offsets: std::ops::RangeInclusive<u64>| {
            offsets.for_each(|n| sink.push(publication("a", n)));
        };
        push(1..=5);
        let Some(Followed::Publication(first)) = queue.try_next() else {
            panic!("no publication");
        };
        assert_eq!((first.offset(), first.data::<u64>().unwrap()), (1, 1));
        push(6..=6);
        assert_eq!(taken(&queue), [(2, 0), (3, 0), (0, 3)]);
        push(7..=8);
        assert_eq!(taken(&queue), [(7, 0), (8, 0)]);
    }

    #[test]
    fn bytes_are_bounded_and_a_long_publication_has_room_if_it_is_alone() {
        let (queue, sink) = bounded(10, 3);
        sink.push(publication("a", 10_000));
        sink.push(publication("a", 10_001));
        assert_eq!(taken(&queue), [(10_000, 0), (0, 1)]);
        (1..=4).for_each(|n| sink.push(publication("a", n)));
        assert_eq!(taken(&queue), [(1, 0), (2, 0), (3, 0), (0, 1)]);
    }

    #[test]
    fn a_gap_names_the_channels_and_offsets_that_it_misses() {
        let (queue, sink) = bounded(2, 1000);
        for (channel, offset) in [("a", 1), ("a", 2), ("b", 7), ("a", 3), ("b", 8), ("c", 1)] {
            sink.push(publication(channel, offset));
        }
        let Some(Followed::Gap(gap)) = std::iter::from_fn(|| queue.try_next()).last() else {
            panic!("no gap");
        };
        let named = gap.channels.iter();
        let named: Vec<_> = named
            .map(|missed| (missed.channel.as_str(), missed.first, missed.last))
            .collect();
        assert_eq!(named, [("b", 7, 8), ("a", 3, 3)]);
        assert_eq!((gap.missed, gap.is_complete), (4, false));
    }

    #[test]
    fn a_follower_learns_that_nothing_more_comes_after_what_waits() {
        let (queue, sink) = bounded(2, 1000);
        let context = Context::from_waker(Waker::noop());
        assert!(queue.poll_next(&context).is_pending());
        sink.push(publication("a", 1));
        drop(sink);
        assert!(matches!(
            queue.poll_next(&context),
            Poll::Ready(Some(Followed::Publication(_)))
        ));
        assert!(matches!(queue.poll_next(&context), Poll::Ready(None)));
    }

    #[test]
    fn a_pattern_matches_names_as_those_of_channels_do() {
        let matches =
            |pattern: &str, name: &str| FollowPattern::new(pattern).unwrap().matches(&name.into());
        assert!(matches("match/{id}", "match/7") && matches("match/{*rest}", "match/7/log"));
        assert!(!matches("match/{id}", "match/7/log") && !matches("news", "new"));
        assert!(matches("{*any}", "news"));
        for wrong in ["", "match/*", "{a", "{*rest}/a"] {
            assert!(FollowPattern::new(wrong).is_none(), "{wrong}");
        }
    }
}
