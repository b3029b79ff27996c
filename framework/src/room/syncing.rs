//! How the state reaches the members: what changed since they were last told, and the whole of it where that is less or must be.
//!
//! Members who see the same share a [`Stream`]: one last known view, one table of keys, and one encoding of each step, however
//! many they are. Where no member has a view of its own there is one stream, and its steps are broadcast.
//!
//! A member whose connection does not take its steps is left alone (the outbox says so, [`RoomCore::fell_behind`]) until it has
//! taken those that it has ([`RoomCore::caught_up`]). Then it gets one patch from where it is, or one whole state.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::Room;
use super::context::{Effect, Target};
use super::core::{RoomCore, not_a_member};
use super::state::Sight;
use crate::error::Refusal;
use crate::ids::{MemberId, RoomId, SessionId};
use crate::session::outbox::{Delivery, Slot};
use crate::sync::keys::{KeyTable, Mark, Names};
use crate::sync::layers::Layers;
use crate::sync::tree::{Tree, Version};
use crate::wire::codec::{CodecError, Format};
use crate::wire::event;
use crate::wire::frame::{Encoded, Formats};

/// From how many steps back a member that was behind can go on by a patch.
const STEPS: usize = 64;

/// What a room has told its members of its state.
#[derive(Default)]
pub(super) struct Syncing {
    version: Version,
    shared: Tree,
    streams: HashMap<Sight, Stream>,
    followers: BTreeMap<MemberId, Follower>,
}

/// What those who see the same have been told.
#[derive(Default)]
struct Stream {
    view: Option<Tree>,
    table: KeyTable,
    /// 0: nothing yet.
    sent: Version,
    tick: u64,
    /// The last steps, the newest last.
    steps: VecDeque<Step>,
    /// When a hash was last sent along.
    hashed: Duration,
    /// When somebody last had this sight.
    used: Version,
    /// The length of the last whole state: a patch that comes near is compared with a new one.
    whole_length: usize,
    /// The whole state per format, as long as nothing changes.
    wholes: [(Version, Vec<u8>); 2],
}

/// Where those stand who have taken a step.
#[derive(Clone, Copy, Debug)]
struct Step {
    version: Version,
    tick: u64,
    mark: Mark,
}

/// A member, as one who is told of the state.
#[derive(Default)]
struct Follower {
    sight: Sight,
    /// When it was last sent a whole state.
    whole: Version,
    needs_whole: bool,
    gap: Option<Gap>,
}

/// A member did not take a step and is sent no more until it has taken those before.
struct Gap {
    /// Where it stands; `None` if that is too long ago.
    at: Option<Step>,
    is_over: bool,
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
    fn encode(
        &self,
        room: &RoomId,
        formats: Formats,
        keys: &KeyTable,
    ) -> Result<Encoded, CodecError> {
        Encoded::new(formats, |w| {
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
        })
    }
}

fn each(formats: Formats) -> impl Iterator<Item = Format> {
    Format::ALL
        .into_iter()
        .filter(move |format| formats.contains(*format))
}

impl Stream {
    fn layers<'a>(&'a self, shared: &'a Tree) -> Layers<'a> {
        Layers {
            shared,
            view: self.view.as_ref(),
        }
    }

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
        let mut bytes = Vec::new();
        self.layers(shared).write_whole(format, &mut bytes).ok()?;
        self.whole_length = bytes.len();
        self.wholes[format as usize] = (changed, bytes.clone());
        Some(bytes)
    }

    /// A whole state for everybody, which begins the table of keys anew.
    fn write_whole(&mut self, shared: &Tree, formats: Formats, tick: u64) -> Option<Writing> {
        if formats.msgpack {
            let mut table = std::mem::take(&mut self.table);
            table.begin(&self.layers(shared));
            self.table = table;
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

    /// The next step of the stream.
    fn step(
        &mut self,
        shared: &Tree,
        formats: Formats,
        version: Version,
        tick: u64,
    ) -> Option<Writing> {
        let writing = match self.write_patch(shared, formats, tick) {
            Some(patch) => patch,
            None => {
                self.steps.clear();
                self.write_whole(shared, formats, tick)?
            }
        };
        self.advance(version, tick);
        Some(writing)
    }

    fn advance(&mut self, version: Version, tick: u64) {
        self.sent = version;
        self.tick = tick;
        if self.steps.len() == STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(Step {
            version,
            tick,
            mark: self.table.mark(),
        });
    }

    /// From where somebody stands to now, by a patch if that is shorter than the whole.
    fn catch_up(&mut self, shared: &Tree, format: Format, at: Option<Step>) -> Option<Writing> {
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
        Some(Writing {
            tick: self.tick,
            base: base.map(|step| step.tick),
            data,
            hashes: [None; 2],
        })
    }
}

impl Syncing {
    pub(super) fn enter(&mut self, member: MemberId) {
        self.followers.insert(member, Follower::default());
    }

    pub(super) fn leave(&mut self, member: MemberId) {
        self.followers.remove(&member);
    }

    /// The oldest version from which a member of a stream, or of any, may yet be told what changed.
    fn oldest(&self, sight: Option<Sight>) -> Version {
        let is_meant = |of: Sight| sight.is_none_or(|sight| sight == of);
        let sent = self
            .streams
            .iter()
            .filter(|(of, stream)| is_meant(**of) && stream.sent > Version::default())
            .map(|(_, stream)| stream.sent);
        let gaps = self
            .followers
            .values()
            .filter(|follower| is_meant(follower.sight))
            .filter_map(|follower| Some(follower.gap.as_ref()?.at?.version));
        sent.chain(gaps).min().unwrap_or_default()
    }

    fn forget(&mut self) {
        let oldest = self.oldest(None);
        self.shared.forget_removed(oldest);
        let sights: Vec<_> = self.streams.keys().copied().collect();
        for sight in sights {
            let oldest = self.oldest(Some(sight));
            if let Some(view) = self.streams.get_mut(&sight).and_then(|s| s.view.as_mut()) {
                view.forget_removed(oldest);
            }
        }
    }
}

impl<R: Room> RoomCore<R> {
    /// Looks at what the room shows, to all or to one member. False if it shows nothing, or something that cannot be said.
    fn observe(&mut self, only: Option<MemberId>) -> bool {
        let Self {
            room, ctx, syncing, ..
        } = self;
        syncing.version = syncing.version.next();
        let version = syncing.version;
        let state = room.state();
        let mut has_state = !state.is_none();
        let failed = |error: &CodecError, what: &str| {
            tracing::error!(room = %ctx.id(), %error, "{what} cannot be encoded and was not sent");
        };
        if let Err(error) = state.update(&mut syncing.shared, version) {
            failed(&error, "the state");
            self.may_have_state.set(true);
            return false;
        }
        for client in ctx.members() {
            if only.is_some_and(|only| only != client.member) {
                continue;
            }
            let view = room.view(client);
            let sight = view.sight(client.member);
            has_state |= sight != Sight::Shared;
            if let Some(follower) = syncing.followers.get_mut(&client.member)
                && follower.sight != sight
            {
                *follower = Follower {
                    sight,
                    needs_whole: true,
                    ..Follower::default()
                };
            }
            let stream = syncing.streams.entry(sight).or_default();
            if sight != Sight::Shared && stream.used < version {
                let tree = stream.view.get_or_insert_default();
                if let Err(error) = view.update(tree, version) {
                    failed(&error, "a view");
                }
            }
            stream.used = version;
        }
        self.may_have_state.set(has_state);
        has_state
    }

    /// Tells all what changed since they were last told.
    pub(super) fn sync(&mut self) {
        if self.ctx.member_count() == 0 || !self.observe(None) {
            return;
        }
        let version = self.syncing.version;
        let streams = &mut self.syncing.streams;
        streams.retain(|_, stream| stream.used == version);
        let is_for_all = streams.len() == 1 && streams.contains_key(&Sight::Shared);
        let sights: Vec<_> = streams.keys().copied().collect();
        let mut receivers: HashMap<Sight, (Formats, Vec<SessionId>)> = HashMap::new();
        for client in self.ctx.members() {
            let Some(follower) = self.syncing.followers.get(&client.member) else {
                continue;
            };
            if client.connected && !follower.needs_whole {
                let (formats, sessions) = receivers.entry(follower.sight).or_default();
                formats.add(client.format);
                sessions.push(client.session);
            }
        }
        for sight in sights {
            let (formats, sessions) = receivers.remove(&sight).unwrap_or_default();
            self.sync_stream(sight, formats, sessions, is_for_all);
        }
        let behind: Vec<_> = self
            .syncing
            .followers
            .iter()
            .filter(|(_, f)| f.needs_whole || f.gap.as_ref().is_some_and(|gap| gap.is_over))
            .map(|(member, _)| *member)
            .collect();
        for member in behind {
            self.tell_one(member);
        }
        self.syncing.forget();
    }

    fn sync_stream(
        &mut self,
        sight: Sight,
        formats: Formats,
        sessions: Vec<SessionId>,
        is_for_all: bool,
    ) {
        let (now, every) = (self.ctx.now(), self.config.hash_every);
        let Self { ctx, syncing, .. } = self;
        let (version, shared) = (syncing.version, &syncing.shared);
        let Some(stream) = syncing.streams.get_mut(&sight) else {
            return;
        };
        if sessions.is_empty() || stream.changed(shared) <= stream.sent {
            return;
        }
        let base = stream.sent;
        // A room that does not step counts what it sends.
        let tick = if self.ticks.is_some() {
            ctx.tick
        } else {
            stream.tick + 1
        };
        let Some(mut writing) = stream.step(shared, formats, version, tick) else {
            return;
        };
        if !every.is_zero() && now.saturating_sub(stream.hashed) >= every {
            stream.hashed = now;
            for format in each(formats) {
                writing.hashes[format as usize] = Some(stream.layers(shared).hash(format));
            }
        }
        let slot = Arc::new(Slot {
            room: ctx.id().clone(),
            key: None,
        });
        let delivery = match writing.base {
            Some(_) => Delivery::Step(slot, base.0),
            None => Delivery::Latest(slot),
        };
        let frame = match writing.encode(ctx.id(), formats, &stream.table) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::error!(room = %ctx.id(), %error, "the state cannot be encoded and was not sent");
                return;
            }
        };
        if writing.base.is_none() {
            for follower in syncing.followers.values_mut() {
                if follower.sight == sight && !follower.needs_whole {
                    follower.whole = version;
                    follower.gap = None;
                }
            }
        }
        if is_for_all && syncing.followers.values().all(|f| !f.needs_whole) {
            ctx.effects.push(Effect::Send {
                to: Target::All,
                frame,
                delivery,
            });
            return;
        }
        for session in sessions {
            ctx.effects.push(Effect::Send {
                to: Target::Only(session),
                frame: frame.clone(),
                delivery: delivery.clone(),
            });
        }
    }

    /// Sends a member the state as it is now: to one that has joined, is back, or asks.
    pub(super) fn send_state(&mut self, member: MemberId) {
        if !self.observe(Some(member)) {
            return;
        }
        if let Some(follower) = self.syncing.followers.get_mut(&member) {
            follower.needs_whole = true;
        }
        self.tell_one(member);
    }

    /// Brings one member from wherever it is to where the others are, or to something newer, by its next frame.
    fn tell_one(&mut self, member: MemberId) {
        let Self { ctx, syncing, .. } = self;
        let (Some(client), Some(follower)) =
            (ctx.members.get(&member), syncing.followers.get_mut(&member))
        else {
            return;
        };
        let gap = follower.gap.take().and_then(|gap| gap.at);
        let at = gap.filter(|_| !follower.needs_whole);
        follower.needs_whole = false;
        if !client.connected {
            // It gets a whole state when it is back.
            return;
        }
        let (sight, format) = (follower.sight, client.format);
        let mut others = Formats::default();
        for other in ctx.members.values().filter(|o| o.member != member) {
            if syncing
                .followers
                .get(&other.member)
                .is_some_and(|f| f.sight == sight)
            {
                others.add(other.format);
            }
        }
        let (version, shared) = (syncing.version, &syncing.shared);
        let Some(stream) = syncing.streams.get_mut(&sight) else {
            return;
        };
        if format == Format::MsgPack && !others.msgpack {
            // Nobody else knows the table.
            let mut table = std::mem::take(&mut stream.table);
            table.begin(&stream.layers(shared));
            stream.table = table;
        }
        if stream.sent == Version::default() || others == Formats::default() {
            // This is where all of them are.
            stream.hashed = ctx.now();
            stream.advance(version, ctx.tick.max(stream.tick));
        }
        let Some(writing) = stream.catch_up(shared, format, at) else {
            return;
        };
        let table = &stream.table;
        match writing.encode(ctx.id(), Formats::only(format), table) {
            Ok(frame) => {
                if let (None, Some(follower)) = (writing.base, syncing.followers.get_mut(&member)) {
                    follower.whole = version;
                }
                ctx.effects.push(Effect::Send {
                    to: Target::Only(client.session),
                    frame,
                    delivery: Delivery::Latest(Arc::new(Slot {
                        room: ctx.id().clone(),
                        key: None,
                    })),
                });
            }
            Err(error) => {
                tracing::error!(room = %ctx.id(), %error, "the state cannot be encoded and was not sent");
            }
        }
    }

    /// A step from `base` found a member's connection busy with those before, and was dropped; so are all that follow.
    pub(crate) fn fell_behind(&mut self, session: SessionId, base: u32) {
        let Some(member) = self.member_of(session) else {
            return;
        };
        let Some(follower) = self.syncing.followers.get_mut(&member) else {
            return;
        };
        // It may have got a whole state since.
        if Version(base) >= follower.whole && !follower.needs_whole {
            let stream = self.syncing.streams.get(&follower.sight);
            let step = stream.and_then(|s| s.steps.iter().find(|step| step.version.0 == base));
            follower.gap = Some(Gap {
                at: step.copied(),
                is_over: false,
            });
        }
    }

    /// A member that fell behind has taken all that it was sent.
    pub(crate) fn caught_up(&mut self, session: SessionId) {
        if let Some(member) = self.member_of(session)
            && let Some(follower) = self.syncing.followers.get_mut(&member)
            && let Some(gap) = &mut follower.gap
        {
            gap.is_over = true;
        }
    }

    /// A member's state does not fit what it was sent: it asks for a whole one.
    pub(crate) fn resync(&mut self, session: SessionId, id: Option<u64>) -> Result<(), Refusal> {
        let member = self.member_of(session).ok_or_else(not_a_member)?;
        self.answer_resync(member, id);
        self.send_state(member);
        Ok(())
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
            stream.step(&shared, formats, version, n as u64).unwrap();
        }
        let bases = |stream: &mut Stream, format, n: usize| {
            let at = Some(stream.steps[n]);
            stream.catch_up(&shared, format, at).unwrap().base
        };
        assert_eq!(bases(&mut stream, Format::MsgPack, 0), None);
        assert_eq!(bases(&mut stream, Format::MsgPack, 1), Some(1));
        assert_eq!(bases(&mut stream, Format::Json, 0), Some(0));
    }
}
