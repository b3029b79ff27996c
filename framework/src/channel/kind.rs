//! The channels of one pattern, as the rules know them: without the types of the application.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use super::asker::Asker;
use super::log::LogBounds;
use super::payload::Read;
use super::subscriber::{Access, Subscriber};
use crate::error::Refusal;
use crate::presence::config::Presence;
use crate::wire::codec::RawData;

/// What is the same for all channels of one pattern.
#[derive(Debug)]
pub(crate) struct ChannelKind {
    pub(crate) pattern: String,
    /// Whether the pattern is the name of one channel. The application decides how many such channels there are; clients cannot
    /// bring about more.
    pub(crate) is_exact: bool,
    pub(crate) bounds: LogBounds,
    /// Whether subscribers receive only the newest publication.
    pub(crate) latest: bool,
    /// Whether subscribers can have patches.
    pub(crate) delta: bool,
    /// Whether subscribers see who is subscribed.
    pub(crate) presence: Option<Presence>,
    pub(crate) subscribe: SubscribeRule,
    pub(crate) publish: PublishRule,
    /// Reads a client's publication.
    pub(crate) read: Read,
}

/// What a hook will answer. It runs on the thread of the client's session.
pub(crate) type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Refusal>>>>;

pub(crate) type SubscribeHook = Arc<dyn Fn(Subscriber) -> Answer<Access> + Send + Sync>;

/// Reads what the client sent, and returns what is published instead.
#[derive(Clone)]
pub(crate) struct PublishHook(Arc<PublishFn>);

type PublishFn = dyn Fn(Asker, RawData) -> Answer<RawData> + Send + Sync;

impl PublishHook {
    pub(crate) fn new(
        hook: impl Fn(Asker, RawData) -> Answer<RawData> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(hook))
    }

    pub(crate) fn ask(&self, asker: Asker, data: RawData) -> Answer<RawData> {
        (self.0)(asker, data)
    }
}

impl fmt::Debug for PublishHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublishHook")
    }
}

/// Whether a client may subscribe.
#[derive(Clone)]
pub(crate) enum SubscribeRule {
    Everybody,
    Hook(SubscribeHook),
}

/// Whether clients may publish. Rooms and the application always may.
#[derive(Clone, Debug)]
pub(crate) enum PublishRule {
    Nobody,
    Everybody,
    Hook(PublishHook),
}

impl fmt::Debug for SubscribeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Everybody => "Everybody",
            Self::Hook(_) => "Hook",
        })
    }
}
