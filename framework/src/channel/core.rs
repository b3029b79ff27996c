//! The channels of one shard without the shard's actor: who subscribes, what is published, and what follows from it.
//!
//! The core is handed the time and one [`ChannelInput`] after the other. It appends [`ChannelEffect`]s in the order in which they
//! are to be carried out. It sends nothing itself and reads no clock.
//!
//! `H` is a subscriber's home: the place to which its frames are sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::effect::{ChannelEffect, Effects};
use super::follow::{FollowedPublication, Follows};
use super::frames::{Readers, frames, history_page, newest, only, subscribed};
use super::input::{ChannelInput, Publisher, ReadHistory, Requester, Subscribe, UnsubscribeReason};
use super::kind::ChannelKind;
use super::log::{ChannelLog, ChannelLogs};
use super::patterns::ChannelPatterns;
use super::publish::PublishKey;
use super::quota::ChannelQuota;
use super::recent_keys::{KeyBounds, RecentKeys};
use super::recorder::Recorder;
use super::recovered::RecoveredChannel;
use super::registry::{ActiveChannel, ChannelRegistry};
use crate::config::Limits;
use crate::error::Refusal;
use crate::ids::{ChannelName, SessionId};
use crate::journal::record_list::RecordList;
use crate::origin::{InputOrigin, SessionOrigin};
use crate::session::accounts::{Accounts, Charge, Thing};
use crate::wire::codec::{CodecError, RawData};
use crate::wire::event::{self, Publication};
use crate::wire::frame::Encoded;

/// How many channels are looked at when time has passed. The rest waits for the next time, so that publications need not wait.
const SWEPT: usize = 2000;

/// The channels of one shard.
#[derive(Debug)]
pub(crate) struct ChannelCore<H, L: ChannelLogs> {
    patterns: Arc<ChannelPatterns>,
    limits: Limits,
    quota: Arc<ChannelQuota>,
    keys: KeyBounds,
    logs: L,
    follows: Follows,
    pub(super) channels: ChannelRegistry<H, L::Log, Charge>,
    /// The channels whose changes of presence are due, and when.
    pub(super) presence_due: BTreeSet<(Duration, ChannelName)>,
    /// Only with a journal.
    recorder: Option<Recorder>,
}

impl<H: Clone + PartialEq, L: ChannelLogs> ChannelCore<H, L> {
    pub(crate) fn new(
        patterns: Arc<ChannelPatterns>,
        limits: Limits,
        quota: Arc<ChannelQuota>,
        logs: L,
    ) -> Self {
        Self {
            patterns,
            limits,
            quota,
            keys: KeyBounds {
                number: 0,
                age: Duration::ZERO,
            },
            logs,
            follows: Follows::default(),
            channels: ChannelRegistry::new(),
            presence_due: BTreeSet::new(),
            recorder: None,
        }
    }

    /// Sets how many idempotency keys each channel remembers, and for how long. Otherwise none.
    pub(crate) fn remembering(mut self, keys: KeyBounds) -> Self {
        self.keys = keys;
        self
    }

    /// Records what happens from now on, for a journal: the time that the core is handed must be that of the wall clock.
    ///
    /// `channels` are those of the journal. `is_renewed`: they have begun new epochs, which the journal does not contain yet.
    pub(crate) fn record(
        &mut self,
        now: Duration,
        channels: Vec<(ChannelName, RecoveredChannel<L::Log>)>,
        is_renewed: bool,
    ) {
        let mut recorder = Recorder::default();
        self.channels.note_ended();
        for (name, recovered) in channels {
            let RecoveredChannel::Offered { kind, log, keys } = recovered else {
                tracing::warn!(channel = %name, "the journal has a channel that is not offered any more, and forgets it");
                recorder.ended(&name);
                continue;
            };
            if !kind.is_exact && !self.quota.try_take() {
                tracing::warn!(channel = %name, "given up, because the server may have fewer channels than before");
                recorder.ended(&name);
                continue;
            }
            self.channels.begin(&name, kind, log, None);
            if let Some(channel) = self.channels.get_mut(&name) {
                channel.keys = Some(keys).filter(|keys| !keys.is_empty());
                if is_renewed {
                    recorder.snap(&name, channel);
                }
            }
            self.channels.used(&name, now);
        }
        self.recorder = Some(recorder);
    }

    /// The records of what has happened since the last call: none without a journal.
    pub(crate) fn take_records(&mut self) -> RecordList {
        let ended = self.channels.take_ended();
        let Some(recorder) = &mut self.recorder else {
            return RecordList::default();
        };
        ended.iter().for_each(|name| recorder.ended(name));
        recorder.take()
    }

    /// Records a whole channel, so that the journal needs nothing earlier of it.
    pub(crate) fn snap(&mut self, name: &ChannelName) {
        let Some(recorder) = &mut self.recorder else {
            return;
        };
        match self.channels.get(name) {
            Some(channel) => recorder.snap(name, channel),
            None => recorder.ended(name),
        }
    }

    /// Takes an input, and appends what follows from it to `effects`.
    pub(crate) fn step(
        &mut self,
        now: Duration,
        input: ChannelInput<H>,
        effects: &mut Vec<ChannelEffect<H>>,
    ) {
        match input {
            ChannelInput::Subscribe(subscribe) => self.subscribe(now, subscribe, effects),
            ChannelInput::ReadHistory(read) => self.read_history(now, read, effects),
            ChannelInput::Unsubscribe {
                from,
                channel,
                attempt,
                reason,
            } => {
                let session = from.origin.session;
                let asked = Some((from, reason));
                self.unsubscribe(now, session, channel, attempt, asked, effects);
            }
            ChannelInput::SessionGone {
                session,
                channel,
                attempt,
            } => self.unsubscribe(now, session, channel, attempt, None, effects),
            ChannelInput::Publish {
                from,
                channel,
                data,
                key,
                accounts,
            } => self.publish(now, from, (channel, data, key), accounts.as_ref(), effects),
            ChannelInput::RefusePublish {
                from,
                channel,
                refusal,
            } => refuse(Publisher::Client(from), channel, refusal, effects),
            ChannelInput::Presence {
                from,
                channel,
                data,
            } => self.receive_presence(now, from, channel, data, effects),
            ChannelInput::Rehome {
                session,
                channel,
                from,
                to,
            } => self.rehome(now, session, channel, from, to, effects),
            ChannelInput::Follow(pattern, sink) => {
                for (name, channel) in self.channels.each_mut() {
                    if pattern.matches(name) {
                        channel.followers.push(sink.clone());
                    }
                }
                self.follows.add(pattern, sink);
            }
            ChannelInput::Unfollow(sink) => {
                self.follows.remove(&sink);
                for (_, channel) in self.channels.each_mut() {
                    channel.followers.retain(|known| !known.is(&sink));
                }
            }
            ChannelInput::Clock => {
                let forgotten = self.channels.sweep(now, SWEPT);
                self.quota.give_back(forgotten);
                self.flush_presence(now, effects);
            }
        }
    }

    /// The channel of this name. If there is none, it begins now, as one of the kind that `kind` finds.
    fn channel(
        &mut self,
        now: Duration,
        name: &ChannelName,
        kind: impl FnOnce(&ChannelPatterns) -> Option<Arc<ChannelKind>>,
        accounts: Option<&Accounts>,
        effects: &mut Effects<H>,
    ) -> Result<&mut ActiveChannel<H, L::Log, Charge>, Refusal> {
        if !self.channels.contains(name) {
            let kind = kind(&self.patterns).ok_or_else(|| {
                Refusal::new(
                    "unknown_channel",
                    "the channel is not offered: register it with `ServerBuilder::channel`",
                )
            })?;
            let charge =
                accounts.map(|accounts| accounts.charge(Thing::Channel, now, &self.limits));
            let charge = charge.transpose()?;
            if !kind.is_exact {
                self.make_place(effects)?;
            }
            let log = self.logs.open(name, kind.bounds);
            self.channels.begin(name, kind, log, charge);
            let followers = self.follows.of(name);
            if let Some(channel) = self.channels.get_mut(name) {
                channel.followers = followers;
                if let Some(recorder) = &mut self.recorder {
                    recorder.snap(name, channel);
                }
            }
        }
        self.channels.get_mut(name).ok_or_else(Refusal::failed)
    }

    /// Counts one more channel that exists by a pattern only. If the server has as many as it may, a channel of this shard
    /// without subscribers is given up for it.
    fn make_place(&mut self, effects: &mut Effects<H>) -> Result<(), Refusal> {
        if self.quota.try_take() {
            return Ok(());
        }
        match self.channels.give_up_idle() {
            Some(channel) => effects.push(ChannelEffect::GivenUp { channel }),
            None => {
                return Err(Refusal::new(
                    "too_many_channels",
                    "this server has as many channels as it can: try again later",
                ));
            }
        }
        Ok(())
    }

    fn subscribe(&mut self, now: Duration, subscribe: Subscribe<H>, effects: &mut Effects<H>) {
        let name = subscribe.channel.clone();
        let (from, attempt) = (&subscribe.from, subscribe.attempt);
        let session = from.origin.session;
        let accounts = subscribe.accounts.as_ref();
        let answer = self
            .channel(
                now,
                &name,
                |_| Some(subscribe.kind.clone()),
                accounts,
                effects,
            )
            .and_then(|channel| {
                let frame = subscribed(channel, &subscribe, now);
                let frame = or_log(frame, from.origin, &name, effects);
                Ok((channel, frame.ok_or_else(Refusal::failed)?))
            });
        match answer {
            Ok((channel, frame)) => {
                // A session that subscribes again is answered by the way that its publications take, which may still be that to
                // an earlier home.
                let is_delta = channel.kind.delta && subscribe.delta;
                let home = from.home.clone();
                let subscribers = &mut channel.subscribers;
                let home = subscribers.enter(session, home, from.format, is_delta);
                effects.push(ChannelEffect::Subscribed {
                    home,
                    session,
                    channel: name.clone(),
                    attempt,
                    is_delta,
                    frame,
                    watches: subscribe.appearance.as_ref().is_some_and(|a| a.watches),
                });
                self.appear(now, &subscribe, effects);
            }
            Err(refusal) => {
                let frame = only(from.format, |w| event::error(w, from.id, None, &refusal));
                let frame = or_log(frame, from.origin, &name, effects);
                effects.push(ChannelEffect::SubscribeRefused {
                    home: from.home.clone(),
                    session,
                    channel: name.clone(),
                    attempt,
                    frame,
                });
            }
        }
        self.channels.used(&name, now);
    }

    /// Answers with a page of the history, by the way that the subscriber's publications take. Who may not subscribe may not
    /// read either, so only subscribers may.
    fn read_history(&mut self, now: Duration, read: ReadHistory<H>, effects: &mut Effects<H>) {
        let ReadHistory { from, channel, .. } = &read;
        let session = from.origin.session;
        let known = self.channels.get_mut(channel).and_then(|known| {
            let home = known.subscribers.home(session)?.clone();
            Some((home, &mut known.log))
        });
        let (home, frame) = match known {
            Some((home, log)) => (home, history_page(log, &read, now)),
            None => {
                let frame = only(from.format, |w| {
                    event::error(w, from.id, None, &not_subscribed())
                });
                (from.home.clone(), frame)
            }
        };
        let frame = or_log(frame, from.origin, channel, effects).or_else(|| {
            let failed = Refusal::failed();
            only(from.format, |w| event::error(w, from.id, None, &failed)).ok()
        });
        effects.push(ChannelEffect::History {
            home,
            session,
            frame,
        });
    }

    fn unsubscribe(
        &mut self,
        now: Duration,
        session: SessionId,
        channel: ChannelName,
        attempt: u64,
        asked: Option<(Requester<H>, UnsubscribeReason)>,
        effects: &mut Effects<H>,
    ) {
        let home = self.channels.get_mut(&channel).and_then(|channel| {
            let subscriber = channel.subscribers.remove(session)?;
            if channel.subscribers.delta().is_empty() {
                channel.base = None;
            }
            Some(subscriber.home)
        });
        self.disappear(now, session, &channel);
        let frame = asked.as_ref().and_then(|(from, reason)| {
            let frame = only(from.format, |w| match reason {
                UnsubscribeReason::Refused(refusal) => event::error(w, from.id, None, refusal),
                reason => event::unsubscribed(w, from.id, &channel, reason.name()),
            });
            or_log(frame, from.origin, &channel, effects)
        });
        // A client that asked is answered also if its subscription was refused in the meantime.
        if let Some(home) = home.or_else(|| asked.map(|(from, _)| from.home)) {
            effects.push(ChannelEffect::Unsubscribed {
                home,
                session,
                channel: channel.clone(),
                attempt,
                frame,
            });
        }
        self.channels.used(&channel, now);
        let is_gone = self.channels.forget_if_unneeded(&channel);
        self.quota.give_back(usize::from(is_gone));
    }

    fn publish(
        &mut self,
        now: Duration,
        from: Publisher<H>,
        (name, data, key): (ChannelName, RawData, Option<PublishKey>),
        accounts: Option<&Accounts>,
        effects: &mut Effects<H>,
    ) {
        let keys = self.keys;
        let recorded_key = self.recorder.as_ref().and_then(|_| key.clone());
        // The session checks what clients ask for, and a channel that exists has its kind: only a new one is searched for.
        let find = |patterns: &ChannelPatterns| patterns.find(name.as_str()).cloned();
        let channel = match self.channel(now, &name, find, accounts, effects) {
            Ok(channel) => channel,
            Err(refusal) => return refuse(from, name, refusal, effects),
        };
        let known = channel.keys.as_mut().zip(key.as_ref());
        if let Some(offset) = known.and_then(|(keys, key)| keys.offset_of(key, now)) {
            answer(from, &name, offset, effects);
            return self.channels.used(&name, now);
        }
        let offset = channel.log.publish(data.clone(), now);
        if let Some(key) = key.filter(|_| keys.number > 0) {
            let keys = || Box::new(RecentKeys::new(keys));
            let remembered = channel.keys.get_or_insert_with(keys);
            remembered.remember(key, offset, now);
        }
        let publication = Publication { offset, data };
        if !channel.followers.is_empty() {
            let followed = FollowedPublication {
                channel: name.clone(),
                epoch: channel.log.newest().0.into(),
                offset,
                data: publication.data.clone(),
            };
            let followers = channel.followers.iter();
            effects.extend(followers.map(|to| ChannelEffect::Followed {
                to: to.clone(),
                publication: followed.clone(),
            }));
        }
        match frames(channel, &name, &publication) {
            Ok(frames) => {
                for (readers, frame) in frames.into_iter().flatten() {
                    let homes = match readers {
                        Readers::Delta => channel.subscribers.delta().homes(),
                        Readers::Whole | Readers::Newest => channel.subscribers.whole().homes(),
                    };
                    effects.extend(homes.map(|home| ChannelEffect::Publish {
                        home: home.clone(),
                        channel: name.clone(),
                        frame: frame.clone(),
                        readers,
                    }));
                }
            }
            Err(error) => effects.push(ChannelEffect::NotEncoded {
                origin: from.origin(),
                channel: name.clone(),
                error,
            }),
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.published(&name, &from, recorded_key.as_ref(), &publication, now);
        }
        answer(from, &name, offset, effects);
        self.channels.used(&name, now);
    }

    fn rehome(
        &mut self,
        now: Duration,
        session: SessionId,
        name: ChannelName,
        from: H,
        to: H,
        effects: &mut Effects<H>,
    ) {
        let subscriber = self.channels.get_mut(&name).and_then(|channel| {
            let watches = channel.rehome_watcher(session, &to);
            let before = channel.subscribers.rehome(session, to.clone())?;
            let newest = newest(channel, &name, before.format, now);
            Some((before, newest, watches))
        });
        let (home, to) = match subscriber {
            Some((before, newest, watches)) => {
                // The new home must know the subscriber before the old one is told that it may let the session go.
                effects.push(ChannelEffect::Adopt {
                    home: to.clone(),
                    session,
                    format: before.format,
                    channel: name.clone(),
                    is_delta: before.is_delta,
                    watches,
                });
                effects.extend(newest.map(|frame| ChannelEffect::Newest {
                    home: to.clone(),
                    session,
                    channel: name.clone(),
                    frame,
                }));
                (before.home, Some(to))
            }
            None => (from, None),
        };
        effects.push(ChannelEffect::Rehomed {
            home,
            session,
            channel: name,
            to,
        });
    }
}

/// The refusal for a session that is no subscriber.
pub(crate) fn not_subscribed() -> Refusal {
    Refusal::new(
        "not_subscribed",
        "this session is not subscribed to this channel",
    )
}

/// Tells a publisher the offset of its publication, if it wants to know.
fn answer<H>(from: Publisher<H>, channel: &ChannelName, offset: u64, effects: &mut Effects<H>) {
    match from {
        Publisher::Client(client) => {
            if let Some(id) = client.id {
                let frame = only(client.format, |w| event::published(w, id, channel, offset));
                reply(client, frame, channel, effects);
            }
        }
        Publisher::Application => effects.push(ChannelEffect::Published { offset }),
        Publisher::Room(_) => {}
    }
}

/// Tells a publisher that its publication is refused.
fn refuse<H>(from: Publisher<H>, channel: ChannelName, refusal: Refusal, effects: &mut Effects<H>) {
    match from {
        Publisher::Client(client) => {
            let frame = only(client.format, |w| {
                event::error(w, client.id, None, &refusal)
            });
            reply(client, frame, &channel, effects);
        }
        Publisher::Room(_) | Publisher::Application => effects.push(ChannelEffect::Dropped {
            origin: from.origin(),
            channel,
            refusal,
        }),
    }
}

pub(super) fn reply<H>(
    to: Requester<H>,
    frame: Result<Encoded, CodecError>,
    channel: &ChannelName,
    effects: &mut Effects<H>,
) {
    if let Some(frame) = or_log(frame, to.origin, channel, effects) {
        effects.push(ChannelEffect::Reply {
            home: to.home,
            session: to.origin.session,
            frame,
        });
    }
}

/// The frame, or `None` and an effect for the log.
pub(super) fn or_log<H>(
    frame: Result<Encoded, CodecError>,
    origin: SessionOrigin,
    channel: &ChannelName,
    effects: &mut Effects<H>,
) -> Option<Encoded> {
    frame
        .map_err(|error| {
            effects.push(ChannelEffect::NotEncoded {
                origin: InputOrigin::Session(origin),
                channel: channel.clone(),
                error,
            });
        })
        .ok()
}

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;
