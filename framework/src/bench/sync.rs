//! What `bench/sync` and `benches/exact.rs` measure: the synchronising and storing of states, without rooms around it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sync::exact::{Change, ExactState, ExactTree};
use crate::sync::keys::{KeyTable, Names};
use crate::sync::layers::Layers;
use crate::sync::tree::{Tree, Version};
use crate::wire::codec::Format;

pub use crate::sync::exact::trial::apply_messages;
#[cfg(feature = "client")]
pub use crate::sync::trial::apply_bytes;

/// A state that all members see.
#[derive(Debug, Default)]
pub struct Shared {
    tree: Tree,
    table: KeyTable,
    version: Version,
}

impl Shared {
    /// Begins a step and notes what changed; `None` if the value cannot be serialised.
    pub fn update<T: Serialize + ?Sized>(&mut self, value: &T) -> Option<bool> {
        self.version = self.version.next().unwrap_or(self.version);
        self.tree.forget_removed(Version(self.version.0 - 1));
        self.tree.update(value, self.version).ok()
    }

    /// Begins the table of keys anew.
    pub fn begin_table(&mut self) {
        self.table.begin(&Layers::of(&self.tree));
    }

    /// Appends the whole state.
    pub fn write_whole(&self, format: Format, out: &mut Vec<u8>) -> bool {
        Layers::of(&self.tree).write_whole(format, out).is_ok()
    }

    /// Appends what changed in this step.
    pub fn write_patch(&mut self, format: Format, out: &mut Vec<u8>) -> bool {
        let since = Version(self.version.0 - 1);
        let names = &mut Names::Growing(&mut self.table);
        Layers::of(&self.tree)
            .write_patch(format, since, names, out)
            .is_ok()
    }

    /// The hash of the state.
    #[must_use]
    pub fn hash(&self, format: Format) -> u32 {
        Layers::of(&self.tree).hash(format)
    }
}

/// What one member sees beside the shared state.
#[derive(Debug, Default)]
pub struct View {
    tree: Tree,
    table: KeyTable,
}

impl View {
    /// Notes what changed in the step that `shared` is in.
    pub fn update<T: Serialize + ?Sized>(&mut self, shared: &Shared, value: &T) -> Option<bool> {
        let before = Version(shared.version.0 - 1);
        self.tree.forget_removed(before);
        self.tree.update(value, shared.version).ok()
    }

    /// Appends what this member is told of the step; true if that is a patch, false if it had to be a whole state.
    pub fn write(&mut self, shared: &Shared, format: Format, out: &mut Vec<u8>) -> bool {
        let since = Version(shared.version.0 - 1);
        let layers = Layers {
            shared: &shared.tree,
            view: Some(&self.tree),
        };
        if !self.table.is_worn(&layers) {
            let names = &mut Names::Growing(&mut self.table);
            if layers.write_patch(format, since, names, out).is_ok() {
                return true;
            }
        }
        self.table.begin(&layers);
        // A state has never more parts than can be counted.
        let _written = layers.write_whole(format, out);
        false
    }
}

/// The exact mode: a value that is stored by its changes.
#[derive(Debug, Default)]
pub struct Stored(ExactTree);

impl Stored {
    /// Appends what changed; `None` if the value cannot be serialised.
    pub fn update<T: Serialize + ?Sized>(&mut self, value: &T, out: &mut Vec<u8>) -> Option<bool> {
        let change = self.0.update(value, out).ok();
        change.map(|change| change != Change::None)
    }

    /// Appends the whole value.
    pub fn write_whole(&mut self, out: &mut Vec<u8>) -> bool {
        self.0.write_whole(out)
    }
}

/// What is read of a stored value.
#[derive(Debug, Default)]
pub struct Restored(ExactState);

impl Restored {
    /// Takes in what was written.
    pub fn apply(&mut self, message: &[u8]) -> bool {
        self.0.apply(message).is_ok()
    }

    /// The value as a type.
    #[must_use]
    pub fn deserialize<T: DeserializeOwned>(&self) -> Option<T> {
        self.0.deserialize().ok()
    }

    /// Goes on storing the value.
    #[must_use]
    pub fn into_stored(self) -> Option<Stored> {
        self.0.into_tree().ok().map(Stored)
    }
}
