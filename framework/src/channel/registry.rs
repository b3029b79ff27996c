//! The channels of one shard. A channel begins when it is first used, and is forgotten when nobody needs it.
//!
//! No operation looks at all channels. Two indexes lead to those that may end: the channels without subscribers, in the order of
//! their last use, and the channels that have something to forget, in the order of that time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::follow::FollowSink;
use super::kind::ChannelKind;
use super::log::ChannelLog;
use super::presence::ChannelPresence;
use super::recent_keys::RecentKeys;
use super::subscribers::Subscribers;
use crate::ids::ChannelName;
use crate::wire::event::Publication;

/// How long a channel stays that has neither subscribers nor publications. A subscriber that comes back within this time finds
/// the same epoch.
const LINGERS: Duration = Duration::from_secs(30);

/// A channel, and what the registry notes about it.
///
/// `H` is the type of subscribers' homes, `L` that of the log, and `C` that of the charge to whoever caused the channel.
#[derive(Debug)]
pub(crate) struct ActiveChannel<H, L, C> {
    pub(crate) log: L,
    pub(crate) subscribers: Subscribers<H>,
    /// A channel that is offered by its own name, and not only by a pattern, always counts as needed.
    pub(crate) kind: Arc<ChannelKind>,
    /// What the next patch changes: the newest publication, which all subscribers with patches have. `None`: the next publication
    /// goes whole.
    pub(crate) base: Option<Publication>,
    /// The followers of the application. Most channels have none.
    pub(crate) followers: Vec<Arc<FollowSink>>,
    /// The idempotency keys of its publications. Boxed, because most channels have none.
    pub(crate) keys: Option<Box<RecentKeys>>,
    /// Who is present. `None` if the channel has no presence, or no subscribers.
    pub(crate) presence: Option<Box<ChannelPresence<H>>>,
    /// Tells channels apart that are due at the same time.
    number: u64,
    /// Its key in `idle`, if it is there.
    idle: Option<u64>,
    /// The time of its key in `agenda`, if it is there.
    due: Option<Duration>,
    /// Held for as long as the channel lives.
    _charge: Option<C>,
}

impl<H: Clone + PartialEq, L: ChannelLog, C> ActiveChannel<H, L, C> {
    fn is_needed(&self) -> bool {
        let has_keys = self.keys.is_some();
        self.kind.is_exact || !self.subscribers.is_empty() || !self.log.is_empty() || has_keys
    }

    /// When the oldest of what it keeps becomes too old.
    fn expires_at(&self) -> Option<Duration> {
        let of_keys = self.keys.as_ref().and_then(|keys| keys.expires_at());
        let of_log = self.log.expires_at();
        of_log.into_iter().chain(of_keys).min()
    }

    /// Forgets what is too old.
    fn expire(&mut self, now: Duration) {
        self.log.expire(now);
        if let Some(keys) = &mut self.keys {
            keys.expire(now);
        }
        let _emptied = self.keys.take_if(|keys| keys.is_empty());
    }
}

#[derive(Debug)]
pub(crate) struct ChannelRegistry<H, L, C> {
    channels: HashMap<ChannelName, ActiveChannel<H, L, C>>,
    /// The channels that exist by a pattern only and have no subscribers, by their last use, the oldest first.
    idle: BTreeMap<u64, ChannelName>,
    /// When to look at channels that have something to forget.
    agenda: BTreeMap<(Duration, u64), ChannelName>,
    /// Counts uses of channels.
    moment: u64,
    /// The channels that were forgotten since somebody has looked. `None`: nobody looks.
    ended: Option<Vec<ChannelName>>,
}

impl<H: Clone + PartialEq, L: ChannelLog, C> ChannelRegistry<H, L, C> {
    pub(crate) fn new() -> Self {
        Self {
            channels: HashMap::new(),
            idle: BTreeMap::new(),
            agenda: BTreeMap::new(),
            moment: 0,
            ended: None,
        }
    }

    /// Notes from now on which channels are forgotten, for [`take_ended`](Self::take_ended).
    pub(crate) fn note_ended(&mut self) {
        self.ended = Some(Vec::new());
    }

    /// The channels that were forgotten since the last call.
    pub(crate) fn take_ended(&mut self) -> Vec<ChannelName> {
        self.ended.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn contains(&self, name: &ChannelName) -> bool {
        self.channels.contains_key(name)
    }

    pub(crate) fn get(&self, name: &ChannelName) -> Option<&ActiveChannel<H, L, C>> {
        self.channels.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &ChannelName) -> Option<&mut ActiveChannel<H, L, C>> {
        self.channels.get_mut(name)
    }

    /// All channels, in no order. It takes time: for what is done rarely.
    pub(crate) fn each_mut(
        &mut self,
    ) -> impl Iterator<Item = (&ChannelName, &mut ActiveChannel<H, L, C>)> {
        self.channels.iter_mut()
    }

    pub(crate) fn begin(
        &mut self,
        name: &ChannelName,
        kind: Arc<ChannelKind>,
        log: L,
        charge: Option<C>,
    ) {
        self.moment += 1;
        let channel = ActiveChannel {
            log,
            subscribers: Subscribers::default(),
            kind,
            base: None,
            followers: Vec::new(),
            keys: None,
            presence: None,
            number: self.moment,
            idle: None,
            due: None,
            _charge: charge,
        };
        self.channels.insert(name.clone(), channel);
    }

    /// Notes that a channel was used, which puts its end off. To be called after each use.
    pub(crate) fn used(&mut self, name: &ChannelName, now: Duration) {
        self.moment += 1;
        let Some(channel) = self.channels.get_mut(name) else {
            return;
        };
        if let Some(place) = channel.idle.take() {
            self.idle.remove(&place);
        }
        if !channel.kind.is_exact && channel.subscribers.is_empty() {
            channel.idle = Some(self.moment);
            self.idle.insert(self.moment, name.clone());
        }
        if channel.due.is_none() {
            let lingers = || (!channel.is_needed()).then(|| now.saturating_add(LINGERS));
            let due = channel.expires_at().or_else(lingers);
            channel.due = due;
            if let Some(due) = due {
                self.agenda.insert((due, channel.number), name.clone());
            }
        }
    }

    /// Forgets a channel if nobody needs it. True if that was a channel that exists by a pattern only.
    pub(crate) fn forget_if_unneeded(&mut self, name: &ChannelName) -> bool {
        let is_unneeded = self.channels.get(name).is_some_and(|c| !c.is_needed());
        is_unneeded && self.forget(name)
    }

    fn forget(&mut self, name: &ChannelName) -> bool {
        let Some(channel) = self.channels.remove(name) else {
            return false;
        };
        if let Some(ended) = &mut self.ended {
            ended.push(name.clone());
        }
        if let Some(place) = channel.idle {
            self.idle.remove(&place);
        }
        if let Some(due) = channel.due {
            self.agenda.remove(&(due, channel.number));
        }
        !channel.kind.is_exact
    }

    /// Forgets the channel whose last use is longest ago, among those by a pattern that have no subscribers, with its history.
    pub(crate) fn give_up_idle(&mut self) -> Option<ChannelName> {
        let (_, name) = self.idle.first_key_value()?;
        let name = name.clone();
        self.forget(&name);
        Some(name)
    }

    /// Looks at channels that are due, at most so many, and forgets those that nobody needs. Returns how many of the forgotten
    /// channels existed by a pattern only.
    pub(crate) fn sweep(&mut self, now: Duration, most: usize) -> usize {
        let mut forgotten = 0;
        for _ in 0..most {
            let Some(next) = self.agenda.first_entry().filter(|next| next.key().0 < now) else {
                break;
            };
            let name = next.remove();
            let Some(channel) = self.channels.get_mut(&name) else {
                continue;
            };
            channel.due = None;
            channel.expire(now);
            if channel.is_needed() {
                // No sooner than that: a busy channel forgets by itself, as it publishes.
                let soonest = now.saturating_add(LINGERS);
                channel.due = channel.expires_at().map(|due| due.max(soonest));
                if let Some(due) = channel.due {
                    self.agenda.insert((due, channel.number), name);
                }
            } else {
                forgotten += usize::from(self.forget(&name));
            }
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::config::Channel;
    use crate::channel::memory_log::MemoryLog;
    use crate::ids::SessionId;
    use crate::wire::codec::{Format, RawData};

    type Names = ChannelRegistry<u8, MemoryLog, ()>;

    fn second(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// Publishes to a channel that keeps so many publications.
    fn publish(names: &mut Names, name: &str, (size, is_exact): (usize, bool), now: Duration) {
        let name = name.into();
        if !names.contains(&name) {
            let channel = Channel::open()
                .history(size)
                .history_bytes(1000)
                .history_age(second(60));
            let kind = channel.into_kind(name.as_str(), is_exact);
            let log = MemoryLog::new("e".to_owned(), kind.bounds);
            names.begin(&name, kind, log, None);
        }
        let data = RawData::of(Format::Json, &1).unwrap();
        names.get_mut(&name).unwrap().log.publish(data, now);
        names.used(&name, now);
    }

    fn known(names: &Names) -> Vec<&str> {
        let mut known: Vec<_> = names.channels.keys().map(ChannelName::as_str).collect();
        known.sort_unstable();
        known
    }

    fn subscribe(names: &mut Names, name: &str, session: SessionId) {
        let name = name.into();
        let channel = names.get_mut(&name).unwrap();
        channel.subscribers.enter(session, 0, Format::Json, false);
        names.used(&name, Duration::ZERO);
    }

    fn unsubscribe(names: &mut Names, name: &str, session: SessionId) -> bool {
        let name = name.into();
        names.get_mut(&name).unwrap().subscribers.remove(session);
        names.used(&name, Duration::ZERO);
        names.forget_if_unneeded(&name)
    }

    #[test]
    fn the_channel_whose_last_use_is_longest_ago_is_given_up() {
        let mut names = Names::new();
        for name in ["a", "b", "c", "d"] {
            publish(&mut names, name, (5, false), second(0));
        }
        publish(&mut names, "exact", (5, true), second(0));
        publish(&mut names, "a", (5, false), second(0));
        let session = SessionId::random();
        subscribe(&mut names, "b", session);
        let mut left = Vec::new();
        while names.give_up_idle().is_some() {
            left.push(known(&names).join(""));
        }
        assert_eq!(left, ["abdexact", "abexact", "bexact"]);
        assert!(!unsubscribe(&mut names, "b", session), "it has a history");
        assert!(names.give_up_idle().is_some());
        assert_eq!(known(&names), ["exact"]);
        assert_eq!((names.idle.len(), names.agenda.len()), (0, 1));
    }

    #[test]
    fn old_publications_are_forgotten_and_then_channels_that_nobody_needs() {
        let mut names = Names::new();
        publish(&mut names, "old", (5, false), second(0));
        publish(&mut names, "exact", (5, true), second(0));
        publish(&mut names, "busy", (5, false), second(0));
        publish(&mut names, "busy", (5, false), second(59));
        publish(&mut names, "kept", (5, false), second(0));
        subscribe(&mut names, "kept", SessionId::random());
        assert_eq!(names.sweep(second(60), 100), 0);
        assert_eq!(names.sweep(second(61), 100), 1);
        assert_eq!(known(&names), ["busy", "exact", "kept"]);
        let has_history = |name: &str| !names.channels[&ChannelName::from(name)].log.is_empty();
        let having: Vec<_> = known(&names)
            .into_iter()
            .filter(|name| has_history(name))
            .collect();
        assert_eq!(having, ["busy"]);
        assert_eq!(names.sweep(second(119), 100), 0);
        assert_eq!(names.sweep(second(120), 100), 1);
        assert_eq!(known(&names), ["exact", "kept"]);
        assert_eq!(names.agenda.len(), 0);
    }

    #[test]
    fn a_sweep_looks_at_so_many_channels_and_the_next_goes_on() {
        let mut names = Names::new();
        for n in 0..10 {
            publish(&mut names, &format!("{n}"), (5, false), second(0));
        }
        let swept: Vec<_> = (0..4).map(|_| names.sweep(second(99), 4)).collect();
        assert_eq!(swept, [4, 4, 2, 0]);
        assert!(names.channels.is_empty() && names.idle.is_empty() && names.agenda.is_empty());
    }

    #[test]
    fn a_channel_without_history_lingers_and_one_that_is_left_goes_at_once() {
        let mut names = Names::new();
        publish(&mut names, "none", (0, false), second(0));
        assert_eq!(names.sweep(LINGERS, 100), 0);
        assert_eq!(names.sweep(LINGERS + second(1), 100), 1);
        publish(&mut names, "none", (0, false), second(0));
        let session = SessionId::random();
        subscribe(&mut names, "none", session);
        assert_eq!(names.sweep(second(99), 100), 0);
        assert!(unsubscribe(&mut names, "none", session));
        assert_eq!((names.channels.len(), names.agenda.len()), (0, 0));
    }
}
