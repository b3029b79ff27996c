//! The server. Separate files build it, listen, run it and drain it.

mod builder;
mod drain;
mod listen;
mod serve;
mod signals;
mod site;
mod threads;

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::{Rc, Weak};
use std::sync::Arc;

pub use self::builder::ServerBuilder;
pub use self::listen::{ListenOptions, listen, listen_with};
pub use self::site::{Routes, Site, SiteApp};
use self::threads::Threads;
use crate::http::admission::Admission;
#[cfg(feature = "api")]
use crate::http::api::key::ApiError;
#[cfg(feature = "api")]
use crate::http::api::{Api, ApiRoutes};
use crate::runtime::worker::hub::Hub;
use crate::server_handle::ServerHandle;

/// A server of rooms and channels. A clone is the same server; when the last one is dropped, its threads end.
///
/// A server has all methods of its [`ServerHandle`], too: it publishes, lists rooms, and returns counters.
///
/// ```no_run
/// use courtside::prelude::*;
/// # #[derive(Default)] struct Arena;
/// # #[courtside::room] impl Arena {}
///
/// #[actix_web::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let listener = courtside::listen("127.0.0.1:4000")?;
///     let server = Server::builder()
///         .room::<Arena>()
///         .channel("updates", Channel::open())
///         .build()?;
///     server.at("/ws").serve(listener).await?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    handle: ServerHandle,
    pub(crate) admission: Arc<Admission>,
    _threads: Arc<Threads>,
}

impl Deref for Server {
    type Target = ServerHandle;

    fn deref(&self) -> &ServerHandle {
        &self.handle
    }
}

thread_local! {
    /// The hubs of this worker thread, one for each mounted server. They end with their servers.
    static HUBS: RefCell<Vec<Weak<Hub>>> = const { RefCell::new(Vec::new()) };
}

impl Server {
    /// Starts building a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    fn new(handle: ServerHandle, admission: Admission, threads: Threads) -> Self {
        Self {
            handle,
            admission: Arc::new(admission),
            _threads: Arc::new(threads),
        }
    }

    /// Returns a handle to this server for other code. A handle cannot be mounted or run.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    fn hub(&self) -> Rc<Hub> {
        HUBS.with_borrow_mut(|hubs| {
            hubs.retain(|hub| hub.strong_count() > 0);
            let mut known = hubs.iter().filter_map(Weak::upgrade);
            let known = known.find(|hub| Arc::ptr_eq(&hub.shared, &self.shared));
            known.unwrap_or_else(|| {
                let hub = Hub::start(self.shared.clone());
                serve::drain_at_sigterm(&self.shared);
                hubs.push(Rc::downgrade(&hub));
                hub
            })
        })
    }

    /// Makes the routes of an HTTP API, with which other programs act on this server: see [`Api`].
    ///
    /// The routes do not keep the server alive. While it shuts down and when it has ended, they answer with 503.
    ///
    /// # Errors
    ///
    /// If the API has no key, one of its keys is too short or has no scopes, two keys are the same, or a bound is zero.
    #[cfg(feature = "api")]
    pub fn api(&self, api: Api) -> Result<ApiRoutes, ApiError> {
        api.routes(self.handle())
    }

    /// Places the server at a path of an actix-web application, to be [served](Site::serve) or mounted there.
    pub fn at(&self, path: &str) -> Site {
        Site::new(self.clone(), path)
    }

    /// Shuts down in order: refuses new clients, ends the rooms ([`Room::disposed`](crate::Room::disposed) is called), tells every
    /// client when to reconnect, closes the connections with 4002, and waits for the rooms' jobs. Takes at most
    /// [`Drain::timeout`](crate::Drain::timeout).
    pub async fn drain(&self) {
        drain::drain(&self.shared).await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::room::tell::RoomGone;

    #[derive(Default)]
    struct Hall;

    #[courtside::room]
    impl Hall {}

    fn threads() -> usize {
        std::fs::read_dir("/proc/self/task").unwrap().count()
    }

    async fn soon(what: impl Fn() -> bool) {
        let waiting = async {
            while !what() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let outcome = tokio::time::timeout(Duration::from_secs(30), waiting).await;
        outcome.unwrap();
    }

    #[test]
    fn a_dropped_server_goes_away_with_its_threads_and_hubs() {
        actix::System::new().block_on(async {
            let before = threads();
            for room_threads in [0, 2] {
                let config = Config {
                    room_threads,
                    ..Config::default()
                };
                let builder = Server::builder().config(config).room::<Hall>();
                let server = builder.build().unwrap();
                let room = server.create::<Hall>(&()).await.unwrap();
                let hub = Rc::downgrade(&server.hub());
                let (handle, clone) = (server.handle(), server.clone());
                drop(server);
                assert!(clone.publish("news", "yes").await.is_err(), "not offered");
                assert!(threads() > before, "a clone is the same server");
                drop(clone);
                soon(|| threads() == before && hub.strong_count() == 0).await;
                assert!(handle.rooms(None).await.is_empty());
                assert_eq!(room.dispose().await, Err(RoomGone));
                drop(room);
                let shared = Arc::downgrade(&handle.shared);
                drop(handle);
                soon(|| shared.strong_count() == 0).await;
            }
        });
    }
}
