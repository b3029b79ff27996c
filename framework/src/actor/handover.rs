//! How a session moves to another worker, when its client comes back there.
//!
//! The new hub asks the old one ([`HubMessage::TakeOver`]). The old one's session asks each room and channel to re-home it, and
//! each answers behind the last frame that it sent to the old hub. When all have answered, the session is packed
//! ([`Baggage`]) and sent. The frames that reach the new hub before it wait in a pipe of their own, which the session's
//! outbox is put in front of when it arrives. So nothing is lost and nothing overtakes.

use std::collections::HashMap;
use std::rc::Rc;

use actix::{AsyncContext, Context};

use super::address::HubAddress;
use super::hub::Hub;
use super::messages::{
    Baggage, ChannelMessage, HubMessage, Knock, RoomAddress, RoomMessage, SessionMessage, Topic,
};
use super::pipe::Pipe;
use super::session::SessionActor;
use crate::ids::SessionId;
use crate::session::outbox::{Outbox, Pushed};
use crate::wire::codec::Format;

/// What a hub knows of those who are on their way.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// Where frames wait for sessions that are still on another worker.
    pipes: HashMap<SessionId, Rc<Pipe>>,
    /// What such a session has meanwhile left: it still believes to be there.
    exits: HashMap<SessionId, Vec<Topic>>,
}

impl Arrivals {
    /// Notes that a room or channel has let go of a session that is not here yet.
    pub(crate) fn note_exit(&mut self, session: SessionId, topic: Topic) {
        if self.pipes.contains_key(&session) {
            self.exits.entry(session).or_default().push(topic);
        }
    }

    pub(crate) fn pipe_of(&self, session: SessionId) -> Option<Rc<Pipe>> {
        self.pipes.get(&session).cloned()
    }
}

impl Hub {
    /// The old hub: a connection elsewhere wants a session that lives here, or did.
    pub(super) fn take_over(self: &Rc<Self>, knock: Knock, to: HubAddress) {
        let session = knock.token.session;
        if let Some(local) = self.sessions.borrow().get(&session) {
            local
                .address
                .do_send(SessionMessage::TakeOver { knock, to });
            return;
        }
        // It may have moved on since the asking hub looked.
        match self.shared.home(session) {
            Some(worker) if worker == self.address.worker => {
                // On its way here: ask again behind it.
                let hub = self.address.clone();
                self.turn.to_hub(&hub, HubMessage::TakeOver { knock, to });
            }
            Some(worker) => match self.shared.hub(worker) {
                Some(hub) => self.turn.to_hub(&hub, HubMessage::TakeOver { knock, to }),
                None => self.refuse_over(&to, knock),
            },
            None => self.refuse_over(&to, knock),
        }
    }

    fn refuse_over(&self, to: &HubAddress, knock: Knock) {
        let denied = self.absence(&knock);
        let refused = HubMessage::TakeOverRefused { knock, denied };
        self.turn.to_hub(to, refused);
    }

    /// The new hub: a room or channel sends here from now on; the session is not here yet.
    ///
    /// It comes for certain: the old hub sends it when the last of its rooms and channels has done this.
    pub(super) fn hold_frames_for(&self, session: SessionId, format: Format) {
        let mut arrivals = self.arrivals.borrow_mut();
        arrivals
            .pipes
            .entry(session)
            .or_insert_with(|| self.new_pipe(format));
    }

    /// The new hub: the session is here.
    pub(super) fn arrive(self: &Rc<Self>, mut baggage: Baggage) {
        let held = self.arrivals.borrow_mut().pipes.remove(&baggage.id);
        let exits = self.arrivals.borrow_mut().exits.remove(&baggage.id);
        for topic in exits.unwrap_or_default() {
            match topic {
                Topic::Room(room) => baggage.rooms.retain(|(known, _)| *known != room),
                Topic::Channel(channel) => {
                    baggage.subscriptions.retain(|(known, _)| *known != channel);
                }
            }
        }
        let bounds = self.shared.config.outbox;
        let pipe = held.unwrap_or_else(|| self.new_pipe(baggage.format));
        let empty = Outbox::new(bounds, baggage.format);
        let mut outbox = std::mem::replace(&mut baggage.outbox, empty);
        let appended = pipe.with_outbox(|held| outbox.append(held));
        let overflowed = appended == Pushed::Overflow || outbox.has_overflowed();
        pipe.with_outbox(|held| *held = outbox);
        SessionActor::start_arrived(self, baggage, pipe, overflowed);
    }
}

/// A session that waits until its rooms and channels send to its new worker.
pub(super) struct Moving {
    knock: Knock,
    to: HubAddress,
    /// Rooms and channels that have not answered yet.
    awaited: usize,
    /// Further connections that want the session meanwhile.
    waiting: Vec<(Knock, HubAddress)>,
}

impl SessionActor {
    /// A connection of another worker shows a token: the session goes there.
    pub(super) fn take_over(&mut self, ctx: &mut Context<Self>, knock: Knock, to: HubAddress) {
        if let Some(moving) = &mut self.moving {
            moving.waiting.push((knock, to));
            return;
        }
        if to.worker == self.hub.address.worker {
            self.attach(ctx, knock);
            return;
        }
        if let Err(denied) = self.admit(ctx, &knock) {
            let refused = HubMessage::TakeOverRefused { knock, denied };
            self.hub.turn.to_hub(&to, refused);
            return;
        }
        if let Some(window) = self.window.take() {
            ctx.cancel_future(window);
        }
        self.moving = Some(Box::new(Moving {
            knock,
            to,
            awaited: 0,
            waiting: Vec::new(),
        }));
        let known = self.inbox.rooms.borrow();
        let rooms: Vec<RoomAddress> = known.values().map(|known| known.room.clone()).collect();
        drop(known);
        rooms.iter().for_each(|room| self.rehome_room(room));
        for channel in self.inbox.subscriptions.borrow().channels() {
            if let Some(moving) = &mut self.moving {
                moving.awaited += 1;
                let message = ChannelMessage::Rehome {
                    session: self.id,
                    channel: channel.clone(),
                    from: self.hub.address.clone(),
                    to: moving.to.clone(),
                };
                self.hub.to_channel(channel, message);
            }
        }
        self.ship_if_ready(ctx);
    }

    pub(super) fn rehome_room(&mut self, room: &RoomAddress) {
        if let Some(moving) = &mut self.moving
            && room.connected()
        {
            moving.awaited += 1;
            let message = RoomMessage::Rehome {
                session: self.id,
                from: self.hub.address.clone(),
                to: moving.to.clone(),
            };
            self.hub.turn.to_room(room, message);
        }
    }

    /// A room or channel sends to the new worker now.
    pub(super) fn rehomed(&mut self, ctx: &mut Context<Self>) {
        if let Some(moving) = &mut self.moving {
            moving.awaited = moving.awaited.saturating_sub(1);
        }
        self.ship_if_ready(ctx);
    }

    pub(super) fn ship_if_ready(&mut self, ctx: &mut Context<Self>) {
        if self.joining + self.unsubscribing > 0 {
            return;
        }
        let Some(moving) = self.moving.take_if(|moving| moving.awaited == 0) else {
            return;
        };
        let bounds = self.hub.shared.config.outbox;
        let empty = Outbox::new(bounds, self.pipe.format());
        let outbox = self
            .pipe
            .with_outbox(|outbox| std::mem::replace(outbox, empty));
        self.hub.sessions.borrow_mut().remove(&self.id);
        self.hub.shared.set_home(self.id, moving.to.worker);
        let baggage = Box::new(Baggage {
            id: self.id,
            format: self.pipe.format(),
            visitor: self.visitor.clone(),
            tokens: self.tokens.clone(),
            attempts: self.attempts,
            received: self.inbox.received(),
            outbox,
            rooms: self.inbox.rooms.take().into_iter().collect(),
            subscriptions: self.inbox.subscriptions.borrow_mut().take(),
            admission: std::mem::take(&mut self.admission),
            violations: self.violations,
            pace: self.inbox.pace(),
            flow: self.flow.clone(),
            knock: moving.knock,
            waiting: moving.waiting,
        });
        let arrive = HubMessage::Arrive(baggage);
        self.hub.turn.to_hub(&moving.to, arrive);
        self.stop_when_told_all(ctx);
    }

    /// Takes in a connection that shows a token, unless the session has moved on: then sends it after it.
    pub(super) fn attach_or_pass_on(
        &mut self,
        ctx: &mut Context<Self>,
        knock: Knock,
        to: HubAddress,
    ) {
        let home = self.hub.shared.home(self.id);
        if home == Some(self.hub.address.worker) {
            self.take_over(ctx, knock, to);
        } else if let Some(hub) = home.and_then(|worker| self.hub.shared.hub(worker)) {
            let message = HubMessage::TakeOver { knock, to };
            self.hub.turn.to_hub(&hub, message);
        } else {
            let denied = self.hub.absence(&knock);
            let refused = HubMessage::TakeOverRefused { knock, denied };
            self.hub.turn.to_hub(&to, refused);
        }
    }
}
