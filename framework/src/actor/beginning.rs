//! How a session begins on a worker: for a connection that has none, or as it comes from another worker.

use std::rc::Rc;
use std::sync::Arc;

use actix::{AsyncContext, Context};

use super::hub::{Hub, Local};
use super::inbox::{Inbox, Rooms};
use super::link::Link;
use super::messages::{Baggage, Denied, Receiver, RoomMessage, SessionMessage};
use super::opening::Visitor;
use super::permit::Permits;
use super::pipe::Pipe;
use super::session::{SessionActor, Welcomed};
use super::shared::Shared;
use crate::ids::SessionId;
use crate::session::accounts::Accounts;
use crate::session::admission::Admission;
use crate::session::limits::Violations;
use crate::session::pace::Pace;
use crate::session::resume::{Attempts, Tokens};
use crate::session::subscriptions::Subscriptions;
use crate::wire::event::ResumeFailure;

/// What a session may have under way: permits, which go with what they were taken for.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) actions: Arc<Permits>,
    pub(crate) calls: Arc<Permits>,
    /// To whose account the rooms and channels go that it causes. Opened when it may cause the first one.
    pub(crate) accounts: Option<Accounts>,
}

/// What a new session is made of.
pub(crate) struct SessionSeed {
    id: SessionId,
    visitor: Visitor,
    tokens: Tokens,
    flow: Flow,
}

impl SessionSeed {
    pub(crate) fn new(id: SessionId, visitor: Visitor, shared: &Shared) -> Self {
        let limits = &shared.config.limits;
        Self {
            id,
            visitor,
            tokens: Tokens::new(id, shared.run),
            flow: Flow {
                actions: Permits::of_actions(
                    limits.actions_in_flight,
                    limits.bytes_in_flight,
                    &shared.ledger,
                ),
                calls: Permits::of_calls(limits.calls, &shared.ledger),
                accounts: None,
            },
        }
    }
}

impl SessionActor {
    /// Begins a session for a connection that has none.
    pub(crate) fn start_new(
        hub: &Rc<Hub>,
        seed: SessionSeed,
        pipe: Rc<Pipe>,
        link: &Rc<Link>,
        reason: Option<ResumeFailure>,
    ) {
        let receiver = Receiver {
            session: seed.id,
            hub: hub.address.clone(),
            format: pipe.format(),
        };
        let actor = Self {
            id: seed.id,
            visitor: seed.visitor,
            hub: hub.clone(),
            pipe,
            tokens: seed.tokens,
            attempts: Attempts::default(),
            inbox: Rc::new(Inbox::new(
                receiver,
                0,
                Pace::default(),
                Rooms::default(),
                Subscriptions::default(),
            )),
            link: None,
            joining: 0,
            subscribes: 0,
            unsubscribing: Vec::new(),
            admission: Admission::default(),
            is_short: false,
            violations: Violations::default(),
            flow: seed.flow,
            window: None,
            late: Vec::new(),
            way: None,
            moving: None,
        };
        let context = Context::new();
        let mut actor = actor.register(&context);
        actor.welcome(link, &context, Welcomed::Anew(reason));
        context.run(actor);
    }

    /// Goes on with a session that came from another worker.
    pub(crate) fn start_arrived(hub: &Rc<Hub>, baggage: Baggage, pipe: Rc<Pipe>, overflowed: bool) {
        let receiver = Receiver {
            session: baggage.id,
            hub: hub.address.clone(),
            format: pipe.format(),
        };
        let rooms = baggage.rooms.into_iter().collect();
        let inbox = Inbox::new(
            receiver,
            baggage.received,
            baggage.pace,
            rooms,
            baggage.subscriptions,
        );
        let actor = Self {
            id: baggage.id,
            visitor: baggage.visitor,
            hub: hub.clone(),
            pipe,
            tokens: baggage.tokens,
            attempts: baggage.attempts,
            inbox: Rc::new(inbox),
            link: None,
            joining: baggage.joining,
            subscribes: baggage.subscribes,
            unsubscribing: baggage.unsubscribing,
            admission: baggage.admission,
            is_short: false,
            violations: baggage.violations,
            flow: baggage.flow,
            window: None,
            late: Vec::new(),
            way: baggage.way,
            moving: None,
        };
        let mut context = Context::new();
        let mut actor = actor.register(&context);
        if overflowed {
            actor.overflow(&mut context);
        }
        match hub.link(baggage.knock.link) {
            Some(_) if overflowed => {
                hub.deny(&baggage.knock, Denied::Anew(ResumeFailure::Overflow));
                actor.wait_for_return(&mut context);
            }
            Some(link) => {
                actor.tokens.rotate();
                actor.welcome(&link, &context, Welcomed::Back(baggage.knock.intent));
                actor.tell_rooms(RoomMessage::Resumed);
            }
            None => {
                actor.tell_rooms(RoomMessage::Dropped);
                actor.wait_for_return(&mut context);
            }
        }
        for topic in baggage.late {
            actor.ask_to_follow(topic);
        }
        for (knock, to) in baggage.waiting {
            let address = context.address();
            address.do_send(SessionMessage::TakeOver { knock, to });
        }
        context.run(actor);
    }

    fn register(self, context: &Context<Self>) -> Self {
        let local = Local {
            address: context.address(),
            pipe: self.pipe.clone(),
            inbox: self.inbox.clone(),
            under_way: [self.flow.actions.clone(), self.flow.calls.clone()],
        };
        self.hub.sessions.borrow_mut().insert(self.id, local);
        self
    }
}
