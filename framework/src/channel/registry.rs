//! The channels of one shard: begun when somebody needs them, and forgotten when nobody does.
//!
//! Nothing here looks at all channels. Those that nobody is subscribed to stand in the order in which they were last used, and
//! those whose history will have something to forget, in the order of that time.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::config::Offer;
use super::history::History;
use super::subscribers::Subscribers;
use crate::ids::ChannelName;

/// How long a channel stays that has neither subscribers nor history: its offsets go on for those who are back at once.
const LINGERS: Duration = Duration::from_secs(30);

/// A channel, and what the registry remembers of it. `H`: where subscribers live; `C`: what holds somebody to account for it.
#[derive(Debug)]
pub(crate) struct Channel<H, C> {
    pub(crate) history: History,
    pub(crate) subscribers: Subscribers<H>,
    /// Whether it exists by its own name, and not only by a pattern.
    is_exact: bool,
    /// Tells it apart where times are equal.
    number: u64,
    /// Its place among those that nobody is subscribed to.
    idle: Option<u64>,
    /// When it is looked at next.
    due: Option<Duration>,
    _cause: Option<C>,
}

impl<H: Clone + PartialEq, C> Channel<H, C> {
    fn is_needed(&self) -> bool {
        self.is_exact || !self.subscribers.is_empty() || !self.history.is_empty()
    }
}

#[derive(Debug)]
pub(crate) struct ChannelRegistry<H, C> {
    channels: HashMap<ChannelName, Channel<H, C>>,
    /// Those that only a pattern allows and nobody is subscribed to, the one first that was not used for longest.
    idle: BTreeMap<u64, ChannelName>,
    /// When channels are to be looked at.
    agenda: BTreeMap<(Duration, u64), ChannelName>,
    /// Counts what happens: an order in time.
    moment: u64,
}

impl<H: Clone + PartialEq, C> ChannelRegistry<H, C> {
    pub(crate) fn new() -> Self {
        Self {
            channels: HashMap::new(),
            idle: BTreeMap::new(),
            agenda: BTreeMap::new(),
            moment: 0,
        }
    }

    pub(crate) fn contains(&self, name: &ChannelName) -> bool {
        self.channels.contains_key(name)
    }

    pub(crate) fn get_mut(&mut self, name: &ChannelName) -> Option<&mut Channel<H, C>> {
        self.channels.get_mut(name)
    }

    pub(crate) fn begin(
        &mut self,
        name: &ChannelName,
        offer: Offer,
        epoch: String,
        cause: Option<C>,
    ) {
        self.moment += 1;
        let channel = Channel {
            history: History::new(epoch, offer.config.bounds()),
            subscribers: Subscribers::default(),
            is_exact: offer.is_exact,
            number: self.moment,
            idle: None,
            due: None,
            _cause: cause,
        };
        self.channels.insert(name.clone(), channel);
    }

    /// A channel was used: notes what that means for its end. To be called after each use.
    pub(crate) fn used(&mut self, name: &ChannelName, now: Duration) {
        self.moment += 1;
        let Some(channel) = self.channels.get_mut(name) else {
            return;
        };
        if let Some(place) = channel.idle.take() {
            self.idle.remove(&place);
        }
        if !channel.is_exact && channel.subscribers.is_empty() {
            channel.idle = Some(self.moment);
            self.idle.insert(self.moment, name.clone());
        }
        if channel.due.is_none() {
            let lingers = || (!channel.is_needed()).then(|| now.saturating_add(LINGERS));
            let due = channel.history.forgets_at().or_else(lingers);
            channel.due = due;
            if let Some(due) = due {
                self.agenda.insert((due, channel.number), name.clone());
            }
        }
    }

    /// Forgets a channel that nobody needs. True if it was one that only a pattern allows.
    pub(crate) fn forget_if_unneeded(&mut self, name: &ChannelName) -> bool {
        let is_unneeded = self.channels.get(name).is_some_and(|c| !c.is_needed());
        is_unneeded && self.forget(name)
    }

    fn forget(&mut self, name: &ChannelName) -> bool {
        let Some(channel) = self.channels.remove(name) else {
            return false;
        };
        if let Some(place) = channel.idle {
            self.idle.remove(&place);
        }
        if let Some(due) = channel.due {
            self.agenda.remove(&(due, channel.number));
        }
        !channel.is_exact
    }

    /// Gives up the channel that nobody is subscribed to and that was not used for longest, with its history. False if there
    /// is none.
    pub(crate) fn give_up_idle(&mut self) -> bool {
        let longest = self.idle.first_key_value().map(|(_, name)| name.clone());
        longest.is_some_and(|name| self.forget(&name))
    }

    /// Looks at channels whose time has come, `most` of them. How many were forgotten that only a pattern allows.
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
            channel.history.expire(now);
            if channel.is_needed() {
                // Not sooner: what a busy channel forgets, it forgets by itself.
                let soonest = now.saturating_add(LINGERS);
                channel.due = channel.history.forgets_at().map(|due| due.max(soonest));
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
    use crate::channel::config::ChannelConfig;
    use crate::ids::SessionId;
    use crate::wire::codec::{Format, RawData};

    type Names = ChannelRegistry<u8, ()>;

    fn second(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn offer(history: usize, is_exact: bool) -> Offer {
        Offer {
            config: ChannelConfig::default()
                .history(history)
                .history_age(second(60)),
            is_exact,
        }
    }

    fn publish(names: &mut Names, name: &str, offer: Offer, now: Duration) {
        let name = name.into();
        if !names.contains(&name) {
            names.begin(&name, offer, "e".to_owned(), None);
        }
        let data = RawData::of(Format::Json, &1).unwrap();
        names.get_mut(&name).unwrap().history.add(data, now);
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
        channel.subscribers.enter(session, 0, Format::Json);
        names.used(&name, Duration::ZERO);
    }

    fn unsubscribe(names: &mut Names, name: &str, session: SessionId) -> bool {
        let name = name.into();
        names.get_mut(&name).unwrap().subscribers.remove(session);
        names.used(&name, Duration::ZERO);
        names.forget_if_unneeded(&name)
    }

    #[test]
    fn the_channel_that_nobody_has_used_for_longest_is_given_up() {
        let mut names = Names::new();
        for name in ["a", "b", "c", "d"] {
            publish(&mut names, name, offer(5, false), second(0));
        }
        publish(&mut names, "exact", offer(5, true), second(0));
        publish(&mut names, "a", offer(5, false), second(0));
        let session = SessionId::random();
        subscribe(&mut names, "b", session);
        let mut left = Vec::new();
        while names.give_up_idle() {
            left.push(known(&names).join(""));
        }
        assert_eq!(left, ["abdexact", "abexact", "bexact"]);
        assert!(!unsubscribe(&mut names, "b", session), "it has a history");
        assert!(names.give_up_idle());
        assert_eq!(known(&names), ["exact"]);
        assert_eq!((names.idle.len(), names.agenda.len()), (0, 1));
    }

    #[test]
    fn what_is_old_is_forgotten_and_with_it_channels_that_nobody_needs() {
        let mut names = Names::new();
        publish(&mut names, "old", offer(5, false), second(0));
        publish(&mut names, "exact", offer(5, true), second(0));
        publish(&mut names, "busy", offer(5, false), second(0));
        publish(&mut names, "busy", offer(5, false), second(59));
        publish(&mut names, "kept", offer(5, false), second(0));
        subscribe(&mut names, "kept", SessionId::random());
        assert_eq!(names.sweep(second(60), 100), 0);
        assert_eq!(names.sweep(second(61), 100), 1);
        assert_eq!(known(&names), ["busy", "exact", "kept"]);
        let has_history = |name: &str| !names.channels[&ChannelName::from(name)].history.is_empty();
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
    fn a_sweep_does_so_much_at_a_time_and_goes_on_later() {
        let mut names = Names::new();
        for n in 0..10 {
            publish(&mut names, &format!("{n}"), offer(5, false), second(0));
        }
        let swept: Vec<_> = (0..4).map(|_| names.sweep(second(99), 4)).collect();
        assert_eq!(swept, [4, 4, 2, 0]);
        assert!(names.channels.is_empty() && names.idle.is_empty() && names.agenda.is_empty());
    }

    #[test]
    fn a_channel_without_history_lingers_and_one_that_is_left_goes_at_once() {
        let mut names = Names::new();
        publish(&mut names, "none", offer(0, false), second(0));
        assert_eq!(names.sweep(LINGERS, 100), 0);
        assert_eq!(names.sweep(LINGERS + second(1), 100), 1);
        publish(&mut names, "none", offer(0, false), second(0));
        let session = SessionId::random();
        subscribe(&mut names, "none", session);
        assert_eq!(names.sweep(second(99), 100), 0);
        assert!(unsubscribe(&mut names, "none", session));
        assert_eq!((names.channels.len(), names.agenda.len()), (0, 0));
    }
}
