//! What a channel's `authorize` sees, and what it answers.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::asker::{Asker, asker_methods};
use crate::error::Refusal;
use crate::ids::SessionId;
use crate::wire::codec::{CodecError, Format, RawData};

/// A client that wants to subscribe: see [`Channel::authorize`](crate::Channel::authorize).
#[derive(Debug)]
pub struct Subscriber {
    pub(crate) asker: Asker,
    pub(crate) data: RawData,
}

asker_methods!(Subscriber);

impl Subscriber {
    /// What the client sent with its `subscribe` under `data`. Absent `data` is `null`.
    ///
    /// # Errors
    ///
    /// `bad_payload`, if that is not a `T`. The message says why, for the client.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        self.data.decode().map_err(|error| {
            let message = format!("the `data` of the subscription does not fit: {error}");
            Refusal::new("bad_payload", message)
        })
    }
}

/// That a client may subscribe, for how long, and what it gets to begin with.
///
/// ```
/// use courtside::Access;
/// use std::time::Duration;
///
/// let access = Access::granted()
///     .with(&["Ann", "Bob"])
///     .for_at_most(Duration::from_secs(3600));
/// # let _ = access;
/// ```
#[derive(Debug)]
#[must_use = "`authorize` has to return it"]
pub struct Access {
    data: Option<Result<RawData, CodecError>>,
    limit: Duration,
}

impl Access {
    /// The client may subscribe.
    pub fn granted() -> Self {
        Self {
            data: None,
            limit: Duration::MAX,
        }
    }

    /// Gives the client something to begin with: `subscribed` carries it under `data`. Default: nothing.
    ///
    /// If it cannot be encoded, the log says why, and the client is refused with `internal`.
    pub fn with<T: Serialize + ?Sized>(mut self, data: &T) -> Self {
        self.data = Some(RawData::of(Format::Json, data));
        self
    }

    /// Ends the subscription after this time: the client then receives `unsubscribed` with the reason `expired`. If it subscribes
    /// again before, the hook decides again, and the time begins anew.
    ///
    /// Default: `Duration::MAX`, which means without end. Zero ends it at once.
    pub fn for_at_most(mut self, time: Duration) -> Self {
        self.limit = time;
        self
    }

    pub(crate) fn into_parts(self) -> Result<(Option<RawData>, Duration), Refusal> {
        let data = self.data.transpose().map_err(|error| {
            tracing::error!(%error, "what a subscriber gets to begin with cannot be encoded");
            Refusal::failed()
        })?;
        Ok((data, self.limit))
    }
}
