//! Publications with a key, which take effect once.

use super::*;

#[test]
fn a_repeat_with_the_same_key_has_the_offset_of_the_first_and_reaches_nobody() {
    let mut shard = Shard::new();
    shard.subscribe(&client(1), "news");
    let once = |shard: &mut Shard, channel, key| {
        let effects = shard.publish_with(Publisher::Application, channel, Some(key));
        let offset = effects.last().unwrap().2.as_u64().unwrap();
        (effects.len() > 1, offset)
    };
    assert_eq!(once(&mut shard, "news", "a"), (true, 1));
    assert_eq!(once(&mut shard, "news", "b"), (true, 2));
    assert_eq!(once(&mut shard, "news", "a"), (false, 1));
    let room = Publisher::Room("lobby".into());
    assert_eq!(shard.publish_with(room, "news", Some("b")), []);
    assert_eq!(once(&mut shard, "by/1", "a").1, 1, "another channel");
    assert_eq!(names(&shard.publish("news")), [("publish", 1)], "no key");
    assert_eq!(once(&mut shard, "news", "c"), (true, 4));
    assert_eq!(
        once(&mut shard, "news", "a"),
        (true, 5),
        "newer keys have replaced it"
    );
    shard.now = 40;
    assert_eq!(once(&mut shard, "news", "c"), (false, 4));
    shard.now = 41;
    assert_eq!(once(&mut shard, "news", "c"), (true, 6), "it was too old");
}

#[test]
fn a_channel_without_history_and_subscribers_lives_for_as_long_as_it_remembers_a_key() {
    let mut shard = Shard::new();
    shard.publish_with(Publisher::Application, "bare/1", Some("a"));
    shard.sweep_at(40);
    let again = shard.publish_with(Publisher::Application, "bare/1", Some("a"));
    assert_eq!(again, [("offset", 0, json!(1))]);
    shard.sweep_at(41);
    shard.sweep_at(80);
    assert_eq!(shard.places(), MOST);
}
