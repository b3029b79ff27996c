//! Calls: requests to the server itself, outside of any room.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::caller::Caller;
use crate::error::Refusal;
use crate::handler::{Message, ReplyTo, decode, encode_reply};
use crate::runtime::server_inner::{Answer, ServerHandler, ServerInner};
use crate::server_handle::ServerHandle;
use crate::wire::codec::RawData;

/// A call of a client, for one of the server's handlers.
///
/// A handler is an async function that takes a call of one type of [`Message`]. Clients call it by the message's name, and it returns
/// the message's [`Reply`](Message::Reply) or a refusal. It runs on the thread of the client's session, and must not block it.
/// Calls of one client run concurrently, so their replies may arrive out of order.
///
/// ```
/// use courtside::{Call, Message, Refusal};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize, Message)]
/// #[message(name = "leaderboard.top", reply = Vec<Row>)]
/// struct Top { limit: usize }
///
/// #[derive(Serialize)]
/// struct Row { name: String, points: u32 }
///
/// async fn top(call: Call<Top>) -> Result<Vec<Row>, Refusal> {
///     if call.message.limit > 100 {
///         return Err(Refusal::new("too_many", "at most 100 rows"));
///     }
///     Ok(Vec::new())
/// }
/// let builder = courtside::Server::builder().handle(top);
/// # let _ = builder;
/// ```
pub struct Call<M> {
    /// What the client sent under `data`.
    pub message: M,
    /// The client that called.
    pub caller: Caller,
    shared: Arc<ServerInner>,
}

impl<M: fmt::Debug> fmt::Debug for Call<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("message", &self.message)
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}

impl<M> Call<M> {
    /// A value that the application passed to [`ServerBuilder::data`](crate::ServerBuilder::data).
    ///
    /// # Panics
    ///
    /// If no `T` was passed. The log names the type, and the client receives the error `internal`.
    #[must_use]
    #[track_caller]
    pub fn data<T: Any + Send + Sync>(&self) -> Arc<T> {
        self.shared.data.require()
    }

    /// Like [`data`](Self::data), but `None` if no `T` was passed.
    #[must_use]
    pub fn try_data<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.shared.data.get()
    }

    pub(crate) fn shared(&self) -> &Arc<ServerInner> {
        &self.shared
    }

    /// The server, to publish or to list rooms. The handle cannot be mounted or run, so handlers cannot bypass the server's checks.
    #[must_use]
    pub fn server(&self) -> ServerHandle {
        ServerHandle::new(self.shared.clone())
    }
}

/// Hides the types of a handler.
pub(crate) fn erase<M, F, Fut>(handler: F) -> ServerHandler
where
    M: Message + DeserializeOwned + 'static,
    M::Reply: Serialize,
    F: Fn(Call<M>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<M::Reply, Refusal>> + 'static,
{
    Box::new(
        move |caller: Caller, shared: Arc<ServerInner>, data: &RawData, to: ReplyTo| {
            let message = decode(data)?;
            let reply = handler(Call {
                message,
                caller,
                shared,
            });
            let answer: Answer = Box::pin(async move { encode_reply::<M>(to, &reply.await?) });
            Ok(answer)
        },
    )
}
