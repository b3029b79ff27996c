//! How the state reaches the members: as a patch of what has changed, or whole where a patch is longer or impossible.
//!
//! Members who see the same share a [`Stream`]: one last known view, one table of keys, and one encoding of each step, however
//! many they are. If no member has a view, there is one stream, and its steps are broadcast.
//!
//! If a member reads too slowly, its outbox drops steps and says so ([`RoomCore::fell_behind`]). The member then receives no more
//! steps until it has read those that wait for it ([`RoomCore::caught_up`]). After that it receives one patch from where it is,
//! or one whole state.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Room;
use super::audience::Recipients;
use super::context::{RoomEffect, SendTarget};
use super::core::{RoomCore, not_a_member};
use super::member::Member;
use super::members::FormatCounts;
use super::state::ViewKey;
use super::stream::{Moment, Receivers, Stream, StreamStep};
use crate::error::Refusal;
use crate::ids::{IdHasher, MemberId, RoomId, SessionId};
use crate::session::outbox::{Delivery, ReplaceKey};
use crate::sync::tree::{Tree, Version};
use crate::wire::codec::{CodecError, Format};
use crate::wire::event;
use crate::wire::frame::Formats;

/// What a room has sent to its members of its state.
#[derive(Default)]
pub(super) struct Syncing {
    version: Version,
    shared: Tree,
    streams: HashMap<ViewKey, Stream, IdHasher>,
    followers: BTreeMap<MemberId, Follower>,
    /// How many members see the same, for views that several members can have.
    counts: HashMap<ViewKey, FormatCounts, IdHasher>,
    /// The key of the room's state in outboxes, once there was a state.
    state_key: Option<Arc<ReplaceKey>>,
    /// Why the state could not be sent, the last time that it could not.
    flaw: String,
    is_logged: bool,
    /// Whether a member has asked for a whole state that has not been sent yet.
    is_asked: bool,
}

/// A member, as a receiver of the state.
#[derive(Default)]
struct Follower {
    view_key: ViewKey,
    /// The version of the last whole state that it was sent.
    whole: Version,
    needs_whole: bool,
    /// It has asked for a whole state. Until that is due, it receives the same as the others.
    has_asked: bool,
    gap: Option<Gap>,
    /// Whether it knows that the state cannot be sent.
    knows_flaw: bool,
}

/// A step to a member was dropped. It receives no more steps until it has read those before.
struct Gap {
    /// The last step that it has. `None`: that was too long ago.
    at: Option<StreamStep>,
    is_over: bool,
}

impl Syncing {
    pub(super) fn enter(&mut self, member: &Member) {
        let follower = Follower::default();
        self.count(follower.view_key, |counts| counts.add(member.format));
        self.followers.insert(member.id, follower);
    }

    pub(super) fn leave(&mut self, member: &Member) {
        if let Some(follower) = self.followers.remove(&member.id) {
            self.count(follower.view_key, |counts| counts.remove(member.format));
        }
    }

    /// Notes what a member sees now.
    fn turn_to(&mut self, member: &Member, view_key: ViewKey) {
        let Some(follower) = self.followers.get_mut(&member.id) else {
            return;
        };
        if follower.view_key == view_key {
            return;
        }
        let new = Follower {
            view_key,
            needs_whole: true,
            knows_flaw: follower.knows_flaw,
            ..Follower::default()
        };
        let old = std::mem::replace(follower, new);
        self.count(old.view_key, |counts| counts.remove(member.format));
        self.count(view_key, |counts| counts.add(member.format));
    }

    /// Counts the members that see the same. A view of one member alone needs no count.
    fn count(&mut self, view_key: ViewKey, change: impl FnOnce(&mut FormatCounts)) {
        if matches!(view_key, ViewKey::Own(_)) {
            return;
        }
        let counts = self.counts.entry(view_key).or_default();
        change(counts);
        if counts.is_empty() {
            self.counts.remove(&view_key);
        }
    }

    /// The formats of the other members that see the same as a member.
    fn formats_beside(&self, view_key: ViewKey, format: Format) -> Formats {
        let counts = self.counts.get(&view_key);
        counts.map_or_else(Formats::default, |counts| counts.formats_without(format))
    }

    /// Goes on to the next version. After the last version, the numbering begins anew, and all members receive a whole state.
    fn step(&mut self) {
        self.version = self.version.next().unwrap_or_else(|| {
            self.shared = Tree::default();
            for stream in self.streams.values_mut() {
                *stream = stream.anew();
            }
            for follower in self.followers.values_mut() {
                follower.whole = Version::default();
                follower.needs_whole = true;
                follower.gap = None;
            }
            Version::FIRST
        });
    }

    /// Whether a member has asked for a whole state that has not been sent yet.
    pub(super) fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// The members that have asked for a whole state, which is due now.
    fn take_asking(&mut self) -> Vec<MemberId> {
        if !std::mem::take(&mut self.is_asked) {
            return Vec::new();
        }
        let followers = self.followers.iter_mut();
        let asking = followers.filter_map(|(member, follower)| {
            let has_asked = std::mem::take(&mut follower.has_asked);
            follower.needs_whole |= has_asked;
            has_asked.then_some(*member)
        });
        asking.collect()
    }

    /// Gathers the receivers of each stream's next step. True if these are all members of the room, so that one broadcast will do.
    fn gather<'a>(&mut self, members: impl Iterator<Item = &'a Member>) -> bool {
        let is_for_all = self.streams.len() == 1
            && self.streams.contains_key(&ViewKey::Shared)
            && self.followers.values().all(|f| !f.needs_whole);
        for member in members.filter(|member| member.connected) {
            let follower = self.followers.get(&member.id);
            let Some(follower) = follower.filter(|f| !f.needs_whole) else {
                continue;
            };
            if let Some(stream) = self.streams.get_mut(&follower.view_key) {
                stream.receivers.formats.add(member.format);
                if !is_for_all {
                    stream.receivers.sessions.push(member.session);
                }
            }
        }
        is_for_all
    }

    /// Forgets removed keys that no member has to be told of any more.
    fn forget(&mut self) {
        for stream in self.streams.values_mut() {
            stream.oldest = stream.sent;
        }
        for follower in self.followers.values() {
            if let Some(step) = follower.gap.as_ref().and_then(|gap| gap.at)
                && let Some(stream) = self.streams.get_mut(&follower.view_key)
            {
                stream.oldest = stream.oldest.min(step.version);
            }
        }
        let told = |stream: &&mut Stream| stream.sent > Version::default();
        let mut oldest = None;
        for stream in self.streams.values_mut().filter(told) {
            oldest = Some(oldest.map_or(stream.oldest, |oldest| stream.oldest.min(oldest)));
            if let Some(view) = &mut stream.view {
                view.forget_removed(stream.oldest);
            }
        }
        self.shared.forget_removed(oldest.unwrap_or_default());
    }
}

/// The key of the room's states and steps in outboxes.
fn state_of(room: &RoomId) -> Arc<ReplaceKey> {
    Arc::new(ReplaceKey::State(room.clone()))
}

impl<R: Room> RoomCore<R> {
    /// Compares what the room shows, to all members or to one, with what it showed before. False if it shows nothing.
    fn observe(&mut self, only: Option<MemberId>) -> bool {
        let Self {
            room, ctx, syncing, ..
        } = self;
        syncing.step();
        let version = syncing.version;
        let state = room.state();
        let mut has_state = !state.is_none();
        let mut flaw = state.update(&mut syncing.shared, version).err();
        drop(state);
        let is_shared_unfit = flaw.is_some();
        let look = |member: &Member| {
            let view = room.view(member);
            let view_key = view.view_key(member.id);
            has_state |= view_key != ViewKey::Shared;
            syncing.turn_to(member, view_key);
            let shared = &syncing.shared;
            let stream = syncing.streams.entry(view_key).or_default();
            if stream.used < version {
                stream.used = version;
                let of_view = stream.look(&view, view_key, shared, version).err();
                stream.set_unfit(is_shared_unfit || of_view.is_some());
                flaw = flaw.take().or(of_view);
            }
            if stream.is_unfit
                && let Some(follower) = syncing.followers.get_mut(&member.id)
            {
                follower.needs_whole = true;
            }
        };
        match only {
            Some(member) => ctx.member(member).into_iter().for_each(look),
            None => ctx.members().for_each(look),
        }
        if let Some(flaw) = flaw {
            self.note_flaw(&flaw);
        }
        self.may_have_state.set(has_state);
        has_state
    }

    /// Notes that the state cannot be sent. It is logged once, because the next syncs most likely fail, too.
    fn note_flaw(&mut self, flaw: &CodecError) {
        let Self { ctx, syncing, .. } = self;
        if !std::mem::replace(&mut syncing.is_logged, true) {
            tracing::error!(
                room = %ctx.id(), kind = ctx.kind(), %flaw,
                "the state cannot be sent; members are told so once, and this is logged once for each room"
            );
        }
        let what = format!("the room's state cannot be sent: {flaw}");
        ctx.note_fault(&what);
        syncing.flaw = what;
    }

    /// Tells a member, once, that there is a state which cannot be sent.
    fn tell_unavailable(&mut self, member: MemberId) {
        let Self { ctx, syncing, .. } = self;
        let Some(follower) = syncing.followers.get_mut(&member) else {
            return;
        };
        follower.needs_whole = true;
        if std::mem::replace(&mut follower.knows_flaw, true) {
            return;
        }
        let refusal = if ctx.hints() {
            Refusal::new("state_unavailable", syncing.flaw.clone())
        } else {
            Refusal::new(
                "state_unavailable",
                "the room's state cannot be sent; the server's log says why",
            )
        };
        let room = ctx.id().clone();
        let to = Recipients::Only(member);
        ctx.emit(&to, Delivery::Sequenced, "state_unavailable", |w| {
            event::error(w, None, Some(&room), &refusal)
        });
    }

    /// Sends all members what has changed since the last sync.
    pub(super) fn sync(&mut self) {
        if self.ctx.member_count() == 0 || !self.observe(None) {
            return;
        }
        let Self { ctx, syncing, .. } = self;
        let (version, now) = (syncing.version, ctx.now());
        syncing.streams.retain(|_, stream| stream.used == version);
        let is_for_all = syncing.gather(ctx.members());
        let Syncing {
            shared,
            streams,
            followers,
            state_key,
            ..
        } = syncing;
        for (view_key, stream) in streams {
            let Receivers {
                formats,
                mut sessions,
            } = std::mem::take(&mut stream.receivers);
            // A room without ticks counts its steps of the state.
            let tick = match self.ticks {
                Some(_) => ctx.tick,
                None => stream.tick + 1,
            };
            let at = Moment { version, tick, now };
            let every = self.config.hash_every;
            let Some((frame, base)) = stream.next_step(ctx.id(), shared, formats, at, every) else {
                continue;
            };
            let state_key = state_key.get_or_insert_with(|| state_of(ctx.id())).clone();
            let delivery = match base {
                Some(base) => Delivery::Step(state_key, base.0),
                None => {
                    let all = followers.values_mut();
                    for follower in all.filter(|f| f.view_key == *view_key && !f.needs_whole) {
                        follower.whole = version;
                        follower.gap = None;
                    }
                    Delivery::Latest(state_key)
                }
            };
            let mut send = |to| {
                ctx.effects.push(RoomEffect::Send {
                    to,
                    frame: frame.clone(),
                    delivery: delivery.clone(),
                });
            };
            if is_for_all {
                send(SendTarget::All);
            }
            sessions.drain(..).map(SendTarget::Only).for_each(send);
            stream.receivers.sessions = sessions;
        }
        self.syncing.take_asking();
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

    /// Sends the state to the members that have asked for it, in a room that sends no changes.
    pub(super) fn sync_asking(&mut self) {
        for member in self.syncing.take_asking() {
            self.send_state(member);
        }
    }

    /// Sends the last state to all members, also to those that are behind.
    pub(super) fn sync_all(&mut self) {
        for follower in self.syncing.followers.values_mut() {
            follower.needs_whole |= follower.gap.is_some();
        }
        self.sync();
    }

    /// Sends the current state to a member that has joined, has resumed, or has asked for it.
    pub(super) fn send_state(&mut self, member: MemberId) {
        if !self.observe(Some(member)) {
            return;
        }
        if let Some(follower) = self.syncing.followers.get_mut(&member) {
            follower.needs_whole = true;
        }
        self.tell_one(member);
    }

    /// Sends one member a frame that brings it from its last step to where the others are, or to something newer.
    fn tell_one(&mut self, id: MemberId) {
        let Self { ctx, syncing, .. } = self;
        let (Some(member), Some(follower)) = (ctx.members.get(id), syncing.followers.get_mut(&id))
        else {
            return;
        };
        let gap = follower.gap.take().and_then(|gap| gap.at);
        let at = gap.filter(|_| !follower.needs_whole);
        follower.needs_whole = false;
        if !member.connected {
            // It receives a whole state when it is back.
            return;
        }
        let (view_key, format) = (follower.view_key, member.format);
        let others = syncing.formats_beside(view_key, format);
        let (version, shared) = (syncing.version, &syncing.shared);
        let Some(stream) = syncing.streams.get_mut(&view_key) else {
            return;
        };
        if stream.is_unfit {
            self.tell_unavailable(id);
            return;
        }
        if format == Format::MsgPack && !others.msgpack {
            // No other member uses the table.
            stream.begin_table(shared);
        }
        if stream.sent == Version::default() || others == Formats::default() {
            // Then this is the last step of all its members.
            stream.begin(Moment {
                version,
                tick: ctx.tick,
                now: ctx.now(),
            });
        }
        let Some((frame, base)) = stream.catch_up(ctx.id(), shared, format, at) else {
            return;
        };
        if let (None, Some(follower)) = (base, syncing.followers.get_mut(&id)) {
            follower.whole = version;
        }
        let state_key = syncing.state_key.get_or_insert_with(|| state_of(ctx.id()));
        ctx.effects.push(RoomEffect::Send {
            to: SendTarget::Only(member.session),
            frame,
            delivery: Delivery::Latest(state_key.clone()),
        });
    }

    /// A step that goes on from `base` was dropped on its way to a member, because earlier steps still wait. So are all that follow.
    pub(super) fn fell_behind(&mut self, session: SessionId, base: u32) {
        let Some(member) = self.id_of(session) else {
            return;
        };
        let Some(follower) = self.syncing.followers.get_mut(&member) else {
            return;
        };
        // It may have received a whole state since.
        if Version(base) >= follower.whole && !follower.needs_whole {
            let stream = self.syncing.streams.get(&follower.view_key);
            follower.gap = Some(Gap {
                at: stream.and_then(|stream| stream.step_at(Version(base))),
                is_over: false,
            });
        }
    }

    /// A member that fell behind has read everything that it was sent.
    pub(super) fn caught_up(&mut self, session: SessionId) {
        if let Some(member) = self.id_of(session)
            && let Some(follower) = self.syncing.followers.get_mut(&member)
            && let Some(gap) = &mut follower.gap
        {
            gap.is_over = true;
        }
    }

    /// A member asks for a whole state, because what it has does not fit the patches. It receives one when the next sync is due. So a
    /// member that asks again and again costs no more than one whole state at each sync.
    pub(super) fn resync(&mut self, session: SessionId, id: Option<u64>) -> Result<(), Refusal> {
        let member = self.id_of(session).ok_or_else(not_a_member)?;
        self.answer_resync(member, id);
        if let Some(follower) = self.syncing.followers.get_mut(&member) {
            follower.has_asked = true;
            self.syncing.is_asked = true;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn after_the_last_version_the_numbering_begins_anew() {
        let mut syncing = Syncing {
            version: Version(u32::MAX - 1),
            ..Syncing::default()
        };
        syncing.step();
        assert_eq!(syncing.version, Version(u32::MAX));
        let version = syncing.version;
        syncing.shared.update(&1, version).unwrap();
        let mut stream = Stream::default();
        stream.begin(Moment {
            version,
            tick: 77,
            now: Duration::ZERO,
        });
        syncing.streams.insert(ViewKey::Shared, stream);
        let follower = Follower {
            whole: version,
            ..Follower::default()
        };
        syncing.followers.insert(MemberId(1), follower);
        syncing.step();
        assert_eq!(syncing.version, Version::FIRST);
        let follower = &syncing.followers[&MemberId(1)];
        assert!(follower.needs_whole && follower.whole < syncing.version);
        let stream = &syncing.streams[&ViewKey::Shared];
        assert_eq!((stream.sent, stream.tick), (Version::default(), 77));
        let version = syncing.version;
        assert!(syncing.shared.update(&1, version).unwrap());
        assert_eq!(syncing.shared.changed(), version);
    }

    /// Removed keys are kept for the member that is furthest behind, and only in the stream that it follows.
    #[test]
    fn a_member_that_is_behind_can_still_be_told_of_removed_keys() {
        let stream_of = |versions: &[u32]| {
            let mut stream = Stream::default();
            for version in versions {
                stream.begin(Moment {
                    version: Version(*version),
                    tick: 0,
                    now: Duration::ZERO,
                });
            }
            stream
        };
        let (shared, group) = (ViewKey::Shared, ViewKey::Group(1));
        let mut syncing = Syncing::default();
        syncing.streams.insert(shared, stream_of(&[2, 5, 9]));
        syncing.streams.insert(group, stream_of(&[7]));
        let at = syncing.streams[&shared].step_at(Version(5));
        for member in [1, 2].map(MemberId) {
            syncing.followers.insert(member, Follower::default());
        }
        let is_over = false;
        syncing.followers.get_mut(&MemberId(2)).unwrap().gap = Some(Gap { at, is_over });
        syncing.forget();
        assert_eq!(syncing.streams[&shared].oldest, Version(5));
        assert_eq!(syncing.streams[&group].oldest, Version(7));
    }
}
