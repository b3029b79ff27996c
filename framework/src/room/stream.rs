//! What those who see the same have been told: one last known view, one table of keys, and one encoding of each step.

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

/// From how many steps back a member that was behind can go on by a patch.
const STEPS: usize = 64;

/// What those who see the same have been told.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) view: Option<Tree>,
    table: KeyTable,
    /// 0: nothing yet.
    pub(super) sent: Version,
    pub(super) tick: u64,
    /// The last steps, the newest last.
    steps: VecDeque<StreamStep>,
    /// When a hash was last sent along.
    hashed: Duration,
    /// When somebody last had this sight.
    pub(super) used: Version,
    /// Whether it cannot be sent as it is now.
    pub(super) is_unfit: bool,
    /// Since when somebody may yet have to be told what changed.
    pub(super) oldest: Version,
    /// Who is to be told the next step.
    pub(super) receivers: Receivers,
    /// The length of the last whole state: a patch that comes near is compared with a new one.
    whole_length: usize,
    /// The whole state per format, as long as nothing changes.
    wholes: [(Version, Vec<u8>); 2],
}

/// Who is told a step, gathered for each step anew.
#[derive(Default)]
pub(super) struct Receivers {
    /// None of them: there are no receivers.
    pub(super) formats: Formats,
    /// Empty if all members are told.
    pub(super) sessions: Vec<SessionId>,
}

/// When a step is made.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) version: Version,
    pub(super) tick: u64,
    pub(super) now: Duration,
}

/// Where those stand who have taken a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamStep {
    pub(super) version: Version,
    tick: u64,
    mark: Mark,
}

/// What is written of a state: per format where somebody needs it.
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
    /// The stream as if nobody had been told anything, but for the ticks, which never go back.
    pub(super) fn anew(&self) -> Self {
        Self {
            tick: self.tick,
            hashed: self.hashed,
            ..Self::default()
        }
    }

    /// Looks at what those see who have this sight; fails if it cannot be sent.
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

    /// Notes whether it can be sent as it is now. If it can again, everybody begins anew.
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

    /// When what is seen last changed.
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

    /// A whole state for everybody, which begins the table of keys anew.
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

    /// What changed since the last step; `None` if that is to be said by a whole state.
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

    /// Says what changed since the last step, if anything did and somebody is told: by a patch, which goes on from the version
    /// that stands beside it, or by a whole state. A hash is sent along at most once in `hash_every`; never if that is 0.
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

    /// The one member who follows this stream begins here.
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

    /// Says how somebody comes from where it stands to now: by a patch from there, if that is shorter than the whole.
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
            // Who lacks a key of the table, even one that this patch can do without, would take the next numbers for others.
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

    /// A key that came and went while somebody was behind is in the table of the others.
    #[test]
    fn who_lacks_a_key_of_the_table_catches_up_by_a_whole_state() {
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
