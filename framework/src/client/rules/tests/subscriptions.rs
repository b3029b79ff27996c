//! Subscriptions over lost connections and lost sessions.

use super::*;
use crate::client::subscribing::{SubscribeOptions, subscribe};

fn subscribed(epoch: &str, offset: u64, recovered: bool, offsets: &[u64]) -> Value {
    let publications: Vec<Value> = offsets
        .iter()
        .map(|o| json!({"offset": o, "data": o}))
        .collect();
    json!({
        "event": "subscribed", "id": 1, "channel": "c", "epoch": epoch, "offset": offset, "recovered": recovered,
        "publications": publications
    })
}

fn offsets(outputs: &[Output]) -> Vec<u64> {
    let offsets = emitted(outputs)
        .into_iter()
        .filter_map(|event| match event {
            Event::Publication { offset, .. } => Some(*offset),
            _ => None,
        });
    offsets.collect()
}

/// Rules that have seen up to offset 5 of channel `c`.
fn reader() -> Rules {
    let mut rules = online();
    let channel = "c".into();
    let action: OutboundAction<'_, ()> = OutboundAction {
        channel: Some(&channel),
        ..OutboundAction::new(ActionName::Subscribe)
    };
    rules.act(action, true).unwrap();
    written(&mut rules);
    let outputs = receive(&mut rules, subscribed("e", 4, false, &[3, 4]));
    assert!(matches!(
        outputs[0],
        Output::Complete(1, Ok(Answer::Subscribed(_)))
    ));
    assert_eq!(offsets(&outputs), [3, 4]);
    let event = json!({"event": "publication", "channel": "c", "offset": 5});
    assert_eq!(offsets(&receive(&mut rules, event.clone())), [5]);
    assert!(
        receive(&mut rules, event).is_empty(),
        "an offset is never delivered twice"
    );
    rules
}

#[test]
fn a_subscription_is_renewed_from_its_position() {
    for (epoch, recovered, listed, expected) in [
        ("e", true, vec![6, 7], vec![6, 7]),
        ("e", false, vec![4, 5, 8], vec![8]),
        ("f", false, vec![1, 2], vec![1, 2]),
    ] {
        let mut rules = reader();
        come_back(&mut rules, json!({"reason": "expired"}));
        let again = written(&mut rules);
        assert_eq!(again[0]["since"], json!({"epoch": "e", "offset": 5}));
        let mut event = subscribed(epoch, *listed.last().unwrap(), recovered, &listed);
        event["id"] = again[0]["id"].clone();
        event["data"] = json!({"seat": 7});
        event["expires_ms"] = json!(60_000);
        let outputs = receive(&mut rules, event);
        let resubscribed = Output::Emit(Event::Resubscribed {
            channel: "c".into(),
            recovered,
            data: json!({"seat": 7}),
            expires_in: Some(Duration::from_secs(60)),
        });
        assert_eq!(outputs[0], resubscribed);
        assert_eq!(offsets(&outputs), expected);
    }
}

/// What the outputs hand on of channel `c`: offsets and data.
fn published(outputs: &[Output]) -> Vec<(u64, Value)> {
    let publications = emitted(outputs)
        .into_iter()
        .filter_map(|event| match event {
            Event::Publication { offset, data, .. } => Some((*offset, data.clone())),
            _ => None,
        });
    publications.collect()
}

#[test]
fn patches_are_hidden_and_what_was_asked_for_is_asked_for_again() {
    let mut rules = online();
    let channel = "c".into();
    let wish = SubscribeOptions::default().last(2).from(7).delta().wish;
    rules.act(subscribe(&channel, None, &wish), true).unwrap();
    let asked = written(&mut rules).remove(0);
    assert_eq!(
        (&asked["last"], &asked["from"], &asked["delta"]),
        (&json!(2), &json!(7), &json!(true))
    );
    let mut event = subscribed("e", 4, false, &[]);
    event["delta"] = true.into();
    event["base"] = json!({"offset": 4, "data": {"a": 1, "b": null}});
    assert_eq!(published(&receive(&mut rules, event)), []);
    let publication = |offset: u64, part: Value| {
        let mut event = json!({"event": "publication", "channel": "c", "offset": offset});
        event
            .as_object_mut()
            .unwrap()
            .extend(part.as_object().unwrap().clone());
        event
    };
    for (offset, part, whole) in [
        (5, json!({"patch": {"a": 2}}), json!({"a": 2, "b": null})),
        (6, json!({"data": [1]}), json!([1])),
        (7, json!({"data": {"a": 3}}), json!({"a": 3})),
        (8, json!({"patch": {"a": null}}), json!({})),
    ] {
        let outputs = receive(&mut rules, publication(offset, part));
        assert_eq!(published(&outputs), [(offset, whole)]);
    }
    // A patch of something else: the client starts again from where it is, once.
    for _ in 0..2 {
        assert_eq!(
            receive(&mut rules, publication(10, json!({"patch": {}}))),
            []
        );
    }
    let again = written(&mut rules);
    assert_eq!(again.len(), 1);
    let since = json!({"epoch": "e", "offset": 8});
    let is_the_same = |again: &Value| {
        assert_eq!(again["since"], since);
        assert_eq!(
            (&again["last"], &again["from"], &again["delta"]),
            (&json!(2), &json!(7), &json!(true))
        );
    };
    is_the_same(&again[0]);
    come_back(&mut rules, json!({"reason": "expired"}));
    is_the_same(&written(&mut rules)[0]);
}

#[test]
fn what_was_sent_with_a_subscription_is_sent_again_until_it_changes() {
    let mut rules = online();
    let channel = "c".into();
    let subscribe_with = |rules: &mut Rules, options: SubscribeOptions| {
        let action = subscribe(&channel, None, &options.wish);
        let id = rules.act(action, true).unwrap();
        let sent = written(rules)[0]["data"].clone();
        let mut event = subscribed("e", 4, false, &[]);
        event["id"] = json!(id);
        receive(rules, event);
        sent
    };
    let again = |rules: &mut Rules| {
        come_back(rules, json!({"reason": "expired"}));
        let again = written(rules).remove(0);
        (again["data"].clone(), again["presence"].clone())
    };
    let options = SubscribeOptions::default().data("pass");
    assert_eq!(subscribe_with(&mut rules, options), "pass");
    assert_eq!(again(&mut rules), (json!("pass"), Value::Null));
    // Without data, and with null, that of before stays valid.
    for options in [
        SubscribeOptions::default(),
        SubscribeOptions::default().data(&()),
    ] {
        assert_eq!(subscribe_with(&mut rules, options), Value::Null);
        assert_eq!(again(&mut rules).0, "pass");
    }
    let mut options = SubscribeOptions::default().data("other");
    options.wish.presence = true;
    subscribe_with(&mut rules, options);
    assert_eq!(again(&mut rules), (json!("other"), json!(true)));
    let subscriptions = rules.subscriptions_mut();
    subscriptions.show(&"c".into(), json!({"name": "Ann"}));
    assert_eq!(again(&mut rules).0, json!({"name": "Ann"}));
    rules.subscriptions_mut().show(&"c".into(), Value::Null);
    assert_eq!(again(&mut rules), (Value::Null, json!(true)));
}

#[test]
fn the_newest_publication_is_handed_on_once_and_only_to_subscribers() {
    let latest =
        |offset: u64| json!({"event": "latest", "channel": "c", "offset": offset, "data": offset});
    let mut rules = online();
    assert_eq!(receive(&mut rules, latest(3)), []);
    let mut rules = reader();
    let handed_on: Vec<u64> = [5, 7, 7, 6, 9]
        .into_iter()
        .flat_map(|offset| offsets(&receive(&mut rules, latest(offset))))
        .collect();
    assert_eq!(handed_on, [7, 9]);
}

#[test]
fn a_subscription_that_cannot_be_renewed_is_reported() {
    let mut rules = reader();
    come_back(&mut rules, json!({"reason": "expired"}));
    let id = written(&mut rules)[0]["id"].clone();
    let outputs = receive(
        &mut rules,
        json!({"event": "error", "id": id, "code": "unknown_channel", "message": ""}),
    );
    assert!(matches!(
        emitted(&outputs)[..],
        [Event::Unsubscribed { .. }]
    ));
    come_back(&mut rules, json!({"reason": "expired"}));
    assert!(written(&mut rules).is_empty(), "it is not asked for again");
}

/// Subscribes to channel `c` once more, and is refused with this code.
fn refused_again(rules: &mut Rules, code: &str, is_awaited: bool) -> Vec<Output> {
    let wish = SubscribeOptions::default().data("pass").wish;
    let channel = "c".into();
    let id = rules.act(subscribe(&channel, None, &wish), true).unwrap();
    written(rules);
    if !is_awaited {
        rules.abandon(id.unwrap());
    }
    receive(
        rules,
        json!({"event": "error", "id": id, "code": code, "message": ""}),
    )
}

#[test]
fn a_subscription_ends_if_the_server_refuses_to_change_it() {
    for is_awaited in [true, false] {
        let mut rules = reader();
        let outputs = refused_again(&mut rules, "members_only", is_awaited);
        match &outputs[..] {
            [Output::Complete(_, Err(CallError::Refused(refusal)))] if is_awaited => {
                assert_eq!(refusal.code(), "members_only");
            }
            [Output::Emit(Event::Unsubscribed { channel, reason })] if !is_awaited => {
                assert_eq!((channel.as_str(), reason.as_str()), ("c", "members_only"));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(rules.position(&"c".into()), None);
        come_back(&mut rules, json!({"reason": "expired"}));
        assert!(written(&mut rules).is_empty(), "it is not asked for again");
    }
}

#[test]
fn a_subscription_continues_if_the_server_cannot_read_what_would_change_it() {
    for code in ["bad_field", "too_deep"] {
        for is_awaited in [true, false] {
            let mut rules = reader();
            let outputs = refused_again(&mut rules, code, is_awaited);
            assert_eq!(outputs.len(), usize::from(is_awaited), "{outputs:?}");
            let event = json!({"event": "publication", "channel": "c", "offset": 6});
            assert_eq!(offsets(&receive(&mut rules, event)), [6]);
            come_back(&mut rules, json!({"reason": "expired"}));
            let again = written(&mut rules).remove(0);
            assert_eq!(
                (&again["channel"], &again["data"]),
                (&json!("c"), &Value::Null)
            );
        }
    }
}

#[test]
fn a_subscription_that_is_refused_for_now_is_tried_again() {
    for code in ["too_fast", "authorization_timeout"] {
        is_tried_again_after(code);
    }
}

fn is_tried_again_after(code: &str) {
    let mut rules = reader();
    come_back(&mut rules, json!({"reason": "unknown"}));
    let too_fast = |id: &Value| json!({"event": "error", "id": id, "code": code, "message": ""});
    let id = written(&mut rules)[0]["id"].clone();
    assert!(receive(&mut rules, too_fast(&id)).is_empty());
    assert!(written(&mut rules).is_empty(), "not at once");
    for _ in 0..2 {
        let due = rules.deadline();
        assert!((at(1_000)..=at(2_000)).contains(&due), "{due:?}");
        let again = rules.next_to_write(due).unwrap();
        let again: Value = again.decode().unwrap();
        assert_eq!(again["action"], "subscribe");
        assert_eq!(again["since"], json!({"epoch": "e", "offset": 5}));
        assert!(rules.next_to_write(due).is_none());
        assert!(receive(&mut rules, too_fast(&again["id"])).is_empty());
    }
    // Who does not want it any more is not subscribed again.
    let channel = "c".into();
    let action: OutboundAction<'_, ()> = OutboundAction {
        channel: Some(&channel),
        ..OutboundAction::new(ActionName::Unsubscribe)
    };
    rules.act(action, false).unwrap();
    assert_eq!(written(&mut rules)[0]["action"], "unsubscribe");
    assert!(rules.next_to_write(at(5_000)).is_none());
}
