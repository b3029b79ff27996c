//! A place in the document and its value.

use serde_json::Value;

use super::FeedError;

/// A value together with its path, so that every error can say where it is.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Field<'a> {
    /// The whole document.
    pub(super) const fn root(value: &'a Value) -> Self {
        Self {
            path: String::new(),
            value,
        }
    }

    /// A field of an object; null counts as absent, because feeds use both.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Self {
            path: self.below(name),
            value,
        })
    }

    /// A required field of an object.
    pub(super) fn need(&self, name: &str, expected: &str) -> Result<Self, FeedError> {
        self.get(name).ok_or_else(|| {
            FeedError::new(&self.below(name), format!("missing, expected {expected}"))
        })
    }

    /// The value as text.
    pub(super) fn text(&self) -> Result<&'a str, FeedError> {
        self.value.as_str().ok_or_else(|| self.wrong("a text"))
    }

    /// The value as a whole number.
    pub(super) fn number(&self) -> Result<u64, FeedError> {
        self.value
            .as_u64()
            .ok_or_else(|| self.wrong("a whole number"))
    }

    /// The value as a boolean.
    pub(super) fn flag(&self) -> Result<bool, FeedError> {
        self.value
            .as_bool()
            .ok_or_else(|| self.wrong("true or false"))
    }

    /// The items of a list.
    pub(super) fn list(&self) -> Result<impl Iterator<Item = Self>, FeedError> {
        let items = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        Ok(items.iter().enumerate().map(|(index, value)| Self {
            path: format!("{}[{index}]", self.path),
            value,
        }))
    }

    /// The error for a wrong value.
    pub(super) fn wrong(&self, expected: &str) -> FeedError {
        FeedError::new(
            &self.path,
            format!("found {}, expected {expected}", self.seen()),
        )
    }

    /// The value, short enough for a line.
    fn seen(&self) -> String {
        match self.value {
            Value::Object(_) => "an object".to_owned(),
            Value::Array(items) if items.len() > 4 => "a long list".to_owned(),
            value => {
                let text = value.to_string();
                match text.char_indices().nth(60) {
                    Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
                    None => text,
                }
            }
        }
    }

    fn below(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}
