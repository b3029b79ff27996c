//! Clients that follow, in both formats, by whatever they are sent.

use proptest::prelude::*;
use serde::Serialize;
use serde_json::Value;

use super::values::{next_state, without_nulls};
use crate::sync::canonical;
use crate::sync::keys::{KeyTable, Names};
use crate::sync::layers::Layers;
use crate::sync::merge::{Keys, apply};
use crate::sync::tree::{Tree, Version};
use crate::sync::write::Unfit;
use crate::wire::codec::{Format, decode};

/// Reads a state as a client does.
pub(super) fn whole(layers: Layers<'_>, format: Format) -> Value {
    let mut bytes = Vec::new();
    layers.write_whole(format, &mut bytes).unwrap();
    decode(format, &bytes).unwrap()
}

pub(super) fn patch(
    layers: Layers<'_>,
    format: Format,
    since: Version,
    names: &mut Names<'_>,
) -> Result<Vec<u8>, Unfit> {
    let mut bytes = vec![7];
    let written = layers.write_patch(format, since, names, &mut bytes);
    assert_eq!(bytes.remove(0), 7);
    assert!(
        written.is_ok() || bytes.is_empty(),
        "a failure leaves nothing"
    );
    written.map(|()| bytes)
}

/// A tree that knew `states`, one version each from 1.
pub(super) fn tree<T: Serialize>(states: &[T]) -> Tree {
    let mut tree = Tree::default();
    for (version, state) in (1..).zip(states) {
        tree.update(state, Version(version)).unwrap();
    }
    tree
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_state_and_what_changed_is_the_next_state((a, b) in next_state()) {
        for format in Format::ALL {
            let mut tree = tree(&[&a]);
            let mut table = KeyTable::default();
            let layers = Layers::of(&tree);
            table.begin(&layers);
            let mut client = whole(layers, format);
            prop_assert_eq!(&client, &without_nulls(&a));
            let changed = tree.update(&b, Version(2)).unwrap();
            prop_assert!(changed || without_nulls(&a) == without_nulls(&b));
            prop_assert!(!tree.update(&b, Version(2)).unwrap(), "nothing changed");
            let layers = Layers::of(&tree);
            let mut keys: Keys = decode(Format::Json, &serde_json::to_vec(&table).unwrap()).unwrap();
            let patch = patch(layers, format, Version(1), &mut Names::Growing(&mut table)).unwrap();
            apply(format, &patch, &mut client, &mut keys).unwrap();
            prop_assert_eq!(&client, &without_nulls(&b), "{:?}", patch);
            prop_assert_eq!(&whole(layers, format), &client);
            prop_assert_eq!(canonical::hash(&client), layers.hash(format));
        }
    }
}
