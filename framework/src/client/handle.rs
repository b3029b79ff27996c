//! The handle that an application holds.

use std::fmt;
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::action::{ActionName, OutboundAction, mode_name};
use crate::client::connect::{Connect, Path, ServerUrl};
use crate::client::credential::AccessToken;
use crate::client::driver::{Dialer, run};
use crate::client::error::{CallError, ConnectError, SendError};
use crate::client::event::{Answer, Event, Position, Subscribed};
use crate::client::inner::{ClientInner, Instruction};
use crate::client::limits::Limits;
use crate::client::options::Options;
use crate::client::room::JoinedRoom;
use crate::client::rules::Rules;
use crate::client::subscribing::SubscribeOptions;
use crate::client::ticket::Ticket;
use crate::ids::{ChannelName, RoomId, SessionId};
use crate::wire::action::JoinMode;

/// A client of a Courtside server: one session that survives lost connections.
///
/// A clone is another handle to the same client. When the last handle is dropped, [`JoinedRoom`]s included, the client closes.
/// A client cannot move to another thread.
#[derive(Clone)]
pub struct Client {
    pub(crate) handle: Rc<CloseOnDrop>,
}

/// Closes the client when the last handle is dropped.
pub(crate) struct CloseOnDrop(Rc<ClientInner>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.instruct(Instruction::Close);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner().fmt(f)
    }
}

impl Client {
    /// Connects over TCP to a `ws://` URL. Returns when the server has welcomed the client.
    ///
    /// # Errors
    ///
    /// Returns the reason why the first attempt failed. The client does not try again by itself until it has been connected once.
    /// (One exception: a function for the credential is called once more if the server has refused the first credential.)
    /// Returns [`ConnectError::Options`] if the options cannot work.
    ///
    /// # Panics
    ///
    /// Panics outside of an actix system or a `tokio::task::LocalSet`.
    pub async fn connect(url: &str, options: Options) -> Result<Self, ConnectError> {
        let target = ServerUrl::parse(url)?;
        let dialer = Dialer {
            connect: Box::new(target.tcp()),
            authority: target.authority,
            path: target.path,
        };
        Self::start(dialer, options, None).await
    }

    /// Connects like [`Client::connect`], and takes over the session of another client that was suspended or has died.
    ///
    /// If the server still has the session, [`Event::Restored`] lists its rooms and subscriptions, and the events that the other
    /// client missed follow. Otherwise a new session begins, and [`Event::Lost`] says why.
    ///
    /// The server may or may not have processed the actions that the other client sent last.
    ///
    /// # Errors
    ///
    /// See [`Client::connect`].
    pub async fn restore(
        url: &str,
        ticket: Ticket,
        options: Options,
    ) -> Result<Self, ConnectError> {
        let target = ServerUrl::parse(url)?;
        let dialer = Dialer {
            connect: Box::new(target.tcp()),
            authority: target.authority,
            path: target.path,
        };
        Self::start(dialer, options, Some(ticket)).await
    }

    /// Takes over a session like [`Client::restore`], over streams that `connect` opens.
    ///
    /// # Errors
    ///
    /// See [`Client::connect`].
    pub async fn restore_with(
        connect: impl Connect + 'static,
        path: &str,
        ticket: Ticket,
        options: Options,
    ) -> Result<Self, ConnectError> {
        let dialer = Dialer {
            connect: Box::new(connect),
            authority: "localhost".to_owned(),
            path: Path::parse(path)?,
        };
        Self::start(dialer, options, Some(ticket)).await
    }

    /// Connects like [`Client::connect`], over streams that `connect` opens, for example [encrypted](crate::client#tls) ones.
    ///
    /// `path` is the path of the server's WebSocket, such as `/ws`. The `Host` header is `localhost`, unless
    /// [`Options::headers`] has another one.
    ///
    /// # Errors
    ///
    /// See [`Client::connect`].
    pub async fn connect_with(
        connect: impl Connect + 'static,
        path: &str,
        options: Options,
    ) -> Result<Self, ConnectError> {
        let dialer = Dialer {
            connect: Box::new(connect),
            authority: "localhost".to_owned(),
            path: Path::parse(path)?,
        };
        Self::start(dialer, options, None).await
    }

    async fn start(
        dialer: Dialer,
        options: Options,
        ticket: Option<Ticket>,
    ) -> Result<Self, ConnectError> {
        options.check()?;
        let inner = Rc::new(ClientInner::new(options, ticket));
        let client = Self {
            handle: Rc::new(CloseOnDrop(inner.clone())),
        };
        tokio::task::spawn_local(run(inner.clone(), dialer));
        inner
            .until(|inner| inner.was_welcomed() || inner.has_ended())
            .await;
        match inner.take_failure() {
            Some(error) => Err(error),
            None => Ok(client),
        }
    }

    pub(crate) fn inner(&self) -> &ClientInner {
        &self.handle.0
    }

    /// Waits for the next event. Returns `None` when the client has ended and all events were returned.
    ///
    /// The future can be dropped at any time without losing an event. Each event is returned once: if several tasks wait, one of
    /// them gets it.
    pub async fn next(&self) -> Option<Event> {
        self.inner().next().await
    }

    /// The next event, if there is one already.
    #[must_use]
    pub fn try_next(&self) -> Option<Event> {
        self.inner().take()
    }

    /// Joins a room of the kind `kind`: one that has a free seat and matches `options`, or a new one.
    ///
    /// Like every request, it has no time limit of its own, and waits for the next connection if this one is lost. Use
    /// `tokio::time::timeout` to limit it. If the future is dropped before the answer has arrived, the client leaves the room again.
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, or why there is no answer; see [`CallError`].
    pub async fn join<T: Serialize + ?Sized>(
        &self,
        kind: &str,
        options: &T,
    ) -> Result<JoinedRoom, CallError> {
        self.join_with(kind, JoinMode::Any, options).await
    }

    /// Joins a room of the kind `kind`. `mode` says whether it may be an existing room, a new one, or either.
    ///
    /// # Errors
    ///
    /// See [`Client::join`].
    pub async fn join_with<T: Serialize + ?Sized>(
        &self,
        kind: &str,
        mode: JoinMode,
        options: &T,
    ) -> Result<JoinedRoom, CallError> {
        self.joined(OutboundAction {
            kind: Some(kind),
            mode: mode_name(mode),
            options: Some(options),
            ..OutboundAction::new(ActionName::Join)
        })
        .await
    }

    /// Joins the room with the id `room`.
    ///
    /// # Errors
    ///
    /// See [`Client::join`].
    pub async fn join_room<T: Serialize + ?Sized>(
        &self,
        room: &RoomId,
        options: &T,
    ) -> Result<JoinedRoom, CallError> {
        self.joined(OutboundAction {
            room: Some(room),
            options: Some(options),
            ..OutboundAction::new(ActionName::Join)
        })
        .await
    }

    async fn joined<T: Serialize + ?Sized>(
        &self,
        action: OutboundAction<'_, T>,
    ) -> Result<JoinedRoom, CallError> {
        match self.inner().ask(action).await? {
            Answer::Joined(room, member) => Ok(JoinedRoom::new(self.clone(), room, member)),
            answer => Err(unexpected(&answer)),
        }
    }

    /// The room with the id `room`, if the client is in it.
    #[must_use]
    pub fn room(&self, room: &RoomId) -> Option<JoinedRoom> {
        let member = self.inner().rules(|rules| rules.member(room))?;
        Some(JoinedRoom::new(self.clone(), room.clone(), member))
    }

    /// Calls the server's handler `name` with `data`, and waits for the reply.
    ///
    /// If the future is dropped before the call was sent, it is never sent.
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, [`CallError::Decode`] if the reply does not fit `R`, or why there is no reply.
    pub async fn call_raw<T, R>(&self, name: &str, data: &T) -> Result<R, CallError>
    where
        T: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.call_with(name, Some(data)).await
    }

    /// [`Client::call_raw`] with or without data.
    pub(crate) async fn call_with<T, R>(&self, name: &str, data: Option<&T>) -> Result<R, CallError>
    where
        T: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let call = OutboundAction {
            type_: Some(name),
            data,
            ..OutboundAction::new(ActionName::Call)
        };
        reply(self.inner().ask(call).await?)
    }

    /// Subscribes to a channel. The publications of its history, and all further ones, arrive as [`Event::Publication`]s.
    ///
    /// After a lost session the client subscribes again by itself and continues after the last publication that it received.
    /// If the server refuses that with `too_fast` or `authorization_timeout`, the client tries again after one to two seconds, until
    /// it succeeds; after any other refusal, the subscription has ended, with an [`Event::Unsubscribed`].
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, or why there is no answer.
    pub async fn subscribe(
        &self,
        channel: impl Into<ChannelName>,
    ) -> Result<Subscribed, CallError> {
        self.subscribe_since(channel, None).await
    }

    /// Subscribes to a channel and continues after `position`, which an earlier subscription has reached, perhaps in another process.
    ///
    /// # Errors
    ///
    /// See [`Client::subscribe`].
    pub async fn subscribe_since(
        &self,
        channel: impl Into<ChannelName>,
        position: Option<&Position>,
    ) -> Result<Subscribed, CallError> {
        let since = position.cloned();
        let options = SubscribeOptions {
            since,
            ..SubscribeOptions::default()
        };
        self.subscribe_with(channel, options).await
    }

    /// Subscribes to a channel and to its presence, and shows `data` to others there; null shows none.
    ///
    /// The list, and what changes afterwards, arrives as [`Event::Presence`], which a
    /// [`PresenceFollower`](crate::client::PresenceFollower) puts together. After a lost session, the client subscribes and watches
    /// again by itself, with the same data.
    ///
    /// # Errors
    ///
    /// See [`Client::subscribe`]. [`CallError::NotSent`] if the data cannot be encoded.
    pub async fn watch<T: Serialize + ?Sized>(
        &self,
        channel: impl Into<ChannelName>,
        data: &T,
    ) -> Result<Subscribed, CallError> {
        let mut options = SubscribeOptions::default().data(data);
        options.wish.presence = true;
        self.subscribe_with(channel, options).await
    }

    /// Asks for the list of who is present in a channel. It arrives as [`Event::Presence`] before this returns.
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, or why there is no answer.
    pub async fn ask_presence(&self, channel: impl Into<ChannelName>) -> Result<(), CallError> {
        let ask: OutboundAction<'_, ()> = OutboundAction {
            channel: Some(&channel.into()),
            ..OutboundAction::new(ActionName::Presence)
        };
        reply(self.inner().ask(ask).await?)
    }

    /// Changes the data that the client shows to others in a channel that it is subscribed to. All sessions of a subject show the
    /// same, which is what one of them has set last.
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, or why there is no answer.
    pub async fn set_presence<T: Serialize + ?Sized>(
        &self,
        channel: impl Into<ChannelName>,
        data: &T,
    ) -> Result<(), CallError> {
        let channel = channel.into();
        let data = encodable(data)?;
        let change = OutboundAction {
            channel: Some(&channel),
            data: Some(&data),
            ..OutboundAction::new(ActionName::Presence)
        };
        reply::<()>(self.inner().ask(change).await?)?;
        let show = |rules: &mut Rules| rules.subscriptions_mut().show(&channel, data);
        self.inner().rules_mut(show);
        Ok(())
    }

    /// Ends a subscription. Publications may still arrive until this returns.
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, or why there is no answer.
    pub async fn unsubscribe(&self, channel: impl Into<ChannelName>) -> Result<(), CallError> {
        let unsubscribe: OutboundAction<'_, ()> = OutboundAction {
            channel: Some(&channel.into()),
            ..OutboundAction::new(ActionName::Unsubscribe)
        };
        ended(self.inner().ask(unsubscribe).await)
    }

    /// The position up to which the client has received a channel's publications, if it is subscribed to the channel.
    #[must_use]
    pub fn position(&self, channel: impl Into<ChannelName>) -> Option<Position> {
        self.inner()
            .rules(|rules| rules.position(&channel.into()).cloned())
    }

    /// Publishes to a channel. Returns the offset of the publication.
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, or why there is no answer.
    pub async fn publish<T: Serialize + ?Sized>(
        &self,
        channel: impl Into<ChannelName>,
        data: &T,
    ) -> Result<u64, CallError> {
        let publish = OutboundAction {
            channel: Some(&channel.into()),
            data: Some(data),
            ..OutboundAction::new(ActionName::Publish)
        };
        match self.inner().ask(publish).await? {
            Answer::Published(offset) => Ok(offset),
            answer => Err(unexpected(&answer)),
        }
    }

    /// Gets a fresh credential from the application's function and shows it to the server now, for example after the user has changed
    /// the profile that it names. The client does so by itself before a credential expires.
    ///
    /// Returns when the server has accepted the credential, which holds for everything that begins later, such as the next join.
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, and the session continues with the credential before; or why there is no answer;
    /// [`SendError::NoCredential`] without [`Options::access_token_with`], or if its function returns none.
    pub async fn refresh(&self) -> Result<(), CallError> {
        let source = self.inner().options.access_token.clone();
        let source = source.filter(AccessToken::can_change);
        let token = match source {
            Some(source) => source.get().await,
            None => None,
        };
        let refresh: OutboundAction<'_, ()> = OutboundAction {
            token: Some(&token.ok_or(SendError::NoCredential)?),
            ..OutboundAction::new(ActionName::Refresh)
        };
        reply::<serde::de::IgnoredAny>(self.inner().ask(refresh).await?)?;
        Ok(())
    }

    /// The id of the session. `None` until the client has been connected.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.inner().rules(|rules| rules.session())
    }

    /// Whether the client is connected to the server.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.inner().rules(|rules| rules.is_online())
    }

    /// How many actions wait for the server's acknowledgement.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.inner().rules(|rules| rules.unacknowledged())
    }

    /// The server's clock, in Unix milliseconds. It is late by the time that the server's message took to arrive.
    #[must_use]
    pub fn server_time(&self) -> Option<u64> {
        self.inner()
            .rules(|rules| rules.server_time(self.inner().now()))
    }

    /// The server's limits for this client. `None` until the client has been connected.
    #[must_use]
    pub fn limits(&self) -> Option<Limits> {
        self.inner().rules(|rules| rules.limits().cloned())
    }

    /// Drops the connection without closing it, as if the network were lost. The client then reconnects as usual. For tests.
    pub fn cut(&self) {
        self.inner().instruct(Instruction::Cut);
    }

    /// Tries to reconnect at once, if the client is waiting before its next attempt.
    pub fn reconnect_now(&self) {
        self.inner().retry_now.notify_waiters();
    }

    /// Stops reading from the connection, like a client that hangs. Events that were read before still arrive. For tests.
    pub fn stop_reading(&self) {
        self.inner().set_reads(false);
    }

    /// Reads again after [`Client::stop_reading`].
    pub fn resume_reading(&self) {
        self.inner().set_reads(true);
    }

    /// What another client would need now to take over the session. `None` if there is no session.
    #[must_use]
    pub fn ticket(&self) -> Option<Ticket> {
        self.inner().rules(|rules| rules.ticket())
    }

    /// Ends the client and keeps its session for another client; see [`Client::restore`].
    ///
    /// The connection is dropped at once. Actions that were not sent are discarded. Events that wait can still be read.
    /// Returns `None` if there is no session; the client ends in that case, too.
    pub fn suspend(&self) -> Option<Ticket> {
        let ticket = self.ticket();
        self.inner().instruct(Instruction::Suspend);
        ticket
    }

    /// Sends the queued actions, and ends the session and the client. The client leaves its rooms at once.
    ///
    /// This takes at most [`Options::close_timeout`]. Pending requests fail with [`CallError::Closed`].
    ///
    /// If there is no connection, the queued actions are discarded, and the client connects once more to end the session.
    /// If that does not succeed in time, the client keeps trying in the background until the server would have ended the session
    /// by itself.
    pub async fn close(&self) {
        self.inner().instruct(Instruction::Close);
        self.inner().until(ClientInner::has_ended).await;
    }
}

/// Decodes a reply.
fn encodable<T: Serialize + ?Sized>(data: &T) -> Result<Value, CallError> {
    serde_json::to_value(data).map_err(|error| SendError::Encode(error.to_string()).into())
}

pub(crate) fn reply<R: DeserializeOwned>(answer: Answer) -> Result<R, CallError> {
    let data = match answer {
        Answer::Reply(data) => data,
        Answer::Done => Value::Null,
        answer => return Err(unexpected(&answer)),
    };
    R::deserialize(data).map_err(|error| CallError::Decode(error.to_string()))
}

/// The answer to a request that ends something. A lost session has ended it, too.
pub(crate) fn ended(answer: Result<Answer, CallError>) -> Result<(), CallError> {
    match answer {
        Ok(_) | Err(CallError::SessionLost(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(crate) fn unexpected(answer: &Answer) -> CallError {
    CallError::Decode(format!(
        "the answer belongs to another kind of request: {answer:?}"
    ))
}

/// Queues an action without a reply.
pub(crate) fn act<T: Serialize + ?Sized>(
    client: &Client,
    action: OutboundAction<'_, T>,
) -> Result<(), SendError> {
    client.inner().act(action)
}
