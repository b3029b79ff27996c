//! The state that one receiver sees, and how it is written: whole, or as a patch.

use super::key::KeyRef;
use super::keys::Names;
use super::tree::{Entry, Node, Object, Shape, Tree, Version};
use super::write::{Json, MsgPack, Sink, Unfit, Written};
use crate::wire::codec::{CodecError, Format};

/// The shared state and at most one view on top of it: one object with the keys of both.
///
/// If the shared state is null, the receiver sees the view alone. Everything else that is not two objects with different keys is
/// a [`conflict`](Self::conflict), and a room sends no state that has one. If a key is in both nevertheless, the view's value
/// counts here, and no patch is possible: when the view's value goes, a patch could not say that the shared value takes its
/// place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layers<'a> {
    pub(crate) shared: &'a Tree,
    pub(crate) view: Option<&'a Tree>,
}

/// What the receiver sees of the layers.
pub(super) enum Seen<'a> {
    One(&'a Node),
    /// The entries of both objects.
    Both(&'a Object, &'a Object),
}

impl<'a> Layers<'a> {
    /// The shared state alone.
    #[cfg(any(test, feature = "__bench"))]
    pub(crate) fn of(shared: &'a Tree) -> Self {
        Self { shared, view: None }
    }

    pub(super) fn seen(&self) -> Seen<'a> {
        let Some(view) = self.view else {
            return Seen::One(&self.shared.root);
        };
        match (self.shared.root.visible(), view.root.skeleton()) {
            (Node::Null, _) => Seen::One(&view.root),
            (Node::Object(shared), Some(view)) => Seen::Both(shared, view),
            _ => Seen::One(&self.shared.root),
        }
    }

    /// Whether the state is an object. The patch of any other state is the whole state.
    pub(crate) fn is_object(&self) -> bool {
        match self.seen() {
            Seen::One(node) => node.shape() == Shape::Object,
            Seen::Both(..) => true,
        }
    }

    /// Appends the whole state.
    ///
    /// Fails only if an object or array has more parts than MessagePack can count.
    pub(crate) fn write_whole(&self, format: Format, out: &mut Vec<u8>) -> Written {
        let start = out.len();
        let written = match format {
            Format::Json => self.whole(&mut Json(out)),
            Format::MsgPack => self.whole(&mut MsgPack { out, names: None }),
        };
        written.inspect_err(|_| out.truncate(start))
    }

    fn whole(&self, sink: &mut impl Sink) -> Written {
        match self.seen() {
            Seen::One(node) => whole(node, sink),
            Seen::Both(shared, view) => {
                let hidden = hidden(shared, view);
                let shown = (0..).zip(&shared.entries);
                let shown = shown.filter(|(at, _)| !hidden.contains(at));
                let shown = shown.map(|(_, entry)| entry).chain(&view.entries);
                whole_entries(shown, sink)
            }
        }
    }

    /// Appends a merge patch of what changed after `since`. The patch holds present values, so a receiver that knows a version
    /// newer than `since` can apply it, too.
    ///
    /// In MessagePack keys are looked up in `names`, which may grow. In JSON `names` stays as it is.
    /// After an error `out` and `names` are unchanged.
    pub(crate) fn write_patch(
        &self,
        format: Format,
        since: Version,
        names: &mut Names<'_>,
        out: &mut Vec<u8>,
    ) -> Written {
        if !self.is_patch_possible(since) {
            return Err(Unfit);
        }
        let (start, known) = (out.len(), names.len());
        let written = match format {
            Format::Json => self.patch(since, &mut Json(out)),
            Format::MsgPack => {
                let names = Some(&mut *names);
                self.patch(since, &mut MsgPack { out, names })
            }
        };
        written.inspect_err(|_| {
            out.truncate(start);
            names.truncate(known);
        })
    }

    fn patch(&self, since: Version, sink: &mut impl Sink) -> Written {
        match self.seen() {
            Seen::One(node) => patch(node, since, sink),
            Seen::Both(shared, view) => {
                patch_entries(shared.entries.iter().chain(&view.entries), since, sink)
            }
        }
    }

    /// Why the shared state and the view cannot be one state. `None` if they can.
    pub(crate) fn conflict(&self) -> Option<CodecError> {
        let what = match (self.shared.root.visible(), self.view?.root.visible()) {
            (_, Node::Null) | (Node::Null, _) => return None,
            (Node::Object(shared), Node::Object(view)) => {
                let shown = view.entries.iter().filter(|entry| entry.node.is_present());
                let of_both = |key| {
                    let other = &shared.entries[shared.find(key)? as usize];
                    other.node.is_present().then_some(&other.key)
                };
                let key = shown.map(|entry| entry.key.as_ref()).find_map(of_both)?;
                format!("at `{key}`: the key is in the shared state and in the view")
            }
            (Node::Object(_), _) => {
                "the view is no object, so it has no place beside the shared state".to_owned()
            }
            _ => "the shared state is no object, so the view has no place beside it".to_owned(),
        };
        Some(CodecError(what))
    }

    /// Whether a patch can bring a receiver from `since` to now.
    pub(crate) fn is_patch_possible(&self, since: Version) -> bool {
        if since < self.shared.horizon() {
            return false;
        }
        let Some(view) = self.view else {
            return true;
        };
        if since < view.horizon() || since < self.shared.shape_changed() {
            return false;
        }
        match self.seen() {
            // A shared state that is null does not hide the view; one that is neither null nor an object does.
            Seen::One(_) => {
                self.shared.root.shape() != Shape::Object || view.root.skeleton().is_none()
            }
            Seen::Both(shared, view) => !view.entries.iter().any(|entry| {
                is_or_was(entry, since)
                    && shared
                        .find(entry.key.as_ref())
                        .is_some_and(|at| is_or_was(&shared.entries[at as usize], since))
            }),
        }
    }
}

/// Whether the receiver may know a value of this key, or a patch sends one.
fn is_or_was(entry: &Entry, since: Version) -> bool {
    entry.node.is_present() || entry.changed > since
}

/// The positions of the entries in `shared` whose keys `view` has, too.
pub(super) fn hidden(shared: &Object, view: &Object) -> Vec<u32> {
    let shown = view.entries.iter().filter(|entry| entry.node.is_present());
    let keys = shown.map(|entry| entry.key.as_ref());
    keys.filter_map(|key: KeyRef<'_>| shared.find(key))
        .collect()
}

fn whole(node: &Node, sink: &mut impl Sink) -> Written {
    match node {
        Node::Null => sink.null(),
        Node::Bool(value) => sink.bool(*value),
        Node::UInt(value) => sink.uint(*value),
        Node::Int(value) => sink.int(*value),
        Node::F32(value) => sink.f32(*value),
        Node::F64(value) => sink.f64(*value),
        Node::Name(value) => sink.text(value),
        Node::Text(value) => sink.text(value),
        Node::Array(array) => {
            sink.open_array(array.items.len())?;
            for (n, item) in array.items.iter().enumerate() {
                sink.item(n == 0);
                whole(item, sink)?;
            }
            sink.close_array();
        }
        Node::Object(object) => whole_entries(object.entries.iter(), sink)?,
        Node::Former(former) => whole(&former.value, sink)?,
    }
    Ok(())
}

fn whole_entries<'a>(
    entries: impl Iterator<Item = &'a Entry> + Clone,
    sink: &mut impl Sink,
) -> Written {
    let present = entries.filter(|entry| entry.node.is_present());
    sink.open_object(present.clone().count())?;
    for (n, entry) in present.enumerate() {
        sink.key(&entry.key, n == 0)?;
        whole(&entry.node, sink)?;
    }
    sink.close_object();
    Ok(())
}

fn patch(node: &Node, since: Version, sink: &mut impl Sink) -> Written {
    match node {
        Node::Object(object) => patch_entries(object.entries.iter(), since, sink),
        // If the object is new to the receiver, all its entries are newer than `since`, so the patch holds all of it.
        node => whole(node, sink),
    }
}

fn patch_entries<'a>(
    entries: impl Iterator<Item = &'a Entry> + Clone,
    since: Version,
    sink: &mut impl Sink,
) -> Written {
    let changed = entries.filter(|entry| entry.changed > since);
    sink.open_object(changed.clone().count())?;
    for (n, entry) in changed.enumerate() {
        sink.key(&entry.key, n == 0)?;
        patch(&entry.node, since, sink)?;
    }
    sink.close_object();
    Ok(())
}
