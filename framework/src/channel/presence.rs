//! Who is present in a channel: its subscribers, as those of them see it who watch.

use std::collections::BTreeSet;
use std::time::Duration;

use super::core::{ChannelCore, or_log, reply};
use super::effect::{ChannelEffect, Effects};
use super::frames::only;
use super::input::{Appearance, Requester, Subscribe};
use super::log::ChannelLogs;
use super::registry::ActiveChannel;
use super::subscribers::Subscribers;
use crate::ids::{ChannelName, Place, SessionId};
use crate::origin::{InputOrigin, Sender, SessionOrigin};
use crate::presence::config::Presence;
use crate::presence::event::Present;
use crate::presence::list::PresenceList;
use crate::presence::no_presence;
use crate::wire::codec::{Format, RawData};
use crate::wire::event;

/// The presence of one channel.
///
/// The watchers have homes and formats of their own, so that a channel with many subscribers and few watchers encodes for those
/// few, and a publication costs the same with and without presence.
#[derive(Debug)]
pub(crate) struct ChannelPresence<H> {
    list: PresenceList,
    watchers: Subscribers<H>,
}

impl<H: Clone + PartialEq, L, C> ActiveChannel<H, L, C> {
    /// A watcher moves, if the session is one.
    pub(super) fn rehome_watcher(&mut self, session: SessionId, to: &H) -> bool {
        let presence = self.presence.as_mut();
        presence.is_some_and(|presence| presence.watchers.rehome(session, to.clone()).is_some())
    }
}

impl<H: Clone + PartialEq> ChannelPresence<H> {
    fn new(channel: &ChannelName, settings: Presence) -> Box<Self> {
        Box::new(Self {
            list: PresenceList::new(Place::Channel(channel.clone()), settings),
            watchers: Subscribers::default(),
        })
    }

    fn enter(
        &mut self,
        now: Duration,
        (session, home, format): (SessionId, H, Format),
        appearance: &Appearance,
    ) {
        let data = appearance.data.clone();
        self.list.enter(now, session, &appearance.who, data);
        match appearance.watches {
            true => drop(self.watchers.enter(session, home, format, false)),
            false => drop(self.watchers.remove(session)),
        }
    }
}

impl<H: Clone + PartialEq, L: ChannelLogs> ChannelCore<H, L> {
    /// When the next clock has changes of presence to send.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.presence_due.first().map(|(due, _)| *due)
    }

    /// Everybody who is present in a channel.
    pub(crate) fn everybody(&mut self, channel: &ChannelName) -> Vec<Present> {
        let channel = self.channels.get_mut(channel);
        let presence = channel.and_then(|channel| channel.presence.as_ref());
        presence.map_or_else(Vec::new, |presence| presence.list.everybody())
    }

    /// A new subscriber is present and, if it watches, receives the list.
    pub(super) fn appear(
        &mut self,
        now: Duration,
        subscribe: &Subscribe<H>,
        effects: &mut Effects<H>,
    ) {
        let Some(appearance) = &subscribe.appearance else {
            return;
        };
        let (from, name) = (&subscribe.from, &subscribe.channel);
        let session = from.origin.session;
        let Some((channel, settings)) = self.channels.get_mut(name).zip(subscribe.kind.presence)
        else {
            return;
        };
        let presence = channel
            .presence
            .get_or_insert_with(|| ChannelPresence::new(name, settings));
        let home = channel.subscribers.home(session).unwrap_or(&from.home);
        presence.enter(now, (session, home.clone(), from.format), appearance);
        note_due(presence, name, &mut self.presence_due);
        if appearance.watches {
            self.show_list(from.origin, from.format, name, effects);
        }
    }

    /// A subscriber is present no more.
    pub(super) fn disappear(&mut self, now: Duration, session: SessionId, name: &ChannelName) {
        let Some(channel) = self.channels.get_mut(name) else {
            return;
        };
        let Some(presence) = &mut channel.presence else {
            return;
        };
        presence.list.leave(now, session);
        presence.watchers.remove(session);
        match presence.list.is_empty() {
            true => {
                // Nobody is left to be told.
                if let Some(due) = presence.list.due() {
                    self.presence_due.remove(&(due, name.clone()));
                }
                channel.presence = None;
            }
            false => note_due(presence, name, &mut self.presence_due),
        }
    }

    /// A subscriber changes what others see of it or, without data, asks for the list. It is answered if its action has an `id`.
    pub(super) fn receive_presence(
        &mut self,
        now: Duration,
        from: Requester<H>,
        name: ChannelName,
        data: Option<RawData>,
        effects: &mut Effects<H>,
    ) {
        let session = from.origin.session;
        let channel = self.channels.get_mut(&name);
        let presence = channel.and_then(|channel| channel.presence.as_mut());
        let is_done = match (presence, data) {
            (None, _) => false,
            (Some(presence), Some(data)) => {
                let is_present = presence.list.change(now, session, Some(data));
                note_due(presence, &name, &mut self.presence_due);
                is_present
            }
            (Some(_), None) => self.show_list(from.origin, from.format, &name, effects),
        };
        let Some(id) = from.id else {
            return;
        };
        let frame = only(from.format, |w| match is_done {
            true => event::reply(w, id, &()),
            false => event::error(w, Some(id), None, &no_presence()),
        });
        // By the way that the list has taken.
        let channel = self.channels.get_mut(&name);
        let home = channel.and_then(|channel| channel.subscribers.home(session).cloned());
        let to = Requester {
            home: home.unwrap_or_else(|| from.home.clone()),
            ..from
        };
        reply(to, frame, &name, effects);
    }

    /// Sends a subscriber the list. False if it is no subscriber of a channel with presence.
    fn show_list(
        &mut self,
        origin: SessionOrigin,
        format: Format,
        name: &ChannelName,
        effects: &mut Effects<H>,
    ) -> bool {
        let Some(channel) = self.channels.get_mut(name) else {
            return false;
        };
        let home = channel.subscribers.home(origin.session);
        let Some((home, presence)) = home.cloned().zip(channel.presence.as_mut()) else {
            return false;
        };
        if let Some(frame) = or_log(presence.list.whole(format), origin, name, effects) {
            effects.push(ChannelEffect::ShowList {
                home,
                session: origin.session,
                frame,
            });
        }
        true
    }

    /// Tells the watchers of the channels whose changes are due.
    pub(super) fn flush_presence(&mut self, now: Duration, effects: &mut Effects<H>) {
        let is_due = |(due, _): &(Duration, ChannelName)| *due <= now;
        while self.presence_due.first().is_some_and(is_due) {
            let Some((_, name)) = self.presence_due.pop_first() else {
                return;
            };
            let channel = self.channels.get_mut(&name);
            let Some(presence) = channel.and_then(|channel| channel.presence.as_mut()) else {
                continue;
            };
            let change = presence
                .list
                .flush(now, presence.watchers.whole().formats());
            match change {
                None => {}
                Some(Ok((frame, delivery))) => {
                    let homes = presence.watchers.whole().homes();
                    effects.extend(homes.map(|home| ChannelEffect::ShowChange {
                        home: home.clone(),
                        channel: name.clone(),
                        frame: frame.clone(),
                        delivery: delivery.clone(),
                    }));
                }
                Some(Err(error)) => effects.push(ChannelEffect::NotEncoded {
                    origin: InputOrigin::Sender(Sender::Application),
                    channel: name.clone(),
                    error,
                }),
            }
        }
    }
}

fn note_due<H>(
    presence: &ChannelPresence<H>,
    channel: &ChannelName,
    agenda: &mut BTreeSet<(Duration, ChannelName)>,
) {
    if let Some(due) = presence.list.due() {
        agenda.insert((due, channel.clone()));
    }
}
