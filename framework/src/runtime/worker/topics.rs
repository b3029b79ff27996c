//! The receivers of one worker: for each room and channel, its members that live there.
//!
//! Of a channel whose subscribers receive only the newest publication, that one is kept here, for members that return.

use std::collections::HashMap;
use std::rc::Rc;

use indexmap::IndexMap;

use crate::ids::{ChannelName, IdHasher, SessionId};
use crate::runtime::connection::send_queue::SendQueue;
use crate::runtime::messages::Topic;
use crate::wire::frame::Encoded;

/// In one piece of memory, because a fan-out walks over all of them; with an index, because all of them may leave and return
/// in a reconnect storm.
type Members = IndexMap<SessionId, Rc<SendQueue>, IdHasher>;

#[derive(Debug, Default)]
struct Receivers {
    members: Members,
    newest: Option<Encoded>,
}

#[derive(Debug, Default)]
pub(crate) struct Topics {
    receivers: HashMap<Topic, Receivers>,
    /// Whether anybody here has ever watched a channel's presence. If not, nobody pays for the search.
    has_watchers: bool,
}

impl Topics {
    pub(crate) fn enter(&mut self, topic: Topic, session: SessionId, send_queue: Rc<SendQueue>) {
        if let Some(other) = topic.other() {
            self.leave_one(&other, session);
        }
        self.has_watchers |= matches!(topic, Topic::Presence(_));
        let receivers = self.receivers.entry(topic).or_default();
        receivers.members.insert(session, send_queue);
    }

    /// The session leaves a room, or a channel with all of its topics.
    pub(crate) fn leave(&mut self, topic: &Topic, session: SessionId) {
        self.leave_one(topic, session);
        if let Some(other) = topic.other() {
            self.leave_one(&other, session);
        }
        if let Topic::Channel(channel) | Topic::Delta(channel) = topic {
            self.unwatch(channel, session);
        }
    }

    /// A session does not receive changes of a channel's presence any more.
    pub(crate) fn unwatch(&mut self, channel: &ChannelName, session: SessionId) {
        if self.has_watchers {
            self.leave_one(&Topic::Presence(channel.clone()), session);
        }
    }

    fn leave_one(&mut self, topic: &Topic, session: SessionId) {
        if let Some(Receivers { members, .. }) = self.receivers.get_mut(topic) {
            members.swap_remove(&session);
            if members.is_empty() {
                self.receivers.remove(topic);
            }
        }
    }

    pub(crate) fn contains(&self, topic: &Topic, session: SessionId) -> bool {
        let receivers = self.receivers.get(topic);
        receivers.is_some_and(|receivers| receivers.members.contains_key(&session))
    }

    /// The newest publication of a channel whose subscribers receive only that.
    pub(crate) fn note_newest(&mut self, topic: &Topic, frame: &Encoded) {
        if let Some(receivers) = self.receivers.get_mut(topic) {
            receivers.newest = Some(frame.clone());
        }
    }

    /// The newest publication, for one of the members. `None` if subscribers receive each one, or there was none since the first of
    /// them came.
    pub(crate) fn newest_for(&self, topic: &Topic, session: SessionId) -> Option<Encoded> {
        let receivers = self.receivers.get(topic)?;
        let newest = receivers.newest.as_ref()?;
        let is_member = receivers.members.contains_key(&session);
        is_member.then(|| newest.clone())
    }

    pub(crate) fn members(
        &self,
        topic: &Topic,
    ) -> impl Iterator<Item = (SessionId, &Rc<SendQueue>)> {
        let members = self.receivers.get(topic);
        let members = members.map(|receivers| &receivers.members);
        let members = members.into_iter().flatten();
        members.map(|(session, send_queue)| (*session, send_queue))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OutboxBounds;
    use crate::ids::RoomId;
    use crate::session::outbox::Outbox;
    use crate::wire::codec::Format;

    fn send_queue() -> Rc<SendQueue> {
        let bounds = OutboxBounds {
            bytes: 1,
            frames: 1,
            age: std::time::Duration::ZERO,
        };
        let outbox = Outbox::new(bounds, Format::Json);
        SendQueue::new(Format::Json, outbox, &Rc::default())
    }

    fn sorted(topics: &Topics, topic: &Topic) -> Vec<SessionId> {
        let mut sessions: Vec<_> = topics.members(topic).map(|(session, _)| session).collect();
        sessions.sort_unstable();
        sessions
    }

    #[test]
    fn each_topic_has_its_members_once_with_their_newest_send_queue() {
        let mut topics = Topics::default();
        let (one, other) = (RoomId::from("one"), RoomId::from("other"));
        let (one, other) = (Topic::Room(one), Topic::Room(other));
        let mut sessions: Vec<_> = (0..5).map(|_| SessionId::random()).collect();
        sessions.sort_unstable();
        for session in &sessions {
            topics.enter(one.clone(), *session, send_queue());
        }
        let newest = send_queue();
        topics.enter(one.clone(), sessions[0], newest.clone());
        topics.enter(other.clone(), sessions[1], send_queue());
        assert_eq!(sorted(&topics, &one), sessions);
        assert_eq!(sorted(&topics, &other), sessions[1..2]);
        let has_newest =
            |(session, send_queue)| session == sessions[0] && Rc::ptr_eq(send_queue, &newest);
        assert!(topics.members(&one).any(has_newest));
        for gone in sessions.drain(..) {
            topics.leave(&one, gone);
            topics.leave(&one, gone);
            assert!(topics.members(&one).all(|(session, _)| session != gone));
        }
        assert!(!topics.receivers.contains_key(&one), "an empty topic stays");
        assert_eq!(topics.members(&other).count(), 1);
    }
}
