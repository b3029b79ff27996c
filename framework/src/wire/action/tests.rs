use super::super::codec::Format;
use super::*;
use serde_json::{Value, json};

/// Reads `action` in both formats, which must agree.
fn read_both(action: &Value) -> Inbound {
    let [json, msgpack] = Format::ALL.map(|format| read(&RawData::of(format, action).unwrap(), 32));
    assert_eq!((json.id, json.counts), (msgpack.id, msgpack.counts));
    match (&json.action, &msgpack.action) {
        (Err(a), Err(b)) => assert_eq!(a.refusal.code(), b.refusal.code()),
        (Ok(_), Ok(_)) => {}
        (a, b) => panic!("JSON says {a:?}, MessagePack {b:?}"),
    }
    json
}

fn code(action: &Value) -> String {
    read_both(action)
        .action
        .unwrap_err()
        .refusal
        .code()
        .to_owned()
}

#[test]
fn a_list_of_actions_comes_apart_in_both_formats() {
    let json = br#" [ {"action":"ping"} , 7, "x" ] "#;
    let msgpack = [0x93, 0x81, 0xa1, b'a', 0xc0, 7, 0xa1, b'x'];
    let items = |format, list: &[u8]| {
        let list = RawData::new(format, Bytes::copy_from_slice(list)).unwrap();
        let items = super::list(&list);
        items.map(|items| {
            items
                .iter()
                .map(|item| item.bytes().to_vec())
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(
        items(Format::Json, json).unwrap(),
        [&br#"{"action":"ping"}"#[..], b"7", b"\"x\""]
    );
    assert_eq!(
        items(Format::MsgPack, &msgpack).unwrap(),
        [&msgpack[1..5], &[7], &msgpack[6..]]
    );
    assert_eq!(items(Format::Json, b"[]").unwrap().len(), 0);
    for (format, bad) in [
        (Format::Json, &b"{}"[..]),
        (Format::Json, b"[1] 2"),
        (Format::Json, b"["),
        (Format::Json, b""),
        (Format::MsgPack, &[0x80]),
        (Format::MsgPack, &[0x91]),
        (Format::MsgPack, &[0x91, 1, 1]),
        (Format::MsgPack, &[0xdd, 0xff, 0xff, 0xff, 0xff]),
        (Format::MsgPack, &[]),
    ] {
        assert!(items(format, bad).is_err(), "{bad:?}");
    }
}

#[test]
fn the_smallest_client_is_understood() {
    let inbound = read_both(&json!({"action": "subscribe", "channel": "updates"}));
    assert_eq!(
        inbound,
        Inbound {
            id: None,
            counts: true,
            action: Ok(Action::Subscribe {
                channel: "updates".into(),
                since: None,
                last: None,
                from: None,
                delta: false,
                presence: false,
                data: RawData::null(Format::Json),
            })
        }
    );
}

#[test]
fn data_stays_as_it_came() {
    let text = r#"{"action":"send","id":7,"room":"r","type":"steer","data":{"dx": 1.50}}"#;
    let inbound = read(&RawData::Json(text.into()), 32);
    assert_eq!(inbound.id, Some(7));
    let Ok(Action::Send { name, data, .. }) = inbound.action else {
        panic!("{:?}", inbound.action)
    };
    assert_eq!(name, "steer");
    assert_eq!(data, RawData::Json(r#"{"dx": 1.50}"#.into()));
}

#[test]
fn what_is_no_action_does_not_count_and_what_tries_to_be_one_does() {
    for (frame, counts, expected) in [
        (json!("Hello Server!"), false, "not_an_action"),
        (json!({"hello": 1}), false, "not_an_action"),
        (json!({"action": 5}), false, "not_an_action"),
        (json!({"action": "dance"}), true, "unknown_action"),
        (json!({"action": "join", "kind": 5}), true, "bad_field"),
        (json!({"action": "join"}), true, "bad_field"),
        (
            json!({"action": "ping", "received": "x"}),
            false,
            "bad_field",
        ),
        (
            json!({"action": "leave", "room": "r", "id": -1}),
            true,
            "bad_field",
        ),
        (
            json!({"action": "leave", "room": "r", "id": 1_u64 << 53}),
            true,
            "bad_field",
        ),
        (
            json!({"action": "subscribe", "channel": "c", "since": 4}),
            true,
            "bad_field",
        ),
        (
            json!({"action": "subscribe", "channel": "c", "delta": 1}),
            true,
            "bad_field",
        ),
        (
            json!({"action": "subscribe", "channel": "c", "last": -1}),
            true,
            "bad_field",
        ),
        (
            json!({"action": "subscribe", "channel": "c", "from": "noon"}),
            true,
            "bad_field",
        ),
        (json!({"action": "history"}), true, "bad_field"),
        (
            json!({"action": "history", "channel": "c", "before": 4, "since": {"epoch": "e", "offset": 1}}),
            true,
            "bad_field",
        ),
    ] {
        assert_eq!(code(&frame), expected, "{frame}");
        assert_eq!(read_both(&frame).counts, counts, "{frame}");
    }
}

#[test]
fn listings_are_followed_and_unfollowed() {
    let follow = json!({"action": "rooms.follow", "kind": "arena", "filter": {"locked": false}, "after": "r1", "limit": 20});
    let Ok(Action::FollowRooms(wanted)) = read_both(&follow).action else {
        panic!("{follow}")
    };
    let filter = wanted
        .filter
        .map(|filter| filter.decode::<Value>().unwrap());
    assert_eq!(filter, Some(json!({"locked": false})));
    assert_eq!((wanted.kind.as_str(), wanted.limit), ("arena", Some(20)));
    assert_eq!(wanted.after, Some("r1".into()));
    let unfollow = json!({"action": "rooms.unfollow", "listing": 7});
    let unfollow = read_both(&unfollow).action;
    let listing = ListingId(7);
    assert_eq!(unfollow, Ok(Action::UnfollowRooms { listing }));
    for wrong in [
        json!({"action": "rooms.follow"}),
        json!({"action": "rooms.follow", "kind": "arena", "after": 7}),
        json!({"action": "rooms.follow", "kind": "arena", "limit": -1}),
        json!({"action": "rooms.unfollow", "listing": "7"}),
        json!({"action": "rooms.unfollow"}),
    ] {
        assert_eq!(code(&wrong), "bad_field", "{wrong}");
    }
}

#[test]
fn a_newcomer_is_told_what_the_server_expected() {
    let inbound = read(&RawData::Json("Hello Server!".into()), 32);
    let refusal = inbound.action.unwrap_err().refusal;
    assert!(
        refusal.message().contains("\"action\":\"subscribe\""),
        "{refusal}"
    );
}

/// Valid JSON that no Rust value can hold must not make a frame uncounted, because its client has counted it.
#[test]
fn a_scalar_that_cannot_be_decoded_is_a_bad_field_of_a_counted_action() {
    for fields in [
        r#""id":3,"type":"\ud800""#,
        r#""id":3,"type":1e999"#,
        r#""id":3,"type":["echo"]"#,
        r#""id":3,"type":{"name":"echo"}"#,
        r#""id":1e999,"type":"echo""#,
        r#""id":"3","type":"echo""#,
    ] {
        let text = format!(r#"{{"action":"call",{fields},"data":"\ud800"}}"#);
        let inbound = read(&RawData::Json(text.into()), 32);
        assert!(inbound.counts, "{fields}");
        assert_eq!(inbound.action.unwrap_err().refusal.code(), "bad_field");
    }
    let text = RawData::Json(r#"{"action":"\ud800"}"#.into());
    assert!(!read(&text, 32).counts, "its name is unknown");
}

#[test]
fn escapes_and_null_mean_in_an_action_what_they_mean_in_json() {
    let text = r#" {"room":null,"\u0061ction":"c\u0061ll","type":"\u00e9","other":[{}],"id":3} "#;
    let inbound = read(&RawData::Json(text.into()), 32);
    assert_eq!((inbound.id, inbound.counts), (Some(3), true));
    let (name, data) = ("é".into(), RawData::null(Format::Json));
    assert_eq!(inbound.action, Ok(Action::Call { name, data }));
}

#[test]
fn a_key_that_is_there_twice_is_no_action() {
    let json = |text: &str| RawData::Json(text.into());
    let msgpack = |bytes: &'static [u8]| RawData::MsgPack(Bytes::from_static(bytes));
    for frame in [
        json(r#"{"action":"ping","action":"ping"}"#),
        json(r#"{"action":"ping","id":null,"id":3}"#),
        json(r#"{"action":"ping","data":1,"data":null}"#),
        msgpack(b"\x82\xa6action\xa4ping\xa6action\xa4ping"),
        msgpack(b"\x83\xa6action\xa4ping\xa2id\xc0\xa2id\x03"),
        msgpack(b"\x83\xa6action\xa4ping\xa4data\x01\xa4data\xc0"),
    ] {
        let refusal = read(&frame, 32).action.unwrap_err().refusal;
        assert_eq!(refusal.code(), "not_an_action");
        assert!(refusal.message().contains("twice"), "{refusal}");
    }
}

#[test]
fn nesting_is_refused_with_the_id() {
    let mut deep = json!(1);
    for _ in 0..40 {
        deep = json!([deep]);
    }
    let frame = json!({"action": "call", "id": 3, "type": "x", "data": deep});
    assert_eq!(code(&frame), "too_deep");
    assert_eq!(read_both(&frame).id, Some(3));
}

#[test]
fn garbage_is_an_error_in_both_formats() {
    let garbage: Vec<u8> = (0..65_536_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let text = String::from_utf8_lossy(&garbage).into_owned();
    for frame in [RawData::Json(text.into()), RawData::MsgPack(garbage.into())] {
        assert!(read(&frame, 32).action.is_err());
    }
}
