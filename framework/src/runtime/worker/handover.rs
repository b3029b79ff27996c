//! How a session moves to another worker, when its client comes back there.
//!
//! The new hub asks the old one ([`HubMessage::TakeOver`]). The old one's session asks each room and channel to re-home it, and
//! each answers behind the last frame that it sent to the old hub. When all have answered, the session is packed
//! ([`SessionTransfer`]) and sent. The frames that reach the new hub before it wait in a send queue of their own, which the session's
//! outbox is put in front of when it arrives. So nothing is lost and nothing overtakes.

use std::collections::HashMap;
use std::rc::Rc;

use actix::{AsyncContext, Context};

use crate::ids::{ChannelName, SessionId};
use crate::room::config::LeaveReason;
use crate::runtime::claim_once::ClaimOnce;
use crate::runtime::connection::send_queue::SendQueue;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::messages::{
    ChannelMessage, Denied, HubMessage, ResumeRequest, RoomMessage, SessionMessage,
    SessionTransfer, Topic,
};
use crate::runtime::worker::hub::Hub;
use crate::runtime::worker::session::SessionActor;
use crate::session::outbox::{Outbox, Pushed};
use crate::time::if_ever;
use crate::wire::codec::Format;
use crate::wire::event::ResumeFailure;

/// What a hub knows of those who are on their way.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// Where frames wait for sessions that are still on another worker.
    pipes: HashMap<SessionId, Rc<SendQueue>>,
    /// What such a session has meanwhile left: it still believes to be there.
    exits: HashMap<SessionId, Vec<Topic>>,
    /// What waits for sessions that have been sent here and are on their way: what there is in the moment in which they are.
    behind: HashMap<SessionId, Vec<HubMessage>>,
}

impl Arrivals {
    /// Notes that a room or channel has let go of a session that is not here yet.
    pub(crate) fn note_exit(&mut self, session: SessionId, topic: Topic) {
        if self.pipes.contains_key(&session) {
            self.exits.entry(session).or_default().push(topic);
        }
    }

    /// Keeps a message until the session is here, for which it is. The session comes for certain.
    pub(crate) fn keep(&mut self, session: SessionId, message: HubMessage) {
        self.behind.entry(session).or_default().push(message);
    }

    pub(crate) fn pipe_of(&self, session: SessionId) -> Option<Rc<SendQueue>> {
        self.pipes.get(&session).cloned()
    }
}

/// What still arrives by a longer way for a session that has moved.
#[derive(Default, Debug)]
pub(crate) struct Trail {
    /// Rooms and channels that were late when it moved: they still send to where it was, and are asked to send here.
    late: Vec<(Topic, ClaimOnce)>,
    /// The first hub of those by whose way something may still come.
    way: Option<HubAddress>,
}

impl Trail {
    pub(crate) fn by_way_of(first: HubAddress) -> Box<Self> {
        Box::new(Self {
            late: Vec::new(),
            way: Some(first),
        })
    }

    /// Rooms and channels that were late, with the questions to them.
    pub(crate) fn into_late(self) -> Vec<(Topic, ClaimOnce)> {
        self.late
    }
}

impl Hub {
    /// The old hub: a connection elsewhere wants a session that lives here, or did.
    pub(crate) fn take_over(self: &Rc<Self>, resume_request: ResumeRequest, to: HubAddress) {
        let session = resume_request.token.session;
        if let Some(local) = self.sessions.borrow().get(&session) {
            local
                .address
                .do_send(SessionMessage::TakeOver { resume_request, to });
            return;
        }
        // It may have moved on since the asking hub looked.
        match self.shared.home(session) {
            Some(worker) if worker == self.address.worker => {
                let message = HubMessage::TakeOver { resume_request, to };
                self.arrivals.borrow_mut().keep(session, message);
            }
            Some(worker) => match self.shared.hub(worker) {
                Some(hub) => self
                    .flusher
                    .to_hub(&hub, HubMessage::TakeOver { resume_request, to }),
                None => self.refuse_over(&to, resume_request),
            },
            None => self.refuse_over(&to, resume_request),
        }
    }

    fn refuse_over(&self, to: &HubAddress, resume_request: ResumeRequest) {
        let denied = self.absence(&resume_request);
        let refused = HubMessage::TakeOverRefused {
            resume_request,
            denied,
        };
        self.flusher.to_hub(to, refused);
    }

    /// The new hub: a room or channel sends here from now on; the session is not here yet.
    ///
    /// It comes for certain: the old hub sends it when the last of its rooms and channels has done this, or is late.
    pub(crate) fn hold_frames_for(&self, session: SessionId, format: Format) {
        let mut arrivals = self.arrivals.borrow_mut();
        arrivals
            .pipes
            .entry(session)
            .or_insert_with(|| self.new_pipe(format));
    }

    /// The new hub: the session is here.
    pub(crate) fn arrive(self: &Rc<Self>, mut transfer: SessionTransfer) {
        let session = transfer.id;
        let held = self.arrivals.borrow_mut().pipes.remove(&session);
        let exits = self.arrivals.borrow_mut().exits.remove(&session);
        for topic in exits.unwrap_or_default() {
            transfer.late.retain(|late| *late != topic);
            match topic {
                Topic::Room(room) => transfer.rooms.retain(|(known, _)| *known != room),
                Topic::Channel(channel) => {
                    forget_one(&mut transfer.unsubscribing, &channel);
                    transfer.subscriptions.remove(&channel);
                }
            }
        }
        if self.is_at(transfer.way.as_ref()) {
            // The way began here and now ends here: what is on it has left.
            transfer.way = self.next_of(session);
        }
        let empty = || Outbox::new(self.shared.config.outbox, transfer.format);
        let send_queue = held.unwrap_or_else(|| self.new_pipe(transfer.format));
        let mut outbox = std::mem::replace(&mut transfer.outbox, empty());
        let mut early = send_queue.with_outbox(|held| std::mem::replace(held, empty()));
        let mut overflowed = early.has_overflowed() || outbox.has_overflowed();
        if !self.has_detour(session) {
            overflowed |= outbox.append(&mut early) == Pushed::Overflow;
        }
        send_queue.with_outbox(|held| *held = outbox);
        SessionActor::start_arrived(self, transfer, send_queue, overflowed);
        self.end_detour(session, early);
        let behind = self.arrivals.borrow_mut().behind.remove(&session);
        for message in behind.unwrap_or_default() {
            self.receive(message);
        }
    }
}

/// Removes one of those that are the same.
pub(crate) fn forget_one(channels: &mut Vec<ChannelName>, channel: &ChannelName) {
    if let Some(at) = channels.iter().position(|known| known == channel) {
        channels.swap_remove(at);
    }
}

/// A session that waits until its rooms and channels send to its new worker.
pub(crate) struct Moving {
    resume_request: ResumeRequest,
    to: HubAddress,
    /// Rooms and channels that have not answered yet.
    asked: Vec<(Topic, ClaimOnce)>,
    /// Those whose answer is not waited for any more.
    late: Vec<Topic>,
    is_overdue: bool,
    /// Further connections that want the session meanwhile.
    waiting: Vec<(ResumeRequest, HubAddress)>,
}

impl SessionActor {
    /// A connection of another worker shows a token: the session goes there.
    pub(crate) fn take_over(
        &mut self,
        ctx: &mut Context<Self>,
        resume_request: ResumeRequest,
        to: HubAddress,
    ) {
        if let Some(moving) = &mut self.moving {
            moving.waiting.push((resume_request, to));
            return;
        }
        if to.worker == self.hub.address.worker {
            self.attach(ctx, resume_request);
            return;
        }
        if let Err(denied) = self.admit(ctx, &resume_request) {
            let refused = HubMessage::TakeOverRefused {
                resume_request,
                denied,
            };
            self.hub.flusher.to_hub(&to, refused);
            return;
        }
        if let Some(window) = self.window.take() {
            ctx.cancel_future(window);
        }
        // Who was late for an earlier move is asked again. An answer that was given meanwhile is on its way and awaited.
        let late = self.trail.as_deref_mut();
        let late = late.map(|trail| std::mem::take(&mut trail.late));
        let asked = late
            .into_iter()
            .flatten()
            .filter(|(_, question)| !question.claim())
            .collect();
        self.moving = Some(Box::new(Moving {
            resume_request,
            to,
            asked,
            late: Vec::new(),
            is_overdue: false,
            waiting: Vec::new(),
        }));
        let known = self.handle.router.rooms.borrow();
        let rooms: Vec<_> = known.keys().cloned().map(Topic::Room).collect();
        drop(known);
        let known = self.handle.router.subscriptions.borrow();
        let channels: Vec<_> = known.channels().cloned().map(Topic::Channel).collect();
        drop(known);
        // Of these the session is a subscriber, too, until their turn has come; or else their last word has not been heard.
        let leaving = self.waiting_unsubscribes().chain(&self.unsubscribing);
        let leaving = leaving.cloned().map(Topic::Channel);
        let channels: Vec<_> = channels.into_iter().chain(leaving).collect();
        for topic in rooms.into_iter().chain(channels) {
            self.ask_to_follow(topic);
        }
        self.ship_if_ready(ctx);
        if self.moving.is_some()
            && let Some(patience) = if_ever(self.hub.shared.config.handover)
        {
            ctx.run_later(patience, |session, ctx| session.stop_waiting(ctx));
        }
    }

    /// Asks a room or channel to send to where the session goes, or is.
    pub(crate) fn ask_to_follow(&mut self, topic: Topic) {
        let (question, session) = (ClaimOnce::default(), self.id);
        // If it does not know the session any more, its last word goes behind what it said when it did.
        let own = self.hub.address.clone();
        let way = self.trail.as_ref().and_then(|trail| trail.way.clone());
        let from = way.unwrap_or_else(|| own.clone());
        let asked = match &mut self.moving {
            Some(moving) if moving.is_overdue => {
                moving.late.push(topic);
                return;
            }
            Some(moving) => &mut moving.asked,
            None => &mut self.trail.get_or_insert_default().late,
        };
        // One that has just come in may be in the list of rooms, and its joining is told as well.
        let is_asked =
            |(known, question): &(Topic, ClaimOnce)| *known == topic && !question.is_claimed();
        if asked.iter().any(is_asked) {
            return;
        }
        asked.push((topic.clone(), question.clone()));
        let to = match &self.moving {
            Some(moving) => moving.to.clone(),
            None => own,
        };
        let is_late = self.moving.is_none();
        match topic {
            Topic::Room(room) => {
                let rooms = self.handle.router.rooms.borrow();
                if let Some(known) = rooms.get(&room).filter(|known| known.room.connected()) {
                    let message = RoomMessage::Rehome {
                        session,
                        from,
                        to,
                        question,
                    };
                    self.hub.flusher.to_room(&known.room, message);
                    if is_late {
                        self.handle.router.note_late(Topic::Room(room));
                    }
                    return;
                }
                drop(rooms);
                self.forget_asked(&Topic::Room(room));
            }
            Topic::Channel(channel) => {
                let message = ChannelMessage::Rehome {
                    session,
                    channel: channel.clone(),
                    from,
                    to,
                    question,
                };
                self.hub.to_channel(&channel, message);
                if is_late {
                    self.handle.router.note_late(Topic::Channel(channel));
                }
            }
        }
    }

    fn forget_asked(&mut self, topic: &Topic) {
        let asked = match &mut self.moving {
            Some(moving) => &mut moving.asked,
            None => match &mut self.trail {
                Some(trail) => &mut trail.late,
                None => return,
            },
        };
        if let Some(at) = asked.iter().position(|(known, _)| known == topic) {
            asked.remove(at);
        }
    }

    /// A room or channel sends to where it was asked to.
    pub(crate) fn rehomed(&mut self, ctx: &mut Context<Self>, topic: &Topic) {
        self.forget_asked(topic);
        self.ship_if_ready(ctx);
    }

    /// Rooms and channels that have not answered by now follow later.
    fn stop_waiting(&mut self, ctx: &mut Context<Self>) {
        let Some(moving) = &mut self.moving else {
            return;
        };
        moving.is_overdue = true;
        let asked = std::mem::take(&mut moving.asked);
        for (topic, question) in asked {
            // One that has answered just now is awaited: its answer is on its way.
            match question.claim() {
                true => moving.late.push(topic),
                false => moving.asked.push((topic, question)),
            }
        }
        if (!moving.late.is_empty() || self.joining > 0)
            && let Some(left_out) = self.hub.shared.late_log.take(self.hub.now())
        {
            tracing::warn!(
                session = %self.id,
                left_out,
                "rooms or channels did not answer within `Config::handover`: a hook blocks their thread"
            );
        }
        self.ship_if_ready(ctx);
    }

    pub(crate) fn ship_if_ready(&mut self, ctx: &mut Context<Self>) {
        let is_answered = self.joining + self.unsubscribing.len() == 0;
        if !self.hub.is_settled(self.id) {
            return;
        }
        let ready = |moving: &mut Box<Moving>| {
            moving.asked.is_empty() && (is_answered || moving.is_overdue)
        };
        let Some(moving) = self.moving.take_if(ready) else {
            return;
        };
        let (from, to) = (self.hub.address.worker, moving.to.worker);
        if !self.hub.shared.relocate(self.id, from, to) {
            // The directory knows the session no more, so no other worker may take it in.
            let own = (moving.resume_request, moving.to);
            for (resume_request, to) in [own].into_iter().chain(moving.waiting) {
                let denied = Denied::Anew(ResumeFailure::Expired);
                let refused = HubMessage::TakeOverRefused {
                    resume_request,
                    denied,
                };
                self.hub.flusher.to_hub(&to, refused);
            }
            self.end(ctx, LeaveReason::Expired);
            return;
        }
        let bounds = self.hub.shared.config.outbox;
        let empty = Outbox::new(bounds, self.handle.send_queue.format());
        let outbox = self
            .handle
            .send_queue
            .with_outbox(|outbox| std::mem::replace(outbox, empty));
        self.hub.sessions.borrow_mut().remove(&self.id);
        let is_followed = !is_answered || !moving.late.is_empty();
        let way = self.trail.take().and_then(|trail| trail.way);
        let way = way.or_else(|| Some(self.hub.address.clone()));
        let transfer = Box::new(SessionTransfer {
            id: self.id,
            format: self.handle.send_queue.format(),
            visitor: self.visitor.clone(),
            tokens: self.tokens.clone(),
            attempts: self.attempts,
            received: self.handle.router.received(),
            outbox,
            rooms: self.handle.router.rooms.take().into_iter().collect(),
            subscriptions: self.handle.router.subscriptions.borrow_mut().take(),
            subscribes: self.subscribes,
            admission: std::mem::take(&mut self.admission),
            violations: self.violations,
            rate_limiter: self.handle.router.rate_limiter(),
            permits: self.handle.permits.clone(),
            accounts: self.accounts.clone(),
            resume_request: moving.resume_request,
            joining: self.joining,
            unsubscribing: std::mem::take(&mut self.unsubscribing),
            late: moving.late,
            way: way.filter(|_| is_followed),
            waiting: moving.waiting,
        });
        let arrive = HubMessage::Arrive(transfer);
        self.hub.flusher.to_hub(&moving.to, arrive);
        if is_followed {
            let send_queue = self.handle.send_queue.clone();
            self.hub.begin_detour(self.id, moving.to, send_queue);
        }
        self.stop_when_told_all(ctx);
    }

    /// Takes in a connection that shows a token, unless the session has moved on: then sends it after it.
    pub(crate) fn attach_or_pass_on(
        &mut self,
        ctx: &mut Context<Self>,
        resume_request: ResumeRequest,
        to: HubAddress,
    ) {
        let home = self.hub.shared.home(self.id);
        if home == Some(self.hub.address.worker) {
            self.take_over(ctx, resume_request, to);
        } else if let Some(hub) = home.and_then(|worker| self.hub.shared.hub(worker)) {
            let message = HubMessage::TakeOver { resume_request, to };
            self.hub.flusher.to_hub(&hub, message);
        } else {
            let denied = self.hub.absence(&resume_request);
            let refused = HubMessage::TakeOverRefused {
                resume_request,
                denied,
            };
            self.hub.flusher.to_hub(&to, refused);
        }
    }
}
