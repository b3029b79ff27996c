//! How a session begins on a worker: new, or moved from another worker.

use std::rc::Rc;
use std::sync::Arc;

use actix::{AsyncContext, Context};

use crate::ids::SessionId;
use crate::observer::ServerEvent;
use crate::runtime::connection::handle::ConnectionHandle;
use crate::runtime::connection::send_queue::SendQueue;
use crate::runtime::messages::{
    Denied, MatchMessage, Receiver, RoomMessage, SessionMessage, SessionTransfer,
};
use crate::runtime::permit::Permits;
use crate::runtime::server_inner::ServerInner;
use crate::runtime::visitor::Visitor;
use crate::runtime::worker::action_router::{ActionRouter, Rooms};
use crate::runtime::worker::channel_hooks::Hooked;
use crate::runtime::worker::handover::Trail;
use crate::runtime::worker::hub::Hub;
use crate::runtime::worker::session::{SessionActor, Welcomed};
use crate::runtime::worker::session_handle::SessionHandle;
use crate::session::credential_order::CredentialOrder;
use crate::session::history_queue::HistoryQueue;
use crate::session::limits::Violations;
use crate::session::rate_limiter::RateLimiter;
use crate::session::resume::{Attempts, Tokens};
use crate::session::subscriptions::Subscriptions;
use crate::wire::event::ResumeFailure;

/// The parts of a new session.
pub(crate) struct SessionSeed {
    id: SessionId,
    visitor: Visitor,
    tokens: Tokens,
    permits: Arc<Permits>,
}

impl SessionSeed {
    pub(crate) fn new(id: SessionId, visitor: Visitor, shared: &ServerInner) -> Self {
        let limits = &shared.config.limits;
        Self {
            id,
            visitor,
            tokens: Tokens::new(id, shared.run),
            permits: Permits::of_session(
                limits.actions_in_flight,
                limits.bytes_in_flight,
                limits.calls,
                &shared.ledger,
            ),
        }
    }
}

impl SessionActor {
    /// Begins a new session for a connection.
    pub(crate) fn start_new(
        hub: &Rc<Hub>,
        seed: SessionSeed,
        connection: &Rc<ConnectionHandle>,
        reason: Option<ResumeFailure>,
    ) {
        // The connection has one already, which its writer waits for.
        let send_queue = connection.send_queue();
        let receiver = Receiver {
            session: seed.id,
            hub: hub.address.clone(),
            format: send_queue.format(),
        };
        let router = ActionRouter::new(
            receiver,
            0,
            RateLimiter::default(),
            Rooms::default(),
            Subscriptions::default(),
        );
        let mut context = Context::new();
        let mut actor = Self {
            id: seed.id,
            visitor: seed.visitor,
            hub: hub.clone(),
            handle: register(hub, seed.id, &context, router, send_queue, seed.permits),
            tokens: seed.tokens,
            attempts: Attempts::default(),
            credentials: CredentialOrder::default(),
            connection: None,
            joining: 0,
            subscribes: 0,
            unsubscribing: Vec::new(),
            admission: HistoryQueue::default(),
            hooked: None,
            awaits_grant: false,
            violations: Violations::default(),
            accounts: None,
            began: hub.now().into(),
            listings: None,
            window: None,
            expiry: None,
            trail: None,
            moving: None,
        };
        hub.shared
            .observers
            .tell(&ServerEvent::SessionBegan { session: actor.id });
        actor.welcome(connection, Welcomed::Anew(reason));
        actor.watch_expiry(&mut context);
        context.run(actor);
    }

    /// Continues a session that has moved here from another worker.
    pub(crate) fn start_arrived(
        hub: &Rc<Hub>,
        transfer: SessionTransfer,
        send_queue: Rc<SendQueue>,
        overflowed: bool,
    ) {
        let receiver = Receiver {
            session: transfer.id,
            hub: hub.address.clone(),
            format: send_queue.format(),
        };
        let rooms = transfer.rooms.into_iter().collect();
        let router = ActionRouter::new(
            receiver,
            transfer.received,
            transfer.rate_limiter,
            rooms,
            transfer.subscriptions,
        );
        router.set_tickets(transfer.tickets);
        let mut context = Context::new();
        let mut actor = Self {
            id: transfer.id,
            visitor: transfer.visitor,
            hub: hub.clone(),
            handle: register(
                hub,
                transfer.id,
                &context,
                router,
                send_queue,
                transfer.permits,
            ),
            tokens: transfer.tokens,
            attempts: transfer.attempts,
            credentials: transfer.credentials,
            connection: None,
            joining: transfer.joining,
            subscribes: transfer.subscribes,
            unsubscribing: transfer.unsubscribing,
            admission: transfer.admission,
            hooked: Hooked::arrived(transfer.limits),
            awaits_grant: false,
            violations: transfer.violations,
            accounts: transfer.accounts,
            began: transfer.began,
            listings: transfer.listings,
            window: None,
            expiry: None,
            trail: transfer.first_forwarder.map(Trail::forwarded_from),
            moving: None,
        };
        actor.await_limit(&mut context);
        if overflowed {
            actor.overflow(&mut context);
        }
        match hub.connection(transfer.resume_request.connection) {
            Some(_) if overflowed => {
                hub.deny(
                    &transfer.resume_request,
                    Denied::Anew(ResumeFailure::Overflow),
                );
                actor.wait_for_return(&mut context);
            }
            Some(connection) => {
                actor.tokens.rotate();
                actor.welcome(&connection, Welcomed::Back(transfer.resume_request.intent));
                actor.returned();
            }
            None => {
                actor.notify_rooms(RoomMessage::Dropped);
                actor.notify_matchmaker(MatchMessage::Dropped);
                actor.wait_for_return(&mut context);
            }
        }
        actor.watch_expiry(&mut context);
        for topic in transfer.late {
            actor.request_rehome(topic);
        }
        for (resume_request, to) in transfer.waiting {
            let address = context.address();
            address.do_send(SessionMessage::TakeOver { resume_request, to });
        }
        context.run(actor);
    }
}

/// Registers a session at its hub.
fn register(
    hub: &Hub,
    id: SessionId,
    context: &Context<SessionActor>,
    router: ActionRouter,
    send_queue: Rc<SendQueue>,
    permits: Arc<Permits>,
) -> Rc<SessionHandle> {
    let handle = Rc::new(SessionHandle {
        address: context.address(),
        send_queue,
        router,
        permits,
    });
    hub.sessions.borrow_mut().insert(id, handle.clone());
    handle
}
