//! Applies the items that rooms and channels send to a hub.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::ids::{ChannelName, ListingId, RoomId, SessionId};
use crate::room::config::LeaveReason;
use crate::runtime::channel_outward::newest_of;
use crate::runtime::messages::{
    Broadcast, HubItem, Membership, RoomMessage, SessionMessage, Topic,
};
use crate::runtime::worker::hub::Hub;
use crate::runtime::worker::session_handle::SessionHandle;
use crate::session::outbox::{Delivery, Outbox, Pushed, ReplaceKey};
use crate::wire::codec::Format;
use crate::wire::frame::Encoded;

impl Hub {
    pub(crate) fn apply_all(&self, items: impl IntoIterator<Item = HubItem>) {
        let mut items = items.into_iter().peekable();
        while let Some(item) = items.next() {
            let HubItem::Publish(topic, broadcast) = item else {
                self.apply(item);
                continue;
            };
            // Frames for the same receivers are queued together, so that each receiver is visited in memory only once.
            let mut broadcasts: SmallVec<[Broadcast; 4]> = smallvec![broadcast];
            let is_next =
                |next: &HubItem| matches!(next, HubItem::Publish(also, _) if *also == topic);
            while let Some(HubItem::Publish(_, broadcast)) = items.next_if(is_next) {
                broadcasts.push(broadcast);
            }
            self.publish(&topic, &broadcasts);
        }
        self.note_memory();
    }

    fn apply(&self, item: HubItem) {
        let (item, is_forwarded) = match item {
            HubItem::Publish(topic, broadcast) => return self.publish(&topic, &[broadcast]),
            HubItem::Direct {
                session,
                frame,
                delivery,
            } => return self.direct(session, frame, delivery),
            HubItem::Adopt {
                session,
                format,
                topic,
                watches,
            } => return self.adopt(session, format, topic, watches),
            HubItem::Newest {
                session,
                channel,
                frame,
            } => return self.take_newest(session, channel, &frame),
            HubItem::Page {
                session,
                listing,
                frame,
            } => return self.show_page(session, listing, frame),
            HubItem::Forwarded(item) => {
                let Some(session) = item.session() else {
                    return;
                };
                if !self.sessions.borrow().contains_key(&session) {
                    return self.forward(session, *item);
                }
                (Some(*item), true)
            }
            item => match item.session() {
                Some(session) => (self.forward_if_away(session, item), false),
                None => (Some(item), false),
            },
        };
        if let Some(item) = item {
            self.apply_here(item, is_forwarded);
        }
    }

    fn adopt(&self, session: SessionId, format: Format, topic: Topic, watches: bool) {
        let is_here = self.sessions.borrow().contains_key(&session);
        if !is_here {
            if self.shared.home(session).is_none() {
                // It has ended. The room or channel is notified of that, or was already.
                return;
            }
            self.hold_frames_for(session, format);
        }
        self.enter_topic(topic.clone(), session);
        if let Topic::Channel(channel) = &topic {
            self.watch_presence(channel, session, watches);
        }
        if is_here {
            self.adopt_here(session, topic.owner());
        }
    }

    fn take_newest(&self, session: SessionId, channel: ChannelName, frame: &Encoded) {
        frame.count(&self.shared.ledger);
        let topic = Topic::Channel(channel);
        self.topics.borrow_mut().note_newest(&topic, frame);
        // A session that is still on its way here is sent it when it arrives.
        self.resend_newest(session, topic);
    }

    /// Sends a session the newest publication of a channel whose subscribers receive only that: what was sent before may be
    /// lost, and nobody counts it.
    pub(crate) fn resend_newest(&self, session: SessionId, topic: Topic) {
        let newest = self.topics.borrow().newest_for(&topic, session);
        if let (Some(frame), Topic::Channel(channel)) = (newest, topic)
            && self.sessions.borrow().contains_key(&session)
        {
            self.direct(session, frame, newest_of(&channel));
        }
    }

    /// A page of a listing for a session. One that has moved is sent the page where it is now.
    fn show_page(&self, session: SessionId, listing: ListingId, frame: Encoded) {
        let is_here = self.sessions.borrow().contains_key(&session);
        let follows = self
            .topics
            .borrow()
            .contains(&Topic::Listing(listing), session);
        if is_here && follows {
            let replaces = Arc::new(ReplaceKey::Listing(listing));
            self.direct(session, frame, Delivery::Latest(replaces));
        }
    }

    /// Applies an item for a session that lives here, is on its way here, or lived here last. `is_forwarded`: a hub that the
    /// session has left has forwarded the item.
    fn apply_here(&self, item: HubItem, is_forwarded: bool) {
        let enter = |topic: Topic, session| {
            if !is_forwarded {
                self.await_last_item(session, &topic.owner());
                self.enter_topic(topic, session);
            }
        };
        match item {
            HubItem::JoinedRoom {
                session,
                room,
                membership,
                frame,
            } => {
                if self.note_joined(session, &room, membership, is_forwarded) {
                    enter(Topic::Room(room), session);
                    self.deliver(session, frame, Delivery::Sequenced, is_forwarded);
                }
            }
            HubItem::JoinRefused { session, frame } => {
                self.send_to_session(session, SessionMessage::JoinRefused);
                self.deliver(session, frame, Delivery::Sequenced, is_forwarded);
            }
            HubItem::Subscribed {
                session,
                channel,
                attempt,
                is_delta,
                frame,
                watches,
            } => {
                if let Some(local) = self.sessions.borrow().get(&session) {
                    let mut subscriptions = local.router.subscriptions.borrow_mut();
                    subscriptions.note_done(&channel, attempt);
                    let seal = |outbox: &mut Outbox| outbox.seal_publication(&channel);
                    local.send_queue.with_outbox(seal);
                }
                enter(Topic::of_channel(channel.clone(), is_delta), session);
                if !is_forwarded {
                    self.watch_presence(&channel, session, watches);
                }
                self.deliver(session, frame, Delivery::Sequenced, is_forwarded);
                self.use_grant(session);
            }
            HubItem::Exit {
                session,
                topic,
                stay,
                frame,
                is_over,
            } => {
                self.exit(session, &topic, stay, is_over);
                if let Some(frame) = frame {
                    self.deliver(session, frame, Delivery::Sequenced, is_forwarded);
                }
                if !self.sessions.borrow().contains_key(&session) {
                    self.arrivals.borrow_mut().note_exit(session, topic, stay);
                    return;
                }
                if let Topic::Channel(channel) = topic {
                    self.send_to_session(session, SessionMessage::Unsubscribed(channel));
                }
            }
            HubItem::SubscribeRefused {
                session,
                channel,
                attempt,
                frame,
            } => {
                if let Some(local) = self.sessions.borrow().get(&session) {
                    let subscriptions = &local.router.subscriptions;
                    subscriptions.borrow_mut().remove_attempt(&channel, attempt);
                }
                self.exit(session, &Topic::Channel(channel), attempt, false);
                if let Some(frame) = frame {
                    self.deliver(session, frame, Delivery::Sequenced, is_forwarded);
                }
                self.use_grant(session);
            }
            HubItem::History { session, frame } => {
                if let Some(frame) = frame {
                    self.deliver(session, frame, Delivery::Sequenced, is_forwarded);
                }
                self.use_grant(session);
            }
            HubItem::Rehomed { session, topic, to } => {
                if !is_forwarded && !self.is_at(to.as_ref()) {
                    self.topics.borrow_mut().leave(&topic, session);
                }
                self.note_last_item(session, topic, to.as_ref());
            }
            HubItem::Refreshed { session, refreshed } => {
                if self.sessions.borrow().contains_key(&session) {
                    self.send_to_session(session, SessionMessage::Refreshed(refreshed));
                } else {
                    self.forward(session, HubItem::Refreshed { session, refreshed });
                }
            }
            HubItem::MayFollow { session, answer } => {
                if self.sessions.borrow().contains_key(&session) {
                    self.send_to_session(session, SessionMessage::MayFollow(answer));
                } else {
                    self.forward(session, HubItem::MayFollow { session, answer });
                }
            }
            HubItem::Displaced { session } => {
                self.send_to_session(session, SessionMessage::Displaced)
            }
            HubItem::Violated { session } => self.end_violating(session),
            HubItem::Ticket {
                session,
                change,
                frame,
            } => self.change_ticket(session, change, frame, is_forwarded),
            HubItem::Flush { session } => self.flushed(session),
            HubItem::Direct {
                session,
                frame,
                delivery,
            } => self.deliver(session, frame, delivery, is_forwarded),
            // Handled before: these have no session, or only contain another item.
            HubItem::Publish(..)
            | HubItem::Adopt { .. }
            | HubItem::Newest { .. }
            | HubItem::Page { .. }
            | HubItem::Forwarded(_) => {}
        }
    }

    /// A session has left a room or channel, unless it has entered it again since.
    fn exit(&self, session: SessionId, topic: &Topic, stay: u64, is_over: bool) {
        if let Some(local) = self.sessions.borrow().get(&session) {
            match topic {
                Topic::Room(room) => {
                    if !local.router.left(room, stay) {
                        return;
                    }
                    local
                        .send_queue
                        .with_outbox(|outbox| outbox.leave_room(room, is_over));
                }
                Topic::Channel(channel) | Topic::Delta(channel) => {
                    let subscriptions = local.router.subscriptions.borrow();
                    if subscriptions.is_done_since(channel, stay) {
                        return;
                    }
                }
                Topic::Presence(_) | Topic::Listing(_) => {}
            }
        }
        self.topics.borrow_mut().leave(topic, session);
    }

    /// Records that a session has joined a room. False if the session has ended or overflowed meanwhile.
    fn note_joined(
        &self,
        session: SessionId,
        room: &RoomId,
        membership: Membership,
        is_away: bool,
    ) -> bool {
        let sessions = self.sessions.borrow();
        let Some(local) = sessions.get(&session) else {
            // It ended while its join was in progress.
            let gone = RoomMessage::Gone(session, LeaveReason::Left);
            self.flusher.to_room(&membership.room, gone);
            return false;
        };
        if local
            .send_queue
            .with_outbox(|outbox| outbox.has_overflowed())
        {
            let gone = RoomMessage::Gone(session, LeaveReason::Overflow);
            self.flusher.to_room(&membership.room, gone);
            local.address.do_send(SessionMessage::JoinRefused);
            return false;
        }
        local.address.do_send(SessionMessage::Joined {
            room: room.clone(),
            address: membership.room.clone(),
            is_away,
        });
        let rooms = &local.router.rooms;
        rooms.borrow_mut().insert(room.clone(), membership);
        true
    }

    fn publish(&self, topic: &Topic, broadcasts: &[Broadcast]) {
        self.flusher.note_broadcast();
        if let Some(newest) = broadcasts.last()
            && newest.delivery.is_newest_publication()
        {
            self.topics.borrow_mut().note_newest(topic, &newest.frame);
        }
        for (session, send_queue) in self.topics.borrow().members(topic) {
            let wanted = |broadcast: &&Broadcast| broadcast.except != Some(session);
            for broadcast in broadcasts.iter().filter(wanted) {
                if send_queue.is_diverted() {
                    self.direct(session, broadcast.frame.clone(), broadcast.delivery.clone());
                    continue;
                }
                let pushed = send_queue.push(&broadcast.frame, &broadcast.delivery);
                if matches!(pushed, Pushed::Overflow | Pushed::Behind)
                    && let Some(local) = self.sessions.borrow().get(&session)
                {
                    report(local, pushed, &broadcast.delivery);
                }
            }
        }
    }

    /// Sends a counted event of a session's own, or of a call of its client, after what the thread has sent before.
    pub(crate) fn send_to_own(&self, session: SessionId, frame: Encoded) {
        let item = HubItem::Direct {
            session,
            frame,
            delivery: Delivery::Sequenced,
        };
        self.send_item(item);
    }

    /// Sends an item for a session of this worker, after what the thread has sent before.
    pub(crate) fn send_item(&self, item: HubItem) {
        // The worker's own backlog delays nothing here: an action's permit bounds the number of its answers.
        let _backlog = self.flusher.items_to_hub(&self.address, smallvec![item]);
    }

    /// Sends a frame to one session, also if it has moved.
    pub(crate) fn direct(&self, session: SessionId, frame: Encoded, delivery: Delivery) {
        frame.count(&self.shared.ledger);
        // A room with views sends each member its own state at the same time: that is a broadcast, too.
        if delivery.state().is_some() {
            self.flusher.note_broadcast();
        }
        match self.sessions.borrow().get(&session) {
            Some(local) if local.send_queue.is_diverted() => {}
            Some(local) => {
                let pushed = local.send_queue.push(&frame, &delivery);
                report(local, pushed, &delivery);
                return;
            }
            None => {
                if let Some(send_queue) = self.arrivals.borrow().queue_of(session) {
                    let _merged_later = send_queue.push(&frame, &delivery);
                    return;
                }
                let item = HubItem::Direct {
                    session,
                    frame,
                    delivery,
                };
                self.forward(session, item);
                return;
            }
        }
        self.hold_at_gate(session, frame, delivery);
    }

    /// As [`direct`](Self::direct), but a forwarded frame goes straight into the outbox: the frames that the gate holds came
    /// after it.
    pub(crate) fn deliver(
        &self,
        session: SessionId,
        frame: Encoded,
        delivery: Delivery,
        is_forwarded: bool,
    ) {
        match self.sessions.borrow().get(&session) {
            Some(local) if is_forwarded => {
                let pushed = local.send_queue.push(&frame, &delivery);
                report(local, pushed, &delivery);
                return;
            }
            _ => {}
        }
        self.direct(session, frame, delivery);
    }
}

/// Acts on the result of a push: an overflow ends the session, and a room stops sending steps to a member that is behind.
pub(crate) fn report(local: &SessionHandle, pushed: Pushed, delivery: &Delivery) {
    match (pushed, delivery) {
        (Pushed::Overflow, _) => local.address.do_send(SessionMessage::Overflowed),
        (Pushed::Behind, Delivery::Step(_, base)) => {
            let behind = |session| RoomMessage::Behind(session, *base);
            let flusher = local.send_queue.flusher();
            if let Some(room) = delivery.state().and_then(|state| state.room()) {
                local.router.tell_room(flusher, room, behind);
            }
        }
        _ => {}
    }
}
