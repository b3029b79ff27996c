//! Clients that follow a state by whole states and patches.

use std::cell::Cell;

use proptest::prelude::*;
use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Value, json};

use super::values::{mix, next_state, object, state, value, without_nulls};
use super::{keys, patch, tree, whole};
use crate::sync::canonical;
use crate::sync::keys::{KeyTable, Mark, Names};
use crate::sync::layers::Layers;
use crate::sync::merge::{Keys, apply};
use crate::sync::tree::{Tree, Version};
use crate::sync::write::Unfit;
use crate::wire::codec::Format;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_state_and_what_changed_is_the_next_state((a, b) in next_state()) {
        for format in Format::ALL {
            let mut tree = tree(&[&a]);
            let mut table = KeyTable::default();
            table.begin(&Layers::of(&tree));
            let mut client = whole(Layers::of(&tree), format);
            prop_assert_eq!(&client, &without_nulls(&a));
            let changed = tree.update(&b, Version(2)).unwrap();
            prop_assert!(changed || without_nulls(&a) == without_nulls(&b));
            prop_assert!(!tree.update(&b, Version(2)).unwrap(), "nothing changed");
            let layers = Layers::of(&tree);
            let mut keys = keys(&table);
            let patch = patch(layers, format, Version(1), &mut Names::Growing(&mut table)).unwrap();
            apply(format, &patch, &mut client, &mut keys).unwrap();
            prop_assert_eq!(&client, &without_nulls(&b), "{:?}", patch);
            prop_assert_eq!(&whole(layers, format), &client);
            prop_assert_eq!(canonical::hash(&client), layers.hash(format));
        }
    }
}

/// A client that follows the state.
#[derive(Debug)]
struct Client {
    format: Format,
    state: Value,
    keys: Keys,
    // What the room knows of the client.
    base: Version,
    mark: Mark,
}

/// The parts of a room that matter here.
#[derive(Default)]
struct Room {
    shared: Tree,
    view: Option<Tree>,
    table: KeyTable,
    version: Version,
    /// The version that was last sent to all.
    sent: Version,
    clients: Vec<Client>,
    state: Value,
    shown: Option<Value>,
    patches: usize,
}

#[derive(Clone, Debug)]
enum Step {
    /// A part of the state changes.
    Change(Value, u64),
    /// A part of the view changes, or the view comes or goes.
    Show(Value, u64),
    /// A patch goes to all clients except those whose bit is set.
    Send(u8),
    Join(bool),
    Forget,
    /// As when the table is worn.
    Renew,
}

impl Room {
    fn layers(&self) -> Layers<'_> {
        Layers {
            shared: &self.shared,
            view: self.view.as_ref(),
        }
    }

    /// The state that clients should have.
    fn expected(&self) -> Value {
        let shared = without_nulls(&self.state);
        let Some(view) = &self.shown else {
            return shared;
        };
        match (shared, without_nulls(view)) {
            (Value::Null, view) => view,
            (Value::Object(mut shared), Value::Object(view)) => {
                shared.extend(view);
                Value::Object(shared)
            }
            (shared, _) => shared,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Change(to, mut seed) => {
                self.version = self.version.next().unwrap();
                self.state = mix(&self.state, &to, &mut seed);
                self.shared.update(&self.state, self.version).unwrap();
            }
            Step::Show(to, mut seed) => {
                self.version = self.version.next().unwrap();
                let shown = mix(self.shown.as_ref().unwrap_or(&json!({})), &to, &mut seed);
                let view = self.view.get_or_insert_default();
                view.update(&shown, self.version).unwrap();
                self.shown = Some(shown);
            }
            Step::Send(behind) => self.send(behind),
            Step::Join(binary) => {
                let client = Client {
                    format: Format::ALL[usize::from(binary)],
                    state: self.wholly(Format::ALL[usize::from(binary)]),
                    keys: keys(&self.table),
                    // Then the next patch to all fits this client, although its state is newer.
                    base: self.sent,
                    mark: self.table.mark(),
                };
                self.clients.push(client);
            }
            Step::Forget => {
                let oldest = self.clients.iter().map(|client| client.base).min();
                let oldest = oldest.unwrap_or(self.sent).min(self.sent);
                self.shared.sweep(oldest);
                if let Some(view) = &mut self.view {
                    view.sweep(oldest);
                }
            }
            Step::Renew => {
                let layers = Layers {
                    shared: &self.shared,
                    view: self.view.as_ref(),
                };
                self.table.begin(&layers);
            }
        }
    }

    fn wholly(&self, format: Format) -> Value {
        whole(self.layers(), format)
    }

    fn send(&mut self, behind: u8) {
        let (since, mark) = (self.sent, self.table.mark());
        let layers = Layers {
            shared: &self.shared,
            view: self.view.as_ref(),
        };
        let to_all = Format::ALL
            .map(|format| patch(layers, format, since, &mut Names::Growing(&mut self.table)));
        let expected = self.expected();
        for (n, client) in self.clients.iter_mut().enumerate() {
            if n < 8 && behind & 1 << n != 0 {
                continue;
            }
            let (format, binary) = (client.format, client.format == Format::MsgPack);
            let layers = Layers {
                shared: &self.shared,
                view: self.view.as_ref(),
            };
            let follows = client.base == since && (!binary || client.mark == mark);
            let change = match &to_all[format as usize] {
                Ok(to_all) if follows => {
                    client.mark = self.table.mark();
                    Ok(to_all.clone())
                }
                _ => {
                    let mut names = Names::Known(&self.table, client.mark);
                    patch(layers, format, client.base, &mut names)
                }
            };
            if let Ok(change) = change {
                apply(format, &change, &mut client.state, &mut client.keys).unwrap();
                self.patches += 1;
            } else {
                client.state = whole(layers, format);
                client.keys = keys(&self.table);
                client.mark = self.table.mark();
            }
            client.base = self.version;
            assert_eq!(client.state, expected, "{format:?}");
            assert_eq!(canonical::hash(&client.state), layers.hash(format));
        }
        self.sent = self.version;
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (state(), any::<u64>()).prop_map(|(to, seed)| Step::Change(to, seed | 1)),
        1 => (value(), any::<u64>()).prop_map(|(to, seed)| Step::Change(to, seed | 1)),
        2 => (object(value()), any::<u64>()).prop_map(|(to, seed)| Step::Show(to, seed | 1)),
        8 => any::<u8>().prop_map(Step::Send),
        2 => any::<bool>().prop_map(Step::Join),
        1 => Just(Step::Forget),
        1 => Just(Step::Renew),
    ];
    prop::collection::vec(step, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(768))]

    /// A client has the state after any messages that fit it: if it was behind, if it came late, and before and after tables began
    /// anew and removals were forgotten.
    #[test]
    fn every_follower_has_the_state(steps in steps()) {
        let mut room = Room { state: json!({"a": {"b": 1, "c": {}}, "x": 5}), ..Room::default() };
        room.step(Step::Change(json!({}), 1));
        room.step(Step::Renew);
        room.step(Step::Send(0));
        room.step(Step::Join(false));
        room.step(Step::Join(true));
        for step in steps {
            room.step(step);
        }
        room.step(Step::Send(0));
    }
}

#[test]
fn followers_get_patches() {
    let mut room = Room::default();
    room.step(Step::Change(json!({"a": {"x": 1}}), 3));
    room.step(Step::Renew);
    room.step(Step::Send(0));
    room.step(Step::Join(true));
    room.step(Step::Join(true));
    for n in 0..10 {
        room.state = json!({"a": {"x": n, format!("k{}", n % 3): n}});
        room.version = room.version.next().unwrap();
        room.shared.update(&room.state, room.version).unwrap();
        room.step(Step::Send(if n == 7 { 0 } else { 2 }));
    }
    assert_eq!(room.patches, 10, "10 for the first; the other lacks keys");
}

/// Serialises a value and fails after some parts of it.
struct Failing<'a>(&'a Value, &'a Cell<usize>);

impl Serialize for Failing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(left) = self.1.get().checked_sub(1) else {
            return Err(S::Error::custom("no more"));
        };
        self.1.set(left);
        match self.0 {
            Value::Object(map) => {
                let mut members = serializer.serialize_map(None)?;
                for (key, value) in map {
                    members.serialize_entry(key, &Failing(value, self.1))?;
                }
                members.end()
            }
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(None)?;
                for item in items {
                    list.serialize_element(&Failing(item, self.1))?;
                }
                list.end()
            }
            other => other.serialize(serializer),
        }
    }
}

proptest! {
    #[test]
    fn after_an_error_halfway_the_next_update_is_right(
        (a, b) in next_state(), after in 0_usize..12, (c, d) in next_state(),
    ) {
        for last in [&a, &b, &c] {
            let mut tree = tree(&[&a]);
            let failed = tree.update(&Failing(&b, &Cell::new(after)), Version(2)).is_err();
            let changed = tree.update(last, Version(3)).unwrap();
            prop_assert!(changed || !failed, "everybody is to get the state");
            prop_assert_eq!(Layers::of(&tree).is_patch_possible(Version(1)), !failed);
            prop_assert!(Layers::of(&tree).is_patch_possible(Version(3)));
            for (format, version) in Format::ALL.into_iter().zip([3, 5]) {
                let mut client = whole(Layers::of(&tree), format);
                prop_assert_eq!(&client, &without_nulls(last));
                tree.update(&d, Version(version + 1)).unwrap();
                let mut table = KeyTable::default();
                let names = &mut Names::Growing(&mut table);
                let since = Version(version);
                let patch = patch(Layers::of(&tree), format, since, names).unwrap();
                apply(format, &patch, &mut client, &mut Keys::new()).unwrap();
                prop_assert_eq!(&client, &without_nulls(&d));
                tree.update(last, Version(version + 2)).unwrap();
            }
        }
    }
}

/// The patches of a state that was each of `states` in turn, from the first to the last.
fn json_patch(states: &[Value]) -> Value {
    let tree = tree(states);
    let mut table = KeyTable::default();
    let names = &mut Names::Growing(&mut table);
    let bytes = patch(Layers::of(&tree), Format::Json, Version(1), names).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn patches_say_what_changed_and_nothing_else() {
    let ann = json!({"x": 1, "y": 2, "name": "Ann", "bag": ["rope", null]});
    for (states, expected) in [
        (vec![json!({"p": ann}), json!({"p": ann})], json!({})),
        (
            vec![json!({"p": ann}), json!({"p": ann, "q": {"x": null}})],
            json!({"q": {}}),
        ),
        (
            vec![json!({"p": ann}), json!({"p": {"x": 3, "y": 2}})],
            json!({"p": {"x": 3, "name": null, "bag": null}}),
        ),
        (
            vec![json!({"a": [1, 2]}), json!({"a": [1]})],
            json!({"a": [1]}),
        ),
        (
            vec![json!({"a": {"b": 1}}), json!({"a": {}})],
            json!({"a": {"b": null}}),
        ),
        (
            vec![json!({"a": {"b": 1}}), json!({"a": 5})],
            json!({"a": 5}),
        ),
        (vec![json!({"a": 5}), json!({"a": {}})], json!({"a": {}})),
        // The keys of an object that came back in between are removed, because the receiver that knows them merges.
        (
            vec![
                json!({"a": {"b": 1}}),
                json!({"a": 5}),
                json!({"a": {"c": 1}}),
            ],
            json!({"a": {"b": null, "c": 1}}),
        ),
        (
            vec![
                json!({"a": {"b": {"d": 1}}}),
                json!({}),
                json!({"a": {"b": {}}}),
            ],
            json!({"a": {"b": {"d": null}}}),
        ),
        (
            vec![json!({"a": 1}), json!({"a": 2}), json!({"a": 1})],
            json!({"a": 1}),
        ),
        (vec![json!({"a": 1}), json!([1])], json!([1])),
        (vec![json!({"a": 1}), json!(null)], json!(null)),
        (vec![json!([1]), json!({"a": 1})], json!({"a": 1})),
        (
            vec![json!({"a": 1}), json!(7), json!({"b": 1})],
            json!({"a": null, "b": 1}),
        ),
    ] {
        assert_eq!(json_patch(&states), expected, "{states:?}");
    }
}

#[test]
fn what_is_forgotten_allows_no_patch_from_before() {
    let mut tree = tree(&[json!({"a": 1, "b": 2}), json!({"a": 1}), json!({"a": 3})]);
    assert_eq!(tree.horizon(), Version(0));
    tree.sweep(Version(2));
    let mut table = KeyTable::default();
    let mut from = |since| {
        let names = &mut Names::Growing(&mut table);
        patch(Layers::of(&tree), Format::Json, Version(since), names)
    };
    assert_eq!(from(1), Err(Unfit));
    assert_eq!(from(2).unwrap(), br#"{"a":3}"#);
}

#[test]
fn many_removals_are_forgotten_by_themselves() {
    let mut tree = Tree::default();
    for version in 1..10_000_u32 {
        let state = json!({"shots": {version.to_string(): {"x": 1, "y": {"z": 2}}}});
        tree.update(&state, Version(version)).unwrap();
        tree.forget_removed(Version(version - 1));
    }
    assert!(tree.horizon() > Version(9_800));
    assert!(format!("{tree:?}").len() < 100_000);
}

#[test]
fn a_key_twice_counts_as_the_last_one() {
    struct Twice(u8);
    impl Serialize for Twice {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry("a", &json!({"first": self.0}))?;
            map.serialize_entry("b", &1)?;
            map.serialize_entry("a", &json!({"second": self.0}))?;
            map.serialize_entry("c", &1)?;
            map.serialize_entry("c", &None::<u8>)?;
            map.end()
        }
    }
    let mut tree = tree(&[Twice(1)]);
    for format in Format::ALL {
        assert_eq!(
            whole(Layers::of(&tree), format),
            json!({"a": {"second": 1}, "b": 1})
        );
        tree.update(&Twice(1), Version(2)).unwrap();
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |levels| {
        let mut value = json!(1);
        for _ in 0..levels {
            value = json!([value]);
        }
        value
    };
    let mut tree = Tree::default();
    assert!(tree.update(&nested(120), Version(1)).is_ok());
    assert!(tree.update(&nested(121), Version(2)).is_err());
    assert!(tree.update(&nested(120), Version(3)).is_ok());
}

#[test]
fn a_view_stands_on_the_shared_state() {
    let shared = tree(&[json!({"round": 1})]);
    let mut view = Tree::default();
    let whole_of = |view: &Tree| {
        let layers = Layers {
            shared: &shared,
            view: Some(view),
        };
        whole(layers, Format::Json)
    };
    let mut table = KeyTable::default();
    let mut patch_of = |view: &Tree, since| {
        let names = &mut Names::Growing(&mut table);
        let layers = Layers {
            shared: &shared,
            view: Some(view),
        };
        patch(layers, Format::Json, Version(since), names)
            .map(|bytes| String::from_utf8(bytes).unwrap())
    };
    view.update(&json!({"hand": ["ace"]}), Version(5)).unwrap();
    assert_eq!(whole_of(&view), json!({"round": 1, "hand": ["ace"]}));
    assert_eq!(
        patch_of(&view, 4).unwrap(),
        r#"{"hand":["ace"]}"#,
        "a view may be younger than the base"
    );
    view.update(&json!(null), Version(6)).unwrap();
    assert_eq!(patch_of(&view, 5).unwrap(), r#"{"hand":null}"#);
    view.update(&json!({"round": 2}), Version(7)).unwrap();
    assert_eq!(
        whole_of(&view),
        json!({"round": 2}),
        "the view's key counts"
    );
    assert_eq!(patch_of(&view, 6), Err(Unfit), "and no patch can say so");
    view.update(&json!({}), Version(8)).unwrap();
    assert_eq!(
        patch_of(&view, 7),
        Err(Unfit),
        "what shines through is said by nobody"
    );
    assert_eq!(patch_of(&view, 8).unwrap(), "{}");
}
