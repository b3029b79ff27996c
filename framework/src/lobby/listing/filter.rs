//! Which rooms of a kind a listing has.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::shown::Shown;
use crate::error::Refusal;
use crate::lobby::fields::{Fields, MOST_FIELDS};

/// Which rooms of a kind a client wants to see in a listing. Every condition must hold; without any, it is all of them.
///
/// ```
/// use courtside::RoomFilter;
///
/// // Rooms on the moon that have a free seat.
/// let filter = RoomFilter::default().field("map", "moon").has_space(true);
/// # let _ = filter;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RoomFilter {
    /// Values of the fields that the kind is matched on: see [`RoomConfig::match_on`](crate::RoomConfig::match_on). They are compared
    /// with the fields of a room's metadata or, where those are absent, with the options that the room was created for.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    /// Only rooms that are locked, or only those that are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// Only rooms that have a free seat, or only those that have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_space: Option<bool>,
}

impl RoomFilter {
    /// Only rooms with this value in a field that the kind is matched on.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Only rooms that are locked, or only those that are not.
    #[must_use]
    pub fn locked(mut self, is_locked: bool) -> Self {
        self.locked = Some(is_locked);
        self
    }

    /// Only rooms that have a free seat, or only those that have none.
    #[must_use]
    pub fn has_space(mut self, has_space: bool) -> Self {
        self.has_space = Some(has_space);
        self
    }
}

/// A filter as the index has it. Two filters that select the same rooms by the same conditions are equal.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Filter {
    fields: Fields,
    is_locked: Option<bool>,
    has_space: Option<bool>,
}

/// Which conditions a filter has, whatever their values: one bit for each. There are 64 shapes at most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Shape(usize);

const LOCKED: usize = 1 << MOST_FIELDS;
const HAS_SPACE: usize = LOCKED << 1;

impl Filter {
    /// A client's filter for a kind that is matched on these fields.
    ///
    /// # Errors
    ///
    /// If it names another field, or a value is too long.
    pub(crate) fn read(filter: &RoomFilter, match_on: &[String]) -> Result<Self, Refusal> {
        if let Some(name) = filter.fields.keys().find(|name| !match_on.contains(name)) {
            let name: String = name.chars().take(40).collect();
            return Err(Refusal::new(
                "bad_payload",
                format!("`filter.fields.{name}`: rooms of this kind are not matched on this field"),
            ));
        }
        let fields = Fields::bounded(match_on, |name| filter.fields.get(name))?;
        Ok(Self {
            fields: fields.only(fields.named()).unwrap_or_default(),
            is_locked: filter.locked,
            has_space: filter.has_space,
        })
    }

    /// Whether all rooms match.
    pub(super) fn is_open(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn shape(&self) -> Shape {
        let locked = usize::from(self.is_locked.is_some()) * LOCKED;
        let has_space = usize::from(self.has_space.is_some()) * HAS_SPACE;
        Shape(self.fields.named() | locked | has_space)
    }

    /// The filter of this shape that a room matches. `None` if it lacks a field.
    pub(super) fn of(shape: Shape, room: &Shown) -> Option<Self> {
        Some(Self {
            fields: room.fields.only(shape.0)?,
            is_locked: (shape.0 & LOCKED != 0).then_some(room.is_locked),
            has_space: (shape.0 & HAS_SPACE != 0).then(|| room.has_space()),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn on() -> Vec<String> {
        vec!["map".to_owned(), "size".to_owned()]
    }

    fn read(filter: Value) -> Result<Filter, Refusal> {
        Filter::read(&serde_json::from_value(filter).unwrap(), &on())
    }

    fn room(metadata: Value, is_locked: bool, members: usize) -> Shown {
        Shown {
            members,
            capacity: 2,
            is_locked,
            fields: Fields::of(&metadata, &on()),
            metadata: Arc::new(metadata),
        }
    }

    #[test]
    fn a_room_matches_the_one_filter_of_each_shape_that_has_its_values() {
        let moon = room(json!({"map": "moon"}), false, 2);
        for (filter, matches) in [
            (json!({}), true),
            (json!({"fields": {"map": "moon"}}), true),
            (json!({"fields": {"map": "mars"}}), false),
            (json!({"fields": {"map": "moon", "size": 4}}), false),
            (json!({"fields": {"map": null}, "locked": false}), true),
            (json!({"locked": true}), false),
            (json!({"has_space": false, "fields": {"map": "moon"}}), true),
            (json!({"has_space": true}), false),
        ] {
            let read = read(filter.clone()).unwrap();
            let of_room = Filter::of(read.shape(), &moon);
            assert_eq!(of_room == Some(read), matches, "{filter}");
        }
    }

    #[test]
    fn a_filter_names_only_fields_that_are_matched_on_with_values_that_are_short() {
        let unknown = read(json!({"fields": {"mood": "calm"}})).unwrap_err();
        assert_eq!(unknown.code(), "bad_payload");
        assert!(unknown.message().contains("filter.fields.mood"));
        let long = read(json!({"fields": {"map": "x".repeat(300)}})).unwrap_err();
        assert_eq!(long.code(), "bad_payload");
        let misspelt = serde_json::from_value::<RoomFilter>(json!({"hasSpace": true}));
        assert!(misspelt.is_err());
    }
}
