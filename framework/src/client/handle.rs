//! The client's handle: what an application holds.

use std::fmt;
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::action::{Name, Outgoing, Since, mode_name};
use crate::client::connect::{Connect, Path, Target};
use crate::client::driver::{Dialer, run};
use crate::client::error::{CallError, ConnectError, SendError};
use crate::client::event::{Answer, Event, Position, Subscribed};
use crate::client::limits::Limits;
use crate::client::options::Options;
use crate::client::room::JoinedRoom;
use crate::client::shared::{Shared, Wish};
use crate::client::ticket::Ticket;
use crate::ids::{ChannelName, RoomId, SessionId};
use crate::wire::action::JoinMode;

/// A client of a Courtside server: one session, whatever happens to its connections.
///
/// A clone is a reference to the same client.
/// When the last one, rooms included, is dropped, the client closes by itself.
/// It stays on the thread on which it was made.
#[derive(Clone)]
pub struct Client {
    pub(crate) held: Rc<Held>,
}

/// What the handles hold in common: the client closes when it is dropped.
pub(crate) struct Held(pub(crate) Rc<Shared>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.wish(Wish::Close);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.held.0.fmt(f)
    }
}

impl Client {
    /// Connects over TCP to a `ws://` URL. Returns once the server has welcomed the client.
    ///
    /// # Errors
    ///
    /// Whatever kept the first connection from being welcomed. It is not tried again: that begins with the first welcome.
    /// (A credential that was refused is asked for once more, if it comes from a function.)
    /// [`ConnectError::Options`] if the options cannot work.
    ///
    /// # Panics
    ///
    /// Outside of an actix system or a `tokio::task::LocalSet`.
    pub async fn connect(url: &str, options: Options) -> Result<Self, ConnectError> {
        let target = Target::parse(url)?;
        let dialer = Dialer {
            connect: Box::new(target.tcp()),
            authority: target.authority,
            path: target.path,
        };
        Self::start(dialer, options, None).await
    }

    /// As [`Client::connect`], to go on with the session of another client that has been suspended, or has died.
    ///
    /// If the server still has the session, [`Event::Restored`] says what it takes part in, and what that client missed follows.
    /// Otherwise it is a new one, and [`Event::Lost`] says why.
    /// What the other client sent and the server did not confirm may have been done or not.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub async fn restore(
        url: &str,
        ticket: Ticket,
        options: Options,
    ) -> Result<Self, ConnectError> {
        let target = Target::parse(url)?;
        let dialer = Dialer {
            connect: Box::new(target.tcp()),
            authority: target.authority,
            path: target.path,
        };
        Self::start(dialer, options, Some(ticket)).await
    }

    /// As [`Client::restore`], over streams of `connect`'s making.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
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

    /// Connects over streams of `connect`'s making to a path such as `/ws`. Otherwise as [`Client::connect`].
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
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
        let shared = Rc::new(Shared::new(options, ticket));
        let client = Self {
            held: Rc::new(Held(shared.clone())),
        };
        tokio::task::spawn_local(run(shared.clone(), dialer));
        shared
            .until(|shared| shared.was_welcomed() || shared.has_ended())
            .await;
        match shared.take_failure() {
            Some(error) => Err(error),
            None => Ok(client),
        }
    }

    fn shared(&self) -> &Shared {
        &self.held.0
    }

    /// The next event, in the order in which they happened. Waits for one; `None` once the client is closed.
    ///
    /// Several waiting at once share the events between them. It can be dropped at any time without losing one.
    pub async fn next(&self) -> Option<Event> {
        self.shared().next().await
    }

    /// The next event if one is there already.
    #[must_use]
    pub fn try_next(&self) -> Option<Event> {
        self.shared().take()
    }

    /// Joins a room of that kind: one that fits, or a new one.
    ///
    /// It waits as long as it takes; `tokio::time::timeout` sets a limit to it, as to every request.
    /// If its future is dropped before the answer has come, the client does not stay in the room.
    ///
    /// # Errors
    ///
    /// The server's refusal, or why there is no answer; see [`CallError`].
    pub async fn join<T: Serialize + ?Sized>(
        &self,
        kind: &str,
        options: &T,
    ) -> Result<JoinedRoom, CallError> {
        self.join_with(kind, JoinMode::Any, options).await
    }

    /// Joins a room of that kind, found as `mode` says.
    ///
    /// # Errors
    ///
    /// As [`Client::join`].
    pub async fn join_with<T: Serialize + ?Sized>(
        &self,
        kind: &str,
        mode: JoinMode,
        options: &T,
    ) -> Result<JoinedRoom, CallError> {
        self.joined(Outgoing {
            kind: Some(kind),
            mode: mode_name(mode),
            options: Some(options),
            ..Outgoing::new(Name::Join)
        })
        .await
    }

    /// Joins the room of that id.
    ///
    /// # Errors
    ///
    /// As [`Client::join`].
    pub async fn join_room<T: Serialize + ?Sized>(
        &self,
        room: &RoomId,
        options: &T,
    ) -> Result<JoinedRoom, CallError> {
        self.joined(Outgoing {
            room: Some(room),
            options: Some(options),
            ..Outgoing::new(Name::Join)
        })
        .await
    }

    async fn joined<T: Serialize + ?Sized>(
        &self,
        action: Outgoing<'_, T>,
    ) -> Result<JoinedRoom, CallError> {
        match self.shared().ask(action).await? {
            Answer::Joined(room, member) => Ok(JoinedRoom::new(self.clone(), room, member)),
            answer => Err(unexpected(&answer)),
        }
    }

    /// The room of that id, if the client is in it.
    #[must_use]
    pub fn room(&self, room: &RoomId) -> Option<JoinedRoom> {
        let member = self.shared().rules(|rules| rules.member(room))?;
        Some(JoinedRoom::new(self.clone(), room.clone(), member))
    }

    /// Calls one of the server's own handlers, by its name, and waits for the reply, as long as it takes.
    ///
    /// If its future is dropped before the call was sent, it is not sent.
    ///
    /// # Errors
    ///
    /// The server's refusal, [`CallError::Decode`] if the reply is no `R`, or why there is none.
    pub async fn call_raw<T, R>(&self, name: &str, data: &T) -> Result<R, CallError>
    where
        T: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.call_with(name, Some(data)).await
    }

    /// As [`Client::call_raw`], with or without data.
    pub(crate) async fn call_with<T, R>(&self, name: &str, data: Option<&T>) -> Result<R, CallError>
    where
        T: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let call = Outgoing {
            type_: Some(name),
            data,
            ..Outgoing::new(Name::Call)
        };
        reply(self.shared().ask(call).await?)
    }

    /// Subscribes to a channel: what its history holds and what is published from now on comes as [`Event::Publication`]s.
    ///
    /// After a lost session the client subscribes again by itself, from where it was.
    ///
    /// # Errors
    ///
    /// The server's refusal, or why there is no answer.
    pub async fn subscribe(
        &self,
        channel: impl Into<ChannelName>,
    ) -> Result<Subscribed, CallError> {
        self.subscribe_since(channel, None).await
    }

    /// Subscribes to a channel from where an earlier subscription, perhaps of another process, stopped.
    ///
    /// # Errors
    ///
    /// As [`Client::subscribe`].
    pub async fn subscribe_since(
        &self,
        channel: impl Into<ChannelName>,
        position: Option<&Position>,
    ) -> Result<Subscribed, CallError> {
        let subscribe: Outgoing<'_, ()> = Outgoing {
            channel: Some(&channel.into()),
            since: position.map(|position| Since {
                epoch: &position.epoch,
                offset: position.offset,
            }),
            ..Outgoing::new(Name::Subscribe)
        };
        match self.shared().ask(subscribe).await? {
            Answer::Subscribed(subscribed) => Ok(subscribed),
            answer => Err(unexpected(&answer)),
        }
    }

    /// Ends a subscription. Publications that were on their way still come until this returns.
    ///
    /// # Errors
    ///
    /// The server's refusal, or why there is no answer.
    pub async fn unsubscribe(&self, channel: impl Into<ChannelName>) -> Result<(), CallError> {
        let unsubscribe: Outgoing<'_, ()> = Outgoing {
            channel: Some(&channel.into()),
            ..Outgoing::new(Name::Unsubscribe)
        };
        ended(self.shared().ask(unsubscribe).await)
    }

    /// How far a channel was read, if it is subscribed to.
    #[must_use]
    pub fn position(&self, channel: impl Into<ChannelName>) -> Option<Position> {
        self.shared()
            .rules(|rules| rules.position(&channel.into()).cloned())
    }

    /// Publishes to a channel. Returns the publication's offset.
    ///
    /// # Errors
    ///
    /// The server's refusal, or why there is no answer.
    pub async fn publish<T: Serialize + ?Sized>(
        &self,
        channel: impl Into<ChannelName>,
        data: &T,
    ) -> Result<u64, CallError> {
        let publish = Outgoing {
            channel: Some(&channel.into()),
            data: Some(data),
            ..Outgoing::new(Name::Publish)
        };
        match self.shared().ask(publish).await? {
            Answer::Published(offset) => Ok(offset),
            answer => Err(unexpected(&answer)),
        }
    }

    /// The session, as the last welcome named it.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.shared().rules(|rules| rules.session())
    }

    /// Whether the client is connected and welcomed.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.shared().rules(|rules| rules.is_online())
    }

    /// How many actions the server has not acknowledged yet.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.shared().rules(|rules| rules.unacknowledged())
    }

    /// The server's clock in Unix milliseconds, late by the time that its last word took to arrive.
    #[must_use]
    pub fn server_time(&self) -> Option<u64> {
        self.shared()
            .rules(|rules| rules.server_time(self.shared().now()))
    }

    /// What the server allows each client, as the last welcome named it.
    #[must_use]
    pub fn limits(&self) -> Option<Limits> {
        self.shared().rules(|rules| rules.limits().cloned())
    }

    /// Drops the connection without a word, as a lost network would. The client comes back by its usual rules.
    pub fn cut(&self) {
        self.shared().wish(Wish::Cut);
    }

    /// Tries at once to come back, if the client is waiting before its next attempt.
    pub fn reconnect_now(&self) {
        self.shared().hurry.notify_waiters();
    }

    /// Stops reading from the connection, as a client that hangs would. What was read already is still handed on.
    pub fn stop_reading(&self) {
        self.shared().set_reads(false);
    }

    /// Reads again after [`Client::stop_reading`].
    pub fn resume_reading(&self) {
        self.shared().set_reads(true);
    }

    /// What another client would need to go on with the session now.
    #[must_use]
    pub fn ticket(&self) -> Option<Ticket> {
        self.shared().rules(|rules| rules.ticket())
    }

    /// Ends the client, and leaves its session to another one: see [`Client::restore`].
    ///
    /// The connection is dropped at once. What was queued and not sent is given up; events that wait are still handed on.
    /// `None` if there is no session; the client has ended then as well.
    pub fn suspend(&self) -> Option<Ticket> {
        let ticket = self.ticket();
        self.shared().wish(Wish::Suspend);
        ticket
    }

    /// Sends what is queued, ends the session and with it the client: its seats are free at once.
    ///
    /// It takes [`Options::close_timeout`] at the longest. Requests that wait end with [`CallError::Closed`].
    /// Without a connection, what is queued is given up, and the server is told on a new connection that the session has ended.
    /// If that cannot be done in time, the client goes on trying in the background, until the server would have ended the
    /// session anyway.
    pub async fn close(&self) {
        self.shared().wish(Wish::Close);
        self.shared().until(Shared::has_ended).await;
    }
}

/// Decodes a reply.
pub(crate) fn reply<R: DeserializeOwned>(answer: Answer) -> Result<R, CallError> {
    let data = match answer {
        Answer::Reply(data) => data,
        Answer::Done => Value::Null,
        answer => return Err(unexpected(&answer)),
    };
    R::deserialize(data).map_err(|error| CallError::Decode(error.to_string()))
}

/// The answer to a request that ends something: a session that was lost has ended it as well.
pub(crate) fn ended(answer: Result<Answer, CallError>) -> Result<(), CallError> {
    match answer {
        Ok(_) | Err(CallError::SessionLost(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

fn unexpected(answer: &Answer) -> CallError {
    CallError::Decode(format!("the server answered another question: {answer:?}"))
}

/// Queues an action that nobody waits for.
pub(crate) fn act<T: Serialize + ?Sized>(
    client: &Client,
    action: Outgoing<'_, T>,
) -> Result<(), SendError> {
    client.held.0.act(action)
}
