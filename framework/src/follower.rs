//! How the application follows channels.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures_util::Stream;

use crate::channel::follow::{
    self, FollowBounds, FollowError, FollowPattern, FollowQueue, FollowSink, Followed,
};
use crate::runtime::messages::ChannelMessage;
use crate::runtime::server_inner::ServerInner;
use crate::server_handle::ServerHandle;

/// What is published to some channels, for the application: [`ServerHandle::follow`] returns it.
///
/// Dropping it ends it. It is a `Stream`, too.
pub struct Follower {
    queue: FollowQueue,
    sink: Weak<FollowSink>,
    shared: Arc<ServerInner>,
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").finish_non_exhaustive()
    }
}

impl ServerHandle {
    /// Follows all channels whose names fit a pattern, also those that begin later. A pattern is written as for
    /// [`ServerBuilder::channel`](crate::ServerBuilder::channel): a name, with `{id}` for one segment and `{*rest}` for the rest.
    ///
    /// The follower receives whatever is published from now on, by clients, rooms and the application, in the order of each channel.
    /// It can be called on any thread. A channel that nobody follows does no work for it.
    ///
    /// ```
    /// # use courtside::{Followed, FollowError, ServerHandle};
    /// # #[derive(serde::Deserialize)] struct Goal { team: String }
    /// # async fn count(server: &ServerHandle) -> Result<(), FollowError> {
    /// let mut follower = server.follow("match/{id}")?;
    /// while let Some(followed) = follower.next().await {
    ///     match followed {
    ///         Followed::Publication(publication) => {
    ///             if let Ok(goal) = publication.data::<Goal>() {
    ///                 println!("{} {}: {}", publication.channel(), publication.offset(), goal.team);
    ///             }
    ///         }
    ///         Followed::Gap(gap) => println!("missed {}", gap.missed),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Publications wait for the follower in a queue of
    /// [`Config::follow_backlog`](crate::Config::follow_backlog) of them. What does not fit is not queued, and the follower receives a
    /// [`Gap`](crate::Gap) in its place. Channels never wait for a follower.
    ///
    /// # Errors
    ///
    /// If `pattern` is no pattern.
    pub fn follow(&self, pattern: &str) -> Result<Follower, FollowError> {
        let read = FollowPattern::new(pattern);
        let read = read.ok_or_else(|| FollowError::BadPattern(pattern.to_owned()))?;
        let read = Arc::new(read);
        let shared = self.shared.clone();
        let (queue, sink) = follow::queue(FollowBounds {
            number: shared.config.follow_backlog,
            bytes: shared.config.follow_backlog_bytes,
        });
        shared.send_to_all_shards(|| ChannelMessage::Follow(read.clone(), sink.clone()));
        let sink = Arc::downgrade(&sink);
        Ok(Follower {
            queue,
            sink,
            shared,
        })
    }
}

impl Follower {
    /// Waits for the next publication, or the next gap. `None`: the server has ended, and so has this.
    pub async fn next(&mut self) -> Option<Followed> {
        poll_fn(|context| self.queue.poll_next(context)).await
    }

    /// The next publication or gap, if one waits. It does not wait itself.
    pub fn try_next(&mut self) -> Option<Followed> {
        self.queue.try_next()
    }
}

impl Stream for Follower {
    type Item = Followed;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Followed>> {
        self.queue.poll_next(context)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let unfollow = || ChannelMessage::Unfollow(self.sink.clone());
        self.shared.send_to_all_shards(unfollow);
    }
}
