//! Channels that are refused, given up, forgotten and charged.

use super::*;

#[test]
fn where_there_are_too_many_channels_the_one_that_is_unused_for_longest_is_given_up() {
    let mut shard = Shard::new();
    let users = ["by/1", "by/2", "by/3"].map(|name| {
        shard.publish(name);
        let user = client(1);
        shard.subscribe(&user, name);
        user
    });
    let refused = shard.subscribe(&client(2), "by/4");
    assert_eq!(names(&refused), [("refused", 2)]);
    assert_eq!(refused[0].2["code"], "too_many_channels");
    let refused = shard.publish_as(Publisher::Client(client(2)), "by/4");
    assert_eq!(names(&refused), [("reply", 2)]);
    assert_eq!(refused[0].2["code"], "too_many_channels");
    let refused = shard.publish("by/4");
    assert_eq!(
        refused,
        [("dropped", 0, json!(["room lobby", "too_many_channels"]))]
    );
    assert_eq!(shard.publish("news"), [], "its own name is no pattern");
    shard.unsubscribe(&users[1], "by/2");
    shard.unsubscribe(&users[0], "by/1");
    let begun = shard.subscribe(&client(2), "by/4");
    assert_eq!(begun[0], ("given up", 0, json!("by/2")));
    assert_eq!(begun[1].0, "subscribed");
}

#[test]
fn a_publication_that_nobody_offers_is_dropped() {
    let mut shard = Shard::new();
    for (from, origin) in [
        (Publisher::Room("lobby".into()), "room lobby"),
        (Publisher::Application, "the application"),
    ] {
        let effects = shard.publish_as(from, "nowhere");
        assert_eq!(
            effects,
            [("dropped", 0, json!([origin, "unknown_channel"]))]
        );
    }
}

#[test]
fn channels_that_nobody_needs_are_forgotten_and_their_places_are_free() {
    let mut shard = Shard::new();
    let ann = client(1);
    shard.subscribe(&ann, "bare/1");
    shard.publish("by/1");
    shard.publish("bare/2");
    assert_eq!(shard.places(), 0);
    shard.unsubscribe(&ann, "bare/1");
    assert_eq!(shard.places(), 1, "it had no history, so it ends at once");
    shard.sweep_at(30);
    assert_eq!(shard.places(), 1);
    shard.sweep_at(31);
    assert_eq!(shard.places(), 2, "it lingered without history");
    shard.sweep_at(60);
    assert_eq!(shard.places(), 2);
    shard.sweep_at(61);
    assert_eq!(shard.places(), 3, "its history has aged");
}

#[test]
fn a_channel_is_charged_to_those_who_cause_it_for_as_long_as_it_lives() {
    let mut shard = Shard::new();
    shard.core.limits.session_creations.channels.living = 1;
    let accounts = Book::default().open(None, None);
    let publish = |shard: &mut Shard, channel: &str| {
        let effects = shard.step(ChannelInput::Publish {
            from: Publisher::Client(client(1)),
            channel: channel.into(),
            data: RawData::of(Format::Json, "line").unwrap(),
            key: None,
            accounts: Some(accounts.clone()),
        });
        effects[0].2["code"].as_str().map(str::to_owned)
    };
    assert_eq!(publish(&mut shard, "by/1"), None);
    assert_eq!(publish(&mut shard, "by/1"), None, "it is there already");
    assert_eq!(
        publish(&mut shard, "by/2").as_deref(),
        Some("too_many_channels")
    );
    assert_eq!(shard.places(), MOST - 1);
    shard.sweep_at(61);
    assert_eq!(publish(&mut shard, "by/2"), None);
}
