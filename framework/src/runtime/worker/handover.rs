//! How a session moves to another worker when its client reconnects there.
//!
//! The new hub asks the old one ([`HubMessage::TakeOver`]). The old one's session asks each room and channel to send to the
//! new hub, and each answers after the last frame that it sent to the old hub. When all have answered, the session is packed
//! ([`SessionTransfer`]) and sent. Frames that reach the new hub before the session wait in a send queue of their own; when
//! the session arrives, its outbox is put in front of them. So no frame is lost and none overtakes another.

use std::collections::HashMap;
use std::rc::Rc;

use actix::{ActorContext, AsyncContext, Context};

use crate::ids::{ChannelName, SessionId};
use crate::room::config::LeaveReason;
use crate::runtime::claim_once::ClaimOnce;
use crate::runtime::connection::send_queue::SendQueue;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::instruction::{Instruction, Task};
use crate::runtime::messages::{
    ChannelMessage, Denied, HubItem, HubMessage, ResumeRequest, RoomMessage, SessionMessage,
    SessionTransfer, Topic,
};
use crate::runtime::worker::hub::Hub;
use crate::runtime::worker::session::SessionActor;
use crate::session::outbox::{Outbox, Pushed};
use crate::session::time_limits::TimeLimits;
use crate::time::if_ever;
use crate::wire::codec::Format;
use crate::wire::event::ResumeFailure;

/// The sessions that are on their way to a hub.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// Frames for sessions that are still on another worker.
    queues: HashMap<SessionId, Rc<SendQueue>>,
    /// Rooms and channels that such a session has left meanwhile, which its own lists still contain. With the last
    /// membership or attempt to subscribe that each of these exits ends.
    exits: HashMap<SessionId, Vec<(Topic, u64)>>,
    /// Messages for sessions that were sent here and have not arrived yet.
    behind: HashMap<SessionId, Vec<HubMessage>>,
}

impl Arrivals {
    /// Records that a session that is not here yet has left a room or channel.
    pub(crate) fn note_exit(&mut self, session: SessionId, topic: Topic, stay: u64) {
        if self.queues.contains_key(&session) {
            self.exits.entry(session).or_default().push((topic, stay));
        }
    }

    /// Keeps a message for a session that is on its way here. It is certain to arrive.
    pub(crate) fn keep(&mut self, session: SessionId, message: HubMessage) {
        self.behind.entry(session).or_default().push(message);
    }

    pub(crate) fn queue_of(&self, session: SessionId) -> Option<Rc<SendQueue>> {
        self.queues.get(&session).cloned()
    }
}

/// The rooms, channels and hubs that may still send to a moved session by a longer path.
#[derive(Default, Debug)]
pub(crate) struct Trail {
    /// Rooms and channels that were late when it moved. They still send to an earlier hub, and were asked to send here.
    late: Vec<(Topic, ClaimOnce)>,
    /// The first of the hubs that may still forward items to the session.
    first_forwarder: Option<HubAddress>,
}

impl Trail {
    pub(crate) fn forwarded_from(first: HubAddress) -> Box<Self> {
        Box::new(Self {
            late: Vec::new(),
            first_forwarder: Some(first),
        })
    }

    /// Rooms and channels that were late, with the questions to them.
    pub(crate) fn into_late(self) -> Vec<(Topic, ClaimOnce)> {
        self.late
    }
}

impl Hub {
    /// The old hub: a connection of another worker asks for a session that lives here, or lived here.
    pub(crate) fn take_over(self: &Rc<Self>, resume_request: ResumeRequest, to: HubAddress) {
        let session = resume_request.token.session;
        if let Some(local) = self.sessions.borrow().get(&session) {
            local
                .address
                .do_send(SessionMessage::TakeOver { resume_request, to });
            return;
        }
        // It may have moved since the other hub looked it up.
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
        let denied = self.denial_of_missing(&resume_request);
        let refused = HubMessage::TakeOverRefused {
            resume_request,
            denied,
        };
        self.flusher.to_hub(to, refused);
    }

    /// The new hub: a room or channel sends here from now on, and the session is not here yet.
    ///
    /// The session is certain to arrive: the old hub sends it when the last of its rooms and channels has answered, or is
    /// late.
    pub(crate) fn hold_frames_for(&self, session: SessionId, format: Format) {
        let mut arrivals = self.arrivals.borrow_mut();
        arrivals
            .queues
            .entry(session)
            .or_insert_with(|| self.new_send_queue(format));
    }

    /// The new hub: the session has arrived.
    pub(crate) fn arrive(self: &Rc<Self>, mut transfer: SessionTransfer) {
        let session = transfer.id;
        let held = self.arrivals.borrow_mut().queues.remove(&session);
        let exits = self.arrivals.borrow_mut().exits.remove(&session);
        for (topic, stay) in exits.unwrap_or_default() {
            transfer.late.retain(|late| *late != topic);
            match topic {
                Topic::Room(room) => transfer.rooms.retain(|(known, membership)| {
                    *known != room || u64::from(membership.member.get()) > stay
                }),
                Topic::Channel(channel) | Topic::Delta(channel) => {
                    forget_one(&mut transfer.unsubscribing, &channel);
                    transfer.subscriptions.remove_until(&channel, stay);
                }
                // They go with their channel, or with the session.
                Topic::Presence(_) | Topic::Listing(_) => {}
            }
        }
        if self.is_at(transfer.first_forwarder.as_ref()) {
            // The path of forwarded items began here and now ends here: everything on it has left this hub.
            transfer.first_forwarder = self.next_of(session);
        }
        let empty = || Outbox::new(self.shared.config.outbox, transfer.format);
        let send_queue = held.unwrap_or_else(|| self.new_send_queue(transfer.format));
        let mut outbox = std::mem::replace(&mut transfer.outbox, empty());
        let mut early = send_queue.with_outbox(|held| std::mem::replace(held, empty()));
        let mut overflowed = early.has_overflowed() || outbox.has_overflowed();
        if !self.is_forwarding(session) {
            overflowed |= outbox.append(&mut early) == Pushed::Overflow;
        }
        send_queue.with_outbox(|held| *held = outbox);
        let tasks = std::mem::take(&mut transfer.tasks);
        if let Some(instructions) = transfer.instructions.take() {
            self.instructions.borrow_mut().insert(session, instructions);
        }
        SessionActor::start_arrived(self, transfer, send_queue, overflowed);
        self.end_forwarding(session, early);
        for task in tasks {
            self.instruct(Instruction {
                session,
                number: None,
                task,
            });
        }
        let behind = self.arrivals.borrow_mut().behind.remove(&session);
        for message in behind.unwrap_or_default() {
            self.receive(message);
        }
    }
}

/// Removes one of the equal names.
pub(crate) fn forget_one(channels: &mut Vec<ChannelName>, channel: &ChannelName) {
    if let Some(at) = channels.iter().position(|known| known == channel) {
        channels.swap_remove(at);
    }
}

/// A session that moves: it waits until its rooms and channels send to its new worker.
pub(crate) struct Moving {
    resume_request: ResumeRequest,
    to: HubAddress,
    /// Rooms and channels that have not answered yet.
    asked: Vec<(Topic, ClaimOnce)>,
    /// Rooms and channels whose answers the session does not wait for any more.
    late: Vec<Topic>,
    is_overdue: bool,
    /// Requests of further connections for the session.
    waiting: Vec<(ResumeRequest, HubAddress)>,
    /// What the application asked for meanwhile, for when the session has arrived.
    pub(crate) tasks: Vec<Task>,
}

impl SessionActor {
    /// A connection of another worker asks for the session, which moves there.
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
        self.forget_window(ctx);
        // The worker to which it moves watches its credential's time.
        self.forget_expiry(ctx);
        self.give_up_hook();
        // Rooms and channels that were late for an earlier move are asked again. If one has answered meanwhile, its answer
        // is on its way, and the session waits for it.
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
            tasks: Vec::new(),
        }));
        let known = self.handle.router.rooms.borrow();
        let rooms: Vec<_> = known.keys().cloned().map(Topic::Room).collect();
        drop(known);
        let known = self.handle.router.subscriptions.borrow();
        let channels: Vec<_> = known.channels().cloned().map(Topic::Channel).collect();
        drop(known);
        // The session is still a subscriber of the channels that it leaves, until their shards have processed that.
        let leaving = self.waiting_unsubscribes().chain(&self.unsubscribing);
        let leaving = leaving.cloned().map(Topic::Channel);
        let channels: Vec<_> = channels.into_iter().chain(leaving).collect();
        for topic in rooms.into_iter().chain(channels) {
            self.request_rehome(topic);
        }
        self.transfer_if_ready(ctx);
        if self.moving.is_some()
            && let Some(patience) = if_ever(self.hub.shared.config.handover)
        {
            ctx.run_later(patience, |session, ctx| session.stop_waiting(ctx));
        }
    }

    /// Asks a room or channel to send to the session's new worker, or to this one after a move.
    pub(crate) fn request_rehome(&mut self, topic: Topic) {
        let (question, session) = (ClaimOnce::default(), self.id);
        // A room that does not know the session any more sends its answer by the path of its earlier frames, behind them.
        let own = self.hub.address.clone();
        let first_forwarder = self
            .trail
            .as_ref()
            .and_then(|trail| trail.first_forwarder.clone());
        let from = first_forwarder.unwrap_or_else(|| own.clone());
        let asked = match &mut self.moving {
            Some(moving) if moving.is_overdue => {
                moving.late.push(topic);
                return;
            }
            Some(moving) => &mut moving.asked,
            None => &mut self.trail.get_or_insert_default().late,
        };
        // A room that the session has just joined may be in the list of rooms, and its join is reported as well.
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
                self.forget_request(&Topic::Room(room));
            }
            Topic::Channel(channel) | Topic::Delta(channel) => {
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
            // Its channel answers for it. The session itself tells the lobby where it is.
            Topic::Presence(_) | Topic::Listing(_) => {}
        }
    }

    fn forget_request(&mut self, topic: &Topic) {
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

    /// A room or channel sends to the hub that it was asked to send to.
    pub(crate) fn rehomed(&mut self, ctx: &mut Context<Self>, topic: &Topic) {
        self.forget_request(topic);
        self.transfer_if_ready(ctx);
    }

    /// Stops waiting. The rooms and channels that have not answered by now follow later.
    fn stop_waiting(&mut self, ctx: &mut Context<Self>) {
        let Some(moving) = &mut self.moving else {
            return;
        };
        moving.is_overdue = true;
        let asked = std::mem::take(&mut moving.asked);
        for (topic, question) in asked {
            // This one has answered at the same moment: its answer is on its way, and the session waits for it.
            match question.claim() {
                true => moving.late.push(topic),
                false => moving.asked.push((topic, question)),
            }
        }
        let is_late = !moving.late.is_empty();
        if (is_late || self.joining_rooms() > 0)
            && let Some(left_out) = self.hub.shared.late_log.take(self.hub.now())
        {
            tracing::warn!(
                session = %self.id,
                left_out,
                "rooms or channels did not answer within `Config::handover`: a hook blocks their thread"
            );
        }
        self.transfer_if_ready(ctx);
    }

    /// How many joins have to be answered before the session moves. Those that wait in queues for other players may take long:
    /// their answers follow the session.
    fn joining_rooms(&self) -> usize {
        let in_queues = self.handle.router.joining_matches();
        self.joining.saturating_sub(in_queues)
    }

    pub(crate) fn transfer_if_ready(&mut self, ctx: &mut Context<Self>) {
        let is_answered = self.joining_rooms() + self.unsubscribing.len() == 0;
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
            // The directory does not list the session any more, so no other worker may take it over.
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
        let listings = self.take_listings();
        let is_followed = !is_answered || self.joining > 0 || !moving.late.is_empty();
        let first_forwarder = self.trail.take().and_then(|trail| trail.first_forwarder);
        let first_forwarder = first_forwarder.or_else(|| Some(self.hub.address.clone()));
        let transfer = Box::new(SessionTransfer {
            id: self.id,
            format: self.handle.send_queue.format(),
            visitor: self.visitor.clone(),
            tokens: self.tokens.clone(),
            attempts: self.attempts,
            credentials: self.credentials,
            received: self.handle.router.received(),
            outbox,
            rooms: self.handle.router.rooms.take().into_iter().collect(),
            subscriptions: self.handle.router.subscriptions.borrow_mut().take(),
            subscribes: self.subscribes,
            tickets: self.handle.router.take_tickets(),
            admission: std::mem::take(&mut self.admission),
            limits: self
                .hooked
                .take()
                .map_or_else(TimeLimits::default, |hooked| hooked.limits),
            violations: self.violations,
            rate_limiter: self.handle.router.rate_limiter(),
            permits: self.handle.permits.clone(),
            accounts: self.accounts.clone(),
            listings,
            resume_request: moving.resume_request,
            joining: self.joining,
            unsubscribing: std::mem::take(&mut self.unsubscribing),
            late: moving.late,
            first_forwarder: first_forwarder.filter(|_| is_followed),
            waiting: moving.waiting,
            began: self.began,
            instructions: self.hub.instructions.borrow_mut().remove(&self.id),
            tasks: moving.tasks,
        });
        let arrive = HubMessage::Arrive(transfer);
        self.hub.flusher.to_hub(&moving.to, arrive);
        if is_followed {
            let send_queue = self.handle.send_queue.clone();
            self.hub.begin_forwarding(self.id, moving.to, send_queue);
        }
        self.stop_after_mailbox(ctx);
    }

    /// Whether this actor is the session's, and neither what is left of one that has ended nor of one that has moved.
    pub(crate) fn lives_here(&self) -> bool {
        let sessions = self.hub.sessions.borrow();
        let local = sessions.get(&self.id);
        local.is_some_and(|local| Rc::ptr_eq(local, &self.handle))
    }

    /// The session has ended or moved, and this message was in its mailbox. What concerns the session wherever it is goes to the
    /// hub, which knows where that is; nothing here may act for it any more.
    pub(crate) fn pass_on(&mut self, ctx: &mut Context<Self>, message: SessionMessage) {
        let session = self.id;
        match message {
            SessionMessage::Attach(resume_request) => {
                let to = self.hub.address.clone();
                self.hub.take_over(resume_request, to);
            }
            SessionMessage::TakeOver { resume_request, to } => {
                self.hub.take_over(resume_request, to);
            }
            SessionMessage::Refreshed(refreshed) => {
                self.hub
                    .send_item(HubItem::Refreshed { session, refreshed });
            }
            SessionMessage::MayFollow(answer) => {
                self.hub.send_item(HubItem::MayFollow { session, answer });
            }
            SessionMessage::Instructed(task) => self.hub.instruct(Instruction {
                session,
                number: None,
                task,
            }),
            // Without a connection, it may not.
            SessionMessage::AskToPost(request) => self.answer_post(*request),
            SessionMessage::Stop => ctx.stop(),
            // Of its connection here, or of what it took along or has given up.
            SessionMessage::Received { .. }
            | SessionMessage::Detached { .. }
            | SessionMessage::Closed { .. }
            | SessionMessage::Joined { .. }
            | SessionMessage::JoinRefused
            | SessionMessage::TicketOver
            | SessionMessage::Unsubscribed(_)
            | SessionMessage::HookAnswered(..)
            | SessionMessage::HasRoom
            | SessionMessage::MayGrant
            | SessionMessage::Overflowed
            | SessionMessage::Rehomed(_)
            | SessionMessage::Settled
            | SessionMessage::ListingCaughtUp(_)
            | SessionMessage::Displaced
            | SessionMessage::Posted { .. }
            | SessionMessage::CountPosted { .. } => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
