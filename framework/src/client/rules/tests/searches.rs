//! Searches that are given up and begun again.

use super::*;

fn search(rules: &mut Rules) -> u64 {
    to_queue(rules, ActionName::Match)
}

fn to_queue(rules: &mut Rules, name: ActionName) -> u64 {
    let action: OutboundAction<'_, ()> = OutboundAction {
        queue: Some("duel"),
        ..OutboundAction::new(name)
    };
    rules.act(action, true).unwrap().unwrap()
}

fn queued(rules: &mut Rules, id: Option<u64>) -> Vec<Output> {
    let event = json!({"event": "queued", "id": id, "queue": "duel", "waited_ms": 0});
    receive(rules, event)
}

fn no_match(rules: &mut Rules, id: Option<u64>) -> Vec<Output> {
    let event = json!({"event": "no_match", "id": id, "queue": "duel", "reason": "over"});
    receive(rules, event)
}

fn matched(rules: &mut Rules, room: &str) -> Vec<Output> {
    let event =
        json!({"event": "matched", "queue": "duel", "room": room, "kind": "duel", "join_ms": 10});
    receive(rules, event)
}

/// Rules that are in the queue, and that have written the search.
fn searching() -> (Rules, u64) {
    let mut rules = online();
    let id = search(&mut rules);
    written(&mut rules);
    assert_eq!(queued(&mut rules, Some(id)).len(), 1);
    (rules, id)
}

/// The search `id` finds a match, whose room the rules join.
fn plays(rules: &mut Rules, id: u64) {
    assert_eq!(queued(rules, Some(id)).len(), 1);
    matched(rules, "r");
    let actions = written(rules);
    let join = actions.last().unwrap();
    assert_eq!(
        (&join["action"], &join["room"]),
        (&json!("join"), &json!("r"))
    );
    let joined =
        json!({"event": "joined", "id": join["id"], "room": "r", "kind": "duel", "member": 1});
    let outputs = receive(rules, joined);
    let is_its = |output: &Output| matches!(output, Output::Complete(done, Ok(_)) if *done == id);
    assert!(outputs.iter().any(is_its), "{outputs:?}");
}

#[test]
fn the_answer_to_an_earlier_cancellation_does_not_end_a_search() {
    for is_dropped in [true, false] {
        let (mut rules, first) = searching();
        let cancel = if is_dropped {
            rules.abandon(first);
            None
        } else {
            Some(to_queue(&mut rules, ActionName::CancelMatch))
        };
        let second = search(&mut rules);
        let actions = written(&mut rules);
        let names: Vec<_> = actions.iter().map(|action| &action["action"]).collect();
        assert_eq!(names, ["match.cancel", "match"]);
        if is_dropped {
            // These were sent before the server knew of it.
            assert!(queued(&mut rules, None).is_empty());
            assert!(matched(&mut rules, "old").is_empty());
            assert!(written(&mut rules).is_empty());
        }
        let outputs = no_match(&mut rules, actions[0]["id"].as_u64());
        let ended = outputs.iter().filter_map(|output| match output {
            Output::Complete(id, _) => Some(*id),
            _ => None,
        });
        let expected: Vec<u64> = match cancel {
            Some(cancel) => vec![first, cancel],
            None => Vec::new(),
        };
        assert_eq!(ended.collect::<Vec<_>>(), expected);
        plays(&mut rules, second);
    }
}

#[test]
fn the_end_of_an_earlier_search_does_not_end_a_later_one() {
    let (mut rules, first) = searching();
    rules.abandon(first);
    let second = search(&mut rules);
    let actions = written(&mut rules);
    // It had no match in time.
    no_match(&mut rules, None);
    let refused =
        json!({"event": "error", "id": actions[0]["id"], "code": "not_queued", "message": "-"});
    assert!(receive(&mut rules, refused).is_empty());
    plays(&mut rules, second);
}
