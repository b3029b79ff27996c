//! Forwards the items that arrive for a session that has moved, and keeps them in order.
//!
//! A session that moves waits for its rooms and channels no longer than [`Config::handover`](crate::Config::handover). One
//! that has not answered by then, because a hook on its thread takes long, continues to send to the hub that the session has
//! left. That hub forwards the items to the hub where the session went; if the session moves again, that hub does the same.
//! So forwarded items follow the session hop by hop and never overtake each other.
//!
//! A late room is asked to send to the session's new hub. Once it does, its frames arrive by a shorter path and could
//! overtake the forwarded ones. So the session's hub holds everything that arrives by the short path, from any sender, until
//! the room's last forwarded item has arrived ([`HubItem::Rehomed`]). It does the same when a session returns to a hub that
//! has forwarded items for it: that hub sends a [`HubItem::Flush`] along the path, and when the flush is back, nothing is on
//! the path any more.

use std::collections::HashMap;
use std::rc::Rc;

use smallvec::smallvec;

use crate::ids::{IdHasher, SessionId};
use crate::room::config::LeaveReason;
use crate::runtime::connection::send_queue::SendQueue;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::messages::{HubItem, HubMessage, RoomMessage, SessionMessage, Topic};
use crate::runtime::worker::hub::Hub;
use crate::runtime::worker::hub_items::report;
use crate::runtime::worker::session_handle::SessionHandle;
use crate::session::outbox::{Delivery, Outbox};
use crate::wire::frame::Encoded;

/// The forwarding that begins or ends at one hub.
#[derive(Debug, Default)]
pub(crate) struct Forwarding {
    /// Sessions that have left while items for them could still arrive here.
    away: HashMap<SessionId, Away, IdHasher>,
    /// Sessions that live here and for which items may still be forwarded.
    gates: HashMap<SessionId, Gate, IdHasher>,
}

/// Where a session went from here.
#[derive(Debug)]
struct Away {
    to: HubAddress,
    /// The send queue that it had here, for the lists of receivers. Nothing is put into it any more.
    send_queue: Rc<SendQueue>,
}

/// What a session waits for until everything for it arrives by the short path.
#[derive(Debug, Default)]
struct Gate {
    /// Rooms and channels that send here now and whose last forwarded item has not arrived.
    adopted: Vec<Topic>,
    /// Rooms and channels whose last forwarded item has arrived before their first item by the short path.
    finished: Vec<Topic>,
    is_flushing: bool,
    held: Vec<(Encoded, Delivery)>,
    held_bytes: usize,
}

impl Gate {
    fn is_closed(&self) -> bool {
        self.is_flushing || !self.adopted.is_empty()
    }

    fn is_settled(&self) -> bool {
        !self.is_closed() && self.finished.is_empty()
    }

    fn adopt(&mut self, topic: Topic) {
        settle(&mut self.finished, &mut self.adopted, topic);
    }

    /// The room or channel sends here again after the session had left it, and its last forwarded item has not arrived.
    fn expect(&mut self, topic: &Topic) {
        if !self.adopted.contains(topic) {
            self.adopted.push(topic.clone());
        }
    }

    fn note_last(&mut self, topic: Topic) {
        settle(&mut self.adopted, &mut self.finished, topic);
    }
}

/// Two items belong together. The one that arrives second removes the entry that the first has made.
fn settle(others: &mut Vec<Topic>, own: &mut Vec<Topic>, topic: Topic) {
    match others.iter().position(|known| *known == topic) {
        Some(at) => drop(others.swap_remove(at)),
        None => own.push(topic),
    }
}

impl Hub {
    /// A session moves to another hub, and items for it may still arrive here.
    pub(crate) fn begin_forwarding(
        &self,
        session: SessionId,
        to: HubAddress,
        send_queue: Rc<SendQueue>,
    ) {
        send_queue.divert(true);
        let mut forwarding = self.forwarding.borrow_mut();
        forwarding.away.insert(session, Away { to, send_queue });
    }

    /// A session has arrived here. If this hub has forwarded items for it, everything that arrives from now on waits until
    /// those are back; `early`, which arrived before the session, waits first.
    pub(crate) fn end_forwarding(&self, session: SessionId, early: Outbox) {
        let away = self.forwarding.borrow_mut().away.remove(&session);
        if let Some(away) = away {
            self.send_forwarded(&away.to, HubItem::Flush { session });
            self.change_gate(session, |gate| {
                gate.is_flushing = true;
                for frame in early.into_pending() {
                    gate.held.push((frame, Delivery::Sequenced));
                }
            });
        }
    }

    pub(crate) fn is_forwarding(&self, session: SessionId) -> bool {
        self.forwarding.borrow().away.contains_key(&session)
    }

    /// Whether nothing is forwarded to this session, which lives here.
    pub(crate) fn is_settled(&self, session: SessionId) -> bool {
        !self.forwarding.borrow().gates.contains_key(&session)
    }

    /// A session that lived here has ended.
    pub(crate) fn forget_gate(&self, session: SessionId) {
        self.forwarding.borrow_mut().gates.remove(&session);
    }

    /// Forgets where sessions went that have ended.
    pub(crate) fn forget_forwarding(&self) {
        let shared = &self.shared;
        let mut forwarding = self.forwarding.borrow_mut();
        forwarding.away.retain(|id, _| shared.home(*id).is_some());
    }

    /// A room or channel that was late sends to this hub, where the session lives already.
    pub(crate) fn adopt_here(&self, session: SessionId, topic: Topic) {
        self.change_gate(session, |gate| gate.adopt(topic));
    }

    pub(crate) fn is_at(&self, address: Option<&HubAddress>) -> bool {
        address.is_some_and(|address| self.address.is(address))
    }

    /// A room or channel has accepted the session and sends here. If the session had left it elsewhere, and its last
    /// forwarded item has not arrived, its new items wait for that.
    pub(crate) fn await_last_item(&self, session: SessionId, topic: &Topic) {
        let is_late = |local: &Rc<SessionHandle>| local.router.is_late(topic);
        let is_late = self.sessions.borrow().get(&session).is_some_and(is_late);
        if is_late {
            self.change_gate(session, |gate| gate.expect(topic));
        }
    }

    /// The last item of a room or channel by the path that it used before has arrived.
    pub(crate) fn note_last_item(&self, session: SessionId, topic: Topic, to: Option<&HubAddress>) {
        if let Some(local) = self.sessions.borrow().get(&session) {
            local.router.note_last_item(&topic);
        }
        let is_expected = to.is_none() && self.is_expected(session, &topic);
        if is_expected || self.is_at(to) {
            self.change_gate(session, |gate| gate.note_last(topic.clone()));
        }
        self.send_to_session(session, SessionMessage::Rehomed(topic));
    }

    fn is_expected(&self, session: SessionId, topic: &Topic) -> bool {
        let forwarding = self.forwarding.borrow();
        let gate = forwarding.gates.get(&session);
        gate.is_some_and(|gate| gate.adopted.contains(topic))
    }

    /// The hub to which this one forwards the items for a session.
    pub(crate) fn next_of(&self, session: SessionId) -> Option<HubAddress> {
        let forwarding = self.forwarding.borrow();
        forwarding.away.get(&session).map(|away| away.to.clone())
    }

    /// Everything that this hub has forwarded for a session that has returned has arrived.
    pub(crate) fn flushed(&self, session: SessionId) {
        self.change_gate(session, |gate| gate.is_flushing = false);
    }

    fn change_gate(&self, session: SessionId, change: impl FnOnce(&mut Gate)) {
        let sessions = self.sessions.borrow();
        let Some(local) = sessions.get(&session) else {
            return;
        };
        let mut forwarding = self.forwarding.borrow_mut();
        let gate = forwarding.gates.entry(session).or_default();
        change(gate);
        local.send_queue.divert(gate.is_closed());
        if gate.is_closed() {
            return;
        }
        gate.held_bytes = 0;
        let (held, is_settled) = (std::mem::take(&mut gate.held), gate.is_settled());
        if is_settled {
            forwarding.gates.remove(&session);
        }
        drop(forwarding);
        for (frame, delivery) in held {
            let pushed = local.send_queue.push(&frame, &delivery);
            report(local, pushed, &delivery);
        }
        if is_settled {
            local.address.do_send(SessionMessage::Settled);
        }
    }

    /// Holds a frame for a session of this hub while its gate is closed. The bounds are those of the outbox.
    pub(crate) fn hold_at_gate(&self, session: SessionId, frame: Encoded, delivery: Delivery) {
        let sessions = self.sessions.borrow();
        let mut forwarding = self.forwarding.borrow_mut();
        let (Some(local), Some(gate)) =
            (sessions.get(&session), forwarding.gates.get_mut(&session))
        else {
            return;
        };
        gate.held_bytes += frame.websocket(local.send_queue.format()).len();
        gate.held.push((frame, delivery));
        let bounds = self.shared.config.outbox;
        if gate.held_bytes > bounds.bytes || gate.held.len() > bounds.frames {
            gate.held = Vec::new();
            local.send_queue.with_outbox(Outbox::overflow);
            local.address.do_send(SessionMessage::Overflowed);
        }
    }

    /// Forwards an item if its session has left this hub. Gives the item back if it is to be applied here.
    pub(crate) fn forward_if_away(&self, session: SessionId, item: HubItem) -> Option<HubItem> {
        if self.sessions.borrow().contains_key(&session) {
            return Some(item);
        }
        {
            let forwarding = self.forwarding.borrow();
            let Some(away) = forwarding.away.get(&session) else {
                return Some(item);
            };
            let mut topics = self.topics.borrow_mut();
            match &item {
                HubItem::JoinedRoom { room, .. } => {
                    topics.enter(Topic::Room(room.clone()), session, away.send_queue.clone());
                }
                HubItem::Subscribed {
                    channel,
                    is_delta,
                    watches,
                    ..
                } => {
                    let send_queue = || away.send_queue.clone();
                    let topic = Topic::of_channel(channel.clone(), *is_delta);
                    topics.enter(topic, session, send_queue());
                    match watches {
                        true => {
                            let presence = Topic::Presence(channel.clone());
                            topics.enter(presence, session, send_queue());
                        }
                        false => topics.unwatch(channel, session),
                    }
                }
                HubItem::SubscribeRefused { channel, .. } => {
                    topics.leave(&Topic::Channel(channel.clone()), session);
                }
                HubItem::Rehomed { topic, to, .. } if !self.is_at(to.as_ref()) => {
                    topics.leave(topic, session);
                }
                // It belongs to the frames that wait here for the session.
                HubItem::Exit { .. } if self.arrivals.borrow().queue_of(session).is_some() => {
                    return Some(item);
                }
                HubItem::Exit { topic, .. } => topics.leave(topic, session),
                _ => {}
            }
        }
        self.forward(session, item);
        None
    }

    /// Forwards an item to a session that does not live here.
    pub(crate) fn forward(&self, session: SessionId, item: HubItem) {
        let away = self.next_of(session);
        let home = || self.shared.home(session);
        let to = away.or_else(|| home().and_then(|worker| self.shared.hub(worker)));
        match (to, item) {
            (Some(to), item) if to.is(&self.address) => {
                let items = smallvec![HubItem::Forwarded(Box::new(item))];
                let message = HubMessage::Batch {
                    items,
                    _permit: None,
                };
                self.arrivals.borrow_mut().keep(session, message);
            }
            (Some(to), item) => self.send_forwarded(&to, item),
            // The session ended while its join was in progress.
            (None, HubItem::JoinedRoom { membership, .. }) => {
                let gone = RoomMessage::Gone(session, LeaveReason::Left);
                self.flusher.to_room(&membership.room, gone);
            }
            (
                None,
                HubItem::Subscribed { .. }
                | HubItem::SubscribeRefused { .. }
                | HubItem::History { .. },
            ) => self.use_grant(session),
            (None, _) => {}
        }
    }

    fn send_forwarded(&self, to: &HubAddress, item: HubItem) {
        let items = smallvec![HubItem::Forwarded(Box::new(item))];
        let message = HubMessage::Batch {
            items,
            _permit: None,
        };
        self.flusher.to_hub(to, message);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::ids::ChannelName;
    use crate::runtime::messages::HubItem;
    use crate::runtime::visitor::Visitor;
    use crate::runtime::worker::opening::Opening;
    use crate::session::info::Transport;
    use crate::wire::codec::Format;

    fn topic(name: &str) -> Topic {
        Topic::Channel(name.into())
    }

    #[test]
    fn a_gate_is_closed_between_the_first_direct_item_and_the_last_forwarded_one() {
        let mut gate = Gate::default();
        assert!(gate.is_settled());
        gate.adopt(topic("a"));
        gate.note_last(topic("b"));
        assert!(
            gate.is_closed(),
            "the last item of another topic opens nothing"
        );
        gate.note_last(topic("a"));
        assert!(!gate.is_closed() && !gate.is_settled());
        gate.adopt(topic("b"));
        assert!(gate.is_settled());
        gate.is_flushing = true;
        assert!(gate.is_closed());
    }

    /// Two hubs of one server, and a session on the second one to which nothing is forwarded.
    fn with_a_session(test: impl AsyncFn(Rc<Hub>, Rc<Hub>, SessionId, Rc<SendQueue>)) {
        actix::System::new().block_on(async {
            let server = crate::Server::builder().build().unwrap();
            let shared = server.shared.clone();
            let (first, second) = (Hub::start(shared.clone()), Hub::start(shared));
            let opening = Opening {
                transport: Transport::Websocket,
                format: Format::Json,
                visitor: Visitor::default(),
                resume: None,
            };
            let _connection = second.open(opening, None);
            let (session, send_queue) = {
                let sessions = second.sessions.borrow();
                let (session, local) = sessions.iter().next().unwrap();
                (*session, local.send_queue.clone())
            };
            test(first, second, session, send_queue).await;
        });
    }

    fn sent(session: SessionId, word: &'static str) -> HubItem {
        HubItem::Direct {
            session,
            frame: Encoded::of_bytes(Format::Json, word.into()),
            delivery: Delivery::Sequenced,
        }
    }

    async fn written(send_queue: &SendQueue, length: usize) -> String {
        let mut written = BytesMut::new();
        for _ in 0..100 {
            tokio::task::yield_now().await;
            send_queue.take(&mut written, 100);
            if written.len() >= length {
                break;
            }
        }
        String::from_utf8(written.to_vec()).unwrap()
    }

    #[test]
    fn a_late_rooms_direct_items_do_not_overtake_forwarded_ones() {
        with_a_session(async |_, hub, session, send_queue| {
            let adopt = HubItem::Adopt {
                session,
                format: Format::Json,
                topic: topic("news"),
                watches: false,
            };
            let rehomed = HubItem::Rehomed {
                session,
                topic: topic("news"),
                to: Some(hub.address.clone()),
            };
            let forwarded = |item| HubItem::Forwarded(Box::new(item));
            hub.apply_all([
                adopt,
                sent(session, "second, "),
                forwarded(sent(session, "first, ")),
                sent(session, "third, "),
                forwarded(rehomed),
                sent(session, "fourth"),
            ]);
            assert_eq!(
                written(&send_queue, 28).await,
                "first, second, third, fourth"
            );
            assert!(hub.is_settled(session));
        });
    }

    #[test]
    fn items_for_a_session_that_is_back_do_not_overtake_forwarded_ones() {
        with_a_session(async |elsewhere, hub, session, send_queue| {
            let old = hub.new_send_queue(Format::Json);
            hub.begin_forwarding(session, elsewhere.address.clone(), old);
            let mut before = Outbox::new(hub.shared.config.outbox, Format::Json);
            let frame = Encoded::of_bytes(Format::Json, "second, ".into());
            let _queued = before.push(&frame, &Delivery::Sequenced);
            // The session returns while an item is still being forwarded along its path.
            elsewhere.apply_all([sent(session, "first, ")]);
            hub.end_forwarding(session, before);
            hub.apply_all([sent(session, "third")]);
            assert!(!hub.is_settled(session));
            assert_eq!(written(&send_queue, 20).await, "first, second, third");
            assert!(hub.is_settled(session) && !hub.is_forwarding(session));
        });
    }
    #[test]
    fn a_new_subscription_waits_for_the_last_forwarded_item_of_the_old_one() {
        with_a_session(async |_, hub, session, send_queue| {
            let channel = ChannelName::from("news");
            let news = Topic::Channel(channel.clone());
            {
                let sessions = hub.sessions.borrow();
                let router = &sessions.get(&session).unwrap().router;
                router.note_late(news.clone());
                let mut subscriptions = router.subscriptions.borrow_mut();
                subscriptions.insert(channel.clone(), 2, false);
            }
            let history = hub.shared.config.outbox.history();
            assert!(hub.shared.ledger.grant(history));
            let subscribed = HubItem::Subscribed {
                session,
                channel,
                attempt: 2,
                is_delta: false,
                frame: Encoded::of_bytes(Format::Json, "second, ".into()),
                watches: false,
            };
            let exit = HubItem::Exit {
                session,
                topic: news.clone(),
                stay: 1,
                frame: Some(Encoded::of_bytes(Format::Json, "first, ".into())),
                is_over: false,
            };
            let rehomed = HubItem::Rehomed {
                session,
                topic: news.clone(),
                to: None,
            };
            let forwarded = |item| HubItem::Forwarded(Box::new(item));
            hub.apply_all([subscribed, forwarded(exit), sent(session, "third")]);
            assert!(!hub.is_settled(session));
            hub.apply_all([forwarded(rehomed)]);
            assert_eq!(written(&send_queue, 20).await, "first, second, third");
            assert!(hub.is_settled(session));
            assert_eq!(hub.topics.borrow().members(&news).count(), 1);
        });
    }

    #[test]
    fn nothing_is_kept_for_a_session_that_has_ended() {
        with_a_session(async |_, hub, session, _| {
            let ended = SessionId::random();
            let adopt = |session| HubItem::Adopt {
                session,
                format: Format::Json,
                topic: topic("news"),
                watches: false,
            };
            hub.apply_all([adopt(session), adopt(ended)]);
            assert!(hub.arrivals.borrow().queue_of(ended).is_none());
            let (topics, news) = (hub.topics.borrow(), topic("news"));
            let members = topics.members(&news).map(|(member, _)| member);
            assert_eq!(members.collect::<Vec<_>>(), [session]);
        });
    }
}
