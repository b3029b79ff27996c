//! The builder of a server.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use actix::{Actor, System};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Server;
use super::threads::Threads;
use crate::call::{self, Call};
use crate::channel::config::Channel;
use crate::channel::patterns::ChannelPatterns;
use crate::claims::Identity;
use crate::config::{BadSetting, Config};
use crate::error::{BuildError, Refusal};
use crate::handler::{AnyShared, AppData, Handlers, Message};
use crate::http::admission::Admission;
use crate::journal::error::OpenError;
use crate::journal::file_storage::FileStorage;
#[cfg(test)]
use crate::journal::memory_storage::MemoryStorage;
use crate::journal::settings::Journal;
use crate::lobby::info::{ListQuery, RoomList};
use crate::lobby::lister::{Lister, ListingRule};
use crate::lobby::listing::filter::RoomFilter;
use crate::matchmaking::Queue;
use crate::observer::{Observer, Observers};
use crate::room::Room;
use crate::room::applicant::{self, Applicant};
use crate::room::context::RoomContext;
use crate::room::create::Create;
use crate::runtime::authentication::Authentication;
use crate::runtime::channel_shard::ChannelShard;
use crate::runtime::listings;
use crate::runtime::lobby::{self, Lobby};
use crate::runtime::matchmaker::{Matchmaker, NewQueue};
use crate::runtime::room::{KindOf, RoomKind};
use crate::runtime::server_inner::{ServerHandlers, ServerInner};
use crate::runtime::server_journal::{OpenedJournal, ServerJournal, boot_id};
use crate::runtime::sign_in::SignIn;
use crate::server_handle::ServerHandle;

/// Builds a [`Server`].
#[must_use = "a builder does nothing until `build`"]
pub struct ServerBuilder {
    config: Config,
    kinds: HashMap<String, Box<dyn RoomKind>>,
    calls: ServerHandlers,
    queues: Vec<NewQueue>,
    channels: ChannelPatterns,
    data: HashMap<TypeId, AnyShared>,
    admission: Admission,
    listing: ListingRule,
    authentication: Authentication,
    observers: Observers,
    /// The first mistake; reported by `build`, so that the builder's methods chain.
    mistake: Option<BuildError>,
    single_threaded: bool,
    journal: Option<Journal>,
    /// The journal's files are these, and not those of its directory.
    #[cfg(test)]
    journal_storage: Option<Arc<MemoryStorage>>,
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
    pub(super) fn new() -> Self {
        let builder = Self {
            config: Config::default(),
            kinds: HashMap::new(),
            calls: ServerHandlers::default(),
            queues: Vec::new(),
            channels: ChannelPatterns::default(),
            data: HashMap::new(),
            admission: Admission::default(),
            listing: ListingRule::default(),
            authentication: Authentication::default(),
            observers: Observers::default(),
            mistake: None,
            single_threaded: false,
            journal: None,
            #[cfg(test)]
            journal_storage: None,
        };
        builder.handle(list_rooms)
    }

    /// Tells `observer` what happens in the server, for metrics or logs: see [`Observer`]. Several can be given.
    ///
    /// What every server counts by itself is in [`ServerHandle::stats`].
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.observers.add(observer);
        self
    }

    /// Keeps clients from listing the rooms, and from following a listing of them, whatever [`listing`](Self::listing) says: there is
    /// no call `rooms.list`, and `rooms.follow` is refused with `listing_denied`. Default: clients can.
    pub fn without_room_list(mut self) -> Self {
        self.calls.remove(ListRooms::NAME);
        self.listing = ListingRule::Nobody;
        self
    }

    /// Decides which clients may list the rooms (the call `rooms.list`) and follow a listing of them (`rooms.follow`): `hook` sees who
    /// the client is, the kind, and the filter. Default: everybody may. Private rooms are on no list, whatever the hook says.
    ///
    /// The hook runs on the thread of the client's session and must not block it. It may wait for a database or another service, up to
    /// [`Config::authorization`](crate::Config::authorization); a client whose hook takes longer is refused with
    /// `authorization_timeout`. A client that it refuses receives the refusal's code and message. Who follows a listing is not asked
    /// again until the client follows it anew, as it does in a new session.
    ///
    /// ```
    /// use courtside::{Lister, Refusal, Server};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct User { is_adult: bool }
    ///
    /// let builder = Server::builder().listing(async |lister: &Lister| {
    ///     match lister.kind() {
    ///         Some("casino") if lister.claims::<User>().is_adult => Ok(()),
    ///         Some("casino") | None => Err(Refusal::new("adults_only", "these rooms are for adults")),
    ///         Some(_) => Ok(()),
    ///     }
    /// });
    /// # let _ = builder;
    /// ```
    pub fn listing(
        mut self,
        hook: impl AsyncFn(&Lister) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Self {
        if !matches!(self.listing, ListingRule::Nobody) {
            let hook = Arc::new(hook);
            self.listing = ListingRule::Hook(Arc::new(move |lister| {
                let hook = hook.clone();
                Box::pin(async move { hook(&lister).await })
            }));
        }
        self
    }

    fn note(&mut self, mistake: BuildError) {
        self.mistake.get_or_insert(mistake);
    }

    /// Times and bounds. Default: [`Config::default`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Registers a kind of room. The lobby creates rooms of it, by [`Create::create`], when clients ask for them.
    pub fn room<R: Create>(self) -> Self {
        self.room_with::<R>(R::create)
    }

    /// Registers a kind of room whose rooms a closure creates, for example with the application's database.
    ///
    /// The closure receives the options of the client that caused the room, and the room's context. If it refuses, that client
    /// receives an `error` and no room is created. The closure runs on the room's thread and must not block it.
    ///
    /// ```
    /// use courtside::prelude::*;
    /// use std::sync::Arc;
    ///
    /// # struct Database;
    /// struct Chat { database: Arc<Database> }
    ///
    /// #[courtside::room]
    /// impl Chat {
    ///     fn joined(&mut self, member: &Member) { /* … */ }
    /// }
    ///
    /// # fn builder(database: Arc<Database>) -> ServerBuilder {
    /// Server::builder().room_with::<Chat>(move |(), _| Ok(Chat { database: database.clone() }))
    /// # }
    /// ```
    pub fn room_with<R: Room>(
        mut self,
        make: impl Fn(R::Options, &mut RoomContext<R>) -> Result<R, Refusal> + Send + Sync + 'static,
    ) -> Self {
        let kind = R::KIND;
        let handlers = Handlers::<R>::collect();
        if let Some(name) = handlers.repeated() {
            self.note(BuildError::HandlerTaken(format!("{kind}: {name}")));
        }
        let registered = Box::new(KindOf::new(kind, Arc::new(make), handlers));
        if self.kinds.insert(kind.to_string(), registered).is_some() {
            self.note(BuildError::KindTaken(kind.to_string()));
        }
        self
    }

    /// Checks clients before they join rooms of a kind, for example in a database: between the lobby's seat for the client, which
    /// is held meanwhile, and [`Room::joined`]. Register the kind first. Default: no check.
    ///
    /// The function receives the [`Applicant`], and returns a refusal for a client that may not join. It runs on the room's thread
    /// beside the room, and must not block it. It has [`RoomConfig::admission`](crate::RoomConfig::admission) to finish; later, the
    /// client is refused with `admission_timeout`. A client that goes away meanwhile gives its seat back, and its check runs to its
    /// end without effect. If the function panics, the client is refused with `internal`, and the room goes on.
    ///
    /// ```
    /// use courtside::{Applicant, Refusal, Server, prelude::*};
    /// # struct Bans;
    /// # impl Bans { async fn has(&self, _: &str) -> bool { false } }
    ///
    /// #[derive(Default)]
    /// struct Club;
    ///
    /// #[courtside::room]
    /// impl Club {
    ///     fn joined(&mut self, member: &Member) { /* … */ }
    /// }
    ///
    /// # let bans = Bans;
    /// let builder = Server::builder().data(bans).room::<Club>().admit::<Club>(async |applicant: &Applicant<()>| {
    ///     let bans = applicant.data::<Bans>();
    ///     match applicant.subject() {
    ///         Some(user) if !bans.has(user).await => Ok(()),
    ///         _ => Err(Refusal::new("members_only", "this club is for its members")),
    ///     }
    /// });
    /// ```
    pub fn admit<R: Room>(
        mut self,
        check: impl AsyncFn(&Applicant<R::Options>) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Self {
        let kind = self.kinds.get_mut(R::KIND);
        match kind.and_then(|kind| kind.as_any().downcast_mut::<KindOf<R>>()) {
            Some(kind) => kind.set_admit(applicant::erase(check)),
            None => self.note(BuildError::NoSuchKind(R::KIND.to_owned())),
        }
        self
    }

    /// Offers a queue in which clients look for others to play with, in rooms of this kind: see [`Queue`]. Register the kind first.
    ///
    /// Its rule finds players who fit; when all players of a match have joined, their room begins. [`matchmaking`](crate::matchmaking)
    /// has an overview.
    pub fn queue<R: Room>(mut self, name: &str, queue: Queue) -> Self {
        if !self.kinds.contains_key(R::KIND) {
            self.note(BuildError::NoKindOfQueue(R::KIND.to_owned()));
        }
        if self.queues.iter().any(|known| &*known.name == name) {
            self.note(BuildError::QueueTaken(name.to_owned()));
        }
        self.queues.push(NewQueue {
            name: name.into(),
            kind: R::KIND.into(),
            queue,
        });
        self
    }

    /// Offers a channel, or all channels whose names fit a pattern: see [`Channel`]. Other names are refused with
    /// `unknown_channel`.
    ///
    /// A pattern may have parameters. `match/{id}` fits `match/7`, and not `match/7/log`: a parameter stands for one segment, or for a
    /// part of one, as in `log-{day}`. `match/{*rest}` fits both. A parameter is never empty. If several patterns fit a name, the
    /// one with the longer text before its parameter decides. Write `{{` and `}}` for braces of a name.
    ///
    /// A mistake in a pattern is returned by [`build`](Self::build).
    pub fn channel<T>(mut self, pattern: &str, channel: Channel<T>) -> Self {
        if let Err(mistake) = self.channels.add(pattern, channel) {
            self.note(mistake);
        }
        self
    }

    /// Registers a handler of calls under the name of its message: see [`Call`].
    pub fn handle<M, F, Fut>(mut self, handler: F) -> Self
    where
        M: Message + DeserializeOwned + 'static,
        M::Reply: Serialize,
        F: Fn(Call<M>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<M::Reply, Refusal>> + 'static,
    {
        let erased = call::erase(handler);
        if self.calls.insert(M::NAME, erased).is_some() {
            self.note(BuildError::HandlerTaken(M::NAME.to_owned()));
        }
        self
    }

    /// Gives rooms and call handlers a value of the application. They get it by its type, with
    /// [`RoomContext::data`](crate::RoomContext::data) and [`Call::data`]. A second value of the same type replaces the first.
    ///
    /// A value that is needed to create a room can also be in the closure of [`room_with`](Self::room_with), where a missing value
    /// does not compile.
    pub fn data<T: Any + Send + Sync>(mut self, value: T) -> Self {
        self.data.insert(TypeId::of::<T>(), Arc::new(value));
        self
    }

    /// Allows pages of another origin to connect, such as `https://example.org`; `*` allows all.
    ///
    /// Host and port are compared as browsers do: without regard to case, and with the scheme's default port if none is given.
    /// Default: only pages that come from the [host](Self::host) that they connect to. Clients that are not browsers send no
    /// origin and are accepted.
    pub fn allow_origin(mut self, origin: &str) -> Self {
        if !self.admission.origins.allow(origin) {
            self.note(BuildError::BadOrigin(origin.to_owned()));
        }
        self
    }

    /// Names one of the server's own hosts, such as `example.org` or `example.org:8443`. Call it once for each.
    ///
    /// Without a list of hosts, any website can point its own name at this machine and connect through its
    /// visitors' browsers (DNS rebinding). With a list, only pages of these hosts may connect, besides those of
    /// [`allow_origin`](Self::allow_origin).
    ///
    /// Default: any host. But if the connection came to a loopback address such as 127.0.0.1, and through no trusted proxy, the
    /// host must be `localhost`, a name that ends in `.localhost`, or an address.
    pub fn host(mut self, host: &str) -> Self {
        if !self.admission.origins.add_own(host) {
            self.note(BuildError::BadHost(host.to_owned()));
        }
        self
    }

    /// Trusts a proxy to report its clients' addresses: the proxy at this address, or all of a network such as `10.0.0.0/8`. Call
    /// it once for each.
    ///
    /// The client's address is the last entry of `X-Forwarded-For` that is not a trusted proxy; limits per address use it. If a
    /// trusted proxy does not set that header, the client's address is unknown and not counted, and the log says so once.
    ///
    /// Default: no proxy is trusted, and a client's address is that of its socket. Behind a proxy, all clients then share the
    /// proxy's address.
    pub fn trust_proxy(mut self, proxy: &str) -> Self {
        if !self.admission.proxies.add(proxy) {
            self.note(BuildError::BadProxy(proxy.to_owned()));
        }
        self
    }

    /// Checks each client before it gets a connection: the function receives what the client shows of itself, and returns who it
    /// is, or refuses it.
    ///
    /// The claims in the [`Identity`] are of a type of the application, the same for all clients. Rooms get them by
    /// [`Member::claims`](crate::Member::claims), calls by [`Caller::claims`](crate::Caller::claims). Default: every client is
    /// accepted, and the claims are `()`.
    ///
    /// A client that is refused receives `goodbye` with code 4501 and the refusal's code and message, and its connection is
    /// closed. A request that is not a handshake gets 401.
    ///
    /// The function may wait for a database or another service, up to
    /// [`Config::authentication`](crate::Config::authentication). It must not block its thread, which would delay the
    /// connections of that thread. The server may drop its future at any await point: when the time is up, or when the client
    /// has disconnected.
    ///
    /// ```
    /// use courtside::{Identity, Refusal, Server};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct User { id: String, name: String }
    ///
    /// # struct Users;
    /// # impl Users { async fn by_token(&self, _: &str) -> Option<User> { None } }
    /// # let users = Users;
    /// let builder = Server::builder().data(users).authenticate(async |sign_in| {
    ///     let refused = || Refusal::new("bad_credential", "sign in again");
    ///     let token = sign_in.token().ok_or_else(refused)?;
    ///     let users = sign_in.data::<Users>();
    ///     let user = users.by_token(token).await.ok_or_else(refused)?;
    ///     let id = user.id.clone();
    ///     Ok(Identity::new(user).subject(id))
    /// });
    /// ```
    pub fn authenticate<C>(
        mut self,
        authenticate: impl AsyncFn(&SignIn) -> Result<Identity<C>, Refusal> + Send + Sync + 'static,
    ) -> Self
    where
        C: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        self.authentication = Authentication::by(authenticate);
        self
    }

    /// Keeps channels in a journal, so that they survive the end of the process, also by SIGKILL: their histories, offsets and epochs,
    /// and the keys of [`publish_once`](ServerHandle::publish_once). Default: everything ends with the process.
    ///
    /// Publications are delivered and acknowledged after they were written. Subscribers go on over a restart as after a lost
    /// connection: they subscribe with their position (the clients do so by themselves), and receive what they have missed. Sessions,
    /// rooms, subscriptions and presence are not in the journal.
    ///
    /// `docs/durability.md` says what survives what, and what to do if a journal cannot be opened.
    pub fn journal(mut self, journal: Journal) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Writes the journal to a simulated disk.
    #[cfg(test)]
    pub(crate) fn journal_storage(mut self, storage: MemoryStorage) -> Self {
        self.journal_storage = Some(Arc::new(storage));
        self
    }

    /// Runs rooms, channels and the lobby on the thread that builds the server: for tests on a paused clock.
    #[cfg(feature = "testing")]
    pub(crate) fn single_threaded(mut self) -> Self {
        self.single_threaded = true;
        self
    }

    /// Refuses settings that cannot work: all of them, in this one place.
    fn check(&self) -> Result<(), BadSetting> {
        self.config.check()?;
        if let Some(journal) = &self.journal {
            journal.check()?;
        }
        for (kind, registered) in &self.kinds {
            let owner = |bad: BadSetting| bad.of(format!("the rooms of kind `{kind}`"));
            registered.config().check().map_err(owner)?;
        }
        for queue in &self.queues {
            let owner = |bad: BadSetting| bad.of(format!("the queue `{}`", queue.name));
            let kind = self.kinds.get(&*queue.kind);
            let seats = kind.map_or(usize::MAX, |kind| kind.config().capacity);
            queue.queue.check(seats).map_err(owner)?;
        }
        Ok(())
    }

    /// Starts the server's threads. To accept connections, serve or mount the server: [`Server::at`].
    ///
    /// # Errors
    ///
    /// If a name was registered twice, a pattern or a bound is invalid, or there is no actix `System`. With a
    /// [journal](Self::journal), also if that cannot be opened: another server has it, or it is damaged, or a newer version has
    /// written it; the error says what to do.
    pub fn build(self) -> Result<Server, BuildError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        self.check()?;
        if System::try_current().is_none() && !self.single_threaded {
            return Err(BuildError::NoSystem);
        }
        let data = AppData::new(self.data);
        let kinds = self.kinds.iter();
        let match_on =
            kinds.map(|(kind, registered)| (kind.clone(), registered.config().match_on.clone()));
        let shared = ServerInner::new(
            self.config,
            data,
            self.channels,
            match_on.collect(),
            self.calls,
            self.authentication,
            self.observers,
        );
        let entries = self.queues.iter();
        let entries = entries.map(|queue| (queue.name.clone(), queue.queue.entry.clone()));
        let mut shared = shared
            .with_listing(self.listing)
            .with_queues(entries.collect());
        if self.journal.is_some() {
            shared = shared.with_unix_time();
        }
        let shared = Arc::new(shared);
        #[cfg(test)]
        let storage = self.journal_storage;
        #[cfg(not(test))]
        let storage = None;
        if let Some(journal) = self.journal {
            let started = open_journal(&journal, storage, &shared);
            shared.set_journal(started.map_err(|problem| BuildError::Journal {
                directory: journal.directory().to_owned(),
                problem,
            })?);
        }
        let (queues, of_queues) = (self.queues, shared.clone());
        let (kinds, of_lobby) = (self.kinds, shared.clone());
        let mut threads = Threads::new(shared.clone());
        if !queues.is_empty() {
            let matchmaker = match self.single_threaded {
                true => Matchmaker::new(of_queues, queues).start(),
                // A thread of its own, because a rule may take long.
                false => Matchmaker::start_in_arbiter(&threads.begin(), move |_| {
                    Matchmaker::new(of_queues, queues)
                }),
            };
            let _set = shared.matchmaker.set(matchmaker.into());
        }
        let lobby = if self.single_threaded {
            let shard = ChannelShard::new(shared.clone(), 0, 1).start();
            shared.begin_shards(|| vec![shard.into()]);
            Lobby::new(of_lobby, kinds, Vec::new()).start()
        } else {
            let of_rooms: Vec<_> = (0..shared.config.room_threads)
                .map(|_| threads.begin())
                .collect();
            if !of_rooms.is_empty() {
                shared.begin_shards(|| {
                    let number = of_rooms.len();
                    let shard = |(n, thread)| ChannelShard::start_on(thread, &shared, (n, number));
                    let shards = of_rooms.iter().enumerate().map(shard);
                    shards.map(Into::into).collect()
                });
            }
            // The lobby has its own thread, so that a room that blocks its thread does not delay joins to other rooms.
            let thread = threads.begin();
            // Empty until now: nothing else has `shared` yet.
            let of_shard = thread.clone();
            let start =
                move |shared: &Arc<_>| ChannelShard::start_on(&of_shard, shared, (0, 1)).into();
            let _set = shared.first_shard.set(Box::new(start));
            Lobby::start_in_arbiter(&thread, move |_| Lobby::new(of_lobby, kinds, of_rooms))
        };
        let _set = shared.lobby.set(lobby.into());
        Ok(Server::new(
            ServerHandle::new(shared),
            self.admission,
            threads,
        ))
    }
}

/// Reads the journal, and starts its thread. `storage` replaces the files of the directory in tests. The error is for people.
fn open_journal(
    journal: &Journal,
    #[cfg(test)] storage: Option<Arc<MemoryStorage>>,
    #[cfg(not(test))] storage: Option<Arc<FileStorage>>,
    shared: &Arc<ServerInner>,
) -> Result<ServerJournal, String> {
    let options = journal.options();
    let (patterns, keys) = (shared.channels.clone(), shared.key_bounds());
    if let Some(storage) = storage {
        let opened = OpenedJournal::open(storage, options, 0, patterns, keys);
        let opened = opened.map_err(|error| error.to_string())?;
        return opened.start(shared).map_err(|error| error.to_string());
    }
    let storage = FileStorage::open(journal.directory()).map_err(OpenError::Directory);
    let opened = storage.and_then(|storage| {
        OpenedJournal::open(Arc::new(storage), options, boot_id(), patterns, keys)
    });
    let opened = opened.map_err(|error| error.to_string())?;
    opened.start(shared).map_err(|error| error.to_string())
}

/// The call with which clients list the rooms.
#[derive(Deserialize, courtside_derive::Message)]
#[message(name = "rooms.list", reply = RoomList)]
struct ListRooms(Option<ListQuery>);

async fn list_rooms(call: Call<ListRooms>) -> Result<RoomList, Refusal> {
    let shared = call.shared().clone();
    let ListRooms(query) = call.message;
    let query = query.unwrap_or_default();
    let lister = Lister {
        caller: call.caller,
        kind: query.kind.clone(),
        filter: RoomFilter::default(),
        app: shared.data.clone(),
    };
    listings::may_list(&shared, lister).await?;
    Ok(lobby::list(&shared, query).await)
}
