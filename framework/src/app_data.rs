//! The values that the application gives its rooms, handlers and hooks.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// A value that the application registered.
pub(crate) type AnyShared = Arc<dyn Any + Send + Sync>;

/// The values that the application registered for its rooms and handlers: one of each type, shared by all threads.
#[derive(Clone, Default)]
pub(crate) struct AppData(Arc<HashMap<TypeId, AnyShared>>);

impl AppData {
    pub(crate) fn new(values: HashMap<TypeId, AnyShared>) -> Self {
        Self(Arc::new(values))
    }

    pub(crate) fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.0.get(&TypeId::of::<T>())?.clone().downcast().ok()
    }

    /// A value that must be registered. The code that runs the application's hooks and handlers catches the panic.
    #[track_caller]
    pub(crate) fn require<T: Any + Send + Sync>(&self) -> Arc<T> {
        self.get().unwrap_or_else(|| {
            panic!(
                "the server was given no `{}`: give it one by `ServerBuilder::data`, or in a test by `RoomHarness::with_data`",
                type_name::<T>()
            )
        })
    }
}

impl fmt::Debug for AppData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppData({} types)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "the server was given no `alloc::vec::Vec<u8>`")]
    fn a_value_that_is_missing_is_named() {
        let _missing = AppData::default().require::<Vec<u8>>();
    }

    #[test]
    fn a_value_is_found_by_its_type() {
        let seven: AnyShared = Arc::new(7_u8);
        let data = AppData::new(HashMap::from([(TypeId::of::<u8>(), seven)]));
        assert_eq!(*data.require::<u8>(), 7);
        assert!(data.get::<u16>().is_none());
    }
}
