//! What the application declares of a channel.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::kind::{ChannelKind, PublishHook, PublishRule, SubscribeHook, SubscribeRule};
use super::log::LogBounds;
use super::payload::{self, Read};
use super::publishing::Publishing;
use super::subscriber::{Access, Subscriber};
use crate::config::setters;
use crate::error::Refusal;
use crate::presence::config::Presence;

/// The payload of a channel that has not named a type: any JSON value. See [`Channel::payload`].
#[derive(Debug)]
pub struct Untyped(());

/// A channel, or the channels of a pattern: who may subscribe, who may publish, and what is kept.
///
/// It begins with who may subscribe, for which there is no default: [`open`](Channel::open) admits every client, and
/// [`authorize`](Channel::authorize) asks a function. The rest has defaults. As in [`Config`](crate::Config), each setting is a public field, and a method of the same name sets it
/// in a chain.
///
/// ```
/// use courtside::{Channel, Server};
/// use serde::{Deserialize, Serialize};
/// use std::time::Duration;
///
/// #[derive(Serialize, Deserialize)]
/// struct Line { text: String }
///
/// let builder = Server::builder()
///     .channel("updates", Channel::open())
///     .channel(
///         "chat/{topic}",
///         Channel::open()
///             .payload::<Line>()
///             .publish_open()
///             .history(500)
///             .history_age(Duration::from_secs(3600)),
///     );
/// # let _ = builder;
/// ```
///
/// `T` is the type of its publications, once [`payload`](Channel::payload) has named one.
#[non_exhaustive]
pub struct Channel<T = Untyped> {
    /// The number of publications that are kept for late and returning subscribers.
    ///
    /// Default: 100.
    /// A longer history costs memory, and time for each subscription.
    /// Zero: the channel keeps none, and a subscriber receives only new publications. `usize::MAX`: no bound.
    pub history: usize,
    /// Bytes of the publications that are kept. The channel forgets the oldest first.
    ///
    /// Default: 256 KiB.
    /// A subscriber receives the newest ones, in an event of at most a third of
    /// [`OutboxBounds::bytes`](crate::OutboxBounds::bytes).
    /// Zero: the channel keeps none. `usize::MAX`: no bound.
    pub history_bytes: usize,
    /// How long publications are kept.
    ///
    /// Default: 10 minutes.
    /// A channel that exists because of a pattern, and has no subscribers, ends when its history has.
    /// Zero: the channel keeps none. `Duration::MAX`: until newer ones replace them.
    pub history_age: Duration,
    /// Whether a subscriber receives only the newest publication, and not each one: for a running clock, a price, a position.
    ///
    /// Default: false; each subscriber receives each publication, once and in order.
    /// True: a publication replaces an older one that still waits for a slow client, and is not sent again after a lost connection;
    /// the newest is. The offsets show how many were skipped. A newcomer receives the newest publication, which is kept whatever
    /// the length of the history.
    pub latest: bool,
    /// Whether a subscriber that asks for it receives a publication as a patch of the one before, where both are objects and the
    /// patch is shorter: for a state of which little changes at a time. The clients apply the patches.
    ///
    /// Default: false; each publication is sent whole.
    /// True: while there is such a subscriber, the server compares each publication with the one before, once for all of them.
    /// Has no effect together with `latest`.
    pub delta: bool,
    /// Whether subscribers that ask for it are shown who is subscribed.
    ///
    /// Default: `None`, and nothing is kept.
    /// A subscriber that asks is sent the list, and afterwards what changes. Everybody who is subscribed is on the list, until the
    /// subscription or the session ends: a session whose connection is lost stays.
    pub presence: Option<Presence>,
    subscribe: SubscribeRule,
    publish: PublishRule,
    read: Read,
    payload: PhantomData<fn() -> T>,
}

impl<T> Clone for Channel<T> {
    fn clone(&self) -> Self {
        Self {
            subscribe: self.subscribe.clone(),
            publish: self.publish.clone(),
            payload: PhantomData,
            ..*self
        }
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("history", &self.history)
            .field("history_bytes", &self.history_bytes)
            .field("history_age", &self.history_age)
            .field("latest", &self.latest)
            .field("delta", &self.delta)
            .field("presence", &self.presence)
            .field("subscribe", &self.subscribe)
            .field("publish", &self.publish)
            .finish_non_exhaustive()
    }
}

impl Channel {
    /// A channel that every client may subscribe to.
    #[must_use]
    pub fn open() -> Self {
        Self::new(SubscribeRule::Everybody)
    }

    /// A channel that a client may subscribe to if `hook` says so.
    ///
    /// The hook may wait for a database or another service, up to [`Config::authorization`](crate::Config::authorization); a client
    /// whose hook takes longer is refused with `authorization_timeout`. It runs on the thread of the client's session and must not
    /// block it. The hooks of one session run one after the other, in the order of its actions, and its actions for that channel
    /// wait behind them; rooms, calls and other sessions do not wait.
    ///
    /// A client that subscribes again, to recover what it missed, passes the hook again; if that refuses, the subscription that it
    /// had ends. The server drops the hook's future when the session ends. When the session moves to another worker thread, it
    /// drops the future and calls the hook again there: so let a hook only look, and change nothing.
    ///
    /// ```
    /// use courtside::{Access, Channel, Refusal, Server};
    /// use serde::{Deserialize, Serialize};
    /// use std::time::Duration;
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct User { tickets: Vec<String> }
    ///
    /// let matches = Channel::authorize(async |subscriber| {
    ///     let user = subscriber.claims::<User>();
    ///     if !user.tickets.iter().any(|ticket| ticket == subscriber.param("id")) {
    ///         return Err(Refusal::new("no_ticket", "buy a ticket for this match"));
    ///     }
    ///     Ok(Access::granted().for_at_most(Duration::from_secs(3 * 3600)))
    /// });
    /// let builder = Server::builder().channel("match/{id}", matches);
    /// # let _ = builder;
    /// ```
    #[must_use]
    pub fn authorize(
        hook: impl AsyncFn(&Subscriber) -> Result<Access, Refusal> + Send + Sync + 'static,
    ) -> Self {
        let hook = Arc::new(hook);
        let hook: SubscribeHook = Arc::new(move |subscriber| {
            let hook = hook.clone();
            Box::pin(async move { hook(&subscriber).await })
        });
        Self::new(SubscribeRule::Hook(hook))
    }

    fn new(subscribe: SubscribeRule) -> Self {
        Self {
            history: 100,
            history_bytes: 256 << 10,
            history_age: Duration::from_secs(600),
            latest: false,
            delta: false,
            presence: None,
            subscribe,
            publish: PublishRule::Nobody,
            read: payload::any,
            payload: PhantomData,
        }
    }

    /// Names the type of the channel's publications.
    ///
    /// A client's publication that is not a `T` is refused with `bad_payload`, and the message says why. Subscribers receive what
    /// serde makes of the `T`, so a field that `T` does not have is not passed on.
    ///
    /// Default: any JSON value, passed on as it is. What rooms and the application publish is not checked.
    #[must_use]
    pub fn payload<T: Serialize + DeserializeOwned>(self) -> Channel<T> {
        Channel {
            history: self.history,
            history_bytes: self.history_bytes,
            history_age: self.history_age,
            latest: self.latest,
            delta: self.delta,
            presence: self.presence,
            subscribe: self.subscribe,
            publish: self.publish,
            read: payload::typed::<T>,
            payload: PhantomData,
        }
    }
}

setters!(Channel<T> {
    history: usize,
    history_bytes: usize,
    history_age: Duration,
    latest: bool,
    delta: bool,
});

impl<T> Channel<T> {
    /// Sets the field [`presence`](#structfield.presence); `None` means that nothing is kept.
    #[must_use]
    pub fn presence(mut self, presence: impl Into<Option<Presence>>) -> Self {
        self.presence = presence.into();
        self
    }

    /// Lets every client publish, subscribed or not.
    ///
    /// Default: only rooms and the application publish, and a client's `publish` is refused with `publish_denied`.
    #[must_use]
    pub fn publish_open(mut self) -> Self {
        self.publish = PublishRule::Everybody;
        self
    }

    /// The channels of this pattern, without the type of their payload.
    pub(crate) fn into_kind(self, pattern: &str, is_exact: bool) -> Arc<ChannelKind> {
        Arc::new(ChannelKind {
            pattern: pattern.to_owned(),
            is_exact,
            bounds: LogBounds {
                size: self.history,
                bytes: self.history_bytes,
                age: self.history_age,
                least: usize::from(self.latest),
            },
            latest: self.latest,
            presence: self.presence,
            delta: self.delta && !self.latest,
            subscribe: self.subscribe,
            publish: self.publish,
            read: self.read,
        })
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Channel<T> {
    /// Lets clients publish what `hook` makes of what they send: it validates, changes, stamps with the sender, or refuses.
    ///
    /// It needs a [`payload`](Channel::payload). It runs before the publication has an offset, by the rules of
    /// [`authorize`](Channel::authorize): within the same time, in order, and possibly again. A session that ends before its
    /// hook has answered has published nothing.
    ///
    /// Default: only rooms and the application publish, and a client's `publish` is refused with `publish_denied`. Rooms and the
    /// application publish without the hook.
    ///
    /// ```
    /// use courtside::{Channel, Refusal, Server};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Line {
    ///     text: String,
    ///     #[serde(default)]
    ///     from: String,
    /// }
    ///
    /// let chat = Channel::open().payload::<Line>().publish(async |mut line| {
    ///     if line.data.text.is_empty() {
    ///         return Err(Refusal::new("empty", "say something"));
    ///     }
    ///     line.data.from = line.subject().unwrap_or("a guest").to_owned();
    ///     Ok(line.data)
    /// });
    /// let builder = Server::builder().channel("chat/{topic}", chat);
    /// # let _ = builder;
    /// ```
    #[must_use]
    pub fn publish(
        mut self,
        hook: impl AsyncFn(Publishing<T>) -> Result<T, Refusal> + Send + Sync + 'static,
    ) -> Self {
        let hook = Arc::new(hook);
        self.publish = PublishRule::Hook(PublishHook::new(move |asker, data| {
            let hook = hook.clone();
            Box::pin(async move {
                let data = payload::decode(&data)?;
                payload::encode(&hook(Publishing { data, asker }).await?)
            })
        }));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_changes_only_what_clients_may_publish() {
        let channel = Channel::open().history(7).publish_open();
        let typed = channel.clone().payload::<u8>();
        assert_eq!(typed.history, 7);
        let kind = typed.into_kind("a", true);
        assert!(matches!(kind.publish, PublishRule::Everybody));
        assert_eq!(kind.bounds.size, 7);
        assert!(matches!(Channel::open().publish, PublishRule::Nobody));
    }
}
