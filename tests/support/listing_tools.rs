//! What suites about listings of rooms share: a client that keeps pages as the protocol says.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // Everything here is part of a test, whose failure is a panic.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::wire_tools::Wire;

/// A page as one client sees it.
#[derive(Debug, Default)]
pub struct Page {
    /// The number of the listing.
    pub listing: u64,
    /// The version of the page; `None` until the first whole one.
    pub version: Option<u64>,
    /// The rooms, by id.
    pub rooms: BTreeMap<String, Value>,
    /// The last room, if there are more behind the page.
    pub next: Option<String>,
    /// How many whole pages and changes have come.
    pub wholes: usize,
    /// See `wholes`.
    pub changes: usize,
}

impl Page {
    /// Takes the event `rooms` if it is about this page; skips others.
    pub fn hear(&mut self, event: &Value) {
        if event["event"] != "rooms" || event["listing"] != self.listing {
            return;
        }
        let next = || event["next"].as_str().map(str::to_owned);
        let Some(base) = event["base"].as_u64() else {
            self.wholes += 1;
            self.version = event["version"].as_u64();
            self.rooms = by_id(&event["rooms"]).collect();
            self.next = next();
            return;
        };
        assert_eq!(Some(base), self.version, "a change is missing: {event}");
        self.changes += 1;
        self.version = event["version"].as_u64();
        self.rooms.extend(by_id(&event["added"]));
        self.rooms.extend(by_id(&event["changed"]));
        for room in event["removed"].as_array().into_iter().flatten() {
            self.rooms.remove(room.as_str().unwrap());
        }
        self.next = next();
    }

    /// Takes everything that has come.
    pub async fn hear_all(&mut self, wire: &mut Wire) {
        for event in wire.all().await {
            self.hear(&event);
        }
    }

    /// The ids of the rooms.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.rooms.keys().map(String::as_str).collect()
    }
}

fn by_id(rooms: &Value) -> impl Iterator<Item = (String, Value)> {
    let rooms = rooms.as_array().into_iter().flatten();
    rooms.map(|room| (room["room"].as_str().unwrap().to_owned(), room.clone()))
}

/// Asks to follow desks; the answer.
pub async fn ask_to_follow(wire: &mut Wire, wanted: Value) -> Value {
    let mut action = json!({"action": "rooms.follow", "kind": "desk"});
    let fields = action.as_object_mut().unwrap();
    fields.extend(wanted.as_object().unwrap().clone());
    wire.ask(action).await
}

/// Follows desks, and receives the page.
pub async fn follow(wire: &mut Wire, wanted: Value) -> Page {
    let reply = ask_to_follow(wire, wanted).await;
    let mut page = Page {
        listing: reply["data"]["listing"]
            .as_u64()
            .unwrap_or_else(|| panic!("{reply}")),
        ..Page::default()
    };
    let whole = wire
        .find("the page", |event| {
            event["event"] == "rooms" && event["listing"] == page.listing
        })
        .await;
    page.hear(&whole);
    assert_eq!(page.wholes, 1, "{whole}");
    page
}
