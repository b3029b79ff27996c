//! Subscriptions: up to where each channel was received, so that no publication is delivered twice and recovery continues there.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::event::Position;
use crate::ids::ChannelName;

#[derive(Debug)]
struct Subscription {
    position: Position,
    /// The application has asked to unsubscribe.
    leaving: bool,
    /// The server has refused to renew it as too fast; the client will ask again.
    is_put_off: bool,
}

/// The channels that the server has confirmed.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    channels: BTreeMap<ChannelName, Subscription>,
    /// When to ask again for the subscriptions that were refused as too fast.
    again_at: Option<Duration>,
}

impl Subscriptions {
    /// The server has confirmed a subscription. Returns the offset after which publications are new.
    ///
    /// `None` if all are new, because the channel is new to the client or has another epoch than before.
    pub(crate) fn subscribed(&mut self, channel: &ChannelName, epoch: &str) -> Option<u64> {
        match self.channels.get_mut(channel) {
            Some(known) if known.position.epoch == epoch => {
                known.leaving = false;
                Some(known.position.offset)
            }
            _ => None,
        }
    }

    /// A subscription is confirmed, and its publications up to `offset` were delivered.
    pub(crate) fn confirm(&mut self, channel: ChannelName, epoch: String, offset: u64) {
        let position = Position { epoch, offset };
        self.channels.insert(
            channel,
            Subscription {
                position,
                leaving: false,
                is_put_off: false,
            },
        );
    }

    /// A publication arrived. Returns whether it is new.
    pub(crate) fn publication(&mut self, channel: &ChannelName, offset: u64) -> bool {
        // The server never confirmed this channel. That is its fault; the publication is delivered all the same.
        let Some(known) = self.channels.get_mut(channel) else {
            return true;
        };
        let is_new = offset > known.position.offset;
        if is_new {
            known.position.offset = offset;
        }
        is_new
    }

    /// The application unsubscribes: a new session does not renew the subscription.
    pub(crate) fn leave(&mut self, channel: &ChannelName) {
        if let Some(known) = self.channels.get_mut(channel) {
            known.leaving = true;
            known.is_put_off = false;
        }
    }

    /// The server has ended a subscription.
    pub(crate) fn remove(&mut self, channel: &ChannelName) {
        self.channels.remove(channel);
    }

    /// A new session has begun. Returns the subscriptions to renew, with their positions.
    pub(crate) fn renew(&mut self) -> Vec<(ChannelName, Position)> {
        self.channels.retain(|_, known| !known.leaving);
        self.again_at = None;
        for known in self.channels.values_mut() {
            known.is_put_off = false;
        }
        let again = self.channels.iter();
        again
            .map(|(channel, known)| (channel.clone(), known.position.clone()))
            .collect()
    }

    /// The server has refused to renew a subscription as too fast. It is due again at `at`, or earlier with others that were refused
    /// before. Returns false if there is no such subscription.
    pub(crate) fn put_off(&mut self, channel: &ChannelName, at: Duration) -> bool {
        let known = self.channels.get_mut(channel);
        let Some(known) = known.filter(|known| !known.leaving) else {
            return false;
        };
        known.is_put_off = true;
        self.again_at.get_or_insert(at);
        true
    }

    /// When [`Subscriptions::take_due`] has to be called. `None` if nothing is due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.again_at
    }

    /// Takes the subscriptions that are due to be renewed.
    pub(crate) fn take_due(&mut self, now: Duration) -> Vec<(ChannelName, Position)> {
        if self.again_at.take_if(|at| *at <= now).is_none() {
            return Vec::new();
        }
        let due = self.channels.iter_mut().filter_map(|(channel, known)| {
            let is_due = std::mem::take(&mut known.is_put_off);
            is_due.then(|| (channel.clone(), known.position.clone()))
        });
        due.collect()
    }

    pub(crate) fn position(&self, channel: &ChannelName) -> Option<&Position> {
        self.channels.get(channel).map(|known| &known.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_new_once_in_its_epoch() {
        let channel = ChannelName::from("updates");
        let mut subscriptions = Subscriptions::default();
        assert_eq!(subscriptions.subscribed(&channel, "e1"), None);
        subscriptions.confirm(channel.clone(), "e1".to_owned(), 5);
        assert!(!subscriptions.publication(&channel, 5));
        assert!(subscriptions.publication(&channel, 6));
        assert!(!subscriptions.publication(&channel, 6));
        assert_eq!(subscriptions.subscribed(&channel, "e1"), Some(6));
        assert_eq!(
            subscriptions.subscribed(&channel, "e2"),
            None,
            "a new epoch"
        );
        subscriptions.confirm(channel.clone(), "e2".to_owned(), 0);
        assert!(subscriptions.publication(&channel, 1));
    }

    #[test]
    fn a_channel_that_is_being_left_is_not_subscribed_again() {
        let (a, b) = (ChannelName::from("a"), ChannelName::from("b"));
        let mut subscriptions = Subscriptions::default();
        subscriptions.confirm(a.clone(), "e".to_owned(), 1);
        subscriptions.confirm(b.clone(), "e".to_owned(), 2);
        subscriptions.leave(&a);
        let again = subscriptions.renew();
        let expected = Position {
            epoch: "e".to_owned(),
            offset: 2,
        };
        assert_eq!(again, [(b, expected)]);
        assert!(subscriptions.position(&a).is_none());
    }
}
