//! A whole server in one thread, on a paused clock that advances only when nothing is left to do.
//!
//! Workers, rooms, channels and lobby share the current thread, and connections are [cables](super::Cable) instead of sockets. So
//! everything that depends on tokio's clock (heartbeats, windows, ticks) takes no real time.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use actix_http::HttpService;
use actix_service::{IntoServiceFactory, ServiceFactory, map_config};
use actix_web::App;
use actix_web::dev::{AppConfig, Extensions, Service};
use futures_util::future::LocalBoxFuture;

use super::cable::{Cable, CableControl, CableEnd};
use crate::client::{Client, ConnectError, Options};
use crate::error::BuildError;
use crate::http::entrance::{Rewound, entrance};
use crate::http::lean::{self, Sever};
use crate::http::socket::CutHandle;
use crate::runtime::worker::hub::Hub;
use crate::server::{Server, ServerBuilder};

/// How many bytes one direction of a connection holds if its reader does not read: as many as a small socket.
const CAPACITY: usize = 64 << 10;

/// The address of the tests' clients. If a test trusts it as a proxy, clients can claim any address.
const PEER: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 40_000);

/// If this environment variable is set, the tests' connections are lean, like those of [`Site::serve`](crate::Site::serve).
const LEAN: &str = "COURTSIDE_TEST_LEAN";

/// Runs one connection of a worker.
type Serve = Rc<dyn Fn(CableEnd) -> LocalBoxFuture<'static, ()>>;

/// A server under test, with any number of workers.
///
/// Its connections are like those of a server that is mounted in an `HttpServer`; with `COURTSIDE_TEST_LEAN` in the environment,
/// they are like those of [`Site::serve`](crate::Site::serve).
/// Use it within [`run`], which provides a single-threaded runtime with a paused clock.
///
/// ```
/// use courtside::client::{Event, Options};
/// use courtside::testing::{TestServer, run};
/// use courtside::{Channel, Server};
///
/// run(async {
///     let builder = Server::builder().channel("updates", Channel::open());
///     let server = TestServer::start(builder, 2).await.unwrap();
///     let client = server.client(Options::default()).await.unwrap();
///     client.subscribe("updates").await.unwrap();
///     server.server().publish("updates", "goal").await.unwrap();
///     while let Some(event) = client.next().await {
///         if let Event::Publication { data, .. } = event {
///             assert_eq!(data, "goal");
///             break;
///         }
///     }
/// });
/// ```
pub struct TestServer {
    server: Server,
    workers: Rc<[Serve]>,
    next: Rc<Cell<usize>>,
}

impl fmt::Debug for TestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestServer")
            .field("workers", &self.workers.len())
            .finish_non_exhaustive()
    }
}

/// Runs a test on a single thread with a paused clock, within an actix system.
///
/// The clock jumps to the next timer when nothing on this thread can run. It waits for `actix_web::web::block`, but not for a
/// thread of your own, such as a database's: clients then fail with `TimedOut`, and timers fire early. Begin such a test with
/// `tokio::time::resume()` (tokio's feature `test-util`).
///
/// # Panics
///
/// If the test panics, or if no runtime can be created.
#[allow(clippy::expect_used)]
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runner = actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime for the test")
    });
    runner.block_on(test)
}

impl TestServer {
    /// Builds the server, and `workers` hubs for it. It is mounted at `/ws`.
    ///
    /// # Errors
    ///
    /// If the server cannot be built.
    pub async fn start(builder: ServerBuilder, workers: usize) -> Result<Self, BuildError> {
        let server = builder.single_threaded().build()?;
        let mut made = Vec::new();
        for _ in 0..workers.max(1) {
            made.push(worker(&server).await);
        }
        Ok(Self {
            server,
            workers: made.into(),
            next: Rc::default(),
        })
    }

    /// The server, to publish, to drain, and to inspect.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Opens a connection to a worker, and returns it with its control. The workers are numbered from 0.
    #[must_use]
    pub fn connect_to(&self, worker: usize) -> (CableEnd, CableControl) {
        let (client, server, control) = Cable::pair(CAPACITY);
        let serve = &self.workers[worker % self.workers.len()];
        tokio::task::spawn_local(serve(server));
        (client, control)
    }

    /// Opens a connection to the next worker in turn.
    #[must_use]
    pub fn connect(&self) -> (CableEnd, CableControl) {
        let turn = self.next.get();
        self.next.set(turn + 1);
        self.connect_to(turn)
    }

    /// Connects a client whose connections go to the workers in turn, so that each resume moves its session.
    ///
    /// # Errors
    ///
    /// If the first connection is not welcomed.
    pub async fn client(&self, options: Options) -> Result<Client, ConnectError> {
        self.client_with(options, |_| {}).await
    }

    /// Like [`client`](Self::client); `plugged` receives the control of each connection when it is opened.
    ///
    /// # Errors
    ///
    /// If the first connection is not welcomed.
    pub async fn client_with(
        &self,
        options: Options,
        plugged: impl Fn(CableControl) + 'static,
    ) -> Result<Client, ConnectError> {
        let (workers, next) = (self.workers.clone(), self.next.clone());
        let connect = move || {
            let turn = next.get();
            next.set(turn + 1);
            let (client, server, control) = Cable::pair(CAPACITY);
            tokio::task::spawn_local(workers[turn % workers.len()](server));
            plugged(control);
            std::future::ready(io::Result::Ok(client))
        };
        Client::connect_with(connect, "/ws", options).await
    }
}

/// An HTTP service with its own hub, as a worker thread has.
async fn worker(server: &Server) -> Serve {
    let hub = Hub::start(server.shared.clone());
    let server = server.clone();
    let app = move || {
        let hub = hub.clone();
        App::new().configure(server.at("/ws").routes_on(move || hub.clone()))
    };
    let plain = HttpService::build()
        .client_disconnect_timeout(Duration::ZERO)
        .on_connect_ext(|io: &CableEnd, extensions| watch(io, extensions))
        .h1(map_config(app().into_factory(), app_config));
    if std::env::var_os(LEAN).is_none() {
        return serve(plain.new_service(()).await.ok());
    }
    let rewound = |io: &Rewound<CableEnd>, extensions: &mut Extensions| {
        watch(io.get_ref(), extensions);
    };
    let lean = HttpService::build()
        .client_disconnect_timeout(Duration::ZERO)
        .on_connect_ext(rewound)
        .upgrade(lean::upgrades(app.clone()))
        .h1(map_config(app().into_factory(), app_config));
    let plain = HttpService::build()
        .client_disconnect_timeout(Duration::ZERO)
        .on_connect_ext(rewound)
        .h1(map_config(app().into_factory(), app_config));
    serve(entrance("/ws", lean, plain).new_service(()).await.ok())
}

fn watch(io: &CableEnd, extensions: &mut Extensions) {
    let (control, watched) = (io.control_of_server_end(), io.control_of_server_end());
    extensions.insert(CutHandle {
        cut: Rc::new(move || control.reset()),
        has_gone: Rc::new(move || watched.is_cut()),
    });
}

fn app_config((): ()) -> AppConfig {
    AppConfig::default()
}

fn serve<S>(service: Option<S>) -> Serve
where
    S: Service<(CableEnd, Option<SocketAddr>)> + 'static,
    S::Future: 'static,
{
    let Some(service) = service else {
        // An app of routes cannot fail to start; if it does, no connection is answered and the test fails.
        return Rc::new(|_| Box::pin(std::future::ready(())));
    };
    Rc::new(move |io| {
        let served = service.call((io, Some(PEER.into())));
        Box::pin(async move {
            // An error means that the connection was cut, which tests do on purpose.
            let _broken = served.await;
        })
    })
}

impl Sever for CableEnd {
    fn sever(&self) {
        self.control_of_server_end().reset();
    }
}
