//! The fields that a kind of room is matched on, of clients and of rooms.

use serde_json::Value;

use crate::error::Refusal;
use crate::wire::codec::RawData;

/// How many fields a kind may be matched on. The index has a shelf for each set of fields: 16.
pub(crate) const MOST_FIELDS: usize = 4;

/// The maximum length of a client's value, as JSON. Values are compared, stored and hashed for each room.
const LONGEST: usize = 256;

/// One value for each field of `match_on`, in that order, written as [`canonical`] text.
/// `None`: the client accepts any value, or the room has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Fields(Vec<Option<Box<str>>>);

impl Fields {
    /// The fields of a client's options.
    ///
    /// # Errors
    ///
    /// If a value is too long.
    pub(crate) fn wished(options: &RawData, match_on: &[String]) -> Result<Self, Refusal> {
        if match_on.is_empty() {
            return Ok(Self::default());
        }
        // The room refuses options that cannot be decoded, because it knows their type.
        let options = options.decode::<Value>().unwrap_or_default();
        Self::bounded(match_on, |field| options.get(field))
    }

    /// The values that a client has chosen for these fields.
    ///
    /// # Errors
    ///
    /// If a value is too long.
    pub(crate) fn bounded<'a>(
        match_on: &[String],
        value: impl Fn(&String) -> Option<&'a Value>,
    ) -> Result<Self, Refusal> {
        let value = |field| value(field).and_then(canonical);
        let fields = Self(match_on.iter().map(value).collect());
        let too_long =
            |field: &Option<Box<str>>| field.as_ref().is_some_and(|value| value.len() > LONGEST);
        match fields.0.iter().position(too_long) {
            None => Ok(fields),
            Some(at) => Err(Refusal::new(
                "bad_payload",
                format!(
                    "`{}` is what rooms are matched on, and may be {LONGEST} bytes long",
                    match_on[at]
                ),
            )),
        }
    }

    /// The values of an object's fields. As everywhere in the model, null counts as absent.
    pub(crate) fn of(object: &Value, match_on: &[String]) -> Self {
        let value = |field: &String| object.get(field).and_then(canonical);
        Self(match_on.iter().map(value).collect())
    }

    /// These values, with missing ones taken from `others`.
    pub(crate) fn or(&self, others: &Self) -> Self {
        let longest = self.0.len().max(others.0.len());
        let at = |fields: &Self, n: usize| fields.0.get(n).cloned().flatten();
        Self(
            (0..longest)
                .map(|n| at(self, n).or_else(|| at(others, n)))
                .collect(),
        )
    }

    /// Which fields have a value: one bit for each.
    pub(crate) fn named(&self) -> usize {
        let bits = self.0.iter().take(MOST_FIELDS).enumerate();
        bits.fold(0, |named, (n, field)| {
            named | (usize::from(field.is_some()) << n)
        })
    }

    /// These values, without those of the other fields; equal for equal values. `None` if one of them is absent.
    pub(crate) fn only(&self, named: usize) -> Option<Self> {
        let named = named & ((1 << MOST_FIELDS) - 1);
        let chosen = |n: usize| named & (1 << n) != 0;
        let value = |(n, value): (usize, &Option<Box<str>>)| value.clone().filter(|_| chosen(n));
        let mut only = Self(self.0.iter().enumerate().map(value).collect());
        while only.0.last().is_some_and(Option::is_none) {
            only.0.pop();
        }
        (only.named() == named).then_some(only)
    }

    /// The values of these fields; `None` if one of them has none.
    pub(crate) fn values(&self, named: usize) -> Option<Vec<Box<str>>> {
        (0..MOST_FIELDS)
            .filter(|n| named & (1 << n) != 0)
            .map(|n| self.0.get(n).cloned().flatten())
            .collect()
    }
}

/// A value as text: equal for values that are equal in the model, whatever the order of their keys. `None` for null.
fn canonical(value: &Value) -> Option<Box<str>> {
    (!value.is_null()).then(|| {
        let mut text = String::new();
        write(value, &mut text);
        text.into()
    })
}

fn write(value: &Value, text: &mut String) {
    let separate = |n: usize, text: &mut String| {
        if n > 0 {
            text.push(',');
        }
    };
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().filter(|(_, v)| !v.is_null()).collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            text.push('{');
            for (n, (key, value)) in fields.into_iter().enumerate() {
                separate(n, text);
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (n, item) in items.iter().enumerate() {
                separate(n, text);
                write(item, text);
            }
            text.push(']');
        }
        _ => text.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::Format;
    use serde_json::json;

    fn on(fields: &[&str]) -> Vec<String> {
        fields.iter().map(|field| (*field).to_owned()).collect()
    }

    fn wished(options: &Value, fields: &[&str]) -> Result<Fields, Refusal> {
        let options = RawData::of(Format::Json, options).unwrap();
        Fields::wished(&options, &on(fields))
    }

    #[test]
    fn null_is_absent_at_any_depth() {
        let fields = ["map", "size"];
        let absent = wished(&json!({}), &fields);
        assert_eq!(wished(&json!({"map": null, "size": null}), &fields), absent);
        assert_eq!(wished(&json!("not an object"), &fields), absent);
        assert_eq!(absent.unwrap().named(), 0);
        assert_eq!(
            wished(&json!({"map": {"b": 1, "a": {"c": null}}}), &fields),
            wished(&json!({"map": {"a": {}, "b": 1, "d": null}}), &fields)
        );
        assert_ne!(
            wished(&json!({"map": [null]}), &fields),
            wished(&json!({"map": []}), &fields),
            "an item of an array stays"
        );
    }

    #[test]
    fn values_that_differ_are_written_differently() {
        let values = [
            json!(1),
            json!("1"),
            json!(true),
            json!("true"),
            json!([1, 2]),
            json!([12]),
            json!({"a": "b"}),
            json!("{\"a\":\"b\"}"),
        ];
        for (n, one) in values.iter().enumerate() {
            for other in &values[n + 1..] {
                assert_ne!(canonical(one), canonical(other));
            }
        }
    }

    #[test]
    fn what_comes_first_goes_before_and_what_it_lacks_is_filled_in() {
        let fields = on(&["map", "size"]);
        let metadata = Fields::of(&json!({"map": "moon", "size": null}), &fields);
        let options = Fields::of(&json!({"map": "mars", "size": 4, "name": "Ann"}), &fields);
        let both = metadata.or(&options);
        assert_eq!(
            both,
            Fields::of(&json!({"map": "moon", "size": 4}), &fields)
        );
        assert_eq!(both.named(), 0b11);
        assert_eq!(both.values(0b10), Some(vec!["4".into()]));
        assert_eq!(metadata.values(0b10), None);
        assert_eq!(metadata.values(0), Some(Vec::new()));
        assert_eq!(Fields::default().or(&options), options);
    }

    #[test]
    fn a_wish_has_a_bound() {
        let long = json!({"map": "x".repeat(LONGEST)});
        let refusal = wished(&long, &["map"]).unwrap_err();
        assert_eq!(refusal.code(), "bad_payload");
        assert!(
            wished(&long, &["size"]).is_ok(),
            "what is not matched on is the room's to judge"
        );
    }
}
