//! A stream: what the members who see the same have been sent. It has one last known view, one table of keys, and one encoding of
//! each step.

use std::collections::VecDeque;
use std::time::Duration;

use super::state::{View, ViewKey};
use crate::ids::{RoomId, SessionId};
use crate::sync::keys::{KeyTable, Mark, Names};
use crate::sync::layers::Layers;
use crate::sync::tree::{Tree, Version};
use crate::wire::codec::{CodecError, Format};
use crate::wire::event;
use crate::wire::frame::{Encoded, Formats};

/// How many steps a member may be behind and still catch up by a patch.
const STEPS: usize = 64;

/// What the members who see the same have been sent.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) view: Option<Tree>,
    table: KeyTable,
    /// The version of the last step. 0: nothing was sent yet.
    pub(super) sent: Version,
    pub(super) tick: u64,
    /// The last steps, the newest last.
    steps: VecDeque<StreamStep>,
    /// When a hash was last sent.
    hashed: Duration,
    /// The version at which a member last had this view.
    pub(super) used: Version,
    /// Whether what its members see cannot be sent as it is now.
    pub(super) is_unfit: bool,
    /// The oldest version from which a member may still have to catch up.
    pub(super) oldest: Version,
    /// The receivers of the next step.
    pub(super) receivers: Receivers,
    /// The length of the last whole state. Only a patch that comes near it is compared with a new whole state.
    whole_length: usize,
    /// The last whole state in each format, with its version: it is reused while nothing changes.
    wholes: [(Version, Vec<u8>); 2],
}

/// The receivers of one step. They are gathered for each step anew.
#[derive(Default)]
pub(super) struct Receivers {
    /// None of them: there are no receivers.
    pub(super) formats: Formats,
    /// Empty if the step is broadcast.
    pub(super) sessions: Vec<SessionId>,
}

/// The time of a step: the version of the state, the tick, and the room's time.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) version: Version,
    pub(super) tick: u64,
    pub(super) now: Duration,
}

/// A step that was sent, as the point from which a member can catch up.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamStep {
    pub(super) version: Version,
    tick: u64,
    mark: Mark,
}

/// A state or a patch, written in each format that a receiver has.
struct Writing {
    tick: u64,
    /// The tick that a patch applies to; `None`: it is a whole state.
    base: Option<u64>,
    data: [Vec<u8>; 2],
    hashes: [Option<u32>; 2],
}

impl Writing {
    fn encode(&self, room: &RoomId, formats: Formats, keys: &KeyTable) -> Option<Encoded> {
        let frame = Encoded::new(formats, |w| {
            let n = w.format() as usize;
            let (data, hash) = (&self.data[n], self.hashes[n]);
            match self.base {
                Some(base) => event::patch(w, room, self.tick, base, data, hash),
                None => {
                    let keys =
                        Some(keys).filter(|keys| w.format() == Format::MsgPack && !keys.is_empty());
                    event::state(w, room, self.tick, data, keys, hash)
                }
            }
        });
        frame
            .inspect_err(|error| {
                tracing::error!(%room, %error, "the state cannot be encoded and was not sent");
            })
            .ok()
    }
}

fn each(formats: Formats) -> impl Iterator<Item = Format> {
    Format::ALL
        .into_iter()
        .filter(move |format| formats.contains(*format))
}

impl Stream {
    /// The stream as if nothing had been sent. Only its ticks go on, because they never go back.
    pub(super) fn anew(&self) -> Self {
        Self {
            tick: self.tick,
            hashed: self.hashed,
            ..Self::default()
        }
    }

    /// Compares the view with what it was. Fails if it cannot be sent together with the shared state.
    pub(super) fn look(
        &mut self,
        view: &View<'_>,
        view_key: ViewKey,
        shared: &Tree,
        version: Version,
    ) -> Result<(), CodecError> {
        if view_key != ViewKey::Shared {
            let tree = self.view.get_or_insert_default();
            view.update(tree, version)
                .map_err(|error| CodecError(format!("in a view, {error}")))?;
        }
        match self.layers(shared).conflict() {
            Some(conflict) => Err(conflict),
            None => Ok(()),
        }
    }

    /// Notes whether the state cannot be sent as it is now. When it can be sent again, the stream begins anew with a whole state.
    pub(super) fn set_unfit(&mut self, is_unfit: bool) {
        if std::mem::replace(&mut self.is_unfit, is_unfit) && !is_unfit {
            self.sent = Version::default();
            self.steps.clear();
        }
    }

    fn layers<'a>(&'a self, shared: &'a Tree) -> Layers<'a> {
        Layers {
            shared,
            view: self.view.as_ref(),
        }
    }

    /// The version of the last change of the shared state or the view.
    fn changed(&self, shared: &Tree) -> Version {
        let view = self.view.as_ref().map_or(Version::default(), Tree::changed);
        shared.changed().max(view)
    }

    /// The whole state in one format.
    fn whole(&mut self, shared: &Tree, format: Format) -> Option<Vec<u8>> {
        let changed = self.changed(shared);
        let (version, bytes) = &self.wholes[format as usize];
        if *version == changed && !bytes.is_empty() {
            return Some(bytes.clone());
        }
        let mut bytes = std::mem::take(&mut self.wholes[format as usize].1);
        bytes.clear();
        self.layers(shared).write_whole(format, &mut bytes).ok()?;
        self.whole_length = bytes.len();
        let copy = bytes.clone();
        self.wholes[format as usize] = (changed, bytes);
        Some(copy)
    }

    pub(super) fn begin_table(&mut self, shared: &Tree) {
        let mut table = std::mem::take(&mut self.table);
        table.begin(&self.layers(shared));
        self.table = table;
    }

    /// Writes a whole state for all receivers, and begins the table of keys anew.
    fn write_whole(&mut self, shared: &Tree, formats: Formats, tick: u64) -> Option<Writing> {
        if formats.msgpack {
            self.begin_table(shared);
        }
        let mut data: [Vec<u8>; 2] = Default::default();
        for format in each(formats) {
            data[format as usize] = self.whole(shared, format)?;
        }
        Some(Writing {
            tick,
            base: None,
            data,
            hashes: [None; 2],
        })
    }

    /// Writes what has changed since the last step. `None`: send a whole state instead.
    fn write_patch(&mut self, shared: &Tree, formats: Formats, tick: u64) -> Option<Writing> {
        let layers = Layers {
            shared,
            view: self.view.as_ref(),
        };
        if self.sent == Version::default() || !layers.is_object() {
            return None;
        }
        if formats.msgpack && self.table.is_worn(&layers) {
            return None;
        }
        let mut data: [Vec<u8>; 2] = Default::default();
        for format in each(formats) {
            let names = &mut Names::Growing(&mut self.table);
            let out = &mut data[format as usize];
            layers.write_patch(format, self.sent, names, out).ok()?;
        }
        let longest = data[0].len().max(data[1].len());
        if longest * 2 > self.whole_length {
            for format in each(formats) {
                if self.whole(shared, format)?.len() < data[format as usize].len() {
                    return None;
                }
            }
        }
        Some(Writing {
            tick,
            base: Some(self.tick),
            data,
            hashes: [None; 2],
        })
    }

    /// The frame with what has changed since the last step, if anything has and there are receivers. Beside a patch is the version
    /// from which it goes on; a whole state has none. A hash is added at most once in `hash_every`, and never if that is 0.
    pub(super) fn next_step(
        &mut self,
        room: &RoomId,
        shared: &Tree,
        formats: Formats,
        at: Moment,
        hash_every: Duration,
    ) -> Option<(Encoded, Option<Version>)> {
        if formats == Formats::default() || self.changed(shared) <= self.sent {
            return None;
        }
        let base = self.sent;
        let mut writing = self.step(shared, formats, at)?;
        if !hash_every.is_zero() && at.now.saturating_sub(self.hashed) >= hash_every {
            self.hashed = at.now;
            for format in each(formats) {
                writing.hashes[format as usize] = Some(self.layers(shared).hash(format));
            }
        }
        let frame = writing.encode(room, formats, &self.table)?;
        Some((frame, writing.base.map(|_| base)))
    }

    fn step(&mut self, shared: &Tree, formats: Formats, at: Moment) -> Option<Writing> {
        let writing = match self.write_patch(shared, formats, at.tick) {
            Some(patch) => patch,
            None => {
                self.steps.clear();
                self.write_whole(shared, formats, at.tick)?
            }
        };
        self.advance(at.version, at.tick);
        Some(writing)
    }

    /// The only member of the stream begins here.
    pub(super) fn begin(&mut self, at: Moment) {
        self.hashed = at.now;
        self.advance(at.version, at.tick.max(self.tick));
    }

    /// The step that led to `version`, if it is not too long ago.
    pub(super) fn step_at(&self, version: Version) -> Option<StreamStep> {
        let mut steps = self.steps.iter();
        steps.find(|step| step.version == version).copied()
    }

    fn advance(&mut self, version: Version, tick: u64) {
        self.sent = version;
        self.tick = tick;
        if self.steps.len() == STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(StreamStep {
            version,
            tick,
            mark: self.table.mark(),
        });
    }

    /// Builds a catch-up patch from a step, or the whole state if that is shorter or the step is not known.
    pub(super) fn catch_up(
        &mut self,
        room: &RoomId,
        shared: &Tree,
        format: Format,
        at: Option<StreamStep>,
    ) -> Option<(Encoded, Option<Version>)> {
        let whole = self.whole(shared, format)?;
        let mut patch = Vec::new();
        let base = at.filter(|step| {
            let layers = self.layers(shared);
            let names = &mut Names::Known(&self.table, step.mark);
            // A member that lacks a key of the table would misread the numbers of later keys, even if this patch needs none.
            let knows_keys = format == Format::Json || step.mark == self.table.mark();
            knows_keys
                && layers.is_object()
                && layers
                    .write_patch(format, step.version, names, &mut patch)
                    .is_ok()
                && patch.len() < whole.len()
        });
        let mut data: [Vec<u8>; 2] = Default::default();
        data[format as usize] = if base.is_some() { patch } else { whole };
        let writing = Writing {
            tick: self.tick,
            base: base.map(|step| step.tick),
            data,
            hashes: [None; 2],
        };
        let frame = writing.encode(room, Formats::only(format), &self.table)?;
        Some((frame, base.map(|step| step.version)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A key that came and went while a member was behind is in the table of the other members.
    #[test]
    fn a_member_that_lacks_a_key_of_the_table_catches_up_by_a_whole_state() {
        let (mut shared, mut stream) = (Tree::default(), Stream::default());
        let formats = Formats::only(Format::MsgPack);
        let filler: Vec<u32> = (0..100).collect();
        for (n, a) in [json!(1), json!({"new": 1}), json!(2)].iter().enumerate() {
            let version = Version(n as u32 + 1);
            shared
                .update(&json!({"filler": filler, "a": [a]}), version)
                .unwrap();
            let at = Moment {
                version,
                tick: n as u64,
                now: Duration::ZERO,
            };
            stream.step(&shared, formats, at).unwrap();
        }
        let room = RoomId::random();
        let bases = |stream: &mut Stream, format, n: usize| {
            let at = Some(stream.steps[n]);
            stream.catch_up(&room, &shared, format, at).unwrap().1
        };
        assert_eq!(bases(&mut stream, Format::MsgPack, 0), None);
        assert_eq!(bases(&mut stream, Format::MsgPack, 1), Some(Version(2)));
        assert_eq!(bases(&mut stream, Format::Json, 0), Some(Version(1)));
    }
}
