//! The rules, one situation at a time.

mod searches;
mod subscriptions;

use serde_json::{Value, json};

use super::*;
use crate::client::server_frame;
use crate::wire::event::ResumeFailure;

const fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn welcome(fields: Value) -> Value {
    let mut welcome = json!({
        "event": "welcome", "protocol": 1, "session": "00000000-0000-4000-8000-000000000001", "resume": "token",
        "resumed": false, "received": 0, "time": 1_000, "ping_ms": 10_000, "window_ms": 30_000
    });
    for (key, value) in fields.as_object().unwrap() {
        welcome[key] = value.clone();
    }
    welcome
}

fn receive(rules: &mut Rules, event: Value) -> Vec<Output> {
    let frame = RawData::of(Format::Json, &event).unwrap();
    rules.receive(at(0), server_frame::read(&frame).unwrap())
}

/// Rules after their first welcome.
fn online() -> Rules {
    let mut rules = Rules::new(&Options::default());
    rules.connected();
    receive(&mut rules, welcome(json!({})));
    rules
}

fn come_back(rules: &mut Rules, fields: Value) -> Vec<Output> {
    rules.disconnected(at(0), lost(), 0.0);
    rules.connected();
    receive(rules, welcome(fields))
}

fn lost() -> Disconnection {
    closed(None)
}

fn closed(code: Option<u16>) -> Disconnection {
    Disconnection {
        code: code.map(CloseCode),
        reason: String::new(),
    }
}

fn call(rules: &mut Rules, n: u64) -> u64 {
    let action = OutboundAction {
        type_: Some("ask"),
        data: Some(&n),
        ..OutboundAction::new(ActionName::Call)
    };
    rules.act(action, true).unwrap().unwrap()
}

fn to_room(rules: &mut Rules, room: &str, name: ActionName) -> Result<Option<u64>, SendError> {
    let room = room.into();
    let action: OutboundAction<'_, ()> = OutboundAction {
        room: Some(&room),
        type_: Some("steer"),
        ..OutboundAction::new(name)
    };
    rules.act(action, false)
}

fn written(rules: &mut Rules) -> Vec<Value> {
    std::iter::from_fn(|| rules.next_to_write(at(0)))
        .map(|frame| frame.decode().unwrap())
        .collect()
}

fn emitted(outputs: &[Output]) -> Vec<&Event> {
    let events = outputs.iter().filter_map(|output| match output {
        Output::Emit(event) => Some(event),
        _ => None,
    });
    events.collect()
}

#[test]
fn nothing_is_written_before_the_welcome() {
    let mut rules = Rules::new(&Options::default());
    call(&mut rules, 1);
    assert!(written(&mut rules).is_empty());
    rules.connected();
    assert!(written(&mut rules).is_empty());
    receive(&mut rules, welcome(json!({})));
    assert_eq!(written(&mut rules)[0]["data"], 1);
}

#[test]
fn an_event_before_the_welcome_breaks_the_connection() {
    let mut rules = Rules::new(&Options::default());
    rules.connected();
    let outputs = receive(&mut rules, json!({"event": "reply", "id": 1}));
    assert!(matches!(
        outputs[..],
        [
            Output::Emit(_),
            Output::Disconnect(CloseCode::PROTOCOL_ERROR, _)
        ]
    ));
    let outputs = receive(&mut rules, welcome(json!({"protocol": 2})));
    assert!(matches!(
        outputs[..],
        [Output::Emit(_), Output::Disconnect(..)]
    ));
}

#[test]
fn a_resume_continues_after_the_acknowledged_actions() {
    let mut rules = online();
    for n in 1..=3 {
        call(&mut rules, n);
    }
    assert_eq!(written(&mut rules).len(), 3);
    receive(&mut rules, json!({"event": "reply", "id": 1, "data": 10}));
    assert_eq!(rules.resume(), Some(("token", 1)));
    let outputs = come_back(
        &mut rules,
        json!({"resumed": true, "received": 1, "resume": "next"}),
    );
    assert!(matches!(
        emitted(&outputs)[..],
        [Event::Connected {
            resumed: true,
            reason: None,
            ..
        }]
    ));
    let again: Vec<Value> = written(&mut rules)
        .iter()
        .map(|a| a["data"].clone())
        .collect();
    assert_eq!(again, [2, 3]);
    assert_eq!(rules.resume(), Some(("next", 1)));
}

#[test]
fn a_lost_session_fails_written_requests_and_keeps_the_others() {
    let mut rules = online();
    let tried = call(&mut rules, 1);
    written(&mut rules);
    rules.disconnected(at(0), lost(), 0.0);
    let untried = call(&mut rules, 2);
    let outputs = come_back(&mut rules, json!({"reason": "expired"}));
    let expired = Output::Complete(tried, Err(CallError::SessionLost(ResumeFailure::Expired)));
    assert!(
        outputs.contains(&expired) && outputs.len() == 3,
        "{outputs:?}"
    );
    assert_eq!(
        rules.resume(),
        Some(("token", 0)),
        "a new session counts from zero"
    );
    assert_eq!(written(&mut rules)[0]["id"], untried);
    let outputs = receive(&mut rules, json!({"event": "reply", "id": untried}));
    assert_eq!(
        outputs,
        [Output::Complete(untried, Ok(Answer::Reply(Value::Null)))]
    );
}

#[test]
fn an_acknowledged_request_without_an_answer_fails_with_its_session_too() {
    let mut rules = online();
    let id = call(&mut rules, 1);
    written(&mut rules);
    assert!(
        receive(
            &mut rules,
            json!({"event": "pong", "received": 1, "time": 5})
        )
        .is_empty()
    );
    assert_eq!(rules.unacknowledged(), 0);
    let outputs = come_back(&mut rules, json!({"reason": "overflow"}));
    let overflow = CallError::SessionLost(ResumeFailure::Overflow);
    assert!(outputs.contains(&Output::Complete(id, Err(overflow))));
}

#[test]
fn rooms_and_their_actions_end_with_the_session() {
    let mut rules = online();
    assert_eq!(
        to_room(&mut rules, "r", ActionName::Send),
        Err(SendError::NotInRoom)
    );
    receive(
        &mut rules,
        json!({"event": "joined", "id": 9, "room": "r", "kind": "k", "member": 4}),
    );
    rules.disconnected(at(0), lost(), 0.0);
    assert_eq!(
        to_room(&mut rules, "r", ActionName::Send),
        Ok(None),
        "it may be resumed yet"
    );
    let outputs = come_back(&mut rules, json!({"reason": "unknown"}));
    let events = emitted(&outputs);
    let lost = Event::Lost {
        reason: ResumeFailure::Unknown,
        rooms: vec!["r".into()],
        lost_actions: 1,
    };
    assert_eq!(events[1], &lost);
    assert!(matches!(events[2], Event::Left { reason, .. } if reason == "session_lost"));
    assert!(written(&mut rules).is_empty());
    assert_eq!(
        to_room(&mut rules, "r", ActionName::Send),
        Err(SendError::NotInRoom)
    );
}

#[test]
fn every_counted_event_counts_even_if_it_is_unknown() {
    let mut rules = online();
    for event in [
        json!({"event": "fireworks"}),
        json!({"event": "presence", "channel": "c", "version": 1, "count": 0}),
        json!({"event": "message", "room": "r", "type": "t"}),
        json!({"event": "error", "code": "c", "message": "m"}),
        json!({"event": "pong", "received": 0, "time": 0}),
        json!({"event": "signal", "room": "r", "type": "t"}),
        json!({"event": "state", "room": "r", "tick": 1, "data": {}}),
        json!({"event": "patch", "room": "r", "tick": 2, "base": 1, "data": {}}),
    ] {
        receive(&mut rules, event);
    }
    assert_eq!(rules.resume(), Some(("token", 3)));
}

#[test]
fn a_state_that_is_out_of_sync_is_requested_once() {
    let mut rules = online();
    receive(
        &mut rules,
        json!({"event": "joined", "room": "r", "kind": "k", "member": 1}),
    );
    let state = |n: u64| json!({"event": "state", "room": "r", "tick": n, "data": {"n": n}});
    let patch = |base: u64| json!({"event": "patch", "room": "r", "tick": base + 1, "base": base, "data": {"n": base + 1}});
    receive(&mut rules, state(1));
    let outputs = receive(&mut rules, patch(1));
    assert_eq!(emitted(&outputs)[0].data(), Some(&json!({"n": 2})));
    for base in [3, 4, 2] {
        assert!(receive(&mut rules, patch(base)).is_empty());
    }
    let asked = written(&mut rules);
    assert_eq!(asked, [json!({"action": "sync", "id": 1, "room": "r"})]);
    receive(&mut rules, state(7));
    assert!(receive(&mut rules, json!({"event": "reply", "id": 1})).is_empty());
    let outputs = receive(&mut rules, patch(7));
    assert_eq!(emitted(&outputs)[0].data(), Some(&json!({"n": 8})));

    receive(&mut rules, patch(9));
    assert_eq!(written(&mut rules).len(), 1);
    let refused = json!({"event": "error", "id": 2, "code": "not_a_member", "message": "m"});
    assert!(
        receive(&mut rules, refused).is_empty(),
        "it was not the application that asked"
    );
    receive(&mut rules, patch(10));
    let outputs = come_back(&mut rules, json!({"reason": "expired"}));
    assert!(matches!(
        emitted(&outputs)[1],
        Event::Lost {
            lost_actions: 0,
            ..
        }
    ));
}

#[test]
fn impossible_counts_end_the_session() {
    let mut rules = online();
    let outputs = receive(
        &mut rules,
        json!({"event": "pong", "received": 1, "time": 5}),
    );
    assert!(matches!(
        outputs[..],
        [Output::Emit(_), Output::Disconnect(..)]
    ));
    assert_eq!(
        rules.resume(),
        Some(("", 0)),
        "the token would bring the same counts back"
    );
}

#[test]
fn the_close_code_decides_whether_to_reconnect() {
    for (code, comes_back) in [
        (None, true),
        (Some(1001), true),
        (Some(1011), true),
        (Some(1013), true),
        (Some(4000), true),
        (Some(4499), true),
        (Some(1000), true),
        (Some(1008), false),
        (Some(1009), false),
        (Some(4500), false),
        (Some(4503), false),
    ] {
        let next = online().disconnected(at(0), closed(code), 0.5);
        assert_eq!(
            matches!(next, AfterDisconnect::Reconnect(_)),
            comes_back,
            "{code:?}"
        );
    }
}

#[test]
fn a_goodbye_takes_precedence_over_the_close_code() {
    let goodbye = json!({"event": "goodbye", "code": 4002, "reason": "restart",
        "reconnect": {"after_ms": 500, "jitter_ms": 1000}});
    let mut rules = online();
    receive(&mut rules, goodbye);
    assert_eq!(
        rules.disconnected(at(0), closed(Some(4002)), 0.5),
        AfterDisconnect::Reconnect(at(1000))
    );
    rules.connected();
    assert_eq!(
        rules.disconnected(at(0), lost(), 1.0),
        AfterDisconnect::Reconnect(at(250)),
        "it counts once"
    );

    let mut rules = online();
    receive(
        &mut rules,
        json!({"event": "goodbye", "code": 4001, "reason": "slow"}),
    );
    assert!(
        matches!(rules.disconnected(at(0), lost(), 0.5), AfterDisconnect::GiveUp(disconnection) if disconnection.reason == "slow")
    );
}

#[test]
fn the_servers_clock_advances_between_its_messages() {
    let rules = online();
    assert_eq!(rules.server_time(at(250)), Some(1250));
}

#[test]
fn a_credential_that_could_not_be_checked_is_shown_again_in_time() {
    let mut rules = online();
    for code in ["unavailable", "authentication_timeout", "no_ticket"] {
        let warned = receive(&mut rules, json!({"event": "expiring", "in_ms": 8000}));
        assert_eq!(warned, [Output::Renew]);
        rules.refresh("ticket");
        let id = written(&mut rules).pop().unwrap()["id"].clone();
        let answer = json!({"event": "error", "id": id, "code": code, "message": ""});
        let refusal = Refusal::new(code, "");
        let outputs = receive(&mut rules, answer);
        if code == "no_ticket" {
            assert_eq!(outputs, [Output::Emit(Event::Unauthorized { refusal })]);
            assert!(!rules.renews(at(8000)));
            continue;
        }
        let room = None;
        assert_eq!(outputs, [Output::Emit(Event::Error { refusal, room })]);
        assert_eq!(rules.deadline(), at(4000));
        assert!(!rules.renews(at(3999)));
        assert!(rules.renews(at(4000)) && !rules.renews(at(4000)));
        // The next connection begins with a credential of its own.
        rules.refresh("ticket");
        let id = written(&mut rules).pop().unwrap()["id"].clone();
        receive(
            &mut rules,
            json!({"event": "error", "id": id, "code": code, "message": ""}),
        );
        come_back(&mut rules, json!({"resumed": true, "received": id}));
        assert!(!rules.renews(at(8000)));
    }
}
