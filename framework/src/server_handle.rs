//! A server as seen from inside the application: publish, list rooms, read counters.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Serialize;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::ids::ChannelName;
use crate::lobby::info::{ListQuery, RoomInfo};
use crate::memory::Memory;
use crate::observer::Stats;
use crate::runtime::lobby;
use crate::runtime::messages::{ChannelMessage, PublishSource};
use crate::runtime::server_inner::ServerInner;
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

/// Why publishing failed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// No pattern of the server offers this channel: register it with [`ServerBuilder::channel`](crate::ServerBuilder::channel).
    #[error("no channel of this name is offered: register it with `ServerBuilder::channel`")]
    UnknownChannel,
    /// The data cannot be encoded; the text gives the reason.
    #[error("the publication cannot be encoded: {0}")]
    NotEncodable(String),
    /// The server has ended, or has too many channels.
    #[error(
        "the server has ended, or it has as many channels as `Limits::channels_in_all` allows and all of them are in use"
    )]
    Unavailable,
}

impl ServerHandle {
    pub(crate) fn new(shared: Arc<ServerInner>) -> Self {
        Self { shared }
    }

    /// Publishes to a channel, and returns the publication's offset as soon as the channel has assigned it.
    ///
    /// Waits while [`Config::publish_backlog`](crate::Config::publish_backlog) publications are in flight.
    ///
    /// # Errors
    ///
    /// If the channel is not offered, or the data cannot be encoded.
    pub async fn publish(
        &self,
        channel: impl Into<ChannelName>,
        data: &(impl Serialize + ?Sized),
    ) -> Result<u64, PublishError> {
        let channel = channel.into();
        if self.shared.channels.find(channel.as_str()).is_none() {
            return Err(PublishError::UnknownChannel);
        }
        let data = RawData::of(Format::Json, data)
            .map_err(|error| PublishError::NotEncodable(error.to_string()))?;
        let permit = self.shared.publishing.clone().take(data.bytes.len()).await;
        let permit = permit.ok_or(PublishError::Unavailable)?;
        let (answer, offset) = oneshot::channel();
        let message = ChannelMessage::Publish {
            channel: channel.clone(),
            data,
            source: PublishSource::Application(answer),
            accounts: None,
            permit,
        };
        self.shared.send_to_channel(&channel, message);
        offset.await.map_err(|_| PublishError::Unavailable)
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
