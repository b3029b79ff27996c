//! The way of a value through changes, bytes and a reader to the same value.

mod changes;
mod hostile;
mod limits;
mod types;

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Change, ExactState, ExactTree};

/// A tree, and a reader that follows it.
#[derive(Debug, Default)]
struct Pair {
    tree: ExactTree,
    state: ExactState,
    /// All messages since the last whole value.
    written: Vec<Vec<u8>>,
}

/// What a step has appended.
#[derive(Debug)]
struct Step {
    change: Change,
    bytes: Vec<u8>,
}

impl Pair {
    /// The next value. The reader has it, too, afterwards.
    fn step<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, value: &T) -> Step {
        let step = self.update(value);
        if step.change == Change::Whole {
            self.written.clear();
        }
        if step.change != Change::None {
            self.state.apply(&step.bytes).unwrap();
            self.written.push(step.bytes.clone());
        }
        assert_eq!(&self.state.deserialize::<T>().unwrap(), value, "{step:?}");
        let again = self.update(value);
        assert_eq!(again.change, Change::None, "nothing has changed since");
        step
    }

    fn update<T: Serialize>(&mut self, value: &T) -> Step {
        let mut bytes = vec![7];
        let change = self.tree.update(value, &mut bytes).unwrap();
        assert_eq!(bytes.remove(0), 7, "what stood there stays");
        assert_eq!(change == Change::None, bytes.is_empty());
        Step { change, bytes }
    }

    /// As after a restart: what was written is read once more, and the tree is made from it.
    fn restart(&mut self) {
        let mut state = ExactState::default();
        for message in &self.written {
            state.apply(message).unwrap();
        }
        self.tree = state.into_tree().unwrap();
    }
}

/// How long the whole value is.
fn whole<T: Serialize>(value: &T) -> usize {
    let mut bytes = Vec::new();
    let change = ExactTree::default().update(value, &mut bytes).unwrap();
    assert_eq!(change, Change::Whole);
    bytes.len()
}

/// A float that equals itself by its bits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Bits<F>(F);

impl PartialEq for Bits<f32> {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl PartialEq for Bits<f64> {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

/// A map that keeps the order of its entries.
#[derive(Clone, Debug, PartialEq)]
struct InOrder<K, V>(Vec<(K, V)>);

impl<K: Serialize, V: Serialize> Serialize for InOrder<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for InOrder<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<K, V>(std::marker::PhantomData<(K, V)>);
        impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<K, V> {
            type Value = InOrder<K, V>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(InOrder(entries))
            }
        }
        deserializer.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

/// Bytes that are serialised as bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}
