//! A setting that cannot work.

use std::fmt;

/// A setting that no server could run with: which one, its value, and what to do.
///
/// [`ServerBuilder::build`](crate::ServerBuilder::build) returns it in [`BuildError::BadSetting`](crate::BuildError::BadSetting).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{field}` of {owner} is {value}: {remedy}")]
#[non_exhaustive]
pub struct BadSetting {
    /// The configuration that has the field: the server's `Config`, or that of a kind of room.
    pub owner: String,
    /// The field, such as `limits.nesting`.
    pub field: &'static str,
    /// The field's value.
    pub value: String,
    /// What to set instead, and why.
    pub remedy: &'static str,
}

impl BadSetting {
    /// Returns an error about a field of `Config` unless its value is good.
    pub(crate) fn unless(
        is_good: bool,
        field: &'static str,
        value: &dyn fmt::Debug,
        remedy: &'static str,
    ) -> Result<(), Self> {
        if is_good {
            return Ok(());
        }
        Err(Self {
            owner: "`Config`".to_owned(),
            field,
            value: format!("{value:?}"),
            remedy,
        })
    }

    /// The same about a field of another configuration.
    pub(crate) fn of(mut self, owner: String) -> Self {
        self.owner = owner;
        self
    }
}
