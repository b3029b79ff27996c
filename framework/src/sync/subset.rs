//! A part of a map.

use std::fmt;

use serde::{Serialize, Serializer};

/// A part of a map, for a view that shows a member only what is near, for example.
///
/// It serialises as a map of the given keys and the values that a closure finds for them. A key without a value is left out.
/// Nothing is cloned: the values are looked up when the state is sent.
///
/// Give the keys in the same order each time, for example sorted. That is fastest.
///
/// ```
/// use std::collections::BTreeMap;
/// use courtside::Subset;
///
/// let ships = BTreeMap::from([(1, "Argo"), (2, "Beagle"), (3, "Calypso")]);
/// let near = [1, 3, 4];
/// let shown = Subset::new(near, |id| ships.get(id));
/// assert_eq!(serde_json::to_string(&shown).unwrap(), r#"{"1":"Argo","3":"Calypso"}"#);
/// ```
#[derive(Clone, Copy)]
pub struct Subset<I, F> {
    keys: I,
    get: F,
}

impl<I, F> Subset<I, F> {
    /// The values that `get` finds for `keys`. No key should occur twice.
    pub fn new<'v, K, V>(keys: I, get: F) -> Self
    where
        I: IntoIterator<Item = K> + Clone,
        F: Fn(&K) -> Option<&'v V>,
        V: ?Sized + 'v,
    {
        Self { keys, get }
    }
}

impl<I, F> fmt::Debug for Subset<I, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subset").finish_non_exhaustive()
    }
}

impl<'v, I, K, V, F> Serialize for Subset<I, F>
where
    I: IntoIterator<Item = K> + Clone,
    K: Serialize,
    V: Serialize + ?Sized + 'v,
    F: Fn(&K) -> Option<&'v V>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let keys = self.keys.clone().into_iter();
        serializer.collect_map(keys.filter_map(|key| {
            let value = (self.get)(&key)?;
            Some((key, value))
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::wire::codec::{Format, RawData};

    #[test]
    fn a_part_is_shown_in_both_formats() {
        let all = HashMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
        let keys = ["b".to_owned(), "c".to_owned()];
        for format in Format::ALL {
            let shown = RawData::of(format, &Subset::new(&keys, |key| all.get(*key))).unwrap();
            let read: HashMap<String, u8> = shown.decode().unwrap();
            assert_eq!(read, HashMap::from([("b".to_owned(), 2)]));
        }
    }
}
