//! The session's actor: counts and routes its client's actions, and decides what happens to the session when connections
//! come and go.

use std::rc::Rc;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, SpawnHandle};

use crate::close::CloseCode;
use crate::error::Refusal;
use crate::ids::{ChannelName, SessionId};
use crate::lobby::listing::followed::FollowedListings;
use crate::observer::ServerEvent;
use crate::room::config::LeaveReason;
use crate::runtime::connection::handle::ConnectionHandle;
use crate::runtime::connection::phase::CloseMode;
use crate::runtime::messages::{
    ChannelAction, ConnectionId, Denied, HubItem, Intent, MatchMessage, Receiver, ResumeRequest,
    RoomMessage, SessionMessage, Topic,
};
use crate::runtime::permit::Permit;
use crate::runtime::visitor::Visitor;
use crate::runtime::worker::channel_hooks::Hooked;
use crate::runtime::worker::handover::{Moving, Trail, forget_one};
use crate::runtime::worker::hub::Hub;
use crate::runtime::worker::session_expiry::ExpiryWatch;
use crate::runtime::worker::session_handle::SessionHandle;
use crate::session::accounts::Accounts;
use crate::session::credential_order::CredentialOrder;
use crate::session::history_queue::HistoryQueue;
use crate::session::limits::Violations;
use crate::session::outbox::{Delivery, Outbox, Resumed};
use crate::session::resume::{Attempts, Tokens};
use crate::time::Moment;
use crate::wire::action::Inbound;
use crate::wire::codec::CodecError;
use crate::wire::event::{self, ResumeFailure, Welcome};
use crate::wire::frame::{Encoded, Formats, FrameWriter};

/// How a connection got its session.
#[derive(Clone, Copy)]
pub(crate) enum Welcomed {
    /// The session is new. If the client asked for another one: the reason why it did not get that.
    Anew(Option<ResumeFailure>),
    Back(Intent),
}

pub(crate) struct SessionActor {
    pub(crate) id: SessionId,
    /// The client that began the session. A resume from elsewhere changes only what its credential says: see
    /// [`identify`](Self::identify).
    pub(crate) visitor: Visitor,
    pub(crate) hub: Rc<Hub>,
    /// The part of the session that its hub and its connection share.
    pub(crate) handle: Rc<SessionHandle>,
    pub(crate) tokens: Tokens,
    pub(crate) attempts: Attempts,
    pub(crate) credentials: CredentialOrder,
    pub(crate) connection: Option<Rc<ConnectionHandle>>,
    /// Joins that were not answered yet.
    pub(crate) joining: usize,
    /// How many times the client has subscribed to a channel.
    pub(crate) subscribes: u64,
    /// Channels that have not processed an unsubscribe yet: until then their publications still arrive here.
    pub(crate) unsubscribing: Vec<ChannelName>,
    /// Actions for channels that wait because a history has to wait.
    pub(crate) admission: HistoryQueue<ChannelAction>,
    /// The hook of the first of them, and what hooks have limited in time. Boxed, because few sessions have any.
    pub(crate) hooked: Option<Box<Hooked>>,
    /// The session waits for the hub's message that the server may hold another history.
    pub(crate) awaits_grant: bool,
    pub(crate) violations: Violations,
    /// The accounts that the rooms and channels it creates are charged to. Opened when it may create the first one.
    pub(crate) accounts: Option<Accounts>,
    /// When the session began.
    pub(crate) began: Moment,
    /// Boxed, because only disconnected sessions have it.
    pub(crate) window: Option<Box<Window>>,
    /// The listings of rooms that it follows. Boxed, because few sessions have any.
    pub(crate) listings: Option<Box<FollowedListings>>,
    /// Boxed, because only credentials that expire have it.
    pub(crate) expiry: Option<Box<ExpiryWatch>>,
    /// What still arrives by a longer path after a move. Boxed, because it is rare.
    pub(crate) trail: Option<Box<Trail>>,
    /// Boxed, because it is rare.
    pub(crate) moving: Option<Box<Moving>>,
}

/// How long a disconnected session stays.
pub(crate) struct Window {
    /// Since when it is disconnected.
    pub(crate) since: Moment,
    timer: SpawnHandle,
}

impl Actor for SessionActor {
    type Context = Context<Self>;
}

impl SessionActor {
    /// Gives the session a connection, which writes `welcome` first.
    pub(crate) fn welcome(&mut self, connection: &Rc<ConnectionHandle>, how: Welcomed) {
        let (reason, intent) = match how {
            Welcomed::Anew(reason) => (reason, None),
            Welcomed::Back(intent) => (None, Some(intent)),
        };
        if intent == Some(Intent::Restore { received: None }) {
            // Again, for the events since the session was admitted: the list in the welcome includes them.
            self.handle.send_queue.with_outbox(Outbox::skip);
        }
        let restores = matches!(intent, Some(Intent::Restore { .. }));
        if restores {
            // The client does not know them any more.
            self.leave_listings();
        }
        let token = self.tokens.current().to_string();
        let config = &self.hub.shared.config;
        let welcome = Welcome {
            session: self.id,
            resume: &token,
            resumed: intent.is_some(),
            reason,
            received: self.handle.router.received(),
            sent: self
                .handle
                .send_queue
                .with_outbox(|outbox| outbox.produced()),
            time: self.hub.shared.time(),
            ping: config.heartbeat.interval,
            window: config.window,
            limits: &self.hub.shared.client_limits,
            restored: restores.then(|| self.handle.router.restored()),
        };
        let welcome = self.encode(|w| welcome.write(w));
        let welcome = welcome.map(|frame| frame.get(self.handle.send_queue.format()));
        connection.attach(self.handle.clone(), welcome);
        self.connection = Some(connection.clone());
        self.send_waiting();
    }

    fn encode(
        &self,
        write: impl Fn(&mut FrameWriter) -> Result<(), CodecError>,
    ) -> Option<Encoded> {
        Encoded::new(Formats::only(self.handle.send_queue.format()), write)
            .inspect(|frame| frame.count(&self.hub.shared.ledger))
            .inspect_err(
                |error| tracing::error!(session = %self.id, %error, "an event cannot be encoded"),
            )
            .ok()
    }

    /// Sends an event that is not counted, such as `pong`, to the current connection.
    pub(crate) fn send_uncounted(
        &self,
        write: impl Fn(&mut FrameWriter) -> Result<(), CodecError>,
    ) {
        if let Some(frame) = self.encode(write) {
            let _only_where_connected = self.handle.send_queue.push(&frame, &Delivery::Plain);
        }
        self.hub.note_memory();
    }

    /// Sends the client an error. The event is counted, so it takes the path of all counted events: it reaches the outbox by the
    /// hub, after all mail that was sent before.
    pub(crate) fn error(&self, id: Option<u64>, refusal: &Refusal) {
        let frame = Encoded::new(Formats::only(self.handle.send_queue.format()), |w| {
            event::error(w, id, None, refusal)
        });
        match frame {
            Ok(frame) => self.hub.send_to_own(self.id, frame),
            Err(error) => {
                tracing::error!(session = %self.id, %error, "an event cannot be encoded");
            }
        }
    }

    pub(crate) fn note(&self, event: &ServerEvent<'_>) {
        self.hub.shared.observers.tell(event);
    }

    pub(crate) fn accounts(&mut self) -> Accounts {
        let (shared, visitor) = (&self.hub.shared, &self.visitor);
        let open = || shared.open_accounts(visitor.claims.subject_key(), visitor.address);
        self.accounts.get_or_insert_with(open).clone()
    }

    pub(crate) fn receiver(&self) -> Receiver {
        self.handle.router.receiver().clone()
    }

    pub(crate) fn notify_rooms(&self, message: fn(SessionId) -> RoomMessage) {
        for known in self.handle.router.rooms.borrow().values() {
            self.hub.flusher.to_room(&known.room, message(self.id));
        }
    }

    pub(crate) fn received(&mut self, connection: ConnectionId, inbound: Inbound, permit: Permit) {
        self.handle.router.note_taken();
        // The session has left this connection. Its actions are not counted, so the client sends them again.
        if self
            .connection
            .as_ref()
            .is_none_or(|current| current.id != connection)
        {
            return;
        }
        self.tokens.confirm();
        self.handle.router.open_to(connection);
        let permit = permit.numbered(self.handle.router.count(&inbound));
        match inbound.action {
            Ok(action) => {
                if let Err(refusal) = self.act(inbound.id, action, permit) {
                    self.error(inbound.id, &refusal);
                }
            }
            Err(malformed) => {
                self.error(inbound.id, &malformed.refusal);
                if malformed.is_violation {
                    self.violation();
                }
            }
        }
    }

    pub(crate) fn violation(&mut self) {
        let most = self.hub.shared.config.limits.violations;
        if self.violations.add(self.hub.now(), most) {
            self.hub.send_item(HubItem::Violated { session: self.id });
        }
    }

    /// Resumes the session on a connection of this worker.
    pub(crate) fn attach(&mut self, ctx: &mut Context<Self>, resume_request: ResumeRequest) {
        // The connection may have ended while its request waited.
        let Some(connection) = self.hub.connection(resume_request.connection) else {
            return;
        };
        if let Err(denied) = self.admit(ctx, &resume_request) {
            self.hub.deny(&resume_request, denied);
            return;
        }
        self.forget_window(ctx);
        self.tokens.rotate();
        self.welcome(&connection, Welcomed::Back(resume_request.intent));
        self.returned();
        self.watch_expiry(ctx);
    }

    /// The client is back: what is sent only to a connected client is sent whole again.
    pub(crate) fn returned(&self) {
        self.notify_rooms(RoomMessage::Resumed);
        self.notify_matchmaker(MatchMessage::Resumed);
        for channel in self.handle.router.subscriptions.borrow().channels() {
            let topic = Topic::Channel(channel.clone());
            self.hub.resend_newest(self.id, topic);
        }
        self.renew_presence();
        self.show_listings();
        self.note(&ServerEvent::SessionResumed { session: self.id });
    }

    /// Checks whether a request may resume the session. If so, closes the older connection, and puts the events that the
    /// client has not counted back into the queue.
    pub(crate) fn admit(
        &mut self,
        ctx: &mut Context<Self>,
        resume_request: &ResumeRequest,
    ) -> Result<(), Denied> {
        let is_its_own = self.tokens.accepts(&resume_request.token);
        let is_the_same = self.visitor.claims.subject() == resume_request.visitor.claims.subject();
        let received = match resume_request.intent {
            Intent::End => {
                if is_its_own && is_the_same {
                    self.close(ctx);
                }
                return Err(Denied::Ended);
            }
            Intent::Resume { received } => Some(received),
            Intent::Restore { received } => received,
        };
        if !is_its_own {
            return Err(Denied::Anew(ResumeFailure::Unknown));
        }
        if !is_the_same {
            return Err(Denied::Anew(ResumeFailure::Identity));
        }
        if self.attempts.is_stale(resume_request.attempt) {
            return Err(Denied::Stale);
        }
        // Frames that were written to the older connection may be lost. The client's count says which ones.
        let resumed = self.handle.send_queue.with_outbox(|outbox| match received {
            Some(received) => outbox.resume(received),
            None if outbox.has_overflowed() => Resumed::Forgotten,
            None => {
                outbox.skip();
                Resumed::Yes
            }
        });
        if resumed == Resumed::NeverSent {
            return Err(Denied::Anew(ResumeFailure::Unknown));
        }
        if !self.hub.shared.keep(self.id) {
            return Err(Denied::Anew(ResumeFailure::Expired));
        }
        self.end_connection(
            CloseCode::SUPERSEDED,
            "the session was resumed on another connection",
            CloseMode::Now,
        );
        if resumed == Resumed::Forgotten {
            // The session can never be resumed again.
            self.overflow(ctx);
            if self.window.is_none() {
                self.wait_for_return(ctx);
            }
            return Err(Denied::Anew(ResumeFailure::Overflow));
        }
        self.attempts.accept(resume_request.attempt);
        self.identify(&resume_request.visitor);
        self.handle.send_queue.disconnect();
        Ok(())
    }

    /// Closes the current connection, if there is one. With [`CloseMode::Now`], it does not belong to the session any more.
    fn end_connection(&mut self, code: CloseCode, reason: &str, mode: CloseMode) {
        let Some(connection) = self.connection.as_ref() else {
            return;
        };
        let reconnect = code.comes_back().then(|| self.hub.reconnect_at_once());
        connection.end(code, reason, reconnect, mode, self.hub.closing_deadline());
        if mode == CloseMode::Now {
            self.hub.detach(connection);
            self.handle.router.close();
            self.connection = None;
        }
    }

    /// The client has ended the session. Its rooms are notified at once, and nothing is kept.
    fn close(&mut self, ctx: &mut Context<Self>) {
        // A connection that its client has closed is ending already: this only takes it from the session.
        self.end_connection(
            CloseCode::SUPERSEDED,
            "the client has ended the session on another connection",
            CloseMode::Now,
        );
        self.end(ctx, LeaveReason::Left);
    }

    fn detached(&mut self, ctx: &mut Context<Self>, connection: ConnectionId) {
        if self
            .connection
            .as_ref()
            .is_some_and(|current| current.id == connection)
        {
            self.handle.router.close();
            self.connection = None;
            self.handle.send_queue.disconnect();
            self.notify_rooms(RoomMessage::Dropped);
            self.notify_matchmaker(MatchMessage::Dropped);
            self.note(&ServerEvent::SessionDropped { session: self.id });
            self.wait_for_return(ctx);
        }
    }

    /// Lets another session displace this one, if it is disconnected and holds nothing.
    fn allow_displacing(&self) {
        let is_at_work =
            self.joining > 0 || !self.unsubscribing.is_empty() || !self.handle.permits.is_idle();
        let holds_something = !self.handle.router.rooms.borrow().is_empty()
            || self.handle.router.has_tickets()
            || self.handle.router.subscriptions.borrow().len() > 0
            || self
                .handle
                .send_queue
                .with_outbox(|outbox| outbox.owes_something());
        if self.connection.is_none() && self.moving.is_none() && !is_at_work && !holds_something {
            self.hub.shared.spare(self.id, &self.visitor);
        }
    }

    /// Ends the session unless its client returns within the window.
    pub(crate) fn wait_for_return(&mut self, ctx: &mut Context<Self>) {
        self.allow_displacing();
        let window = self.hub.shared.config.window;
        let timer = ctx.run_later(window, |session, ctx| {
            if session.moving.is_none() {
                session.end(ctx, LeaveReason::Expired);
            }
        });
        let since = self.hub.now().into();
        self.window = Some(Box::new(Window { since, timer }));
    }

    /// The session is not disconnected any more, or not here.
    pub(crate) fn forget_window(&mut self, ctx: &mut Context<Self>) {
        if let Some(window) = self.window.take() {
            ctx.cancel_future(window.timer);
        }
    }

    fn leave_all(&mut self, reason: LeaveReason) {
        self.drop_waiting();
        self.hooked = None;
        self.leave_queues();
        for (_, known) in self.handle.router.rooms.take() {
            let gone = RoomMessage::Gone(self.id, reason);
            self.hub.flusher.to_room(&known.room, gone);
        }
        for channel in self
            .handle
            .router
            .subscriptions
            .borrow_mut()
            .take()
            .channels()
        {
            self.unsubscribe_unanswered(channel);
        }
        self.leave_listings();
    }

    pub(crate) fn end(&mut self, ctx: &mut Context<Self>, reason: LeaveReason) {
        self.leave_all(reason);
        let late = self.trail.take().map(|trail| trail.into_late());
        for (_, question) in late.into_iter().flatten() {
            // A room or channel that answers nevertheless sends to a hub that does not know the session and ignores the
            // answer.
            let _taken_back = question.claim();
        }
        // Joins in progress are given up.
        self.handle.permits.close();
        self.hub.sessions.borrow_mut().remove(&self.id);
        self.hub.forget_gate(self.id);
        self.hub.instructions.borrow_mut().remove(&self.id);
        self.hub.shared.forget_home(self.id, &self.visitor);
        self.note(&ServerEvent::SessionEnded {
            session: self.id,
            reason,
        });
        self.forget_expiry(ctx);
        self.forget_window(ctx);
        self.stop_after_mailbox(ctx);
    }

    /// The client has missed more than is kept. The rest of the session answers a resume within the window with `overflow`.
    pub(crate) fn overflow(&mut self, ctx: &mut Context<Self>) {
        self.handle.send_queue.with_outbox(Outbox::overflow);
        self.note(&ServerEvent::SessionOverflowed { session: self.id });
        self.leave_all(LeaveReason::Overflow);
        if self.connection.is_some() {
            tracing::warn!(
                session = %self.id,
                "more waited for a client than `Config::outbox` allows: it reads too slowly, or was sent too much at once"
            );
            self.end_connection(
                CloseCode::SLOW,
                "more waited for this client than the server keeps",
                CloseMode::Now,
            );
            self.wait_for_return(ctx);
        } else {
            self.allow_displacing();
        }
    }

    /// The session is not here any more. Requests that reached its mailbox before are answered or forwarded first.
    pub(crate) fn stop_after_mailbox(&self, ctx: &mut Context<Self>) {
        ctx.address().do_send(SessionMessage::Stop);
    }
}

impl Handler<SessionMessage> for SessionActor {
    type Result = ();

    fn handle(&mut self, message: SessionMessage, ctx: &mut Self::Context) {
        if !self.lives_here() {
            return self.pass_on(ctx, message);
        }
        match message {
            SessionMessage::Received {
                connection,
                inbound,
                permit,
            } => self.received(connection, inbound, permit),
            SessionMessage::Attach(resume_request) => {
                let to = self.hub.address.clone();
                self.take_over(ctx, resume_request, to);
            }
            SessionMessage::TakeOver { resume_request, to } => {
                self.take_over(ctx, resume_request, to)
            }
            SessionMessage::Detached { connection } => self.detached(ctx, connection),
            SessionMessage::Closed { connection } => {
                if self
                    .connection
                    .as_ref()
                    .is_some_and(|current| current.id == connection)
                {
                    self.close(ctx);
                }
            }
            SessionMessage::Joined {
                room,
                address,
                is_away,
            } => {
                self.joining = self.joining.saturating_sub(1);
                if self.connection.is_none() && self.moving.is_none() {
                    let dropped = RoomMessage::Dropped(self.id);
                    self.hub.flusher.to_room(&address, dropped);
                }
                if self.moving.is_some() || is_away {
                    self.request_rehome(Topic::Room(room));
                }
                self.transfer_if_ready(ctx);
            }
            SessionMessage::JoinRefused => {
                self.joining = self.joining.saturating_sub(1);
                self.allow_displacing();
                self.transfer_if_ready(ctx);
            }
            SessionMessage::TicketOver => self.allow_displacing(),
            SessionMessage::Unsubscribed(channel) => {
                forget_one(&mut self.unsubscribing, &channel);
                self.allow_displacing();
                self.transfer_if_ready(ctx);
            }
            SessionMessage::HookAnswered(number, answer) => {
                self.hook_answered(ctx, number, answer);
            }
            SessionMessage::HasRoom => self.send_waiting(),
            SessionMessage::MayGrant => self.grant_offered(),
            SessionMessage::Overflowed => self.overflow(ctx),
            SessionMessage::Rehomed(topic) => self.rehomed(ctx, &topic),
            SessionMessage::Settled => self.transfer_if_ready(ctx),
            SessionMessage::Refreshed(refreshed) => self.refreshed(ctx, *refreshed),
            SessionMessage::MayFollow(answer) => self.may_follow(*answer),
            SessionMessage::ListingCaughtUp(listing) => self.show_listing(listing),
            SessionMessage::Displaced => self.end(ctx, LeaveReason::Expired),
            SessionMessage::Instructed(task) => self.instructed(ctx, task),
            SessionMessage::AskToPost(request) => self.answer_post(*request),
            SessionMessage::Posted {
                connection,
                number,
                inbound,
                permit,
            } => self.posted(connection, number, inbound, permit),
            SessionMessage::CountPosted { connection, reply } => {
                self.count_posted(connection, reply);
            }
            SessionMessage::Stop => ctx.stop(),
        }
    }
}
