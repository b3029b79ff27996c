//! The session's actor: it counts and routes what its client sends, and decides what becomes of it when connections come and go.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, SpawnHandle};
use futures_util::FutureExt;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::hub::{Hub, HubAddress, Local};
use super::link::{Attachment, Link, Manner};
use super::messages::{
    Baggage, ChannelMessage, HubMessage, JoinRequest, Knock, LobbyMessage, Permit, PublishAnswer,
    Receiver, RoomAddress, RoomMessage, SessionMessage,
};
use super::pipe::{LinkId, Pipe};
use super::shared::{Caller, Shared};
use crate::close::CloseCode;
use crate::error::Refusal;
use crate::handler::unknown_type;
use crate::ids::{ChannelName, RoomId, SessionId};
use crate::room::client::Claims;
use crate::room::config::LeaveReason;
use crate::room::core::not_a_member;
use crate::session::limits::Violations;
use crate::session::outbox::{Delivery, Pushed};
use crate::session::resume::Tokens;
use crate::wire::action::{Action, Inbound};
use crate::wire::codec::{CodecError, Format, RawData};
use crate::wire::event::{self, ResumeFailure, Welcome};
use crate::wire::frame::{Encoded, Formats, FrameWriter};

/// What a session may have under way: permits, which go with what they were taken for.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) actions: Arc<Semaphore>,
    pub(crate) calls: Arc<Semaphore>,
}

/// What a new session is made of.
pub(crate) struct SessionSeed {
    id: SessionId,
    claims: Claims,
    tokens: Tokens,
    flow: Flow,
}

impl SessionSeed {
    pub(crate) fn new(id: SessionId, claims: Claims, shared: &Shared) -> Self {
        let limits = &shared.config.limits;
        Self {
            id,
            claims,
            tokens: Tokens::new(id, shared.run),
            flow: Flow {
                actions: Arc::new(Semaphore::new(limits.actions_in_flight)),
                calls: Arc::new(Semaphore::new(limits.calls)),
            },
        }
    }
}

/// A session that waits until its rooms and channels send to its new worker.
struct Moving {
    knock: Knock,
    to: HubAddress,
    /// Rooms and channels that have not answered yet.
    awaited: usize,
    /// Further connections that want the session meanwhile.
    waiting: Vec<(Knock, HubAddress)>,
}

pub(crate) struct SessionActor {
    id: SessionId,
    claims: Claims,
    hub: Rc<Hub>,
    pipe: Rc<Pipe>,
    tokens: Tokens,
    /// How many of the client's actions have been processed.
    received: u64,
    link: Option<Rc<Link>>,
    rooms: HashMap<RoomId, RoomAddress>,
    /// Joins that have not been answered yet.
    joining: usize,
    subscriptions: HashSet<ChannelName>,
    violations: Violations,
    flow: Flow,
    window: Option<SpawnHandle>,
    moving: Option<Moving>,
}

impl Actor for SessionActor {
    type Context = Context<Self>;
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
        let actor = Self {
            id: seed.id,
            claims: seed.claims,
            hub: hub.clone(),
            pipe,
            tokens: seed.tokens,
            received: 0,
            link: None,
            rooms: HashMap::new(),
            joining: 0,
            subscriptions: HashSet::new(),
            violations: Violations::default(),
            flow: seed.flow,
            window: None,
            moving: None,
        };
        let context = Context::new();
        let mut actor = actor.register(&context);
        actor.welcome(link, &context, false, reason);
        context.run(actor);
    }

    /// Goes on with a session that came from another worker.
    pub(crate) fn start_arrived(hub: &Rc<Hub>, baggage: Baggage, pipe: Rc<Pipe>, overflowed: bool) {
        let actor = Self {
            id: baggage.id,
            claims: baggage.claims,
            hub: hub.clone(),
            pipe,
            tokens: baggage.tokens,
            received: baggage.received,
            link: None,
            rooms: baggage.rooms.into_iter().collect(),
            joining: 0,
            subscriptions: baggage.subscriptions.into_iter().collect(),
            violations: baggage.violations,
            flow: baggage.flow,
            window: None,
            moving: None,
        };
        let mut context = Context::new();
        let mut actor = actor.register(&context);
        if overflowed {
            actor.overflow(&mut context);
        }
        let _expected = hub.arrivals.borrow_mut().claims_of(baggage.knock.link);
        match hub.link(baggage.knock.link) {
            Some(link) if overflowed => {
                let claims = actor.claims.clone();
                hub.arrivals.borrow_mut().expect_link(link.id, claims);
                hub.refuse(&baggage.knock, ResumeFailure::Overflow);
                actor.wait_for_return(&mut context);
            }
            Some(link) => {
                actor.tokens.rotate(baggage.knock.token);
                actor.welcome(&link, &context, true, None);
                actor.tell_rooms(RoomMessage::Resumed);
            }
            None => {
                actor.tell_rooms(RoomMessage::Dropped);
                actor.wait_for_return(&mut context);
            }
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
        };
        self.hub.sessions.borrow_mut().insert(self.id, local);
        self
    }

    /// Gives the session a connection.
    fn welcome(
        &mut self,
        link: &Rc<Link>,
        ctx: &Context<Self>,
        resumed: bool,
        reason: Option<ResumeFailure>,
    ) {
        let token = self.tokens.current().to_string();
        let config = &self.hub.shared.config;
        let welcome = Welcome {
            session: self.id,
            resume: &token,
            resumed,
            reason,
            received: self.received,
            time: self.hub.shared.time(),
            ping: config.heartbeat.interval,
            window: config.window,
        };
        if let Some(frame) = self.encode(|w| welcome.write(w)) {
            self.pipe.push_front(frame.get(self.pipe.format()));
        }
        let attachment = Attachment {
            session: ctx.address(),
            actions: self.flow.actions.clone(),
        };
        link.attach(attachment, self.pipe.clone());
        self.link = Some(link.clone());
    }

    fn encode(
        &self,
        write: impl Fn(&mut FrameWriter) -> Result<(), CodecError>,
    ) -> Option<Encoded> {
        Encoded::new(Formats::only(self.pipe.format()), write)
            .inspect_err(
                |error| tracing::error!(session = %self.id, %error, "an event cannot be encoded"),
            )
            .ok()
    }

    /// Puts an event of the session's own into its outbox.
    fn emit(
        &mut self,
        ctx: &mut Context<Self>,
        delivery: &Delivery,
        write: impl Fn(&mut FrameWriter) -> Result<(), CodecError>,
    ) {
        if let Some(frame) = self.encode(write)
            && self.pipe.push(&frame, delivery) == Pushed::Overflow
        {
            self.overflow(ctx);
        }
    }

    fn error(&mut self, ctx: &mut Context<Self>, id: Option<u64>, refusal: &Refusal) {
        self.emit(ctx, &Delivery::Sequenced, |w| {
            event::error(w, id, None, refusal)
        });
    }

    fn receiver(&self) -> Receiver {
        Receiver {
            session: self.id,
            hub: self.hub.address.clone(),
            format: self.pipe.format(),
        }
    }

    fn tell_rooms(&self, message: fn(SessionId) -> RoomMessage) {
        for room in self.rooms.values() {
            room.do_send(message(self.id));
        }
    }

    fn received(
        &mut self,
        ctx: &mut Context<Self>,
        link: LinkId,
        inbound: Inbound,
        permit: Permit,
    ) {
        // A connection that the session has left: what it still brings is not counted, so the client sends it again.
        if self.link.as_ref().is_none_or(|current| current.id != link) {
            return;
        }
        self.tokens.confirm();
        if inbound.counts {
            self.received += 1;
        }
        match inbound.action {
            Ok(action) => {
                if let Err(refusal) = self.act(ctx, inbound.id, action, permit) {
                    self.error(ctx, inbound.id, &refusal);
                }
            }
            Err(malformed) => {
                self.error(ctx, inbound.id, &malformed.refusal);
                if malformed.is_violation {
                    self.violation();
                }
            }
        }
    }

    fn violation(&mut self) {
        let most = self.hub.shared.config.limits.violations;
        if self.violations.add(self.hub.now(), most) {
            self.end_link(
                CloseCode::VIOLATION,
                "too many frames that are no actions",
                Manner::AfterPending,
            );
        }
    }

    fn act(
        &mut self,
        ctx: &mut Context<Self>,
        id: Option<u64>,
        action: Action,
        permit: Permit,
    ) -> Result<(), Refusal> {
        match action {
            Action::Join { target, options } => {
                self.check_room_limit()?;
                self.joining += 1;
                if let Some(lobby) = self.hub.shared.lobby.get() {
                    lobby.do_send(LobbyMessage::Join(JoinRequest {
                        receiver: self.receiver(),
                        claims: self.claims.clone(),
                        target,
                        options,
                        id,
                        attempts: 0,
                        _permit: permit,
                    }));
                }
                Ok(())
            }
            Action::Leave { room } => {
                let address = self.rooms.get(&room).ok_or_else(not_a_member)?;
                address.do_send(RoomMessage::Leave {
                    from: self.receiver(),
                    id,
                    _permit: permit,
                });
                Ok(())
            }
            Action::Send { room, name, data } => {
                let address = self.rooms.get(&room).ok_or_else(not_a_member)?;
                address.do_send(RoomMessage::Action {
                    from: self.receiver(),
                    id,
                    name,
                    data,
                    _permit: permit,
                });
                Ok(())
            }
            Action::Call { name, data } => self.call(id, &name, data),
            Action::Subscribe { channel, since } => {
                let offer = self.offer(&channel)?;
                if self.subscriptions.contains(&channel) {
                    return Err(Refusal::new(
                        "already_subscribed",
                        "this session is subscribed to this channel already",
                    ));
                }
                let most = self.hub.shared.config.limits.subscriptions;
                if self.subscriptions.len() >= most {
                    return Err(Refusal::new(
                        "too_many_subscriptions",
                        format!(
                            "a session may have {most} subscriptions: unsubscribe from a channel first"
                        ),
                    ));
                }
                self.subscriptions.insert(channel.clone());
                let message = ChannelMessage::Subscribe {
                    receiver: self.receiver(),
                    channel: channel.clone(),
                    offer,
                    since,
                    id,
                    _permit: permit,
                };
                self.hub.shared.send_to_channel(&channel, message);
                Ok(())
            }
            Action::Unsubscribe { channel } => {
                if !self.subscriptions.remove(&channel) {
                    return Err(Refusal::new(
                        "not_subscribed",
                        "this session is not subscribed to this channel",
                    ));
                }
                let message = ChannelMessage::Unsubscribe {
                    session: self.id,
                    channel: channel.clone(),
                    answer: Some((self.receiver(), id)),
                    _permit: Some(permit),
                };
                self.hub.shared.send_to_channel(&channel, message);
                Ok(())
            }
            Action::Publish { channel, data } => {
                if !self.offer(&channel)?.config.allows_client_publish() {
                    return Err(Refusal::new(
                        "publish_denied",
                        "clients may not publish to this channel",
                    ));
                }
                let message = ChannelMessage::Publish {
                    channel: channel.clone(),
                    data: in_the_model(&data)?,
                    answer: match id {
                        Some(id) => PublishAnswer::Client(self.receiver(), id),
                        None => PublishAnswer::Nobody,
                    },
                    _permit: permit,
                };
                self.hub.shared.send_to_channel(&channel, message);
                Ok(())
            }
            Action::Ping { received } => {
                let count = received.unwrap_or(0);
                if !self.pipe.with_outbox(|outbox| outbox.acknowledge(count)) {
                    self.violation();
                    return Err(Refusal::new(
                        "bad_field",
                        "`received` counts more events than were sent on this session",
                    ));
                }
                let (received, time) = (self.received, self.hub.shared.time());
                self.emit(ctx, &Delivery::Plain, |w| {
                    event::pong(w, id, received, time)
                });
                Ok(())
            }
        }
    }

    fn check_room_limit(&self) -> Result<(), Refusal> {
        let most = self.hub.shared.config.limits.rooms;
        if self.rooms.len() + self.joining >= most {
            return Err(Refusal::new(
                "too_many_rooms",
                format!("a session may be in {most} rooms: leave one first"),
            ));
        }
        Ok(())
    }

    fn offer(&self, channel: &ChannelName) -> Result<crate::channel::config::Offer, Refusal> {
        self.hub
            .shared
            .channels
            .find(channel.as_str())
            .ok_or_else(|| {
                Refusal::new(
                    "unknown_channel",
                    "this server offers no channel of this name",
                )
            })
    }

    /// Runs one of the server's own handlers, beside the session.
    fn call(&mut self, id: Option<u64>, name: &str, data: RawData) -> Result<(), Refusal> {
        let shared = self.hub.shared.clone();
        let Some((name, handler)) = shared.calls.get_key_value(name) else {
            let known = shared.calls.keys().map(String::as_str);
            return Err(unknown_type(name, known));
        };
        let permit = self.flow.calls.clone().try_acquire_owned().map_err(|_| {
            Refusal::new(
                "too_many_calls",
                "too many calls of this session wait for their reply: wait for some",
            )
        })?;
        let caller = Caller {
            session: self.id,
            claims: self.claims.clone(),
            shared: shared.clone(),
        };
        let name = name.clone();
        let begun = std::panic::catch_unwind(AssertUnwindSafe(|| handler(caller, data)));
        let answer = begun.unwrap_or_else(|_| {
            tracing::error!(call = name, "a handler panicked");
            Err(Refusal::internal())
        })?;
        let (hub, session, format) = (self.hub.clone(), self.id, self.pipe.format());
        actix_rt::spawn(async move {
            let outcome = AssertUnwindSafe(answer).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| {
                tracing::error!(call = name, "a handler panicked");
                Err(Refusal::internal())
            });
            let frame = match (&outcome, id) {
                (Ok(data), Some(id)) => {
                    Encoded::new(Formats::only(format), |w| event::reply(w, id, data))
                }
                (Ok(_), None) => return,
                (Err(refusal), id) => Encoded::new(Formats::only(format), |w| {
                    event::error(w, id, None, refusal)
                }),
            };
            match frame {
                Ok(frame) => hub.direct(session, frame, Delivery::Sequenced),
                Err(error) => tracing::error!(call = name, %error, "a reply cannot be encoded"),
            }
            drop(permit);
        });
        Ok(())
    }

    /// A connection of this worker shows a token.
    fn attach(&mut self, ctx: &mut Context<Self>, knock: Knock) {
        // It may have gone away while it waited.
        let Some(link) = self.hub.link(knock.link) else {
            return;
        };
        if let Err(reason) = self.admit(&knock) {
            self.hub.refuse(&knock, reason);
            return;
        }
        let _expected = self.hub.arrivals.borrow_mut().claims_of(knock.link);
        if let Some(window) = self.window.take() {
            ctx.cancel_future(window);
        }
        self.tokens.rotate(knock.token);
        self.welcome(&link, ctx, true, None);
        self.tell_rooms(RoomMessage::Resumed);
    }

    /// Whether the token brings this session back; if so its older connection is sent away, and what the client has not
    /// counted waits to be sent.
    fn admit(&mut self, knock: &Knock) -> Result<(), ResumeFailure> {
        if !self.tokens.accepts(&knock.token) {
            return Err(ResumeFailure::Unknown);
        }
        let (overflowed, resumed) = self.pipe.with_outbox(|outbox| {
            (
                outbox.has_overflowed(),
                // Frames that were written to the older connection may be lost: the client's count tells.
                outbox.resume(knock.received),
            )
        });
        if overflowed || !resumed {
            return Err(ResumeFailure::Overflow);
        }
        self.end_link(
            CloseCode::SUPERSEDED,
            "the session was resumed on another connection",
            Manner::Now,
        );
        self.pipe.disconnect();
        Ok(())
    }

    /// Sends the current connection away, if there is one. It is not the session's any more.
    fn end_link(&mut self, code: CloseCode, reason: &str, manner: Manner) {
        let Some(link) = self.link.as_ref() else {
            return;
        };
        let come_back = code.comes_back().then(|| self.hub.at_once());
        link.end(code, reason, come_back, manner, self.hub.closing_deadline());
        if manner == Manner::Now {
            self.hub.unplug(link);
            self.link = None;
        }
    }

    fn detached(&mut self, ctx: &mut Context<Self>, link: LinkId) {
        if self.link.as_ref().is_some_and(|current| current.id == link) {
            self.link = None;
            self.pipe.disconnect();
            self.tell_rooms(RoomMessage::Dropped);
            self.wait_for_return(ctx);
        }
    }

    /// Ends the session unless its client is back within the window.
    fn wait_for_return(&mut self, ctx: &mut Context<Self>) {
        let window = self.hub.shared.config.window;
        self.window = Some(ctx.run_later(window, |session, ctx| {
            if session.moving.is_none() {
                session.end(ctx, LeaveReason::Expired);
            }
        }));
    }

    fn leave_all(&mut self, reason: LeaveReason) {
        for (_, room) in self.rooms.drain() {
            room.do_send(RoomMessage::Gone(self.id, reason));
        }
        for channel in self.subscriptions.drain() {
            let message = ChannelMessage::Unsubscribe {
                session: self.id,
                channel: channel.clone(),
                answer: None,
                _permit: None,
            };
            self.hub.shared.send_to_channel(&channel, message);
        }
    }

    fn end(&mut self, ctx: &mut Context<Self>, reason: LeaveReason) {
        self.leave_all(reason);
        self.hub.sessions.borrow_mut().remove(&self.id);
        self.hub.shared.forget_home(self.id);
        self.stop_when_told_all(ctx);
    }

    /// The client missed more than is kept. What is left is a stub, which says so to a resume within the window.
    fn overflow(&mut self, ctx: &mut Context<Self>) {
        self.pipe
            .with_outbox(crate::session::outbox::Outbox::overflow);
        self.leave_all(LeaveReason::Overflow);
        if self.link.is_some() {
            self.end_link(
                CloseCode::SLOW,
                "the client did not read fast enough",
                Manner::Now,
            );
            self.wait_for_return(ctx);
        }
    }

    /// A connection of another worker shows a token: the session goes there.
    fn take_over(&mut self, ctx: &mut Context<Self>, knock: Knock, to: HubAddress) {
        if let Some(moving) = &mut self.moving {
            moving.waiting.push((knock, to));
            return;
        }
        if to.worker == self.hub.address.worker {
            self.attach(ctx, knock);
            return;
        }
        if let Err(reason) = self.admit(&knock) {
            to.send(HubMessage::TakeOverRefused { knock, reason });
            return;
        }
        if let Some(window) = self.window.take() {
            ctx.cancel_future(window);
        }
        self.moving = Some(Moving {
            knock,
            to,
            awaited: 0,
            waiting: Vec::new(),
        });
        let rooms: Vec<RoomAddress> = self.rooms.values().cloned().collect();
        rooms.iter().for_each(|room| self.rehome_room(room));
        for channel in &self.subscriptions {
            if let Some(moving) = &mut self.moving {
                moving.awaited += 1;
                let message = ChannelMessage::Rehome {
                    session: self.id,
                    channel: channel.clone(),
                    from: self.hub.address.clone(),
                    to: moving.to.clone(),
                };
                self.hub.shared.send_to_channel(channel, message);
            }
        }
        self.ship_if_ready(ctx);
    }

    fn rehome_room(&mut self, room: &RoomAddress) {
        if let Some(moving) = &mut self.moving
            && room.connected()
        {
            moving.awaited += 1;
            room.do_send(RoomMessage::Rehome {
                session: self.id,
                from: self.hub.address.clone(),
                to: moving.to.clone(),
            });
        }
    }

    fn ship_if_ready(&mut self, ctx: &mut Context<Self>) {
        if self.joining > 0 {
            return;
        }
        let Some(moving) = self.moving.take_if(|moving| moving.awaited == 0) else {
            return;
        };
        let bounds = self.hub.shared.config.outbox;
        let outbox = self.pipe.with_outbox(|outbox| {
            std::mem::replace(outbox, crate::session::outbox::Outbox::new(bounds))
        });
        self.hub.sessions.borrow_mut().remove(&self.id);
        self.hub.shared.set_home(self.id, moving.to.worker);
        moving.to.send(HubMessage::Arrive(Box::new(Baggage {
            id: self.id,
            format: self.pipe.format(),
            claims: self.claims.clone(),
            tokens: self.tokens.clone(),
            received: self.received,
            outbox,
            rooms: self.rooms.drain().collect(),
            subscriptions: self.subscriptions.drain().collect(),
            violations: self.violations,
            flow: self.flow.clone(),
            knock: moving.knock,
            waiting: moving.waiting,
        })));
        self.stop_when_told_all(ctx);
    }

    /// The session is not here any more, but somebody may have knocked just before: those are answered or sent on first.
    fn stop_when_told_all(&self, ctx: &mut Context<Self>) {
        ctx.address().do_send(SessionMessage::Stop);
    }
}

impl Handler<SessionMessage> for SessionActor {
    type Result = ();

    fn handle(&mut self, message: SessionMessage, ctx: &mut Self::Context) {
        match message {
            SessionMessage::Received {
                link,
                inbound,
                permit,
            } => self.received(ctx, link, inbound, permit),
            SessionMessage::Attach(knock) => {
                let to = self.hub.address.clone();
                self.attach_or_pass_on(ctx, knock, to);
            }
            SessionMessage::TakeOver { knock, to } => self.attach_or_pass_on(ctx, knock, to),
            SessionMessage::Detached { link } => self.detached(ctx, link),
            SessionMessage::Joined { room, address } => {
                self.joining = self.joining.saturating_sub(1);
                if self.pipe.with_outbox(|outbox| outbox.has_overflowed()) {
                    address.do_send(RoomMessage::Gone(self.id, LeaveReason::Overflow));
                } else {
                    if self.link.is_none() && self.moving.is_none() {
                        address.do_send(RoomMessage::Dropped(self.id));
                    }
                    self.rehome_room(&address);
                    self.rooms.insert(room, address);
                }
                self.ship_if_ready(ctx);
            }
            SessionMessage::JoinRefused => {
                self.joining = self.joining.saturating_sub(1);
                self.ship_if_ready(ctx);
            }
            SessionMessage::Left { room } => {
                self.rooms.remove(&room);
            }
            SessionMessage::SubscriptionEnded { channel } => {
                self.subscriptions.remove(&channel);
            }
            SessionMessage::Overflowed => self.overflow(ctx),
            SessionMessage::Rehomed => {
                if let Some(moving) = &mut self.moving {
                    moving.awaited = moving.awaited.saturating_sub(1);
                }
                self.ship_if_ready(ctx);
            }
            SessionMessage::Stop => ctx.stop(),
        }
    }
}

impl SessionActor {
    /// Takes in a connection that shows a token, unless the session has moved on: then sends it after it.
    fn attach_or_pass_on(&mut self, ctx: &mut Context<Self>, knock: Knock, to: HubAddress) {
        let home = self.hub.shared.home(self.id);
        if home == Some(self.hub.address.worker) {
            self.take_over(ctx, knock, to);
        } else if let Some(hub) = home.and_then(|worker| self.hub.shared.hub(worker)) {
            hub.send(HubMessage::TakeOver { knock, to });
        } else {
            let reason = self.hub.absence(&knock.token);
            to.send(HubMessage::TakeOverRefused { knock, reason });
        }
    }
}

/// A client's publication reaches clients of the other format, too: it must say something in both.
fn in_the_model(data: &RawData) -> Result<RawData, Refusal> {
    let bad = |error: CodecError| {
        Refusal::new(
            "bad_payload",
            format!("the publication is not in JSON's model: {error}"),
        )
    };
    match data.format {
        Format::Json => data.decode::<Value>().map(|_| data.clone()),
        Format::MsgPack => data
            .decode::<Value>()
            .and_then(|value| RawData::of(Format::Json, &value)),
    }
    .map_err(bad)
}
