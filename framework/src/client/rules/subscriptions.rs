//! Subscriptions: up to where each channel was received, so that no publication is delivered twice and recovery continues there.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::client::event::Position;
use crate::client::subscribing::Wish;
use crate::ids::ChannelName;

#[derive(Debug)]
struct Subscription {
    position: Position,
    /// What the application asked for besides.
    wish: Wish,
    /// Whether publications may arrive as patches.
    has_patches: bool,
    /// With patches: the newest publication, which the next patch changes.
    base: Option<(u64, Value)>,
    /// The application has asked to unsubscribe.
    leaving: bool,
    /// The server has refused to renew it for now; the client will ask again.
    is_put_off: bool,
}

/// The channels that the server has confirmed.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    channels: BTreeMap<ChannelName, Subscription>,
    /// When to ask again for the subscriptions that were refused for now.
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

    /// A subscription is confirmed, and its publications up to `position` were delivered. `wish` is what the application asked for,
    /// or `None` for the same as before. Without data in it, the data of before stays valid.
    pub(crate) fn confirm(
        &mut self,
        channel: ChannelName,
        position: Position,
        wish: Option<Wish>,
        patches: Patches,
    ) {
        let before = self.channels.remove(&channel).map(|known| known.wish);
        let before = before.unwrap_or_default();
        let wish = match wish {
            Some(wish) => Wish {
                data: wish.data.or(before.data),
                ..wish
            },
            None => before,
        };
        let (has_patches, base) = match patches {
            Patches::None => (false, None),
            Patches::Of(base) => (true, base),
        };
        self.channels.insert(
            channel,
            Subscription {
                position,
                wish,
                has_patches,
                base,
                leaving: false,
                is_put_off: false,
            },
        );
    }

    /// What is published by this event, whole. `None`: it is a patch of something that the client does not have.
    pub(crate) fn whole(
        &mut self,
        channel: &ChannelName,
        offset: u64,
        data: Value,
        patch: Option<Map<String, Value>>,
    ) -> Option<Value> {
        let known = self.channels.get_mut(channel);
        let data = match (patch, &known) {
            (None, _) => data,
            (Some(patch), Some(known)) => {
                let (before, base) = known.base.as_ref()?;
                if before + 1 != offset {
                    return None;
                }
                let mut value = base.clone();
                merge(&mut value, patch);
                value
            }
            (Some(_), None) => return None,
        };
        if let Some(known) = known.filter(|known| known.has_patches) {
            known.base = Some((offset, data.clone()));
        }
        Some(data)
    }

    /// The client lacks what a patch changes. Returns the position to subscribe from again, and what to ask for.
    pub(crate) fn begin_again(&mut self, channel: &ChannelName) -> Option<(Position, Wish)> {
        let known = self.channels.get_mut(channel)?;
        if known.leaving {
            return None;
        }
        known.base = None;
        let mut wish = known.wish.clone();
        if known.position.epoch.is_empty() {
            // Another client has subscribed, and it is unknown what it has received.
            wish.last = Some(1);
        }
        Some((known.position.clone(), wish))
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

    /// The application changes the data that it shows.
    pub(crate) fn show(&mut self, channel: &ChannelName, data: Value) {
        if let Some(known) = self.channels.get_mut(channel) {
            known.wish.data = Some(data).filter(|data| !data.is_null());
        }
    }

    /// The application unsubscribes: a new session does not renew the subscription.
    pub(crate) fn leave(&mut self, channel: &ChannelName) {
        if let Some(known) = self.channels.get_mut(channel) {
            known.leaving = true;
            known.is_put_off = false;
        }
    }

    /// The server has ended a subscription. Returns false if there was none.
    pub(crate) fn remove(&mut self, channel: &ChannelName) -> bool {
        self.channels.remove(channel).is_some()
    }

    /// A new session has begun. Returns the subscriptions to renew, with their positions and what to ask for.
    pub(crate) fn renew(&mut self) -> Vec<(ChannelName, Position, Wish)> {
        self.channels.retain(|_, known| !known.leaving);
        self.again_at = None;
        for known in self.channels.values_mut() {
            known.is_put_off = false;
        }
        let again = self.channels.iter();
        again
            .map(|(channel, known)| (channel.clone(), known.position.clone(), known.wish.clone()))
            .collect()
    }

    /// The server has refused to renew a subscription for now. It is due again at `at`, or earlier with others that were refused
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
    pub(crate) fn take_due(&mut self, now: Duration) -> Vec<(ChannelName, Position, Wish)> {
        if self.again_at.take_if(|at| *at <= now).is_none() {
            return Vec::new();
        }
        let due = self.channels.iter_mut().filter_map(|(channel, known)| {
            let is_due = std::mem::take(&mut known.is_put_off);
            is_due.then(|| (channel.clone(), known.position.clone(), known.wish.clone()))
        });
        due.collect()
    }

    pub(crate) fn position(&self, channel: &ChannelName) -> Option<&Position> {
        self.channels.get(channel).map(|known| &known.position)
    }
}

/// Whether a subscription receives patches, and what the next one changes, if the client has it.
#[derive(Debug)]
pub(crate) enum Patches {
    None,
    Of(Option<(u64, Value)>),
}

/// Applies a merge patch (RFC 7396).
fn merge(target: &mut Value, patch: Map<String, Value>) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else {
        return;
    };
    for (key, change) in patch {
        match change {
            Value::Null => {
                members.remove(&key);
            }
            Value::Object(change) => merge(members.entry(key).or_insert(Value::Null), change),
            change => {
                members.insert(key, change);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn confirm(subscriptions: &mut Subscriptions, channel: &ChannelName, epoch: &str, offset: u64) {
        let epoch = epoch.to_owned();
        let position = Position { epoch, offset };
        subscriptions.confirm(channel.clone(), position, None, Patches::None);
    }

    #[test]
    fn patches_are_applied_and_one_that_does_not_fit_is_not() {
        let channel = ChannelName::from("match");
        let mut subscriptions = Subscriptions::default();
        let position = Position {
            epoch: "e".to_owned(),
            offset: 4,
        };
        let base = json!({"a": 1, "b": {"c": 1, "d": null}});
        let wish = Wish {
            last: Some(3),
            delta: true,
            ..Wish::default()
        };
        let patches = Patches::Of(Some((4, base)));
        subscriptions.confirm(
            channel.clone(),
            position.clone(),
            Some(wish.clone()),
            patches,
        );
        let mut whole = |offset, patch: Value| {
            let patch = patch.as_object().cloned();
            subscriptions.whole(&channel, offset, Value::Null, patch)
        };
        let patch = json!({"a": null, "b": {"c": 2, "e": {"f": null, "g": [null]}}});
        let expected = json!({"b": {"c": 2, "d": null, "e": {"g": [null]}}});
        assert_eq!(whole(5, patch), Some(expected));
        assert_eq!(whole(7, json!({"a": 1})), None);
        assert_eq!(whole(6, json!({"b": 1})), Some(json!({"b": 1})));
        assert_eq!(
            subscriptions.begin_again(&channel),
            Some((position.clone(), wish.clone()))
        );
        let patch = json!({}).as_object().cloned();
        assert_eq!(subscriptions.whole(&channel, 7, Value::Null, patch), None);
        assert_eq!(subscriptions.renew(), [(channel, position, wish)]);
    }

    #[test]
    fn an_offset_is_new_once_in_its_epoch() {
        let channel = ChannelName::from("updates");
        let mut subscriptions = Subscriptions::default();
        assert_eq!(subscriptions.subscribed(&channel, "e1"), None);
        confirm(&mut subscriptions, &channel, "e1", 5);
        assert!(!subscriptions.publication(&channel, 5));
        assert!(subscriptions.publication(&channel, 6));
        assert!(!subscriptions.publication(&channel, 6));
        assert_eq!(subscriptions.subscribed(&channel, "e1"), Some(6));
        assert_eq!(
            subscriptions.subscribed(&channel, "e2"),
            None,
            "a new epoch"
        );
        confirm(&mut subscriptions, &channel, "e2", 0);
        assert!(subscriptions.publication(&channel, 1));
    }

    #[test]
    fn a_channel_that_is_being_left_is_not_subscribed_again() {
        let (a, b) = (ChannelName::from("a"), ChannelName::from("b"));
        let mut subscriptions = Subscriptions::default();
        confirm(&mut subscriptions, &a, "e", 1);
        confirm(&mut subscriptions, &b, "e", 2);
        subscriptions.leave(&a);
        let again = subscriptions.renew();
        let expected = Position {
            epoch: "e".to_owned(),
            offset: 2,
        };
        assert_eq!(again, [(b, expected, Wish::default())]);
        assert!(subscriptions.position(&a).is_none());
    }
}
