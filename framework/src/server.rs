//! The server: what it is built from, how it is mounted or run, and how it goes away.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, Arbiter, System};
use actix_http::HttpService;
use actix_service::{IntoServiceFactory, map_config};
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpRequest, web};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::actor::channel::ChannelShard;
use crate::actor::hub::{DrainHub, Hub};
use crate::actor::lobby::Lobby;
use crate::actor::messages::{ChannelMessage, LobbyMessage, PublishAnswer};
use crate::actor::room::{KindOf, RoomKind};
use crate::actor::shared::{ServerHandler, Shared};
use crate::call::{self, Call};
use crate::channel::config::{ChannelConfig, ChannelPatterns};
use crate::config::Config;
use crate::error::{BuildError, Refusal};
use crate::handler::{AppData, Handlers};
use crate::http::door::Door;
use crate::http::{lean, script, socket};
use crate::ids::ChannelName;
use crate::lobby::info::RoomInfo;
use crate::room::Room;
use crate::room::client::Claims;
use crate::wire::codec::{Format, RawData};
use crate::wire::event::Reconnect;

/// What a server is built from.
#[must_use = "a builder does nothing until `build`"]
pub struct ServerBuilder {
    config: Config,
    kinds: HashMap<String, Box<dyn RoomKind>>,
    calls: HashMap<String, ServerHandler>,
    channels: ChannelPatterns,
    data: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
    door: Door,
    /// The first mistake; reported by `build`, so that the builder's methods chain.
    mistake: Option<BuildError>,
    single_threaded: bool,
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("kinds", &self.kinds.keys())
            .field("calls", &self.calls.keys())
            .finish_non_exhaustive()
    }
}

impl ServerBuilder {
    fn new() -> Self {
        let builder = Self {
            config: Config::default(),
            kinds: HashMap::new(),
            calls: HashMap::new(),
            channels: ChannelPatterns::default(),
            data: HashMap::new(),
            door: Door::default(),
            mistake: None,
            single_threaded: false,
        };
        builder.handle("rooms.list", list_rooms)
    }

    fn note(&mut self, mistake: BuildError) {
        self.mistake.get_or_insert(mistake);
    }

    /// Times and bounds. Default: [`Config::default`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Registers a kind of room; the lobby begins rooms of it when clients ask for them.
    pub fn room<R: Room>(mut self) -> Self {
        let kind = R::kind();
        let handlers = Handlers::<R>::collect();
        if let Some(name) = handlers.repeated() {
            self.note(BuildError::HandlerTaken(format!("{kind}: {name}")));
        }
        let registered = Box::new(KindOf::new(&kind, handlers));
        if self.kinds.insert(kind.to_string(), registered).is_some() {
            self.note(BuildError::KindTaken(kind.to_string()));
        }
        self
    }

    /// Offers a channel, or with a `*` at the end all channels whose names begin so.
    /// A subscription to a name that is not offered is refused.
    pub fn channel(mut self, pattern: &str, config: ChannelConfig) -> Self {
        if let Err(mistake) = self.channels.add(pattern, config) {
            self.note(mistake);
        }
        self
    }

    /// Registers a handler of calls: see [`Call`].
    pub fn handle<M, R, F, Fut>(mut self, name: &str, handler: F) -> Self
    where
        M: DeserializeOwned + 'static,
        R: Serialize + 'static,
        F: Fn(Call<M>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Refusal>> + 'static,
    {
        let erased = call::erase(name, handler);
        if self.calls.insert(name.to_owned(), erased).is_some() {
            self.note(BuildError::HandlerTaken(name.to_owned()));
        }
        self
    }

    /// Gives rooms and handlers a value of the application's, by its type. A second value of one type replaces the first.
    pub fn data<T: Any + Send + Sync>(mut self, value: T) -> Self {
        self.data.insert(TypeId::of::<T>(), Box::new(value));
        self
    }

    /// Lets pages of another origin connect, such as `https://example.org`; `*` lets all.
    ///
    /// Default: only pages that come from the host which they connect to. Clients that are no browsers send no origin and pass.
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.door
            .origins
            .push(origin.trim_end_matches('/').to_owned());
        self
    }

    /// Believes a proxy about its clients' addresses: the one at this address, or all of a network such as `10.0.0.0/8`. Call it
    /// once for each.
    ///
    /// Bounds on what one address may cause are counted by the last entry of `X-Forwarded-For` that no trusted proxy has written
    /// about another. Default: nobody is believed, and a client's address is that of its socket; behind a proxy that is everybody's.
    pub fn trust_proxy(mut self, proxy: &str) -> Self {
        if !self.door.proxies.add(proxy) {
            self.note(BuildError::BadProxy(proxy.to_owned()));
        }
        self
    }

    /// Looks at each request before it becomes a connection, with the credential that came with it (`Authorization: Bearer`
    /// or `access_token` in the query). A refusal is answered with 401. Default: everybody is let in, without claims.
    ///
    /// It may wait, for a database or another service, up to [`Config::authentication`](crate::Config::authentication); what
    /// blocks its thread holds up the connections of that. It may be dropped wherever it waits: when its time is up, or when the
    /// client has gone away.
    ///
    /// ```
    /// use courtside::{Claims, Refusal, Server};
    ///
    /// # async fn user_of(_: &str) -> Option<String> { None }
    /// let builder = Server::builder().authenticate(async |_request, credential| {
    ///     let user = match credential {
    ///         Some(credential) => user_of(credential).await,
    ///         None => None,
    ///     };
    ///     user.map(Claims::new).ok_or_else(|| Refusal::new("bad_credential", "sign in again"))
    /// });
    /// ```
    pub fn authenticate(
        mut self,
        authenticate: impl AsyncFn(&HttpRequest, Option<&str>) -> Result<Claims, Refusal>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let authenticate = Arc::new(authenticate);
        self.door.authenticate = Some(Box::new(move |request, credential| {
            let authenticate = authenticate.clone();
            Box::pin(async move { authenticate(request, credential).await })
        }));
        self
    }

    /// Runs rooms, channels and the lobby on the thread that builds the server: for tests on a paused clock.
    #[cfg(feature = "testing")]
    pub(crate) fn single_threaded(mut self) -> Self {
        self.single_threaded = true;
        self
    }

    /// Starts the server's threads. Connections come when it is mounted ([`Server::routes`]) or run ([`Server::run`]).
    ///
    /// # Errors
    ///
    /// If two things were registered under one name, a pattern or a bound makes no sense, or there is no actix `System`.
    pub fn build(self) -> Result<Server, BuildError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        self.config.check()?;
        if System::try_current().is_none() && !self.single_threaded {
            return Err(BuildError::NoSystem);
        }
        let data = AppData::new(self.data);
        let shared = Arc::new(Shared::new(self.config, data, self.channels, self.calls));
        let (kinds, of_lobby) = (self.kinds, shared.clone());
        let lobby = if self.single_threaded {
            let shard = ChannelShard::new(shared.clone()).start();
            shared.begin_shards(|| vec![shard]);
            Lobby::new(of_lobby, kinds, Vec::new()).start()
        } else {
            let threads: Vec<_> = (0..shared.config.room_threads)
                .map(|_| Arbiter::new().handle())
                .collect();
            if !threads.is_empty() {
                shared.begin_shards(|| {
                    let shard = |thread| ChannelShard::start_on(thread, &shared);
                    threads.iter().map(shard).collect()
                });
            }
            // The lobby has a thread of its own: a room that blocks its thread must not keep others from being joined.
            let thread = Arbiter::new().handle();
            // It was empty: nobody else has `shared` yet.
            let _set = shared.lobby_thread.set(thread.clone());
            Lobby::start_in_arbiter(&thread, move |_| Lobby::new(of_lobby, kinds, threads))
        };
        let _set = shared.lobby.set(lobby);
        Ok(Server {
            shared,
            door: Arc::new(self.door),
        })
    }
}

#[derive(serde::Deserialize, Default)]
struct ListRooms {
    kind: Option<String>,
}

/// The call `rooms.list`, which every server has.
async fn list_rooms(call: Call<Option<ListRooms>>) -> Result<Vec<RoomInfo>, Refusal> {
    let server = call.server();
    let kind = call.message.unwrap_or_default().kind;
    Ok(server.rooms(kind.as_deref()).await)
}

/// A server of rooms and channels. A clone is another handle to the same server.
///
/// ```no_run
/// use actix_web::{App, HttpServer};
/// use courtside::prelude::*;
/// # struct Arena;
/// # impl Room for Arena {
/// #     type Options = ();
/// #     fn create(_: (), _: &mut RoomContext<Self>) -> Result<Self, Refusal> { Ok(Arena) }
/// # }
///
/// #[actix_web::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let server = Server::builder()
///         .room::<Arena>()
///         .channel("updates", ChannelConfig::default())
///         .build()?;
///     HttpServer::new(move || App::new().configure(server.routes("/ws")))
///         .on_connect(courtside::watch_socket)
///         .client_disconnect_timeout(std::time::Duration::ZERO)
///         .bind("127.0.0.1:4000")?
///         .run()
///         .await?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    pub(crate) shared: Arc<Shared>,
    pub(crate) door: Arc<Door>,
}

thread_local! {
    /// The hubs of this worker thread, one for each server that is mounted on it.
    static HUBS: RefCell<Vec<Rc<Hub>>> = const { RefCell::new(Vec::new()) };
}

/// Why a publication was not made.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PublishError {
    /// No pattern of the server offers this channel: register it with [`ServerBuilder::channel`].
    UnknownChannel,
    /// The data cannot be encoded; the text says why.
    NotEncodable(String),
    /// The server has ended, or has too many channels.
    Unavailable,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownChannel => f.write_str(
                "no channel of this name is offered: register it with `ServerBuilder::channel`",
            ),
            Self::NotEncodable(why) => write!(f, "the publication cannot be encoded: {why}"),
            Self::Unavailable => {
                f.write_str("the server has ended, or has as many channels as it can")
            }
        }
    }
}

impl std::error::Error for PublishError {}

impl Server {
    /// Begins to build a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    /// A handle for those who only talk to the server's rooms and channels.
    pub(crate) fn of(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            door: Arc::default(),
        }
    }

    fn hub(&self) -> Rc<Hub> {
        HUBS.with_borrow_mut(|hubs| {
            let known = hubs
                .iter()
                .find(|hub| Arc::ptr_eq(&hub.shared, &self.shared));
            known.cloned().unwrap_or_else(|| {
                let hub = Hub::start(self.shared.clone());
                hubs.push(hub.clone());
                hub
            })
        })
    }

    /// Mounts the server in an actix-web `App`, beside whatever else that has. Use it within the factory of `HttpServer`.
    pub fn routes(&self, path: &str) -> impl FnOnce(&mut web::ServiceConfig) + 'static + use<> {
        let server = self.clone();
        self.mount(path, move || server.hub())
    }

    /// Mounts the server on the hub that `hub` gives.
    pub(crate) fn mount<H: Fn() -> Rc<Hub> + Clone + 'static>(
        &self,
        path: &str,
        hub: H,
    ) -> impl FnOnce(&mut web::ServiceConfig) + use<H> {
        let (door, path) = (self.door.clone(), path.to_owned());
        move |config| {
            let answer = move |request: HttpRequest, payload: web::Payload| {
                let (door, hub) = (door.clone(), hub());
                async move {
                    let response = door.answer(&hub, &request, payload).await;
                    // A request that is kept would keep the socket's guard, too.
                    drop(request);
                    response
                }
            };
            config.route(&path, web::get().to(answer));
        }
    }

    /// Serves the browser's client, an ES module, at a path of your choice:
    /// `import { connect } from '/courtside.js'`.
    pub fn client(&self, path: &str) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
        let path = path.to_owned();
        move |config| {
            config.route(&path, web::get().to(script::serve));
        }
    }

    /// Publishes to a channel, and returns the publication's offset when it has its place in the channel's order.
    ///
    /// Waits while [`Config::publish_backlog`] publications are on their way.
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
        let permit = self.shared.publishing.clone().acquire_owned().await;
        let permit = permit.map_err(|_| PublishError::Unavailable)?;
        let (answer, offset) = oneshot::channel();
        let message = ChannelMessage::Publish {
            channel: channel.clone(),
            data,
            answer: PublishAnswer::Server(answer),
            _permit: permit,
        };
        self.shared.send_to_channel(&channel, message);
        offset.await.map_err(|_| PublishError::Unavailable)
    }

    /// The public rooms, of one kind or of all.
    pub async fn rooms(&self, kind: Option<&str>) -> Vec<RoomInfo> {
        let (reply, rooms) = oneshot::channel();
        if let Some(lobby) = self.shared.lobby.get() {
            lobby.do_send(LobbyMessage::List {
                kind: kind.map(str::to_owned),
                reply,
            });
        }
        rooms.await.unwrap_or_default()
    }

    /// How many sessions there are, connected or within their window.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.shared.sessions()
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// How many rooms a panicking hook has ended since the server began.
    #[must_use]
    pub fn crashed_rooms(&self) -> u64 {
        self.shared.crashed_rooms.load(Ordering::Relaxed)
    }

    /// How often a client found that its copy of a room's state was not the room's, and asked for the whole.
    #[must_use]
    pub fn resyncs(&self) -> u64 {
        self.shared.resyncs.load(Ordering::Relaxed)
    }

    /// Goes away in good order: takes nobody new, ends the rooms ([`Room::disposed`] is called), tells every client when to come
    /// back, and closes the connections with 4002. Takes [`Drain::timeout`](crate::Drain::timeout) at most.
    pub async fn drain(&self) {
        let drain = self.shared.config.drain;
        let ends = Instant::now() + drain.timeout;
        self.shared.is_draining.store(true, Ordering::Relaxed);
        let (done, rooms_ended) = oneshot::channel();
        if let Some(lobby) = self.shared.lobby.get() {
            lobby.do_send(LobbyMessage::Drain { done });
            // A room that hangs must not take the clients' goodbye with it.
            let _late = tokio::time::timeout(drain.timeout / 2, rooms_ended).await;
        }
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let message = DrainHub {
            reconnect: Reconnect {
                after_ms: millis(drain.reconnect_after),
                jitter_ms: millis(drain.reconnect_jitter),
            },
            timeout: ends.saturating_duration_since(Instant::now()),
        };
        let hubs = self.shared.hubs();
        let drained = hubs.iter().map(|hub| hub.drain(message));
        let _late = tokio::time::timeout_at(ends, futures_util::future::join_all(drained)).await;
    }

    /// Runs the server by itself until SIGINT or SIGTERM, then [drains](Self::drain) it. A second signal ends the process at
    /// once. `configure` adds the application's own routes.
    ///
    /// # Errors
    ///
    /// If the listener cannot be used.
    pub async fn run(
        &self,
        listener: TcpListener,
        path: &str,
        configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    ) -> io::Result<()> {
        let (server, path) = (self.clone(), path.to_owned());
        let app = move || {
            App::new()
                .configure(server.routes(&path))
                .configure(configure.clone())
        };
        let http = actix_server::Server::build()
            .shutdown_timeout(1)
            .disable_signals()
            .listen("courtside", listener, move || {
                HttpService::build()
                    // The close handshake is done by then, and waiting would make browsers see it late.
                    .client_disconnect_timeout(Duration::ZERO)
                    .on_connect_ext(|io: &TcpStream, extensions| {
                        socket::watch_socket(io, extensions);
                    })
                    .upgrade(lean::upgrades(app.clone()))
                    .finish(map_config(app().into_factory(), |()| AppConfig::default()))
                    .tcp()
            })?
            .run();
        let (server, handle) = (self.clone(), http.handle());
        let signals = actix_rt::spawn(async move {
            until_signal().await;
            actix_rt::spawn(async {
                until_signal().await;
                std::process::exit(130);
            });
            tracing::info!("going away: a second signal ends at once");
            server.drain().await;
            handle.stop(true).await;
        });
        let outcome = http.await;
        signals.abort();
        outcome
    }
}

/// Binds a port, with an error that says what to do where it is taken.
///
/// # Errors
///
/// If nobody may listen there: the address is taken, is not of this machine, or needs rights.
pub fn listen(address: &str) -> io::Result<TcpListener> {
    bind(address).map_err(|error| {
        let what_to_do = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there; end it, or choose another port"
            }
            io::ErrorKind::PermissionDenied => "ports below 1024 need rights; choose one above",
            io::ErrorKind::AddrNotAvailable => "this machine does not have that address",
            _ => "an address looks like 127.0.0.1:4000",
        };
        io::Error::new(
            error.kind(),
            format!("cannot listen on {address}: {error} ({what_to_do})"),
        )
    })
}

fn bind(address: &str) -> io::Result<TcpListener> {
    let mut failure = None;
    for address in address.to_socket_addrs()? {
        match bind_one(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    // A server that was restarted must not wait for its old connections' ends.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Connections that wait to be accepted: when everybody comes back at once, nobody is to be turned away.
const BACKLOG: i32 = 4096;

/// Resolves at SIGINT or SIGTERM.
async fn until_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        // Without signals there is nothing to wait for, and a server must not end because of that.
        std::future::pending::<()>().await;
    }
}
