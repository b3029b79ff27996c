//! Channels: how far each was read, so that nothing is handed on twice and recovery goes on from there.

use std::collections::BTreeMap;

use crate::client::event::Position;
use crate::ids::ChannelName;

#[derive(Debug)]
struct Subscription {
    position: Position,
    /// The application has asked to end it.
    leaving: bool,
}

/// The channels that the server has confirmed.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions(BTreeMap<ChannelName, Subscription>);

impl Subscriptions {
    /// The server has confirmed a subscription. Returns the offset after which publications are new.
    ///
    /// Offsets of another epoch have nothing to do with those that were seen: all are new then.
    pub(crate) fn subscribed(&mut self, channel: &ChannelName, epoch: &str) -> Option<u64> {
        match self.0.get_mut(channel) {
            Some(known) if known.position.epoch == epoch => {
                known.leaving = false;
                Some(known.position.offset)
            }
            _ => None,
        }
    }

    /// The server has confirmed a subscription, and what its list held was handed on: the channel was read up to `offset`.
    pub(crate) fn confirm(&mut self, channel: ChannelName, epoch: String, offset: u64) {
        let position = Position { epoch, offset };
        self.0.insert(
            channel,
            Subscription {
                position,
                leaving: false,
            },
        );
    }

    /// A publication arrived; true if it is new.
    pub(crate) fn publication(&mut self, channel: &ChannelName, offset: u64) -> bool {
        // A channel that is not here was never confirmed: the server's fault, and no reason to hide what it says.
        let Some(known) = self.0.get_mut(channel) else {
            return true;
        };
        let is_new = offset > known.position.offset;
        if is_new {
            known.position.offset = offset;
        }
        is_new
    }

    /// The application has asked to end it: a new session does not get it again.
    pub(crate) fn leave(&mut self, channel: &ChannelName) {
        if let Some(known) = self.0.get_mut(channel) {
            known.leaving = true;
        }
    }

    /// The server has ended it.
    pub(crate) fn remove(&mut self, channel: &ChannelName) {
        self.0.remove(channel);
    }

    /// A new session: what is to be subscribed again, and from where.
    pub(crate) fn renew(&mut self) -> Vec<(ChannelName, Position)> {
        self.0.retain(|_, known| !known.leaving);
        let again = self.0.iter();
        again
            .map(|(channel, known)| (channel.clone(), known.position.clone()))
            .collect()
    }

    pub(crate) fn position(&self, channel: &ChannelName) -> Option<&Position> {
        self.0.get(channel).map(|known| &known.position)
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
            "the stream began anew"
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
