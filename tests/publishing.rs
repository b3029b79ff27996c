//! What may be published, by whom, and that it is the same for readers of both formats.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside::{Format, PublishError};
use courtside_tests::channel_tools::{builder, offsets, publish, server, subscribe};
use courtside_tests::wire_tools::{Wire, both, calm, numbers, quiet};
use serde::Deserialize;
use serde_json::{Value, json};

/// A publication in MessagePack, with bytes as its data that the test chooses.
fn packed(id: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x84];
    let mut text = |text: &str| {
        bytes.push(0xa0 | text.len() as u8);
        bytes.extend(text.bytes());
    };
    for word in ["action", "publish", "channel", "open", "id"] {
        text(word);
    }
    bytes.push(id);
    bytes.extend([0xa4, b'd', b'a', b't', b'a']);
    bytes.extend(data);
    bytes
}

#[test]
fn offsets_leave_no_gap_whoever_publishes() {
    both(async |format| {
        let server = server().await;
        let mut a = Wire::open(&server, 0, format).await;
        let mut b = Wire::open(&server, 1, format).await;
        subscribe(&mut b, "open", Value::Null).await;
        let room = a.join(json!({})).await.0;
        for n in 0..30_u64 {
            match n % 3 {
                0 => assert_eq!(server.server().publish("open", &n).await, Ok(n + 1)),
                1 => {
                    let published = a
                        .ask(json!({"action": "publish", "channel": "open", "data": n}))
                        .await;
                    let expected = json!({"event": "published", "id": published["id"], "channel": "open", "offset": n + 1});
                    assert_eq!(published, expected);
                }
                _ => {
                    a.order(&room, json!({"what": "publish", "key": "open", "data": n}))
                        .await;
                    quiet().await;
                }
            }
        }
        let heard = b.all().await;
        assert_eq!(numbers(&heard, "publication"), (0..30).collect::<Vec<_>>());
        assert!(heard.iter().zip(1..).all(|(event, n)| event["offset"] == n));
    });
}

#[test]
fn clients_publish_only_where_they_may_and_need_no_subscription() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        for (channel, code) in [
            ("news", "publish_denied"),
            ("match/final", "publish_denied"),
            ("weather", "unknown_channel"),
        ] {
            let error = wire
                .ask(json!({"action": "publish", "channel": channel, "data": 1}))
                .await;
            assert_eq!(
                (&error["event"], &error["code"]),
                (&json!("error"), &json!(code))
            );
        }
        assert_eq!(
            offsets(&subscribe(&mut wire, "news", Value::Null).await),
            [] as [u64; 0]
        );
        for channel in ["open", "match/1"] {
            let published = wire
                .ask(json!({"action": "publish", "channel": channel, "data": {"n": 1}}))
                .await;
            assert_eq!(
                (&published["event"], &published["offset"]),
                (&json!("published"), &json!(1))
            );
            assert_eq!(wire.kept(), [] as [Value; 0]);
            assert_eq!(
                subscribe(&mut wire, channel, Value::Null).await["publications"][0]["data"],
                json!({"n": 1})
            );
        }
        let published = wire
            .ask(json!({"action": "publish", "channel": "open"}))
            .await;
        assert_eq!(published["event"], "published");
        assert_eq!(
            wire.event("publication").await["data"],
            Value::Null,
            "no data is null, also for its publisher"
        );
    });
}

#[test]
fn clients_of_either_format_read_what_clients_of_the_other_publish() {
    both(async |format| {
        let server = server().await;
        let other = Format::ALL
            .into_iter()
            .find(|other| *other != format)
            .unwrap();
        let mut wires = [
            Wire::open(&server, 0, format).await,
            Wire::open(&server, 1, other).await,
        ];
        for wire in &mut wires {
            subscribe(wire, "open", Value::Null).await;
        }
        for value in [
            json!(null),
            json!(true),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(0.1),
            json!("é 🏀 \" \\ \u{0}"),
            json!([1, [2, {}], []]),
            json!({"": {"deep": [null, -1.5]}, "é": "x"}),
        ] {
            wires[0]
                .ask(json!({"action": "publish", "channel": "open", "data": value}))
                .await;
            let heard = [
                wires[0].event("publication").await,
                wires[1].event("publication").await,
            ];
            assert_eq!(heard[0]["data"], value);
            assert_eq!(heard[0], heard[1]);
        }
        let mut late = Wire::open(&server, 0, other).await;
        assert_eq!(
            offsets(&subscribe(&mut late, "open", Value::Null).await),
            (1..=8).collect::<Vec<_>>()
        );
    });
}

#[test]
fn what_json_cannot_say_is_refused_or_said_otherwise_but_never_half_delivered() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let mut readers = Vec::new();
        for format in Format::ALL {
            let mut reader = Wire::open(&server, 1, format).await;
            subscribe(&mut reader, "open", Value::Null).await;
            readers.push(reader);
        }
        let mut published = Vec::new();
        for (id, (what, data)) in [
            ("bin", &[0xc4, 2, 1, 2][..]),
            ("ext", &[0xd4, 5, 0]),
            ("a time", &[0xd6, 0xff, 0, 0, 0, 0]),
            ("an integer as key", &[0x81, 5, 1]),
            ("nil as key", &[0x81, 0xc0, 1]),
            ("NaN", &[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]),
            ("infinity", &[0xca, 0x7f, 0x80, 0, 0]),
            ("text that is not UTF-8", &[0xa2, 0xc3, 0x28]),
            ("bin within", &[0x92, 1, 0xc4, 1, 7]),
            ("a key twice", &[0x82, 0xa1, b'a', 1, 0xa1, b'a', 2]),
        ]
        .into_iter()
        .enumerate()
        {
            wire.raw.send_binary(&packed(id as u8, data)).await.unwrap();
            let answer = wire.answer(id as u64).await;
            match answer["event"].as_str() {
                Some("published") => published.push((what, answer["offset"].clone())),
                _ => assert_eq!(answer["code"], "bad_payload", "{what} → {answer}"),
            }
        }
        for text in [r#""\ud800""#, "1e999"] {
            let action =
                format!(r#"{{"action":"publish","channel":"open","id":99,"data":{text}}}"#);
            wire.raw.send_text(&action).await.unwrap();
            let answer = wire.answer(99).await;
            assert_eq!(answer["code"], "bad_payload", "{text} → {answer}");
        }
        let heard: Vec<Vec<Value>> = vec![readers[0].all().await, readers[1].all().await];
        assert_eq!(heard[0], heard[1], "{published:?}");
        let offsets: Vec<_> = heard[0]
            .iter()
            .map(|event| event["offset"].clone())
            .collect();
        assert_eq!(
            offsets,
            published
                .iter()
                .map(|(_, offset)| offset.clone())
                .collect::<Vec<_>>(),
            "{published:?}"
        );
        // And the channel is as good as new for those who come late.
        for format in Format::ALL {
            let mut late = Wire::open(&server, 0, format).await;
            assert_eq!(
                subscribe(&mut late, "open", Value::Null).await["offset"],
                published.len()
            );
        }
    });
}

#[test]
fn what_the_server_publishes_reaches_both_formats_or_is_refused() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe(&mut wire, "open", Value::Null).await;
        let keys = std::collections::HashMap::from([((1, 2), 3)]);
        let refused = server.server().publish("open", &keys).await;
        assert!(
            matches!(refused, Err(PublishError::NotEncodable(_))),
            "{refused:?}"
        );
        let published = server.server().publish("open", &f64::NAN).await;
        assert_eq!(published, Ok(1));
        assert_eq!(wire.event("publication").await["data"], Value::Null);
        let mut late = Wire::open(&server, 1, format).await;
        assert_eq!(
            offsets(&subscribe(&mut late, "open", Value::Null).await),
            [1]
        );
    });
}

#[test]
fn a_publication_that_is_too_deep_for_a_format_spoils_the_channel_for_nobody() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe(&mut wire, "open", Value::Null).await;
        let mut deep = json!(1);
        for _ in 0..200 {
            deep = json!([deep]);
        }
        // Deeper than decoders go, those of clients included: better nobody has it than one of two.
        let refused = server.server().publish("open", &deep).await;
        assert!(
            matches!(refused, Err(PublishError::NotEncodable(_))),
            "{refused:?}"
        );
        publish(&server, "open", [7]).await;
        assert_eq!(numbers(&wire.all().await, "publication"), [7]);
        let mut late = Wire::open(&server, 1, format).await;
        assert_eq!(subscribe(&mut late, "open", Value::Null).await["offset"], 1);
    });
}

#[test]
fn a_channel_that_is_not_offered_is_an_error_for_whoever_publishes() {
    both(async |format| {
        let server = server().await;
        for name in ["weather", "matches", "match", "news/1", ""] {
            let refused = server.server().publish(name, &1).await;
            assert_eq!(refused, Err(PublishError::UnknownChannel), "{name}");
        }
        let mut wire = Wire::open(&server, 0, format).await;
        let room = wire.join(json!({})).await.0;
        let reply = wire
            .order(
                &room,
                json!({"what": "publish", "key": "weather", "data": 1}),
            )
            .await;
        assert_eq!(reply["code"], "internal", "the room is told, and lives");
        assert_eq!(
            wire.order(&room, json!({"what": "echo", "data": 1})).await["data"],
            1
        );
    });
}

/// Publishes as many numbers in one hook as the message says.
#[derive(Debug, Default)]
struct Press;

#[derive(Debug, Deserialize, Message)]
struct Print {
    key: Option<String>,
    numbers: Vec<u64>,
}

#[courtside::room]
impl Press {
    #[on]
    fn print(&mut self, print: Print, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
        for n in print.numbers {
            match &print.key {
                Some(key) => ctx.publish_once(key, "open", &n)?,
                None => ctx.publish("open", &n)?,
            }
        }
        Ok(())
    }
}

/// A server with that room, on which two publications may be on their way at once.
async fn narrow() -> TestServer {
    let config = calm().publish_backlog(2);
    let builder = builder().config(config).room::<Press>();
    TestServer::start(builder, 2).await.unwrap()
}

/// Joins the press, and returns a function that makes the action of a number of publications.
async fn press(wire: &mut Wire) -> impl Fn(Option<&str>, &[u64]) -> Value + use<> {
    let joined = wire.ask(json!({"action": "join", "kind": "press"})).await;
    let room = joined["room"].clone();
    move |key, numbers| {
        let data = json!({"key": key, "numbers": numbers});
        json!({"action": "send", "room": room, "type": "print", "data": data})
    }
}

#[test]
fn whoever_publishes_too_much_at_once_is_told_so_at_once_and_loses_nothing_else() {
    both(async |format| {
        let server = narrow().await;
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe(&mut wire, "open", Value::Null).await;
        let publish = |n: u64| server.server().publish("open", &n);
        let (first, second) = (publish(1), publish(2));
        assert_eq!(publish(3).sent(), Err(PublishError::Busy));
        assert_eq!(publish(4).await, Err(PublishError::Busy));
        assert_eq!((first.await, second.await), (Ok(1), Ok(2)));
        assert_eq!(publish(5).await, Ok(3), "there is room again");
        assert_eq!(numbers(&wire.all().await, "publication"), [1, 2, 5]);

        let print = press(&mut wire).await;
        let answer = wire.ask(print(None, &[6, 7, 8])).await;
        assert_eq!(answer["code"], "busy");
        assert_eq!(wire.ask(print(None, &[9])).await["event"], "reply");
        assert_eq!(numbers(&wire.all().await, "publication"), [6, 7, 9]);
    });
}

#[test]
fn what_is_not_awaited_is_published_in_its_order() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 1, format).await;
        subscribe(&mut wire, "open", Value::Null).await;
        for n in 0..100_u64 {
            server.server().publish("open", &n).sent().unwrap();
        }
        let heard = wire.all().await;
        assert_eq!(numbers(&heard, "publication"), (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn a_publication_with_a_key_takes_effect_once_whoever_repeats_it() {
    both(async |format| {
        let server = narrow().await;
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe(&mut wire, "open", Value::Null).await;
        let once = |key, n: u64| server.server().publish_once(key, "open", &n);
        // Also while the first is on its way.
        let (first, repeat) = (once("goal", 1), once("goal", 2));
        assert_eq!((first.await, repeat.await), (Ok(1), Ok(1)));
        let print = press(&mut wire).await;
        let answer = wire.ask(print(Some("goal"), &[3])).await;
        assert_eq!(answer["event"], "reply");
        assert_eq!(once("another", 4).await, Ok(2));
        assert_eq!(numbers(&wire.all().await, "publication"), [1, 4]);
        for key in ["", &"k".repeat(257)] {
            assert_eq!(once(key, 5).await, Err(PublishError::BadKey));
        }
    });
}
