//! A server as seen from inside the application: publish, list rooms, read counters.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use serde::Serialize;
use tokio::sync::oneshot;

use crate::channel::error::ChannelError;
use crate::channel::history::{HistoryPage, HistoryQuery};
use crate::channel::publish::{Admitted, PublishError, PublishGate, PublishKey};
use crate::ids::{ChannelName, SessionId};
use crate::journal::settings::JournalHealth;
use crate::lobby::info::{ListQuery, RoomInfo};
use crate::memory::Memory;
use crate::observer::Stats;
use crate::presence::member::{PresenceError, PresenceMember};
use crate::runtime::instruction::{Task, Ticket, all};
use crate::runtime::lobby;
use crate::runtime::messages::{ChannelMessage, PublishSource};
use crate::runtime::server_inner::ServerInner;
use crate::session::directory::Recipients;
use crate::user_handle::UserHandle;
use crate::wire::codec::{Format, RawData};

/// A handle to a server, for code that only uses its rooms and channels. A clone is another handle to the same server.
///
/// A handle cannot be mounted or run, so it cannot bypass the checks of the [`Server`](crate::Server). It does not keep the
/// server alive either; when the server has ended, publishing fails.
///
/// ```compile_fail,E0599
/// # use courtside::{Call, Refusal};
/// # #[derive(serde::Deserialize, courtside::Message)] struct Knock;
/// async fn open_a_back_door(call: Call<Knock>) -> Result<(), Refusal> {
///     let _past_all_checks = call.server().at("/back");
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ServerHandle {
    pub(crate) shared: Arc<ServerInner>,
}

/// A publication that was sent to its channel, or the reason why it was not. [`ServerHandle::publish`] returns it.
///
/// The publication is on its way whether or not anything waits for this. Awaiting it returns the publication's offset, as soon as
/// the channel has assigned it.
#[derive(Debug)]
#[must_use = "the publication may have been refused: check `sent()`, or await the offset"]
pub struct PublishAck(Result<oneshot::Receiver<Result<u64, PublishError>>, PublishError>);

impl PublishAck {
    /// Whether the publication was sent, for those who do not need the offset. It does not wait.
    ///
    /// # Errors
    ///
    /// If it was not sent: [`PublishError::Busy`], say. That the server has too many channels is only known later; it is then
    /// logged.
    pub fn sent(self) -> Result<(), PublishError> {
        self.0.map(drop)
    }
}

impl Future for PublishAck {
    type Output = Result<u64, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Ok(offset) => Pin::new(offset)
                .poll(cx)
                .map(|answer| answer.unwrap_or(Err(PublishError::Ended))),
            Err(error) => Poll::Ready(Err(error.clone())),
        }
    }
}

impl ServerHandle {
    pub(crate) fn new(shared: Arc<ServerInner>) -> Self {
        Self { shared }
    }

    /// Publishes to a channel. It never waits, and can be called on any thread.
    ///
    /// The publication is sent at once, or refused at once. Await the returned [`PublishAck`] for the offset, or check it with
    /// [`sent`](PublishAck::sent). The publications of one thread to one channel keep their order, also if none is awaited.
    ///
    /// ```
    /// # use courtside::{PublishError, ServerHandle};
    /// # async fn news(server: &ServerHandle) -> Result<(), PublishError> {
    /// let offset = server.publish("news", "goal").await?;
    /// server.publish("news", "no goal").sent()?; // where no offset is needed, or nothing can be awaited
    /// # let _ = offset;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the channel is not offered, the data cannot be encoded, the server has ended, or as many publications are on their way to
    /// their channels as [`Config::publish_backlog`](crate::Config::publish_backlog) allows: [`PublishError::Busy`]. Also if the
    /// channel would be one too many, which is known when the offset would be.
    pub fn publish(
        &self,
        channel: impl Into<ChannelName>,
        data: &(impl Serialize + ?Sized),
    ) -> PublishAck {
        PublishAck(self.send_publication(channel.into(), data, None))
    }

    /// As [`publish`](Self::publish), but takes effect once: if the channel remembers a publication with this key, whoever made it,
    /// nothing is published, and the offset is that of the earlier publication. The data of the repeat is ignored.
    ///
    /// So whoever does not know whether a publication was made can safely make it again. Choose a key that names the event, such as
    /// the id of a row or of a request. A key is for one channel: the same key on another channel is another key.
    ///
    /// Each channel remembers the newest [`Config::publish_keys`](crate::Config::publish_keys) keys for
    /// [`Config::publish_keys_age`](crate::Config::publish_keys_age), in memory: across a restart of the server only with a
    /// [journal](crate::ServerBuilder::journal), and not if the channel is evicted because of [`Limits::channels_in_all`](crate::Limits::channels_in_all).
    ///
    /// # Errors
    ///
    /// As `publish`, and if the key is empty or longer than 256 bytes.
    pub fn publish_once(
        &self,
        key: &str,
        channel: impl Into<ChannelName>,
        data: &(impl Serialize + ?Sized),
    ) -> PublishAck {
        let key = PublishKey::new(key);
        PublishAck(key.and_then(|key| self.send_publication(channel.into(), data, Some(key))))
    }

    fn send_publication(
        &self,
        channel: ChannelName,
        data: &(impl Serialize + ?Sized),
        key: Option<PublishKey>,
    ) -> Result<oneshot::Receiver<Result<u64, PublishError>>, PublishError> {
        let data = RawData::of(Format::Json, data)
            .map_err(|error| PublishError::NotEncodable(error.to_string()))?;
        let place = Some(self.shared.admit(&channel, data.bytes().len())?);
        let (answer, offset) = oneshot::channel();
        let message = ChannelMessage::Publish {
            channel: channel.clone(),
            data,
            source: PublishSource::Application(answer, Admitted { key, place }),
            accounts: None,
        };
        self.shared.send_to_channel(&channel, message);
        Ok(offset)
    }

    /// Subscribes all sessions of a subject to a channel, also those that are within their window. Their clients receive `subscribed`
    /// without an `id`, and what is published from then on.
    ///
    /// The application has decided, so the channel's hook ([`Channel::authorize`](crate::Channel::authorize)) is not asked. It is
    /// asked when a client subscribes again in a new session. The client gets no history to begin with, and can ask for it.
    /// A session that has as many subscriptions as [`Limits::subscriptions`](crate::Limits::subscriptions) allows is left out.
    ///
    /// Returns how many sessions are subscribed, when all are: what is published from then on, they receive. A client that is far
    /// behind is subscribed when it has read something, which this does not wait for. A session that begins later is not subscribed.
    ///
    /// It costs as much as the subject has sessions, however many others there are. While 1,024 calls are in progress, further ones
    /// wait.
    ///
    /// # Errors
    ///
    /// If the channel is not offered, or the server has ended.
    pub async fn subscribe(
        &self,
        subject: &str,
        channel: impl Into<ChannelName>,
    ) -> Result<usize, ChannelError> {
        let channel = channel.into();
        if self.shared.channels.find(channel.as_str()).is_none() {
            return Err(ChannelError::UnknownChannel);
        }
        if self.shared.has_ended() {
            return Err(ChannelError::Ended);
        }
        // It is never closed.
        let permit = self.shared.session_calls.clone().acquire_owned().await.ok();
        let (ticket, answered) = Ticket::new(permit);
        let recipients = Recipients::OfSubject(subject.into());
        let task = Task::Subscribe(channel, ticket);
        self.shared.instruct(&recipients, &task, false);
        drop(task);
        Ok(all(answered).await.len())
    }

    /// Ends the subscription to a channel in all sessions of a subject, also in those that are within their window or move to another
    /// worker at the moment. Their clients receive `unsubscribed` with the reason `removed`. A subscription that still waits is
    /// refused with the error `removed`.
    ///
    /// Returns how many subscriptions have ended, when all have: what is published from then on, those sessions do not receive.
    /// It does not keep a client from subscribing again: let the channel refuse that first.
    ///
    /// It costs as much as the subject has sessions, however many others there are. While 1,024 calls are in progress, further ones
    /// wait.
    pub async fn unsubscribe(&self, subject: &str, channel: impl Into<ChannelName>) -> usize {
        let channel = channel.into();
        // It is never closed.
        let permit = self.shared.session_calls.clone().acquire_owned().await.ok();
        let (ticket, answered) = Ticket::new(permit);
        let recipients = Recipients::OfSubject(subject.into());
        let task = Task::Unsubscribe(channel, ticket);
        self.shared.instruct(&recipients, &task, false);
        drop(task);
        all(answered).await.len()
    }

    /// The sessions of a subject: to send to them, list them, or disconnect them.
    pub fn user(&self, subject: impl Into<Arc<str>>) -> UserHandle {
        let recipients = Recipients::OfSubject(subject.into());
        UserHandle::new(self.shared.clone(), recipients)
    }

    /// One session, whosever it is: [`Caller::session`](crate::Caller::session), say. For clients without a subject.
    #[must_use]
    pub fn session(&self, id: SessionId) -> UserHandle {
        UserHandle::new(self.shared.clone(), Recipients::Session(id))
    }

    /// Who is present in a channel, however many there are; in no particular order. Nobody, if nobody has subscribed.
    ///
    /// # Errors
    ///
    /// If the channel is not offered, has no [presence](crate::Channel::presence), or the server has ended.
    pub async fn presence(
        &self,
        channel: impl Into<ChannelName>,
    ) -> Result<Vec<PresenceMember>, PresenceError> {
        let channel = channel.into();
        let kind = self.shared.channels.find(channel.as_str());
        let kind = kind.ok_or(PresenceError::UnknownChannel)?;
        if kind.presence.is_none() {
            return Err(PresenceError::NoPresence);
        }
        let (reply, present) = oneshot::channel();
        let message = ChannelMessage::WhoIsPresent {
            channel: channel.clone(),
            reply,
        };
        self.shared.send_to_channel(&channel, message);
        let present = present.await.map_err(|_| PresenceError::Unavailable)?;
        Ok(present.into_iter().map(PresenceMember::new).collect())
    }

    /// How the [journal](crate::ServerBuilder::journal) does. `None`: the server keeps none.
    ///
    /// Watch it: while it is stalled, nothing that is published is delivered.
    #[must_use]
    pub fn journal_health(&self) -> Option<JournalHealth> {
        let journal = self.shared.journal()?;
        Some(journal.health(self.shared.now()))
    }

    /// A page of a channel's history: the newest publications, those before an offset, or those after a position.
    ///
    /// ```
    /// # use courtside::{ChannelError, HistoryQuery, ServerHandle};
    /// # async fn print_all(server: &ServerHandle) -> Result<(), ChannelError> {
    /// let mut query = HistoryQuery::default();
    /// loop {
    ///     let page = server.history("news", query).await?;
    ///     for publication in page.publications.iter().rev() {
    ///         println!("{}: {:?}", publication.offset(), publication.data::<String>());
    ///     }
    ///     match page.publications.first() {
    ///         Some(oldest) if page.more => query = HistoryQuery::default().before(oldest.offset()),
    ///         _ => return Ok(()),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// Reading does not begin a channel, and does not keep it: the page of one that nobody has used is empty, and so is its epoch.
    ///
    /// # Errors
    ///
    /// If the channel is not offered, or the server has ended.
    pub async fn history(
        &self,
        channel: impl Into<ChannelName>,
        query: HistoryQuery,
    ) -> Result<HistoryPage, ChannelError> {
        let channel = channel.into();
        if self.shared.channels.find(channel.as_str()).is_none() {
            return Err(ChannelError::UnknownChannel);
        }
        let (reply, page) = oneshot::channel();
        let message = ChannelMessage::HistoryFor {
            channel: channel.clone(),
            page: query.page(),
            reply,
        };
        self.shared.send_to_channel(&channel, message);
        page.await.map_err(|_| ChannelError::Ended)
    }

    /// The public rooms, of one kind or of all, in the order of their ids.
    ///
    /// A long list takes several requests to the lobby, so a room that begins or ends meanwhile may or may not be in it.
    pub async fn rooms(&self, kind: Option<&str>) -> Vec<RoomInfo> {
        let mut rooms = Vec::new();
        let mut after = None;
        loop {
            let list = lobby::list(&self.shared, ListQuery::all(kind, after)).await;
            rooms.extend(list.rooms);
            after = list.next;
            if after.is_none() {
                return rooms;
            }
        }
    }

    /// The number of sessions, connected or within their window.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.shared.sessions()
    }

    /// The number of connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// How much memory the server holds for its clients, and the limit: see
    /// [`Limits::bytes_in_all`](crate::Limits::bytes_in_all).
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.shared.ledger.memory()
    }

    /// What has happened since the server began, counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.observers.counters.stats()
    }
}
