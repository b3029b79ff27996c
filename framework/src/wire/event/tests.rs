use super::super::codec::decode;
use super::super::frame::{Encoded, Formats};
use super::*;
use serde_json::{Value, json};

/// The event that `write` makes, which must be the same in both formats.
fn both(write: impl Fn(&mut FrameWriter) -> Written) -> Value {
    let [json, msgpack] = Format::ALL.map(|format| {
        let event = Encoded::new(Formats::only(format), &write).unwrap();
        decode::<Value>(format, event.body(format)).unwrap()
    });
    assert_eq!(json, msgpack);
    json
}

#[test]
fn events_say_what_the_protocol_says() {
    let room = RoomId::from("r1");
    assert_eq!(
        both(|w| joined(w, Some(3), &room, "arena", MemberId(7))),
        json!({"event": "joined", "id": 3, "room": "r1", "kind": "arena", "member": 7})
    );
    assert_eq!(
        both(|w| message(w, "message", None, "gift", Some(&7))),
        json!({"event": "message", "type": "gift", "data": 7})
    );
    assert_eq!(
        both(|w| error(w, None, None, &Refusal::new("no", "why"))),
        json!({"event": "error", "code": "no", "message": "why"})
    );
    assert_eq!(
        both(|w| goodbye(
            w,
            CloseCode::DRAIN,
            "restart",
            None,
            Some(Reconnect {
                after_ms: 1,
                jitter_ms: 2
            })
        )),
        json!({"event": "goodbye", "code": 4002, "reason": "restart", "reconnect": {"after_ms": 1, "jitter_ms": 2}})
    );
}

#[test]
fn publications_keep_their_data_whatever_format_it_came_in() {
    let channel = ChannelName::from("updates");
    for came in Format::ALL {
        let item = Publication {
            offset: 5,
            data: RawData::of(came, &json!({"goal": [1, null]})).unwrap(),
        };
        let expected = json!({"goal": [1, null]});
        assert_eq!(both(|w| publication(w, &channel, &item))["data"], expected);
        let subscribed = Subscribed {
            channel: &channel,
            epoch: "e",
            offset: 5,
            recovered: true,
            publications: &[item.clone(), item.clone()],
            is_delta: false,
            base: None,
            data: None,
            left: None,
        };
        let event = both(|w| subscribed.write(w, None));
        assert_eq!(
            event["publications"][1],
            json!({"offset": 5, "data": expected})
        );
    }
}

#[test]
fn a_reply_without_content_has_no_data() {
    let empty = json!({"event": "reply", "id": 9});
    assert_eq!(both(|w| reply(w, 9, &())), empty);
    assert_eq!(both(|w| reply(w, 9, &None::<u8>)), empty);
    assert_eq!(
        both(|w| reply(w, 9, &"null")),
        json!({"event": "reply", "id": 9, "data": "null"})
    );
}

#[test]
fn what_no_client_could_read_is_no_frame() {
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    for format in Format::ALL {
        let formats = Formats::only(format);
        assert!(Encoded::new(formats, |w| reply(w, 9, &deep)).is_err());
        let room = RoomId::random();
        let sent = Encoded::new(formats, |w| {
            message(w, "message", Some(&room), "m", Some(&deep))
        });
        assert!(sent.is_err());
    }
}

#[test]
fn the_table_of_sequenced_events_is_the_protocols() {
    for event in [
        "welcome", "pong", "signal", "state", "patch", "latest", "presence", "rooms", "expiring",
        "goodbye",
    ] {
        assert!(!is_sequenced(event));
    }
    for event in [
        "joined",
        "left",
        "message",
        "subscribed",
        "unsubscribed",
        "publication",
        "published",
        "reply",
        "error",
    ] {
        assert!(is_sequenced(event));
    }
}
