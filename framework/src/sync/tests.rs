//! The way of a state from a value through an encoder and the client's merge to the same value.

mod follow;
mod golden;
mod hostile;
mod types;
pub(in crate::sync) mod values;

use serde::Serialize;
use serde_json::Value;

use super::keys::{KeyTable, Names};
use super::layers::Layers;
use super::merge::Keys;
use super::tree::{Tree, Version};
use super::write::Unfit;
use crate::wire::codec::{Format, decode};

/// Reads a whole state as a client does.
fn whole(layers: Layers<'_>, format: Format) -> Value {
    let mut bytes = Vec::new();
    layers.write_whole(format, &mut bytes).unwrap();
    decode(format, &bytes).unwrap()
}

fn patch(
    layers: Layers<'_>,
    format: Format,
    since: Version,
    names: &mut Names<'_>,
) -> Result<Vec<u8>, Unfit> {
    let mut bytes = vec![7];
    let written = layers.write_patch(format, since, names, &mut bytes);
    assert_eq!(bytes.remove(0), 7, "what stood there stays");
    assert!(
        written.is_ok() || bytes.is_empty(),
        "a failure leaves nothing"
    );
    written.map(|()| bytes)
}

/// The keys that a client gets from a `state`.
fn keys(table: &KeyTable) -> Keys {
    serde_json::from_value(serde_json::to_value(table).unwrap()).unwrap()
}

/// A tree after updates with `states`, which are the versions from 1 on.
fn tree<T: Serialize>(states: &[T]) -> Tree {
    let mut tree = Tree::default();
    for (version, state) in (1..).zip(states) {
        tree.update(state, Version(version)).unwrap();
    }
    tree
}
