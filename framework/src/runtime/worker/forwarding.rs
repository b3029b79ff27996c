//! What still comes for a session where it does not live any more, and how it stays in order.
//!
//! A session that moves waits for its rooms and channels no longer than [`Config::handover`](crate::Config::handover). One that
//! has not answered by then, because a hook on its thread takes long, goes on sending to the hub that the session has left. That
//! hub passes on what comes, behind the session, to where the session went; and if the session moves on from there, that hub does
//! the same. So such frames follow the session on its own way and never overtake each other.
//!
//! A room that is late is asked to send to where the session is now. Once it does, its frames come by a shorter way and could
//! overtake those on the longer one. So the hub where the session is holds what comes for it by the short way, from whomever,
//! until the last word of that room on the longer way has come ([`HubItem::Rehomed`]). The same is done when a session comes back
//! to a hub that has passed on something for it: a word is sent around ([`HubItem::Flush`]), and when it is back, nothing is on
//! the way any more.

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

/// The detours that begin at one hub or end there.
#[derive(Debug, Default)]
pub(crate) struct Forwarding {
    /// The sessions that have left while something of theirs was to come here yet.
    away: HashMap<SessionId, Away, IdHasher>,
    /// The sessions that live here and for which something may be on a longer way.
    gates: HashMap<SessionId, Gate, IdHasher>,
}

/// Where a session has gone from here.
#[derive(Debug)]
struct Away {
    to: HubAddress,
    /// The send queue that it had here, for the lists of who receives what: nothing is put into it any more.
    send_queue: Rc<SendQueue>,
}

/// What a session has to wait for until all that comes for it comes by the shortest way.
#[derive(Debug, Default)]
struct Gate {
    /// They send here now, and their last word on the longer way has not come.
    adopted: Vec<Topic>,
    /// Their last word on the longer way has come before the first on the shorter.
    said_all: Vec<Topic>,
    is_flushing: bool,
    held: Vec<(Encoded, Delivery)>,
    held_bytes: usize,
}

impl Gate {
    fn is_closed(&self) -> bool {
        self.is_flushing || !self.adopted.is_empty()
    }

    fn is_settled(&self) -> bool {
        !self.is_closed() && self.said_all.is_empty()
    }

    fn adopt(&mut self, topic: Topic) {
        settle(&mut self.said_all, &mut self.adopted, topic);
    }

    /// It sends here again after the session had left it, and its last word on the longer way is yet to come.
    fn expect(&mut self, topic: &Topic) {
        if !self.adopted.contains(topic) {
            self.adopted.push(topic.clone());
        }
    }

    fn last_word(&mut self, topic: Topic) {
        settle(&mut self.adopted, &mut self.said_all, topic);
    }
}

/// Of two words that belong together, whichever comes second removes what the first has left.
fn settle(others: &mut Vec<Topic>, own: &mut Vec<Topic>, topic: Topic) {
    match others.iter().position(|known| *known == topic) {
        Some(at) => drop(others.swap_remove(at)),
        None => own.push(topic),
    }
}

impl Hub {
    /// A session leaves for another hub, and something of it is still to come here.
    pub(crate) fn begin_detour(
        &self,
        session: SessionId,
        to: HubAddress,
        send_queue: Rc<SendQueue>,
    ) {
        send_queue.divert(true);
        let mut detours = self.detours.borrow_mut();
        detours.away.insert(session, Away { to, send_queue });
    }

    /// A session has come here. If this hub has passed on something for it, what comes from now on waits until that has
    /// arrived; first of it `early`, which came before the session.
    pub(crate) fn end_detour(&self, session: SessionId, early: Outbox) {
        let away = self.detours.borrow_mut().away.remove(&session);
        if let Some(away) = away {
            self.pass(&away.to, HubItem::Flush { session });
            self.change_gate(session, |gate| {
                gate.is_flushing = true;
                for frame in early.into_pending() {
                    gate.held.push((frame, Delivery::Sequenced));
                }
            });
        }
    }

    pub(crate) fn has_detour(&self, session: SessionId) -> bool {
        self.detours.borrow().away.contains_key(&session)
    }

    /// Whether nothing of the session, which lives here, is on a longer way.
    pub(crate) fn is_settled(&self, session: SessionId) -> bool {
        !self.detours.borrow().gates.contains_key(&session)
    }

    /// A session that lived here has ended.
    pub(crate) fn forget_gate(&self, session: SessionId) {
        self.detours.borrow_mut().gates.remove(&session);
    }

    /// Forgets the detours of sessions that have ended.
    pub(crate) fn forget_detours(&self) {
        let shared = &self.shared;
        let mut detours = self.detours.borrow_mut();
        detours.away.retain(|id, _| shared.home(*id).is_some());
    }

    /// A room or channel that was late sends to this hub, where the session lives already.
    pub(crate) fn adopt_late(&self, session: SessionId, topic: Topic) {
        self.change_gate(session, |gate| gate.adopt(topic));
    }

    pub(crate) fn is_at(&self, address: Option<&HubAddress>) -> bool {
        address.is_some_and(|address| self.address.is(address))
    }

    /// A room or channel has taken the session in, and sends here. If it is one that the session had left elsewhere, and its last
    /// word on the longer way has not come, what it says waits for that.
    pub(crate) fn wait_for_last_word(&self, session: SessionId, topic: &Topic) {
        let is_late = |local: &Rc<SessionHandle>| local.router.is_late(topic);
        let is_late = self.sessions.borrow().get(&session).is_some_and(is_late);
        if is_late {
            self.change_gate(session, |gate| gate.expect(topic));
        }
    }

    /// A room or channel has said its last word on the way that it took before.
    pub(crate) fn heard_last_word(
        &self,
        session: SessionId,
        topic: Topic,
        to: Option<&HubAddress>,
    ) {
        if let Some(local) = self.sessions.borrow().get(&session) {
            local.router.heard_last_word(&topic);
        }
        let is_expected = to.is_none() && self.is_expected(session, &topic);
        if is_expected || self.is_at(to) {
            self.change_gate(session, |gate| gate.last_word(topic.clone()));
        }
        self.tell(session, SessionMessage::Rehomed(topic));
    }

    fn is_expected(&self, session: SessionId, topic: &Topic) -> bool {
        let detours = self.detours.borrow();
        let gate = detours.gates.get(&session);
        gate.is_some_and(|gate| gate.adopted.contains(topic))
    }

    /// The hub to which this one passes on what comes for a session.
    pub(crate) fn next_of(&self, session: SessionId) -> Option<HubAddress> {
        let detours = self.detours.borrow();
        detours.away.get(&session).map(|away| away.to.clone())
    }

    /// What this hub has passed on for a session that has come back has arrived.
    pub(crate) fn flushed(&self, session: SessionId) {
        self.change_gate(session, |gate| gate.is_flushing = false);
    }

    fn change_gate(&self, session: SessionId, change: impl FnOnce(&mut Gate)) {
        let sessions = self.sessions.borrow();
        let Some(local) = sessions.get(&session) else {
            return;
        };
        let mut detours = self.detours.borrow_mut();
        let gate = detours.gates.entry(session).or_default();
        change(gate);
        local.send_queue.divert(gate.is_closed());
        if gate.is_closed() {
            return;
        }
        gate.held_bytes = 0;
        let (held, is_settled) = (std::mem::take(&mut gate.held), gate.is_settled());
        if is_settled {
            detours.gates.remove(&session);
        }
        drop(detours);
        for (frame, delivery) in held {
            let pushed = local.send_queue.push(&frame, &delivery);
            report(local, pushed, &delivery);
        }
        if is_settled {
            local.address.do_send(SessionMessage::Settled);
        }
    }

    /// What comes for a session of this hub while its gate is closed. It may be as much as may wait for the client.
    pub(crate) fn hold_at_gate(&self, session: SessionId, frame: Encoded, delivery: Delivery) {
        let sessions = self.sessions.borrow();
        let mut detours = self.detours.borrow_mut();
        let (Some(local), Some(gate)) = (sessions.get(&session), detours.gates.get_mut(&session))
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

    /// Something for a session that has left, but for what it needs here of it. Gives it back if the session has not left.
    pub(crate) fn detour(&self, session: SessionId, item: HubItem) -> Option<HubItem> {
        if self.sessions.borrow().contains_key(&session) {
            return Some(item);
        }
        {
            let detours = self.detours.borrow();
            let Some(away) = detours.away.get(&session) else {
                return Some(item);
            };
            let mut topics = self.topics.borrow_mut();
            match &item {
                HubItem::JoinedRoom { room, .. } => {
                    topics.enter(Topic::Room(room.clone()), session, away.send_queue.clone());
                }
                HubItem::Subscribed { channel, .. } => {
                    topics.enter(
                        Topic::Channel(channel.clone()),
                        session,
                        away.send_queue.clone(),
                    );
                }
                HubItem::SubscribeRefused { channel, .. } => {
                    topics.leave(&Topic::Channel(channel.clone()), session);
                }
                HubItem::Rehomed { topic, to, .. } if !self.is_at(to.as_ref()) => {
                    topics.leave(topic, session);
                }
                // It goes with what was said before.
                HubItem::Exit { .. } if self.arrivals.borrow().pipe_of(session).is_some() => {
                    return Some(item);
                }
                HubItem::Exit { topic, .. } => topics.leave(topic, session),
                _ => {}
            }
        }
        self.pass_on(session, item);
        None
    }

    /// Sends something after a session that does not live here.
    pub(crate) fn pass_on(&self, session: SessionId, item: HubItem) {
        let away = self.next_of(session);
        let home = || self.shared.home(session);
        let to = away.or_else(|| home().and_then(|worker| self.shared.hub(worker)));
        match (to, item) {
            (Some(to), item) if to.is(&self.address) => {
                let items = smallvec![HubItem::Passed(Box::new(item))];
                let message = HubMessage::Batch {
                    items,
                    _permit: None,
                };
                self.arrivals.borrow_mut().keep(session, message);
            }
            (Some(to), item) => self.pass(&to, item),
            // It ended while it was on its way in.
            (None, HubItem::JoinedRoom { membership, .. }) => {
                let gone = RoomMessage::Gone(session, LeaveReason::Left);
                self.flusher.to_room(&membership.room, gone);
            }
            (None, HubItem::Subscribed { .. } | HubItem::SubscribeRefused { .. }) => {
                self.use_grant(session);
            }
            (None, _) => {}
        }
    }

    fn pass(&self, to: &HubAddress, item: HubItem) {
        let items = smallvec![HubItem::Passed(Box::new(item))];
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
    use crate::wire::codec::Format;

    fn topic(name: &str) -> Topic {
        Topic::Channel(name.into())
    }

    #[test]
    fn a_gate_is_closed_between_the_first_word_and_the_last() {
        let mut gate = Gate::default();
        assert!(gate.is_settled());
        gate.adopt(topic("a"));
        gate.last_word(topic("b"));
        assert!(gate.is_closed(), "the last word of another opens nothing");
        gate.last_word(topic("a"));
        assert!(!gate.is_closed() && !gate.is_settled());
        gate.adopt(topic("b"));
        assert!(gate.is_settled());
        gate.is_flushing = true;
        assert!(gate.is_closed());
    }

    /// Two hubs of one server, and a session that lives on the second, of which everything was heard so far.
    fn with_a_session(test: impl AsyncFn(Rc<Hub>, Rc<Hub>, SessionId, Rc<SendQueue>)) {
        actix::System::new().block_on(async {
            let server = crate::Server::builder().build().unwrap();
            let shared = server.shared.clone();
            let (first, second) = (Hub::start(shared.clone()), Hub::start(shared));
            let opening = Opening {
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

    fn said(session: SessionId, word: &'static str) -> HubItem {
        HubItem::Direct {
            session,
            frame: Encoded::of_bytes(Format::Json, word.into()),
            delivery: Delivery::Sequenced,
        }
    }

    async fn heard(send_queue: &SendQueue, length: usize) -> String {
        let mut heard = BytesMut::new();
        for _ in 0..100 {
            tokio::task::yield_now().await;
            send_queue.take(&mut heard, 100);
            if heard.len() >= length {
                break;
            }
        }
        String::from_utf8(heard.to_vec()).unwrap()
    }

    #[test]
    fn what_a_late_room_says_by_the_shorter_way_overtakes_nothing() {
        with_a_session(async |_, hub, session, send_queue| {
            let adopt = HubItem::Adopt {
                session,
                format: Format::Json,
                topic: topic("news"),
            };
            let rehomed = HubItem::Rehomed {
                session,
                topic: topic("news"),
                to: Some(hub.address.clone()),
            };
            let passed = |item| HubItem::Passed(Box::new(item));
            hub.apply_all([
                adopt,
                said(session, "second, "),
                passed(said(session, "first, ")),
                said(session, "third, "),
                passed(rehomed),
                said(session, "fourth"),
            ]);
            assert_eq!(heard(&send_queue, 28).await, "first, second, third, fourth");
            assert!(hub.is_settled(session));
        });
    }

    #[test]
    fn what_comes_to_a_session_that_is_back_overtakes_nothing_that_was_passed_on() {
        with_a_session(async |elsewhere, hub, session, send_queue| {
            let old = hub.new_pipe(Format::Json);
            hub.begin_detour(session, elsewhere.address.clone(), old);
            let mut before = Outbox::new(hub.shared.config.outbox, Format::Json);
            let frame = Encoded::of_bytes(Format::Json, "second, ".into());
            let _queued = before.push(&frame, &Delivery::Sequenced);
            // It is back while something is still on the way that it has gone.
            elsewhere.apply_all([said(session, "first, ")]);
            hub.end_detour(session, before);
            hub.apply_all([said(session, "third")]);
            assert!(!hub.is_settled(session));
            assert_eq!(heard(&send_queue, 20).await, "first, second, third");
            assert!(hub.is_settled(session) && !hub.has_detour(session));
        });
    }
    #[test]
    fn what_a_channel_says_that_was_left_and_found_again_waits_for_its_last_word() {
        with_a_session(async |_, hub, session, send_queue| {
            let channel = ChannelName::from("news");
            let news = Topic::Channel(channel.clone());
            {
                let sessions = hub.sessions.borrow();
                let router = &sessions.get(&session).unwrap().router;
                router.note_late(news.clone());
                let mut subscriptions = router.subscriptions.borrow_mut();
                subscriptions.insert(channel.clone(), 2);
            }
            let history = hub.shared.config.outbox.history();
            assert!(hub.shared.ledger.grant(history));
            let subscribed = HubItem::Subscribed {
                session,
                channel,
                attempt: 2,
                frame: Encoded::of_bytes(Format::Json, "second, ".into()),
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
            let passed = |item| HubItem::Passed(Box::new(item));
            hub.apply_all([subscribed, passed(exit), said(session, "third")]);
            assert!(!hub.is_settled(session));
            hub.apply_all([passed(rehomed)]);
            assert_eq!(heard(&send_queue, 20).await, "first, second, third");
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
            };
            hub.apply_all([adopt(session), adopt(ended)]);
            assert!(hub.arrivals.borrow().pipe_of(ended).is_none());
            let (topics, news) = (hub.topics.borrow(), topic("news"));
            let members = topics.members(&news).map(|(member, _)| member);
            assert_eq!(members.collect::<Vec<_>>(), [session]);
        });
    }
}
