//! What all threads of a server share.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use crate::address::ClientAddress;
use crate::caller::Caller;
use crate::channel::backlog::{PublishBacklog, PublishPlace};
use crate::channel::patterns::ChannelPatterns;
use crate::channel::publish::{PublishError, PublishGate};
use crate::channel::quota::ChannelQuota;
use crate::channel::recent_keys::KeyBounds;
use crate::config::Config;
use crate::error::Refusal;
use crate::handler::{AppData, ReplyTo, hint};
use crate::ids::{ChannelName, IdHasher, RoomId, SessionId};
use crate::lobby::lister::ListingRule;
use crate::lobby::listing::registry::ListingRegistry;
use crate::matchmaking::seeker::MakeEntry;
use crate::memory::Ledger;
use crate::observer::Observers;
use crate::origin::{Sender, TellOrigin};
use crate::room::inbox::{InboxPlace, TellBacklog};
use crate::room::outside::Outside;
use crate::room::tell::{BroadcastError, BroadcastPlaces, TellError};
use crate::runtime::actor_address::{LobbyAddress, MatchmakerAddress, ShardAddress};
use crate::runtime::authentication::Authentication;
use crate::runtime::ended_rooms::EndedRooms;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::instruction::{Instruction, SESSION_CALLS, Task, Ticket};
use crate::runtime::messages::{ChannelMessage, HubMessage, LobbyMessage, MatchMessage};
use crate::runtime::room_registry::RoomRegistry;
use crate::runtime::server_journal::{ServerJournal, unix_time};
use crate::runtime::visitor::Visitor;
use crate::session::accounts::{Accounts, Book};
use crate::session::directory::{Begun, Recipients, SessionDirectory, WorkerIndex};
use crate::session::farewell::{Disconnect, Farewells};
use crate::session::quota::LogQuota;
use crate::session::registry::Registry;
use crate::session::resume::{ResumeToken, Tokens};
use crate::session::sending::{SessionOrder, UserError};
use crate::time::millis;
use crate::wire::codec::RawData;
use crate::wire::event::ClientLimits;
use crate::wire::frame::Encoded;

/// The reply to a call that a handler is computing, as [`encode_reply`](crate::handler::encode_reply) encodes it.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Option<Encoded>, Refusal>>>>;

/// A handler of calls, with its types erased.
pub(crate) type ServerHandler = Box<
    dyn Fn(Caller, Arc<ServerInner>, &RawData, ReplyTo) -> Result<Answer, Refusal> + Send + Sync,
>;

/// The handlers of calls, by the names of their messages. The names come from the application, so no client can choose keys that
/// collide.
pub(crate) type ServerHandlers = HashMap<&'static str, ServerHandler, IdHasher>;

/// Starts a shard of channels on a thread that is known before any worker runs.
pub(crate) type FirstShard = Box<dyn Fn(&Arc<ServerInner>) -> ShardAddress + Send + Sync>;

/// The shared part of a server, built once.
pub(crate) struct ServerInner {
    pub(crate) config: Config,
    /// Distinguishes this run of the server from earlier ones, in resume tokens.
    pub(crate) run: u32,
    pub(crate) data: AppData,
    pub(crate) channels: Arc<ChannelPatterns>,
    /// The fields that each kind of room is matched on.
    pub(crate) match_on: HashMap<String, Vec<String>>,
    pub(crate) calls: ServerHandlers,
    /// Who may see the rooms.
    pub(crate) listing: ListingRule,
    /// The listings of rooms that clients follow.
    pub(crate) listings: ListingRegistry,
    pub(crate) authentication: Authentication,
    /// Set once, when the server is built.
    pub(crate) lobby: OnceLock<LobbyAddress>,
    /// What the application says of a player, for each queue.
    pub(crate) queues: HashMap<Arc<str>, MakeEntry>,
    /// Set once, when the server is built, if there is a queue.
    pub(crate) matchmaker: OnceLock<MatchmakerAddress>,
    /// Set before the shards begin. Empty: the server keeps no journal.
    journal: OnceLock<ServerJournal>,
    /// Starts a shard for a publication that comes before the first worker has started one.
    pub(crate) first_shard: OnceLock<FirstShard>,
    shards: OnceLock<Vec<ShardAddress>>,
    /// The publications of rooms and the application on their way to the shards.
    publishing: Arc<PublishBacklog>,
    /// How rooms are reached from outside.
    pub(crate) rooms: RoomRegistry,
    /// How many messages the application has sent to rooms.
    tells: AtomicU64,
    /// What the application sends sessions and is on its way to them.
    sending: Arc<PublishBacklog>,
    /// Bounds how many calls wait for answers of sessions.
    pub(crate) session_calls: Arc<Semaphore>,
    /// What clients are told whose sessions the application has ended.
    farewells: Mutex<Farewells>,
    /// Counts the memory that is held for clients.
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) connections: AtomicUsize,
    /// The channels that exist by a pattern.
    pub(crate) channel_quota: Arc<ChannelQuota>,
    pub(crate) is_draining: AtomicBool,
    has_ended: AtomicBool,
    /// The code that serves this server drains it when the process receives SIGTERM or SIGINT.
    pub(crate) heeds_signals: AtomicBool,
    /// Held by the task that drains. True when the server was drained.
    pub(crate) is_drained: tokio::sync::Mutex<bool>,
    pub(crate) observers: Observers,
    pub(crate) ended_rooms: EndedRooms,
    /// The accounts that sessions share.
    book: Mutex<Book>,
    /// Maps a channel's name to its shard. It is random, so that clients cannot choose names that all map to one shard.
    shard_of_name: RandomState,
    /// The limits that `welcome` tells each client.
    pub(crate) client_limits: ClientLimits,
    /// The hubs of the workers, in the order in which they began.
    hubs: Mutex<Vec<HubAddress>>,
    /// The worker of each session. It is read when a session begins, ends or moves, and not for each message.
    sessions: Mutex<Box<dyn SessionDirectory>>,
    /// The number of connections of each address that is known.
    peers: Mutex<HashMap<ClientAddress, usize>>,
    /// Bounds the log entries about sessions that are refused because there are too many.
    pub(crate) full_log: LogQuota,
    /// Bounds the log entries about rooms and channels that do not answer a session that moves: each of their members
    /// reports it, at each move.
    pub(crate) late_log: LogQuota,
    /// Bounds the log entries about hooks of channels that take too long.
    pub(crate) hook_log: LogQuota,
    began: Instant,
    /// What the clock that the rules know showed at `began`.
    shown: Duration,
    /// Unix milliseconds when that clock showed zero.
    began_at: u64,
}

impl fmt::Debug for ServerInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerInner")
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

/// Locks a mutex, also after a panic of another holder: no code under these locks can leave the value half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ServerInner {
    pub(crate) fn new(
        config: Config,
        data: AppData,
        channels: ChannelPatterns,
        match_on: HashMap<String, Vec<String>>,
        calls: ServerHandlers,
        authentication: Authentication,
        observers: Observers,
    ) -> Self {
        let ledger = Arc::new(Ledger::new(config.limits.bytes_in_all));
        let began_at = unix_time();
        let began_at = u64::try_from(began_at.as_millis()).unwrap_or(u64::MAX);
        Self {
            run: uuid::Uuid::new_v4().as_fields().0,
            data,
            channels: Arc::new(channels),
            match_on,
            calls,
            listing: ListingRule::default(),
            listings: ListingRegistry::default(),
            authentication,
            lobby: OnceLock::new(),
            queues: HashMap::new(),
            matchmaker: OnceLock::new(),
            journal: OnceLock::new(),
            first_shard: OnceLock::new(),
            shards: OnceLock::new(),
            publishing: PublishBacklog::new(
                config.publish_backlog,
                config.publish_backlog_bytes,
                ledger.clone(),
            ),
            rooms: RoomRegistry::new(TellBacklog::new(config.tell_backlog_bytes, ledger.clone())),
            tells: AtomicU64::new(0),
            sending: PublishBacklog::new(
                config.send_backlog,
                config.send_backlog_bytes,
                ledger.clone(),
            ),
            session_calls: Arc::new(Semaphore::new(SESSION_CALLS)),
            farewells: Mutex::default(),
            ledger,
            connections: AtomicUsize::new(0),
            channel_quota: Arc::new(ChannelQuota::new(config.limits.channels_in_all)),
            is_draining: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            heeds_signals: AtomicBool::new(false),
            is_drained: tokio::sync::Mutex::new(false),
            observers,
            ended_rooms: EndedRooms::default(),
            book: Mutex::default(),
            shard_of_name: RandomState::new(),
            client_limits: ClientLimits::from(&config.limits),
            hubs: Mutex::default(),
            sessions: Mutex::new(Box::new(Registry::default())),
            peers: Mutex::default(),
            full_log: LogQuota::default(),
            late_log: LogQuota::default(),
            hook_log: LogQuota::default(),
            began: Instant::now(),
            shown: Duration::ZERO,
            began_at,
            config,
        }
    }

    pub(crate) fn with_queues(mut self, queues: HashMap<Arc<str>, MakeEntry>) -> Self {
        self.queues = queues;
        self
    }

    /// Lets the clock that the rules know show the wall clock's time: a journal's times outlive the server.
    pub(crate) fn with_unix_time(mut self) -> Self {
        self.shown = Duration::from_millis(self.began_at);
        self.began_at = 0;
        self
    }

    /// Sets the journal, before any shard begins.
    pub(crate) fn set_journal(&self, journal: ServerJournal) {
        let _set = self.journal.set(journal);
    }

    pub(crate) fn journal(&self) -> Option<&ServerJournal> {
        self.journal.get()
    }

    /// How many idempotency keys each channel remembers, and for how long.
    pub(crate) fn key_bounds(&self) -> KeyBounds {
        KeyBounds {
            number: self.config.publish_keys,
            age: self.config.publish_keys_age,
        }
    }

    pub(crate) fn with_listing(mut self, listing: ListingRule) -> Self {
        self.listing = listing;
        self
    }

    /// The refusal of an action for a kind of rooms that there is not.
    pub(crate) fn unknown_kind(&self) -> Refusal {
        let known = self.match_on.keys().map(String::as_str);
        let hint = hint("this server has", self.config.hints.then_some(known));
        Refusal::new(
            "unknown_kind",
            format!("there is no such kind of room{hint}"),
        )
    }

    /// The time since the server began, which the rules receive as `now`.
    pub(crate) fn now(&self) -> Duration {
        self.shown + Instant::now().saturating_duration_since(self.began)
    }

    /// The same for a thread that may outlive the server.
    pub(crate) fn clock(&self) -> impl Fn() -> Duration + Send + 'static {
        let (shown, began) = (self.shown, self.began);
        move || shown + Instant::now().saturating_duration_since(began)
    }

    /// The server's clock, in Unix milliseconds. It never goes back.
    pub(crate) fn time(&self) -> u64 {
        self.began_at + u64::try_from(self.now().as_millis()).unwrap_or_default()
    }

    /// A moment in Unix milliseconds.
    pub(crate) fn time_of(&self, moment: Duration) -> u64 {
        self.began_at + millis(moment)
    }

    /// The moment of a time in Unix milliseconds; the beginning for an earlier one.
    pub(crate) fn moment_of(&self, time: u64) -> Duration {
        Duration::from_millis(time.saturating_sub(self.began_at))
    }

    /// The accounts to which the rooms and channels that a session creates are charged.
    pub(crate) fn open_accounts(
        &self,
        subject: Option<&Arc<str>>,
        address: Option<ClientAddress>,
    ) -> Accounts {
        lock(&self.book).open(subject, address)
    }

    pub(crate) fn add_hub(&self, address: impl FnOnce(WorkerIndex) -> HubAddress) -> HubAddress {
        let mut hubs = lock(&self.hubs);
        let hub = address(hubs.len());
        hubs.push(hub.clone());
        hub
    }

    pub(crate) fn hubs(&self) -> Vec<HubAddress> {
        lock(&self.hubs).clone()
    }

    pub(crate) fn hub(&self, worker: WorkerIndex) -> Option<HubAddress> {
        lock(&self.hubs).get(worker).cloned()
    }

    /// Begins a session on a worker, unless there are too many.
    pub(crate) fn begin_session(
        &self,
        id: SessionId,
        worker: WorkerIndex,
        visitor: &Visitor,
    ) -> Begun {
        let limits = &self.config.limits;
        lock(&self.sessions).begin(id, worker, &visitor.owners(), limits)
    }

    /// Moves a session's home: from now on its client finds it there. False if `from` is not its home any more.
    pub(crate) fn relocate(&self, session: SessionId, from: WorkerIndex, to: WorkerIndex) -> bool {
        lock(&self.sessions).relocate(session, from, to)
    }

    pub(crate) fn forget_home(&self, session: SessionId, visitor: &Visitor) {
        lock(&self.sessions).end(session, &visitor.owners());
    }

    pub(crate) fn home(&self, session: SessionId) -> Option<WorkerIndex> {
        lock(&self.sessions).home(session)
    }

    /// A session is disconnected and holds nothing, so another session may displace it.
    pub(crate) fn spare(&self, session: SessionId, visitor: &Visitor) {
        lock(&self.sessions).spare(session, &visitor.owners());
    }

    /// A session is resumed and can no longer be displaced. False if it was displaced before.
    pub(crate) fn keep(&self, session: SessionId) -> bool {
        lock(&self.sessions).keep(session)
    }

    /// Gives sessions an instruction. With `in_order`, each session carries it out after all that it was given that way before.
    pub(crate) fn instruct(&self, recipients: &Recipients, task: &Task, in_order: bool) {
        self.instruct_by(recipients, task, in_order, |hub, message| hub.send(message));
    }

    /// As [`instruct`](Self::instruct), with `send` to bring each instruction to the hub of its session.
    fn instruct_by(
        &self,
        recipients: &Recipients,
        task: &Task,
        in_order: bool,
        send: impl Fn(&HubAddress, HubMessage),
    ) {
        let numbered: Vec<_> = {
            let mut sessions = lock(&self.sessions);
            let found = sessions.find(recipients);
            let number = |(session, worker)| {
                let number = in_order.then(|| sessions.number(session));
                (session, worker, number)
            };
            found.into_iter().map(number).collect()
        };
        for (session, worker, number) in numbered {
            if let Some(hub) = self.hub(worker) {
                let instruction = Instruction {
                    session,
                    number,
                    task: task.clone(),
                };
                send(&hub, HubMessage::Instruct(instruction));
            }
        }
    }

    /// Sends something to sessions that has its place, with `send` to bring it to the hub of each. Each of them that it reaches
    /// sends an answer.
    pub(crate) fn send_to_sessions(
        &self,
        recipients: &Recipients,
        order: SessionOrder,
        place: PublishPlace,
        send: impl Fn(&HubAddress, HubMessage),
    ) -> UnboundedReceiver<()> {
        let (ticket, answered) = Ticket::new(place);
        let task = match order {
            SessionOrder::Send(event) => Task::Send(event, ticket),
            SessionOrder::Disconnect(why) => Task::Disconnect(why, ticket),
        };
        self.instruct_by(recipients, &task, true, send);
        answered
    }

    /// The application has ended a session.
    pub(crate) fn note_farewell(&self, session: SessionId, tokens: Tokens, why: Arc<Disconnect>) {
        let (now, window) = (self.now(), self.config.window);
        lock(&self.farewells).note(now, window, session, tokens, why);
    }

    /// Why the application has ended the session of this token, if it has.
    pub(crate) fn farewell(&self, token: &ResumeToken) -> Option<Arc<Disconnect>> {
        lock(&self.farewells).find(token)
    }

    pub(crate) fn sessions(&self) -> usize {
        lock(&self.sessions).len()
    }

    /// Counts another connection of this address. False if it has as many as it may have.
    pub(crate) fn add_connection(&self, address: Option<ClientAddress>) -> bool {
        let Some(address) = address else {
            return true;
        };
        let mut peers = lock(&self.peers);
        let count = peers.entry(address).or_default();
        let is_one = *count < self.config.limits.connections_per_address;
        *count += usize::from(is_one);
        is_one
    }

    pub(crate) fn forget_connection(&self, address: Option<ClientAddress>) {
        let Some(address) = address else {
            return;
        };
        let mut peers = lock(&self.peers);
        if let Some(count) = peers.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                peers.remove(&address);
            }
        }
    }

    pub(crate) fn send_to_lobby(&self, message: LobbyMessage) {
        if let Some(lobby) = self.lobby.get() {
            lobby.send(message);
        }
    }

    /// Whether messages can be sent to rooms of a kind.
    pub(crate) fn check_kind(&self, kind: &str) -> Result<(), BroadcastError> {
        if self.has_ended() {
            return Err(BroadcastError::Ended);
        }
        match self.match_on.contains_key(kind) {
            true => Ok(()),
            false => Err(BroadcastError::UnknownKind(kind.to_owned())),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }

    /// The origin of the next message to a room that comes from outside of all rooms.
    pub(crate) fn next_tell(&self, sender: Sender) -> TellOrigin {
        let number = self.tells.fetch_add(1, Ordering::Relaxed) + 1;
        TellOrigin { sender, number }
    }

    pub(crate) fn send_to_matchmaker(&self, message: MatchMessage) {
        if let Some(matchmaker) = self.matchmaker.get() {
            matchmaker.send(message);
        }
    }

    /// Ends the actors that may live on threads that are not the server's own.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
        for hub in self.hubs() {
            hub.end();
        }
        if let Some(lobby) = self.lobby.get() {
            lobby.end();
        }
        if let Some(matchmaker) = self.matchmaker.get() {
            matchmaker.end();
        }
        for shard in self.shards.get().into_iter().flatten() {
            shard.end();
        }
        self.rooms.clear();
    }

    /// Starts the shards, unless they were started before.
    pub(crate) fn begin_shards(&self, begin: impl FnOnce() -> Vec<ShardAddress>) {
        self.shards.get_or_init(begin);
    }

    /// Sends a message to each shard.
    pub(crate) fn send_to_all_shards(self: &Arc<Self>, message: impl Fn() -> ChannelMessage) {
        if let Some(start) = self.first_shard.get() {
            self.begin_shards(|| vec![start(self)]);
        }
        for shard in self.shards.get().into_iter().flatten() {
            shard.send(message());
        }
    }

    /// Sends a message to the shard of a channel.
    pub(crate) fn send_to_channel(
        self: &Arc<Self>,
        channel: &ChannelName,
        message: ChannelMessage,
    ) {
        if let Some(start) = self.first_shard.get() {
            self.begin_shards(|| vec![start(self)]);
        }
        if let Some(shard) = self.shard_of(channel) {
            shard.send(message);
        }
    }

    /// The shard of a channel. The same name always maps to the same shard, so that a channel has one owner.
    fn shard_of(&self, channel: &ChannelName) -> Option<&ShardAddress> {
        let shards = self.shards.get()?;
        shards.get(self.shard_number(channel, shards.len()))
    }

    /// The number of a channel's shard, among so many.
    pub(crate) fn shard_number(&self, channel: &ChannelName, shards: usize) -> usize {
        let hash = self.shard_of_name.hash_one(channel.as_str());
        (hash % shards.max(1) as u64) as usize
    }
}

impl PublishGate for ServerInner {
    fn admit(&self, channel: &ChannelName, bytes: usize) -> Result<PublishPlace, PublishError> {
        if self.channels.find(channel.as_str()).is_none() {
            return Err(PublishError::UnknownChannel);
        }
        if self.has_ended() {
            return Err(PublishError::Ended);
        }
        if self.journal().is_some_and(ServerJournal::is_full) {
            return Err(PublishError::Busy);
        }
        self.publishing.try_take(bytes).ok_or(PublishError::Busy)
    }
}

impl Outside for ServerInner {
    fn admit_sending(&self, bytes: usize) -> Result<PublishPlace, UserError> {
        if self.has_ended() {
            return Err(UserError::Ended);
        }
        self.sending.try_take(bytes).ok_or(UserError::Busy)
    }

    fn admit_told(&self, to: &RoomId, bytes: usize) -> Result<InboxPlace, TellError> {
        self.rooms.find(to)?.take_place(bytes)
    }

    fn admit_broadcast(&self, kind: &str, bytes: usize) -> Result<BroadcastPlaces, BroadcastError> {
        self.check_kind(kind)?;
        let mut places = BroadcastPlaces::default();
        for entry in self.rooms.of_kind(kind) {
            match entry.take_place(bytes) {
                Ok(place) => places.places.push((entry.id().clone(), place)),
                Err(TellError::Busy) => places.busy += 1,
                // It has just ended.
                Err(_) => {}
            }
        }
        Ok(places)
    }

    fn wait(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(tokio::time::sleep(time))
    }
}
