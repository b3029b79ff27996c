//! How to subscribe to a channel, and pages of its history.

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::client::action::{ActionName, OutboundAction, SinceField};
use crate::client::error::{CallError, SendError};
use crate::client::event::{Answer, Position, Subscribed};
use crate::client::handle::{Client, reply, unexpected};
use crate::ids::ChannelName;

/// How to subscribe to a channel: see [`Client::subscribe_with`].
///
/// ```
/// use courtside::client::SubscribeOptions;
///
/// let options = SubscribeOptions::default().last(20).delta();
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SubscribeOptions {
    pub(crate) since: Option<Position>,
    pub(crate) wish: Wish,
    /// Why the data could not be encoded. [`Client::subscribe_with`] returns it.
    pub(crate) unencodable: Option<String>,
}

/// What a newcomer asks for. The client asks for it again when it subscribes again by itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) last: Option<u64>,
    pub(crate) from: Option<u64>,
    pub(crate) delta: bool,
    /// Whether the application watches the channel's presence.
    pub(crate) presence: bool,
    /// What the application sends along; never null.
    pub(crate) data: Option<Value>,
}

impl SubscribeOptions {
    /// Continues after a position, which an earlier subscription has reached, perhaps in another process.
    ///
    /// Default: the subscription is new. If the server no longer has what came after the position, it is new, too.
    #[must_use]
    pub fn since(mut self, position: Position) -> Self {
        self.since = Some(position);
        self
    }

    /// A new subscription starts with so many of the newest publications; 0: with none.
    ///
    /// Default: with all that the channel keeps.
    #[must_use]
    pub fn last(mut self, count: u64) -> Self {
        self.wish.last = Some(count);
        self
    }

    /// A new subscription starts with the publications from this time on, in Unix milliseconds of the server's clock.
    ///
    /// Default: with all that the channel keeps.
    #[must_use]
    pub fn from(mut self, time: u64) -> Self {
        self.wish.from = Some(time);
        self
    }

    /// The server sends publications as patches, if the channel offers that. The client applies them: events have whole publications.
    ///
    /// Default: whole publications. With patches, the client keeps a copy of the channel's newest publication.
    #[must_use]
    pub fn delta(mut self) -> Self {
        self.wish.delta = true;
        self
    }

    /// Sends data along: the application's check of the subscription receives it, and in a channel with presence it is what the
    /// client shows to others. The client sends it again whenever it subscribes again by itself.
    ///
    /// Default: nothing, which is the same as null. If the client is subscribed already, what it has sent before stays valid. If
    /// the data cannot be encoded, [`Client::subscribe_with`] returns [`CallError::NotSent`].
    #[must_use]
    pub fn data<T: Serialize + ?Sized>(mut self, data: &T) -> Self {
        (self.wish.data, self.unencodable) = match serde_json::to_value(data) {
            Ok(data) => (Some(data).filter(|data| !data.is_null()), None),
            Err(error) => (None, Some(error.to_string())),
        };
        self
    }
}

/// Which publications a page of a history has: see [`Client::history`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HistoryQuery {
    before: Option<u64>,
    since: Option<Position>,
    limit: Option<u64>,
}

impl HistoryQuery {
    /// The newest publications before this offset. Replaces [`HistoryQuery::since`].
    ///
    /// Default: the newest of all.
    #[must_use]
    pub fn before(mut self, offset: u64) -> Self {
        self.before = Some(offset);
        self.since = None;
        self
    }

    /// The oldest publications after this position. Replaces [`HistoryQuery::before`].
    #[must_use]
    pub fn since(mut self, position: Position) -> Self {
        self.since = Some(position);
        self.before = None;
        self
    }

    /// How many publications at most: from 1 to 1,000. Default: 100.
    #[must_use]
    pub fn limit(mut self, publications: u64) -> Self {
        self.limit = Some(publications);
        self
    }
}

/// A page of a channel's history.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[non_exhaustive]
pub struct HistoryPage {
    /// The channel's epoch: that of all offsets of the page.
    pub epoch: String,
    /// The offset of the channel's newest publication; 0 if there was none.
    pub offset: u64,
    /// The publications, the oldest first.
    pub publications: Vec<PastPublication>,
    /// Whether the channel has more: newer ones if the page is after a position, and older ones otherwise.
    pub more: bool,
}

/// A publication of a history.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[non_exhaustive]
pub struct PastPublication {
    /// The publication's number in the channel.
    pub offset: u64,
    /// What was published.
    #[serde(default)]
    pub data: Value,
}

impl<'a> From<&'a Position> for SinceField<'a> {
    fn from(position: &'a Position) -> Self {
        Self {
            epoch: &position.epoch,
            offset: position.offset,
        }
    }
}

/// The action that subscribes to a channel.
pub(crate) fn subscribe<'a>(
    channel: &'a ChannelName,
    since: Option<&'a Position>,
    wish: &'a Wish,
) -> OutboundAction<'a, Value> {
    OutboundAction {
        channel: Some(channel),
        since: since.map(SinceField::from),
        last: wish.last,
        from: wish.from,
        delta: wish.delta.then_some(true),
        presence: wish.presence.then_some(true),
        data: wish.data.as_ref(),
        ..OutboundAction::new(ActionName::Subscribe)
    }
}

impl<T: Serialize + ?Sized> OutboundAction<'_, T> {
    /// What a `subscribe` asks for.
    pub(crate) fn wish(&self) -> Wish {
        Wish {
            last: self.last,
            from: self.from,
            delta: self.delta.unwrap_or_default(),
            presence: self.presence.unwrap_or_default(),
            data: self.data.and_then(|data| serde_json::to_value(data).ok()),
        }
    }
}

impl Client {
    /// Subscribes to a channel, from a position or with a part of its history, with whole publications or with patches, and with data.
    ///
    /// After a lost session the client subscribes again by itself, continues after the last publication that it received, and asks
    /// for the same.
    ///
    /// # Errors
    ///
    /// See [`Client::subscribe`]. [`CallError::NotSent`] if the data cannot be encoded.
    pub async fn subscribe_with(
        &self,
        channel: impl Into<ChannelName>,
        options: SubscribeOptions,
    ) -> Result<Subscribed, CallError> {
        let channel = channel.into();
        if let Some(error) = options.unencodable {
            return Err(SendError::Encode(error).into());
        }
        let action = subscribe(&channel, options.since.as_ref(), &options.wish);
        match self.inner().ask(action).await? {
            Answer::Subscribed(subscribed) => Ok(subscribed),
            answer => Err(unexpected(&answer)),
        }
    }

    /// Reads a page of the history of a channel that the client is subscribed to.
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, `not_subscribed` if the client is not subscribed, or why there is no answer.
    pub async fn history(
        &self,
        channel: impl Into<ChannelName>,
        query: HistoryQuery,
    ) -> Result<HistoryPage, CallError> {
        let history: OutboundAction<'_, ()> = OutboundAction {
            channel: Some(&channel.into()),
            before: query.before,
            since: query.since.as_ref().map(SinceField::from),
            limit: query.limit,
            ..OutboundAction::new(ActionName::History)
        };
        reply(self.inner().ask(history).await?)
    }
}
