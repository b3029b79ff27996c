//! One style for all configuration: each setting is a public field, which carries the documentation, and a method of the same
//! name sets it in a chain.

/// Writes the methods that set a type's fields in a chain.
macro_rules! setters {
    ($owner:ident $(<$param:ident>)? { $($field:ident: $kind:ty),+ $(,)? }) => {
        impl $(<$param>)? $owner $(<$param>)? {
            $(
                #[doc = concat!("Sets the field [`", stringify!($field), "`](#structfield.", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $kind) -> Self {
                    self.$field = $field;
                    self
                }
            )+
        }
    };
}

pub(crate) use setters;
