//! The rules of channels, without an actor and without a clock.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::config::Channel;
use super::super::follow::{self, FollowBounds, FollowPattern};
use super::super::log::{Page, Start};
use super::super::memory_log::MemoryLogs;
use super::*;
use crate::config::Config;
use crate::session::accounts::Book;
use crate::wire::action::Since;
use crate::wire::codec::Format;
use crate::wire::codec::decode;

pub(super) mod delta;
mod journal;
mod keys;
mod latest;
mod limits;
mod recovery;

/// How many channels by patterns these servers may have.
const MOST: usize = 3;

/// A shard with subscribers at homes that are numbers, and its time in seconds.
pub(super) struct Shard {
    pub(super) core: ChannelCore<u8, MemoryLogs>,
    quota: Arc<ChannelQuota>,
    pub(super) now: u64,
}

/// An effect, with its event if it has one.
type Seen = (&'static str, u8, Value);

impl Shard {
    /// Offers `news`, which lives always, and channels by the patterns `by/{name}`, and `bare/{name}` without history; `clock`, of which
    /// subscribers receive the newest, and `delta`, of which they receive patches.
    pub(super) fn new() -> Self {
        let kept = Channel::open()
            .history(5)
            .history_age(Duration::from_secs(60));
        let mut patterns = ChannelPatterns::default();
        patterns.add("news", kept.clone()).unwrap();
        patterns.add("by/{name}", kept.clone()).unwrap();
        patterns
            .add("bare/{name}", kept.clone().history(0))
            .unwrap();
        patterns
            .add("clock", kept.clone().history(0).latest(true))
            .unwrap();
        patterns.add("delta", kept.clone().delta(true)).unwrap();
        let bare = kept.clone().history(0).delta(true);
        patterns.add("delta/bare", bare).unwrap();
        let quota = Arc::new(ChannelQuota::new(MOST));
        let limits = Config::default().limits;
        let core = ChannelCore::new(Arc::new(patterns), limits, quota.clone(), MemoryLogs);
        Self {
            core: core.remembering(KeyBounds {
                number: 2,
                age: Duration::from_secs(40),
            }),
            quota,
            now: 0,
        }
    }

    fn step(&mut self, input: ChannelInput<u8>) -> Vec<Seen> {
        let mut effects = Vec::new();
        self.core
            .step(Duration::from_secs(self.now), input, &mut effects);
        effects.into_iter().map(seen).collect()
    }

    fn publish_as(&mut self, from: Publisher<u8>, channel: &str) -> Vec<Seen> {
        self.publish_with(from, channel, None)
    }

    fn publish_value(&mut self, from: Publisher<u8>, channel: &str, data: &Value) -> Vec<Seen> {
        self.publish_all(from, channel, data, None)
    }

    fn publish_with(&mut self, from: Publisher<u8>, channel: &str, key: Option<&str>) -> Vec<Seen> {
        self.publish_all(from, channel, &json!("line"), key)
    }

    fn publish_all(
        &mut self,
        from: Publisher<u8>,
        channel: &str,
        data: &Value,
        key: Option<&str>,
    ) -> Vec<Seen> {
        self.step(ChannelInput::Publish {
            from,
            channel: channel.into(),
            data: RawData::of(Format::Json, data).unwrap(),
            key: key.map(|key| PublishKey::new(key).unwrap()),
            accounts: None,
        })
    }

    fn publish(&mut self, channel: &str) -> Vec<Seen> {
        let room = Publisher::Room("lobby".into());
        self.publish_as(room, channel)
    }

    fn subscribe(&mut self, from: &Requester<u8>, channel: &str) -> Vec<Seen> {
        self.subscribe_since(from, channel, None, 10_000)
    }

    fn subscribe_since(
        &mut self,
        from: &Requester<u8>,
        channel: &str,
        since: Option<(&str, u64)>,
        budget: usize,
    ) -> Vec<Seen> {
        let since = since.map(|(epoch, offset)| Since {
            epoch: epoch.to_owned(),
            offset,
        });
        let start = Start {
            since,
            ..Start::default()
        };
        self.subscribe_from(from, channel, start, budget)
    }

    fn subscribe_from(
        &mut self,
        from: &Requester<u8>,
        channel: &str,
        start: Start,
        budget: usize,
    ) -> Vec<Seen> {
        let subscribe = self.wish(from, channel, start, budget, 7);
        self.step(ChannelInput::Subscribe(subscribe))
    }

    pub(super) fn wish(
        &self,
        from: &Requester<u8>,
        channel: &str,
        start: Start,
        budget: usize,
        attempt: u64,
    ) -> Subscribe<u8> {
        Subscribe {
            from: from.clone(),
            channel: channel.into(),
            kind: self.core.patterns.find(channel).unwrap().clone(),
            start,
            delta: channel.starts_with("delta"),
            grant: None,
            budget,
            attempt,
            accounts: None,
            appearance: None,
        }
    }

    /// Asks for a page; returns where the answer goes, its event, and how long it is.
    fn page(&mut self, from: &Requester<u8>, channel: &str, page: Page, budget: usize) -> Seen {
        let mut effects = self.step(ChannelInput::ReadHistory(ReadHistory {
            from: from.clone(),
            channel: channel.into(),
            page,
            budget,
        }));
        assert_eq!(effects.len(), 1);
        effects.remove(0)
    }

    fn unsubscribe(&mut self, from: &Requester<u8>, channel: &str) -> Vec<Seen> {
        self.step(ChannelInput::Unsubscribe {
            from: from.clone(),
            channel: channel.into(),
            attempt: 7,
            reason: UnsubscribeReason::Left,
        })
    }

    fn gone(&mut self, from: &Requester<u8>, channel: &str) -> Vec<Seen> {
        self.step(ChannelInput::SessionGone {
            session: from.origin.session,
            channel: channel.into(),
            attempt: 7,
        })
    }

    fn rehome(&mut self, of: &Requester<u8>, channel: &str, to: u8) -> Vec<Seen> {
        self.step(ChannelInput::Rehome {
            session: of.origin.session,
            channel: channel.into(),
            from: of.home,
            to,
        })
    }

    fn sweep_at(&mut self, second: u64) {
        self.now = second;
        assert_eq!(self.step(ChannelInput::Clock), []);
    }

    /// How many more channels by patterns there may be.
    fn places(&self) -> usize {
        let taken = (0..).take_while(|_| self.quota.try_take()).count();
        self.quota.give_back(taken);
        taken
    }
}

pub(super) fn client(home: u8) -> Requester<u8> {
    Requester {
        origin: SessionOrigin {
            session: SessionId::random(),
            action: NonZeroU64::new(12),
        },
        home,
        format: Format::Json,
        id: Some(34),
    }
}

fn event_of(frame: &Encoded) -> Value {
    decode(Format::Json, frame.body(Format::Json)).unwrap()
}

fn seen(effect: ChannelEffect<u8>) -> Seen {
    let of = |frame: Option<Encoded>| frame.as_ref().map_or(Value::Null, event_of);
    match effect {
        ChannelEffect::Publish {
            home,
            frame,
            readers,
            ..
        } => {
            let name = match readers {
                Readers::Whole => "publish",
                Readers::Delta => "publish delta",
                Readers::Newest => "publish newest",
            };
            (name, home, event_of(&frame))
        }
        ChannelEffect::Followed { publication, .. } => {
            let name = publication.channel;
            ("followed", 0, json!([name, publication.offset]))
        }
        ChannelEffect::Reply { home, frame, .. } => ("reply", home, event_of(&frame)),
        ChannelEffect::Subscribed {
            home,
            frame,
            attempt,
            ..
        } => {
            assert_eq!(attempt, 7);
            ("subscribed", home, event_of(&frame))
        }
        ChannelEffect::SubscribeRefused { home, frame, .. } => ("refused", home, of(frame)),
        ChannelEffect::History { home, frame, .. } => ("history", home, of(frame)),
        ChannelEffect::Unsubscribed { home, frame, .. } => ("unsubscribed", home, of(frame)),
        ChannelEffect::Adopt { home, .. } => ("adopt", home, Value::Null),
        ChannelEffect::Newest { home, frame, .. } => ("newest", home, event_of(&frame)),
        ChannelEffect::ShowChange { home, frame, .. } => ("change", home, event_of(&frame)),
        ChannelEffect::ShowList { home, frame, .. } => ("list", home, event_of(&frame)),
        ChannelEffect::Rehomed { home, to, .. } => ("rehomed", home, json!(to)),
        ChannelEffect::Published { offset } => ("offset", 0, json!(offset)),
        ChannelEffect::Dropped {
            origin, refusal, ..
        } => ("dropped", 0, json!([origin.to_string(), refusal.code()])),
        ChannelEffect::NotEncoded { origin, .. } => ("not encoded", 0, json!(origin.to_string())),
        ChannelEffect::GivenUp { channel } => ("given up", 0, json!(channel)),
    }
}

fn names(effects: &[Seen]) -> Vec<(&'static str, u8)> {
    effects
        .iter()
        .map(|(name, home, _)| (*name, *home))
        .collect()
}

fn offsets(subscribed: &Value) -> Vec<u64> {
    let publications = subscribed["publications"].as_array().unwrap();
    let offsets = publications.iter().map(|p| p["offset"].as_u64().unwrap());
    offsets.collect()
}

#[test]
fn a_subscriber_gets_the_history_and_then_what_comes_after_it() {
    let mut shard = Shard::new();
    shard.publish("news");
    shard.publish("news");
    let ann = client(1);
    let subscribed = shard.subscribe(&ann, "news");
    assert_eq!(names(&subscribed), [("subscribed", 1)]);
    let event = &subscribed[0].2;
    assert_eq!(offsets(event), [1, 2]);
    assert_eq!((&event["offset"], &event["id"]), (&json!(2), &json!(34)));
    let published = shard.publish("news");
    assert_eq!(names(&published), [("publish", 1)]);
    assert_eq!(published[0].2["offset"], 3);
    assert_eq!(published[0].2["data"], "line");
}

#[test]
fn a_publication_is_sent_once_to_each_home_that_has_subscribers() {
    let mut shard = Shard::new();
    assert_eq!(shard.publish("news"), [], "nobody is subscribed");
    let subscribers = [1, 2, 1].map(client);
    for from in &subscribers {
        shard.subscribe(from, "news");
    }
    let mut homes = names(&shard.publish("news"));
    homes.sort_unstable();
    assert_eq!(homes, [("publish", 1), ("publish", 2)]);
    shard.gone(&subscribers[1], "news");
    assert_eq!(names(&shard.publish("news")), [("publish", 1)]);
}

#[test]
fn publishers_learn_the_offset_behind_the_publication_if_they_ask() {
    let mut shard = Shard::new();
    shard.subscribe(&client(1), "news");
    let from = client(2);
    let effects = shard.publish_as(Publisher::Client(from.clone()), "news");
    assert_eq!(names(&effects), [("publish", 1), ("reply", 2)]);
    let event = &effects[1].2;
    assert_eq!(event["event"], "published");
    assert_eq!((&event["id"], &event["offset"]), (&json!(34), &json!(1)));
    let from = Requester { id: None, ..from };
    let effects = shard.publish_as(Publisher::Client(from), "news");
    assert_eq!(names(&effects), [("publish", 1)]);
    let effects = shard.publish_as(Publisher::Application, "news");
    assert_eq!(names(&effects), [("publish", 1), ("offset", 0)]);
    assert_eq!(effects[1].2, 3);
}

#[test]
fn a_returning_subscriber_gets_what_it_missed() {
    let mut shard = Shard::new();
    let ann = client(1);
    let epoch = shard.subscribe(&ann, "news")[0].2["epoch"].clone();
    let epoch = epoch.as_str().unwrap();
    for _ in 0..7 {
        shard.publish("news");
    }
    let mut back = |epoch, offset| {
        let effects = shard.subscribe_since(&client(1), "news", Some((epoch, offset)), 10_000);
        let event = &effects[0].2;
        (event["recovered"] == true, offsets(event))
    };
    assert_eq!(back(epoch, 7), (true, vec![]));
    assert_eq!(back(epoch, 5), (true, vec![6, 7]));
    assert_eq!(back(epoch, 1), (false, vec![3, 4, 5, 6, 7]));
    assert_eq!(back("another", 5), (false, vec![3, 4, 5, 6, 7]));
}

#[test]
fn a_channel_that_was_forgotten_begins_a_new_epoch() {
    let mut shard = Shard::new();
    let ann = client(1);
    let first = shard.subscribe(&ann, "by/1")[0].2.clone();
    shard.publish("by/1");
    shard.unsubscribe(&ann, "by/1");
    let again = shard.subscribe(&ann, "by/1")[0].2.clone();
    assert_eq!(again["epoch"], first["epoch"], "it has a history");
    shard.unsubscribe(&ann, "by/1");
    shard.sweep_at(61);
    let epoch = first["epoch"].as_str().unwrap();
    let effects = shard.subscribe_since(&ann, "by/1", Some((epoch, 0)), 10_000);
    let event = &effects[0].2;
    assert_ne!(event["epoch"], first["epoch"]);
    assert_eq!(event["recovered"], false, "offset 0 was of another epoch");
    assert_eq!(event["offset"], 0);
}

#[test]
fn an_answer_is_not_longer_than_its_budget_if_it_can_be_shorter() {
    let mut shard = Shard::new();
    for _ in 0..5 {
        shard.publish("news");
    }
    let without = shard.subscribe_since(&client(1), "news", None, 0);
    assert_eq!(offsets(&without[0].2), [0; 0]);
    let fits = without[0].2.to_string().len() + 70;
    let effects = shard.subscribe_since(&client(1), "news", None, fits);
    let event = &effects[0].2;
    let newest = offsets(event);
    assert!(!newest.is_empty() && newest.len() < 5 && newest.ends_with(&[5]));
    assert!(event.to_string().len() <= fits);
}

#[test]
fn a_session_that_subscribes_again_is_answered_where_its_publications_go() {
    let mut shard = Shard::new();
    let ann = client(1);
    shard.subscribe(&ann, "news");
    let moved = Requester {
        home: 2,
        ..ann.clone()
    };
    assert_eq!(names(&shard.subscribe(&moved, "news")), [("subscribed", 1)]);
    assert_eq!(names(&shard.publish("news")), [("publish", 1)]);
}

#[test]
fn unsubscribing_is_answered_always_and_a_session_that_is_gone_never() {
    let mut shard = Shard::new();
    let ann = client(1);
    let unsubscribed = shard.unsubscribe(&ann, "news");
    assert_eq!(names(&unsubscribed), [("unsubscribed", 1)]);
    assert_eq!(unsubscribed[0].2["reason"], "left");
    assert_eq!(shard.gone(&ann, "news"), []);
    shard.subscribe(&ann, "news");
    assert_eq!(shard.gone(&ann, "news"), [("unsubscribed", 1, Value::Null)]);
    assert_eq!(shard.publish("news"), []);
}

#[test]
fn a_subscription_that_the_application_ends_has_that_as_its_reason() {
    let mut shard = Shard::new();
    let ann = client(1);
    shard.subscribe(&ann, "news");
    let removed = shard.step(ChannelInput::Unsubscribe {
        from: Requester {
            id: None,
            ..ann.clone()
        },
        channel: "news".into(),
        attempt: 7,
        reason: UnsubscribeReason::Removed,
    });
    let event = json!({"event": "unsubscribed", "channel": "news", "reason": "removed"});
    assert_eq!(removed, [("unsubscribed", 1, event)]);
    assert_eq!(shard.publish("news"), []);
}

#[test]
fn a_follower_receives_what_is_published_to_its_channels_also_to_those_that_begin_later() {
    let mut shard = Shard::new();
    shard.publish("by/1");
    let (queue, sink) = follow::queue(FollowBounds {
        number: 10,
        bytes: 1000,
    });
    let pattern = Arc::new(FollowPattern::new("by/{n}").unwrap());
    let dropped = Arc::downgrade(&sink);
    assert_eq!(shard.step(ChannelInput::Follow(pattern, sink)), []);
    let followed = |channel, offset: u64| [("followed", 0, json!([channel, offset]))];
    assert_eq!(shard.publish("by/1"), followed("by/1", 2));
    assert_eq!(shard.publish("by/2"), followed("by/2", 1));
    assert_eq!(shard.publish("news"), []);
    shard.sweep_at(61);
    assert_eq!(shard.publish("by/2"), followed("by/2", 1), "it began again");
    shard.step(ChannelInput::Unfollow(dropped));
    assert_eq!(shard.publish("by/2"), []);
    let context = std::task::Context::from_waker(std::task::Waker::noop());
    let over = queue.poll_next(&context);
    assert!(matches!(over, std::task::Poll::Ready(None)), "{over:?}");
}

#[test]
fn a_subscriber_is_adopted_by_its_new_home_before_the_old_one_lets_it_go() {
    let mut shard = Shard::new();
    let ann = client(1);
    shard.subscribe(&ann, "news");
    let moved = shard.rehome(&ann, "news", 2);
    assert_eq!(moved, [("adopt", 2, Value::Null), ("rehomed", 1, json!(2))]);
    assert_eq!(names(&shard.publish("news")), [("publish", 2)]);
    let stranger = client(3);
    let moved = shard.rehome(&stranger, "news", 2);
    assert_eq!(moved, [("rehomed", 3, Value::Null)]);
    assert_eq!(
        shard.rehome(&stranger, "by/none", 2),
        [("rehomed", 3, Value::Null)]
    );
}

#[test]
fn a_publication_is_encoded_in_the_formats_that_subscribers_have() {
    let mut shard = Shard::new();
    let packed = Requester {
        format: Format::MsgPack,
        ..client(1)
    };
    shard.subscribe(&packed, "news");
    let mut effects = Vec::new();
    let input = ChannelInput::Publish {
        from: Publisher::Application,
        channel: "news".into(),
        data: RawData::of(Format::Json, "line").unwrap(),
        key: None,
        accounts: None,
    };
    shard.core.step(Duration::ZERO, input, &mut effects);
    let Some(ChannelEffect::Publish { frame, .. }) = effects.first() else {
        panic!("nothing was published");
    };
    let event: Value = decode(Format::MsgPack, frame.body(Format::MsgPack)).unwrap();
    assert_eq!(event["data"], "line");
}

#[derive(Clone, Debug)]
enum Act {
    Publish,
    Subscribe(usize),
    Leave(usize),
    Move(usize, u8),
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Publish),
        2 => (0..4_usize).prop_map(Act::Subscribe),
        1 => (0..4_usize).prop_map(Act::Leave),
        1 => (0..4_usize, 0..3_u8).prop_map(|(who, to)| Act::Move(who, to)),
        1 => (0..50_u64).prop_map(Act::Pass),
    ]
}

proptest! {
    /// From its `subscribed` on, a subscriber receives each offset once and in order, by whatever home it is reached.
    #[test]
    fn subscribers_miss_nothing_and_receive_nothing_twice(acts in prop::collection::vec(act(), 0..80)) {
        let mut shard = Shard::new();
        let mut clients = [0_u8, 1, 2, 0].map(client);
        // The newest offset that each subscriber has, by the place of the client in the list.
        let mut known: BTreeMap<usize, u64> = BTreeMap::new();
        let mut published = 0;
        for act in acts {
            match act {
                Act::Publish => {
                    published += 1;
                    let effects = shard.publish("news");
                    let mut homes: Vec<u8> = known.keys().map(|who| clients[*who].home).collect();
                    homes.sort_unstable();
                    homes.dedup();
                    let mut reached: Vec<u8> = effects.iter().map(|(_, home, _)| *home).collect();
                    reached.sort_unstable();
                    prop_assert_eq!(reached, homes);
                    for (name, _, event) in &effects {
                        prop_assert_eq!(*name, "publish");
                        prop_assert_eq!(&event["offset"], published);
                    }
                    for newest in known.values_mut() {
                        prop_assert_eq!(*newest + 1, published);
                        *newest = published;
                    }
                }
                Act::Subscribe(who) => {
                    let effects = shard.subscribe(&clients[who], "news");
                    prop_assert_eq!(names(&effects), [("subscribed", clients[who].home)]);
                    let event = &effects[0].2;
                    let history = offsets(event);
                    let oldest = published - history.len() as u64;
                    prop_assert!(history.into_iter().eq(oldest + 1..=published));
                    prop_assert_eq!(&event["offset"], published);
                    known.insert(who, published);
                }
                Act::Leave(who) => {
                    known.remove(&who);
                    shard.unsubscribe(&clients[who], "news");
                }
                Act::Move(who, to) => {
                    let effects = names(&shard.rehome(&clients[who], "news", to));
                    let home = std::mem::replace(&mut clients[who].home, to);
                    if known.contains_key(&who) {
                        prop_assert_eq!(effects, [("adopt", to), ("rehomed", home)]);
                    } else {
                        prop_assert_eq!(effects, [("rehomed", home)]);
                    }
                }
                Act::Pass(seconds) => {
                    let now = shard.now + seconds;
                    shard.sweep_at(now);
                }
            }
        }
    }
}
