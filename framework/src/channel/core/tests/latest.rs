//! Channels of which subscribers receive only the newest publication.

use super::recovery::start;
use super::*;

#[test]
fn a_publication_goes_out_as_latest_and_is_kept_without_a_history() {
    let mut shard = Shard::new();
    let ann = client(1);
    let empty = &shard.subscribe(&ann, "clock")[0].2;
    assert_eq!((offsets(empty), &empty["offset"]), (vec![], &json!(0)));
    for n in 1..=3 {
        let effects = shard.publish("clock");
        assert_eq!(names(&effects), [("publish newest", 1)]);
        let event = &effects[0].2;
        assert_eq!(event["event"], "latest");
        assert_eq!(
            (&event["offset"], &event["data"]),
            (&json!(n), &json!("line"))
        );
    }
    let effects = shard.subscribe(&client(2), "clock");
    assert_eq!(offsets(&effects[0].2), [3]);
}

#[test]
fn a_returning_subscriber_gets_the_newest_if_it_is_newer() {
    let mut shard = Shard::new();
    let epoch = shard.subscribe(&client(1), "clock")[0].2["epoch"].clone();
    let epoch = epoch.as_str().unwrap().to_owned();
    for _ in 0..4 {
        shard.publish("clock");
    }
    let answer = |shard: &mut Shard, since: Option<(&str, u64)>, last| {
        let wish = start(since, last, None);
        let event = shard.subscribe_from(&client(1), "clock", wish, 10_000);
        let event = event[0].2.clone();
        (event["recovered"] == true, offsets(&event))
    };
    assert_eq!(answer(&mut shard, None, None), (false, vec![4]));
    assert_eq!(answer(&mut shard, None, Some(0)), (false, vec![]));
    for (offset, newer) in [(0, vec![4]), (3, vec![4]), (4, vec![])] {
        let recovered = answer(&mut shard, Some((&epoch, offset)), None);
        assert_eq!(recovered, (true, newer));
    }
    for unknown in [(epoch.as_str(), 5), ("another", 2)] {
        assert_eq!(answer(&mut shard, Some(unknown), None), (false, vec![4]));
        assert_eq!(answer(&mut shard, Some(unknown), Some(0)), (false, vec![]));
    }
    // Too old to be kept: what it missed is gone.
    shard.now = 100;
    assert_eq!(answer(&mut shard, Some((&epoch, 3)), None), (false, vec![]));
    assert_eq!(answer(&mut shard, Some((&epoch, 4)), None), (true, vec![]));
}

#[test]
fn the_new_home_of_a_subscriber_learns_the_newest() {
    let mut shard = Shard::new();
    let ann = client(1);
    shard.subscribe(&ann, "clock");
    let moved = shard.rehome(&ann, "clock", 2);
    assert_eq!(
        names(&moved),
        [("adopt", 2), ("rehomed", 1)],
        "there is none"
    );
    shard.publish("clock");
    shard.publish("clock");
    let moved = shard.rehome(&ann, "clock", 3);
    assert_eq!(names(&moved), [("adopt", 3), ("newest", 3), ("rehomed", 2)]);
    assert_eq!(
        (&moved[1].2["event"], &moved[1].2["offset"]),
        (&json!("latest"), &json!(2))
    );
}
