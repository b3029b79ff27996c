//! Where subscriptions start, and the pages of a history.

use super::super::super::log::PageAt;
use super::*;
use crate::wire::codec::Format;

pub(super) fn start(since: Option<(&str, u64)>, last: Option<u64>, from: Option<u64>) -> Start {
    Start {
        since: since.map(|(epoch, offset)| Since {
            epoch: epoch.to_owned(),
            offset,
        }),
        last,
        from: from.map(Duration::from_secs),
    }
}

fn page(at: PageAt, limit: usize) -> Page {
    Page { at, limit }
}

#[test]
fn who_cannot_be_recovered_gets_what_a_newcomer_gets() {
    let mut shard = Shard::new();
    let ann = client(1);
    let epoch = shard.subscribe(&ann, "news")[0].2["epoch"].clone();
    let epoch = epoch.as_str().unwrap();
    for second in 1..=8 {
        shard.now = second;
        shard.publish("news");
    }
    for (last, from, newest) in [
        (None, None, vec![4, 5, 6, 7, 8]),
        (Some(0), None, vec![]),
        (Some(2), None, vec![7, 8]),
        (None, Some(6), vec![6, 7, 8]),
        (Some(2), Some(6), vec![7, 8]),
    ] {
        let mut answer = |since| {
            let wish = start(since, last, from);
            let effects = shard.subscribe_from(&client(1), "news", wish, 10_000);
            let event = &effects[0].2;
            (event["recovered"] == true, offsets(event))
        };
        let newcomer = answer(None);
        assert_eq!(newcomer, (false, newest));
        assert_eq!(answer(Some((epoch, 2))), newcomer, "4 is the oldest");
        assert_eq!(answer(Some(("another", 7))), newcomer);
        assert_eq!(answer(Some((epoch, 9))), newcomer, "from the future");
        assert_eq!(answer(Some((epoch, 3))), (true, vec![4, 5, 6, 7, 8]));
    }
}

#[test]
fn only_subscribers_turn_the_pages_of_a_history() {
    let mut shard = Shard::new();
    let ann = client(1);
    for _ in 0..4 {
        shard.publish("news");
    }
    let refused = shard.page(&ann, "news", page(PageAt::End, 2), 10_000);
    assert_eq!((refused.0, refused.1), ("history", 1));
    assert_eq!(refused.2["code"], "not_subscribed");
    let refused = shard.page(&ann, "by/nobody", page(PageAt::End, 2), 10_000);
    assert_eq!(refused.2["code"], "not_subscribed");
    assert_eq!(shard.places(), MOST, "no channel began");

    let subscribed = shard.subscribe(&ann, "news")[0].2.clone();
    let moved = Requester {
        home: 2,
        ..ann.clone()
    };
    let (name, home, event) = shard.page(&moved, "news", page(PageAt::End, 2), 10_000);
    assert_eq!((name, home), ("history", 1), "where its publications go");
    assert_eq!(
        (&event["event"], &event["id"]),
        (&json!("reply"), &json!(34))
    );
    let data = &event["data"];
    assert_eq!(
        (&data["epoch"], &data["offset"], &data["more"]),
        (&subscribed["epoch"], &json!(4), &json!(true))
    );
    assert_eq!(
        data["publications"][0],
        json!({"offset": 3, "data": "line"})
    );
    let (.., event) = shard.page(&ann, "news", page(PageAt::Before(3), 2), 10_000);
    assert_eq!(offsets(&event["data"]), [1, 2]);
    assert_eq!(event["data"]["more"], false);
    shard.gone(&ann, "news");
    let refused = shard.page(&ann, "news", page(PageAt::End, 2), 10_000);
    assert_eq!(refused.2["code"], "not_subscribed");
}

#[test]
fn a_page_is_not_longer_than_its_budget_but_never_empty_for_it() {
    let mut shard = Shard::new();
    for format in Format::ALL {
        let ann = Requester {
            format,
            ..client(1)
        };
        shard.subscribe(&ann, "news");
        for _ in 0..5 {
            shard.publish("news");
        }
        let mut length = |budget| {
            let mut effects = Vec::new();
            let read = ReadHistory {
                from: ann.clone(),
                channel: "news".into(),
                page: page(PageAt::End, 100),
                budget,
            };
            let input = ChannelInput::ReadHistory(read);
            shard.core.step(Duration::ZERO, input, &mut effects);
            let Some(ChannelEffect::History {
                frame: Some(frame), ..
            }) = effects.first()
            else {
                panic!("{effects:?}");
            };
            let event: Value = decode(format, frame.body(format)).unwrap();
            let count = offsets(&event["data"]).len();
            assert_eq!(event["data"]["more"], count < 5, "{budget}");
            (frame.websocket(format).len(), count)
        };
        let (all, count) = length(10_000);
        assert_eq!(count, 5);
        let (some, count) = length(all - 1);
        assert!(some < all && (1..5).contains(&count));
        assert_eq!(length(0).1, 1);
    }
}

/// What a client of a property test knows of its channel.
#[derive(Debug, Default)]
struct Reader {
    subscribed: bool,
    /// The offsets that it has handed on, without those that it has dropped as known.
    received: Vec<u64>,
}

impl Reader {
    fn newest(&self) -> Option<u64> {
        self.received.last().copied()
    }

    /// Hands on what is new.
    fn take(&mut self, offsets: &[u64]) {
        let known = self.newest().unwrap_or_default();
        let new = offsets.iter().filter(|offset| **offset > known);
        self.received.extend(new);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Publish,
    Pass(u64),
    /// Subscribes, with its last position if the flag is set, `last` and how long ago `from` is.
    Begin(usize, bool, Option<u64>, Option<u64>),
    Cut(usize),
    /// Reads the pages before the oldest offset of its last subscription, so many publications at a time.
    Back(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let some = |range: std::ops::Range<u64>| prop::option::of(range);
    prop_oneof![
        5 => Just(Step::Publish),
        1 => (0..40_u64).prop_map(Step::Pass),
        3 => (0..3_usize, any::<bool>(), some(0..7), some(0..80))
            .prop_map(|(who, since, last, ago)| Step::Begin(who, since, last, ago)),
        2 => (0..3_usize).prop_map(Step::Cut),
        1 => (0..3_usize, 1..4_usize).prop_map(|(who, limit)| Step::Back(who, limit)),
    ]
}

proptest! {
    /// Whatever a subscriber asked for, between its `subscribed` and the first publication nothing is missing and nothing
    /// comes twice; what it missed before, it either gets or is told of; and the pages before it reach back to the oldest that
    /// is kept.
    #[test]
    fn nothing_slips_through_between_the_history_and_what_comes_live(
        steps in prop::collection::vec(step(), 0..100)
    ) {
        let mut shard = Shard::new();
        let clients = [0_u8, 1, 0].map(client);
        let mut readers: [Reader; 3] = Default::default();
        // When each publication was made; the first has the offset 1.
        let mut times: Vec<u64> = Vec::new();
        let mut epoch = String::new();
        for step in steps {
            let now = shard.now;
            let newest = times.len() as u64;
            let kept = |offset: &u64| {
                offset + 5 > newest && times[usize::try_from(*offset).unwrap() - 1] + 60 >= now
            };
            let history: Vec<u64> = (1..=newest).filter(kept).collect();
            match step {
                Step::Publish => {
                    times.push(now);
                    let live = shard.publish("news");
                    for (client, reader) in clients.iter().zip(&mut readers) {
                        if reader.subscribed {
                            let reached = live.iter().find(|(_, home, _)| *home == client.home);
                            let offset = reached.unwrap().2["offset"].as_u64().unwrap();
                            prop_assert_eq!(offset, newest + 1);
                            if let Some(known) = reader.newest() {
                                prop_assert_eq!(offset, known + 1);
                            }
                            reader.take(&[offset]);
                        }
                    }
                }
                Step::Pass(seconds) => shard.sweep_at(now + seconds),
                Step::Begin(who, goes_on, last, ago) => {
                    let reader = &mut readers[who];
                    let since = reader.newest().filter(|_| goes_on);
                    let from = ago.map(|ago| now.saturating_sub(ago));
                    let wish = start(since.map(|offset| (epoch.as_str(), offset)), last, from);
                    let effects = shard.subscribe_from(&clients[who], "news", wish, 10_000);
                    let event = &effects[0].2;
                    epoch = event["epoch"].as_str().unwrap().to_owned();
                    prop_assert_eq!(&event["offset"], newest);
                    let past = offsets(event);
                    let missed: Option<Vec<u64>> = since.map(|known| (known + 1..=newest).collect());
                    let recovered = missed.filter(|missed| missed.len() <= history.len());
                    prop_assert_eq!(event["recovered"] == true, recovered.is_some());
                    let newcomers = || {
                        let of_time = |offset: &u64| {
                            from.is_none_or(|from| times[usize::try_from(*offset).unwrap() - 1] >= from)
                        };
                        let fresh: Vec<u64> = history.iter().copied().filter(of_time).collect();
                        let most = last.map_or(usize::MAX, |last| usize::try_from(last).unwrap());
                        fresh[fresh.len().saturating_sub(most)..].to_vec()
                    };
                    prop_assert_eq!(&past, &recovered.unwrap_or_else(newcomers));
                    reader.take(&past);
                    if reader.newest() != Some(newest) {
                        // Nothing of the history was wanted or kept: what comes next is new.
                        reader.received.push(newest);
                    }
                    reader.subscribed = true;
                }
                Step::Cut(who) => {
                    readers[who].subscribed = false;
                    shard.gone(&clients[who], "news");
                }
                Step::Back(who, limit) => {
                    let mut next = PageAt::End;
                    let mut all = Vec::new();
                    loop {
                        let (.., event) = shard.page(&clients[who], "news", page(next, limit), 10_000);
                        if !readers[who].subscribed {
                            prop_assert_eq!(&event["code"], "not_subscribed");
                            break;
                        }
                        let mut older = offsets(&event["data"]);
                        prop_assert!(older.len() <= limit);
                        let oldest = older.first().copied();
                        older.append(&mut all);
                        all = older;
                        match oldest.filter(|_| event["data"]["more"] == true) {
                            Some(oldest) => next = PageAt::Before(oldest),
                            None => break,
                        }
                    }
                    if readers[who].subscribed {
                        prop_assert_eq!(all, history);
                    }
                }
            }
        }
    }
}
