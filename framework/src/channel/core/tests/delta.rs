//! Subscribers that receive patches.

use super::recovery::start;
use super::*;
use crate::wire::codec::Format;

/// A subscriber that applies patches as a client does.
struct Follower {
    client: Requester<u8>,
    is_delta: bool,
    /// The newest publication.
    known: Option<(u64, Value)>,
}

/// RFC 7396.
pub(in crate::channel::core) fn apply(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            apply(&mut target[key], value);
        }
    }
}

impl Follower {
    fn new(format: Format, home: u8, is_delta: bool) -> Self {
        let client = Requester {
            format,
            ..client(home)
        };
        Self {
            client,
            is_delta,
            known: None,
        }
    }

    fn subscribe(&mut self, shard: &mut Shard, start: Start, budget: usize) -> Value {
        let mut effects = Vec::new();
        let channel = "delta";
        let subscribe = Subscribe {
            from: self.client.clone(),
            channel: channel.into(),
            kind: shard.core.patterns.find(channel).unwrap().clone(),
            start,
            delta: self.is_delta,
            grant: None,
            budget,
            attempt: 7,
            accounts: None,
            appearance: None,
        };
        let now = Duration::from_secs(shard.now);
        let input = ChannelInput::Subscribe(subscribe);
        shard.core.step(now, input, &mut effects);
        let Some(ChannelEffect::Subscribed {
            frame, is_delta, ..
        }) = effects.first()
        else {
            panic!("{effects:?}");
        };
        assert_eq!(*is_delta, self.is_delta);
        let format = self.client.format;
        let event: Value = decode(format, frame.body(format)).unwrap();
        assert_eq!(event["delta"] == true, self.is_delta);
        let publications = event["publications"].as_array().unwrap();
        let newest = Some(&event["base"]).filter(|base| base.is_object());
        let newest = newest.or(publications.last());
        assert!(publications.iter().all(|past| past.get("patch").is_none()));
        self.known = newest
            .map(|newest| (newest["offset"].as_u64().unwrap(), newest["data"].clone()))
            .filter(|(offset, _)| event["offset"] == *offset);
        event
    }

    /// Takes what reaches its home of a publication. Returns whether that was a patch.
    fn take(&mut self, effects: &[ChannelEffect<u8>]) -> bool {
        let mine = effects.iter().filter_map(|effect| match effect {
            ChannelEffect::Publish {
                home,
                frame,
                readers,
                ..
            } => {
                let is_mine =
                    *home == self.client.home && (*readers == Readers::Delta) == self.is_delta;
                is_mine.then_some(frame)
            }
            _ => None,
        });
        let frames: Vec<_> = mine.collect();
        assert_eq!(frames.len(), 1);
        let format = self.client.format;
        let event: Value = decode(format, frames[0].body(format)).unwrap();
        let offset = event["offset"].as_u64().unwrap();
        let patch = event.get("patch");
        match patch {
            Some(patch) => {
                let (before, value) = self.known.as_mut().unwrap();
                assert_eq!(*before + 1, offset);
                *before = offset;
                apply(value, patch);
                assert!(event.get("data").is_none());
            }
            None => self.known = Some((offset, event["data"].clone())),
        }
        patch.is_some()
    }
}

fn publish(shard: &mut Shard, data: &Value) -> Vec<ChannelEffect<u8>> {
    let mut effects = Vec::new();
    let input = ChannelInput::Publish {
        from: Publisher::Room("lobby".into()),
        channel: "delta".into(),
        data: RawData::of(Format::Json, data).unwrap(),
        key: None,
        accounts: None,
    };
    let now = Duration::from_secs(shard.now);
    shard.core.step(now, input, &mut effects);
    effects
}

fn state(n: u64) -> Value {
    json!({"clock": n, "score": {"home": 0, "away": n / 7}, "players": {"ann": "centre", "bob": "left wing"}})
}

#[test]
fn patches_go_to_those_who_ask_for_them_and_whole_ones_to_the_others() {
    let mut shard = Shard::new();
    publish(&mut shard, &state(0));
    let mut followers: Vec<_> = Format::ALL
        .into_iter()
        .flat_map(|format| [true, false].map(|is_delta| Follower::new(format, 1, is_delta)))
        .collect();
    for follower in &mut followers {
        follower.subscribe(&mut shard, Start::default(), 10_000);
    }
    for n in 1..20 {
        let effects = publish(&mut shard, &state(n));
        assert_eq!(effects.len(), 2, "once for each kind of readers");
        for follower in &mut followers {
            assert_eq!(follower.take(&effects), follower.is_delta);
            assert_eq!(follower.known, Some((n + 1, state(n))));
        }
    }
    // What no patch can say goes whole to all, and the next is a patch of it.
    let odd = json!({"clock": 20, "score": null, "players": {"ann": "centre", "bob": "left wing"}});
    for (data, is_patch) in [
        (odd, false),
        (state(21), true),
        (json!([1, 2]), false),
        (state(22), false),
        (state(22), true),
    ] {
        let effects = publish(&mut shard, &data);
        for follower in &mut followers {
            assert_eq!(
                follower.take(&effects),
                follower.is_delta && is_patch,
                "{data}"
            );
            assert_eq!(follower.known.as_ref().unwrap().1, data);
        }
    }
}

#[test]
fn who_lacks_the_publication_before_is_given_it() {
    let mut shard = Shard::new();
    for n in 1..=3 {
        publish(&mut shard, &state(n));
    }
    let mut ann = Follower::new(Format::Json, 1, true);
    let event = ann.subscribe(&mut shard, Start::default(), 10_000);
    assert!(event.get("base").is_none(), "it is the last of the list");
    let epoch = event["epoch"].as_str().unwrap().to_owned();
    for wish in [
        start(None, Some(0), None),
        start(Some((&epoch, 3)), None, None),
    ] {
        let event = ann.subscribe(&mut shard, wish, 10_000);
        assert_eq!(offsets(&event), [0; 0]);
        assert_eq!(event["base"], json!({"offset": 3, "data": state(3)}));
    }
    // There is no space for it: the next one goes whole, to all who have patches.
    let mut bob = Follower::new(Format::MsgPack, 1, true);
    let event = bob.subscribe(&mut shard, start(None, Some(0), None), 0);
    assert!(event.get("base").is_none());
    // Also to one that comes after it and has space.
    let mut cay = Follower::new(Format::Json, 1, true);
    let event = cay.subscribe(&mut shard, start(None, Some(0), None), 10_000);
    assert!(event.get("base").is_none());
    let effects = publish(&mut shard, &state(4));
    assert_eq!((ann.take(&effects), bob.take(&effects)), (false, false));
    let effects = publish(&mut shard, &state(5));
    assert_eq!((ann.take(&effects), bob.take(&effects)), (true, true));
    assert_eq!(
        (&ann.known, &bob.known),
        (&Some((5, state(5))), &Some((5, state(5))))
    );
}

#[test]
fn a_channel_without_history_has_patches_between_what_was_published_live() {
    let mut shard = Shard::new();
    let ann = client(1);
    let publish = |shard: &mut Shard, n| {
        let room = Publisher::Room("lobby".into());
        shard.publish_value(room, "delta/bare", &state(n))
    };
    publish(&mut shard, 0);
    let event = &shard.subscribe(&ann, "delta/bare")[0].2;
    assert_eq!(
        (&event["delta"], &event["offset"], event.get("base")),
        (&json!(true), &json!(1), None)
    );
    let effects = publish(&mut shard, 1);
    assert_eq!(names(&effects), [("publish delta", 1)]);
    assert_eq!(effects[0].2["data"], state(1));
    assert_eq!(publish(&mut shard, 2)[0].2["patch"], json!({"clock": 2}));
    // A later one is given what the others have.
    let event = &shard.subscribe(&client(1), "delta/bare")[0].2;
    assert_eq!(event["base"], json!({"offset": 3, "data": state(2)}));
    assert_eq!(publish(&mut shard, 3)[0].2["patch"], json!({"clock": 3}));
}

#[test]
fn patches_follow_a_subscriber_to_its_new_home() {
    let mut shard = Shard::new();
    let ann = client(1);
    shard.subscribe(&ann, "delta");
    let mut effects = Vec::new();
    let input = ChannelInput::Rehome {
        session: ann.origin.session,
        channel: "delta".into(),
        from: 1,
        to: 2,
    };
    shard.core.step(Duration::ZERO, input, &mut effects);
    assert!(matches!(
        effects[0],
        ChannelEffect::Adopt {
            home: 2,
            is_delta: true,
            ..
        }
    ));
    let published = shard.publish("delta");
    assert_eq!(names(&published), [("publish delta", 2)]);
}

#[test]
fn where_a_channel_offers_no_patches_there_are_none() {
    let mut shard = Shard::new();
    let kind = shard.core.patterns.find("news").unwrap().clone();
    let effects = shard.step(ChannelInput::Subscribe(Subscribe {
        from: client(1),
        channel: "news".into(),
        kind,
        start: Start::default(),
        delta: true,
        grant: None,
        budget: 10_000,
        attempt: 7,
        accounts: None,
        appearance: None,
    }));
    assert!(effects[0].2.get("delta").is_none());
    assert_eq!(names(&shard.publish("news")), [("publish", 1)]);
}

#[derive(Clone, Debug)]
enum Step {
    Publish(Value),
    Subscribe(usize, Option<u64>, usize),
    Leave(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let leaf = prop_oneof![Just(Value::Null), (0..3_i64).prop_map(Value::from)];
    let member = leaf.prop_recursive(2, 8, 3, |inner| {
        prop::collection::btree_map("[ab]", inner, 0..3)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    });
    let data = prop::collection::vec(member, 3).prop_map(|members| {
        json!({"long": "x".repeat(40), "a": members[0], "b": members[1], "c": {"d": members[2]}})
    });
    prop_oneof![
        4 => data.prop_map(Step::Publish),
        2 => (0..4_usize, prop::option::of(0..3_u64), prop_oneof![Just(0), Just(150), Just(10_000)])
            .prop_map(|(who, last, budget)| Step::Subscribe(who, last, budget)),
        1 => (0..4_usize).prop_map(Step::Leave),
    ]
}

proptest! {
    /// With patches or without, each subscriber has what was published, whenever it came and whatever it asked for.
    #[test]
    fn every_subscriber_ends_with_what_was_published(steps in prop::collection::vec(step(), 0..60)) {
        let mut shard = Shard::new();
        let mut followers = [
            Follower::new(Format::Json, 0, true),
            Follower::new(Format::MsgPack, 1, true),
            Follower::new(Format::Json, 2, true),
            Follower::new(Format::MsgPack, 3, false),
        ];
        let mut subscribed = [false; 4];
        let mut published = 0;
        for step in steps {
            match step {
                Step::Publish(data) => {
                    published += 1;
                    let effects = publish(&mut shard, &data);
                    for (follower, is_subscribed) in followers.iter_mut().zip(subscribed) {
                        if is_subscribed {
                            follower.take(&effects);
                            prop_assert_eq!(&follower.known, &Some((published, data.clone())));
                        }
                    }
                }
                Step::Subscribe(who, last, budget) => {
                    followers[who].subscribe(&mut shard, start(None, last, None), budget);
                    subscribed[who] = true;
                }
                Step::Leave(who) => {
                    shard.gone(&followers[who].client, "delta");
                    subscribed[who] = false;
                }
            }
        }
    }
}
