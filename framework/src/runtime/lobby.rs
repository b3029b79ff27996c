//! The lobby's actor: creates rooms, and sends clients to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::{Actor, ActorContext, ArbiterHandle, AsyncContext, Context, Handler};
use tokio::sync::oneshot;

use crate::error::Refusal;
use crate::ids::RoomId;
use crate::lobby::directory::{Directory, Terms};
use crate::lobby::fields::Fields;
use crate::lobby::info::{ListQuery, RoomInfo, RoomList};
use crate::lobby::rooms::RoomDirectory;
use crate::observer::ServerEvent;
use crate::room::config::DisposeReason;
use crate::room::create::CreateError;
use crate::runtime::listings::LobbyListings;
use crate::runtime::messages::{
    CreateAnswer, CreateRequest, End, JoinRequest, LobbyMessage, MatchedRoom, RoomAddress,
    RoomMessage,
};
use crate::runtime::room::{NewRoom, RoomKind};
use crate::runtime::room_admission::refuse_join;
use crate::runtime::server_inner::ServerInner;
use crate::session::accounts::{Charge, Thing};
use crate::wire::action::{JoinMode, JoinTarget};
use crate::wire::codec::RawData;

/// How many rooms may refuse a client that asks for a kind. After that the client gets a new room, or a refusal if it wants
/// an existing one.
const MOST_REFUSALS: usize = 8;

/// A room that is to begin.
struct Beginning<'a> {
    kind: &'a str,
    id: RoomId,
    options: RawData,
    /// The values of its options in the fields that the kind is matched on.
    founded_on: Fields,
    charge: Option<Charge>,
    seats_taken: usize,
    /// The thread to run it on if there are none for rooms.
    thread: Option<&'a ArbiterHandle>,
    /// Who is told whether it has begun, if not a client.
    answer: Option<CreateAnswer>,
}

/// The directory of rooms.
pub(crate) struct Lobby {
    pub(super) shared: Arc<ServerInner>,
    kinds: HashMap<String, Box<dyn RoomKind>>,
    /// The threads for rooms. If there are none, a room runs on the thread of the connection that caused it, or on the
    /// lobby's if that is not known.
    threads: Vec<ArbiterHandle>,
    next_thread: usize,
    pub(super) directory: Box<dyn RoomDirectory<RoomAddress>>,
    pub(super) listings: LobbyListings,
    draining: Option<oneshot::Sender<()>>,
}

impl Lobby {
    pub(crate) fn new(
        shared: Arc<ServerInner>,
        kinds: HashMap<String, Box<dyn RoomKind>>,
        threads: Vec<ArbiterHandle>,
    ) -> Self {
        let terms = kinds.iter().map(|(kind, registered)| {
            let config = registered.config();
            let terms = Terms {
                match_on: config.match_on.clone(),
                matched: config.matched_up_to(),
                capacity: config.capacity,
            };
            (kind.clone(), terms)
        });
        Self {
            shared,
            directory: Box::new(Directory::new(terms)),
            kinds,
            threads,
            next_thread: 0,
            listings: LobbyListings::default(),
            draining: None,
        }
    }

    /// Sends a client to a room. `refused` is the refusal of the last room that the client was sent to.
    fn join(&mut self, mut request: Box<JoinRequest>, refused: Option<Refusal>) {
        if request.is_given_up() {
            return;
        }
        match self.seat(&mut request, refused) {
            Ok(room) => room.do_send(RoomMessage::Join(request)),
            Err(refusal) => refuse_join(&request.receiver, request.id, &refusal),
        }
    }

    /// Takes a seat for the client, in a new room if no other fits.
    fn seat(
        &mut self,
        request: &mut JoinRequest,
        refused: Option<Refusal>,
    ) -> Result<RoomAddress, Refusal> {
        if self.shared.is_draining.load(Ordering::Relaxed) {
            return Err(draining());
        }
        let (kind, mode) = match &request.target {
            JoinTarget::Room(id) => {
                let (now, limits) = (self.shared.now(), &self.shared.config.limits);
                // Also if the room exists: otherwise ids could be tried at any rate.
                request.accounts.check_misses(now, limits)?;
                return self.directory.seat_by_id(id).ok_or_else(|| {
                    request.accounts.note_miss(now, limits);
                    Refusal::new(
                        "unknown_room",
                        "there is no room with this id: it may have ended",
                    )
                });
            }
            JoinTarget::Kind(kind, mode) => (kind, *mode),
        };
        if !self.kinds.contains_key(kind) {
            return Err(self.shared.unknown_kind());
        }
        let refused_by = &request.refused_by;
        if mode != JoinMode::Create && refused_by.len() < MOST_REFUSALS {
            let seat = self.directory.seat_by_kind(kind, &request.wish, refused_by);
            if let Some(room) = seat {
                return Ok(room);
            }
        }
        if mode == JoinMode::Existing {
            let none = || Refusal::new("unknown_room", "no room of this kind fits");
            return Err(refused.unwrap_or_else(none));
        }
        let limits = &self.shared.config.limits;
        let now = self.shared.now();
        let charge = request.accounts.charge(Thing::Room, now, limits)?;
        if !self.make_space() {
            return Err(too_many_rooms());
        }
        let room = self.begin(Beginning {
            kind,
            id: RoomId::random(),
            options: request.options.clone(),
            founded_on: request.wish.clone(),
            charge: Some(charge),
            seats_taken: 1,
            thread: request.receiver.hub.thread(),
            answer: None,
        });
        // Its id is random, so no other room has it.
        let room = room.map_err(Refusal::internal)?;
        request.is_founder = true;
        Ok(room)
    }

    /// Makes space for another room, if the server has as many as it may. False if each has members.
    fn make_space(&mut self) -> bool {
        if self.directory.len() < self.shared.config.limits.rooms_in_all {
            return true;
        }
        let Some(given_up) = self.directory.give_up_empty() else {
            return false;
        };
        given_up.do_send(RoomMessage::Dispose(DisposeReason::Empty));
        true
    }

    /// Begins a room of a kind that is registered.
    fn begin(&mut self, beginning: Beginning<'_>) -> Result<RoomAddress, CreateError> {
        let Beginning { kind, id, .. } = beginning;
        let unknown = || CreateError::UnknownKind(kind.to_owned());
        let registered = self.kinds.get(kind).ok_or_else(unknown)?;
        let (name, inbox) = (registered.name(), registered.config().inbox);
        let entry = self.shared.rooms.begin(id.clone(), name, inbox);
        let entry = entry.ok_or(CreateError::Taken)?;
        let new = NewRoom {
            entry,
            options: beginning.options,
            answer: beginning.answer,
        };
        let thread = self.threads.get(self.next_thread);
        let thread = thread.or(beginning.thread);
        let room = registered.start(thread, self.shared.clone(), new);
        self.next_thread = (self.next_thread + 1) % self.threads.len().max(1);
        self.shared
            .observers
            .tell(&ServerEvent::RoomBegan { room: &id, kind });
        let (founded_on, charge) = (beginning.founded_on, beginning.charge);
        let seats = beginning.seats_taken;
        self.directory
            .begin(&id, kind, room.clone(), founded_on, charge, seats);
        Ok(room)
    }

    /// Makes space for a room of the application, and charges it.
    fn admit(&mut self, request: &CreateRequest) -> Result<Option<Charge>, CreateError> {
        if self.shared.is_draining.load(Ordering::Relaxed) {
            return Err(CreateError::Ended);
        }
        // Before another room ends for this one.
        if self.shared.rooms.is_taken(&request.id) {
            return Err(CreateError::Taken);
        }
        let (now, limits) = (self.shared.now(), &self.shared.config.limits);
        let accounts = request.accounts.as_ref();
        let charge = accounts.map(|accounts| accounts.charge(Thing::Room, now, limits));
        let charge = charge.transpose().map_err(CreateError::Refused)?;
        match self.make_space() {
            true => Ok(charge),
            false => Err(CreateError::TooManyRooms),
        }
    }

    /// Begins a room for the application. The room tells it whether it has begun.
    fn create(&mut self, request: CreateRequest) {
        let charge = match self.admit(&request) {
            Ok(charge) => charge,
            Err(error) => {
                // The receiver may have stopped waiting.
                let _gone = request.answer.send(Err(error));
                return;
            }
        };
        let begun = self.begin(Beginning {
            kind: &request.kind,
            id: request.id,
            options: request.options,
            founded_on: request.founded_on,
            charge,
            seats_taken: 0,
            thread: None,
            answer: Some(request.answer),
        });
        if let Err(error) = begun {
            tracing::error!(kind = request.kind, %error, "a room could not begin");
        }
    }

    /// Begins the room of a match, with a seat for each player.
    fn begin_match(&mut self, room: MatchedRoom) {
        let begun = self.begin_matched(&room);
        for request in room.requests {
            match &begun {
                Ok(address) => address.do_send(RoomMessage::Join(Box::new(request))),
                Err(refusal) => refuse_join(&request.receiver, request.id, refusal),
            }
        }
    }

    fn begin_matched(&mut self, room: &MatchedRoom) -> Result<RoomAddress, Refusal> {
        if self.shared.is_draining.load(Ordering::Relaxed) {
            return Err(draining());
        }
        let match_on = self.shared.match_on.get(&*room.kind);
        let founded_on = Fields::wished(&room.options, match_on.map_or(&[], Vec::as_slice))?;
        if !self.make_space() {
            return Err(too_many_rooms());
        }
        let first = room.requests.first();
        let begun = self.begin(Beginning {
            kind: &room.kind,
            id: room.id.clone(),
            options: room.options.clone(),
            founded_on,
            // Its players are charged for their searches.
            charge: None,
            seats_taken: room.requests.len(),
            thread: first.and_then(|request| request.receiver.hub.thread()),
            answer: None,
        });
        begun.map_err(Refusal::internal)
    }

    fn finish_draining(&mut self) {
        if self.directory.is_deserted()
            && let Some(done) = self.draining.take()
        {
            // The receiver may have stopped waiting.
            let _gone = done.send(());
        }
    }
}

fn too_many_rooms() -> Refusal {
    Refusal::new(
        "room_full",
        "this server has as many rooms as it can: try again later",
    )
}

fn draining() -> Refusal {
    Refusal::new("draining", "this server is shutting down")
}

/// Lists some of the public rooms.
pub(crate) async fn list(shared: &ServerInner, query: ListQuery) -> RoomList {
    let (reply, rooms) = oneshot::channel();
    shared.send_to_lobby(LobbyMessage::List { query, reply });
    // The lobby ends with the server, which then has no rooms.
    let (rooms, has_more) = rooms.await.unwrap_or_default();
    let rooms: Vec<RoomInfo> = rooms.into_iter().map(RoomInfo::from).collect();
    let last = rooms.last().map(|last| last.room.clone());
    RoomList {
        rooms,
        next: last.filter(|_| has_more),
    }
}

impl Actor for Lobby {
    type Context = Context<Self>;
}

impl Handler<LobbyMessage> for Lobby {
    type Result = ();

    fn handle(&mut self, message: LobbyMessage, ctx: &mut Self::Context) {
        match message {
            LobbyMessage::Join(request) => self.join(request, None),
            LobbyMessage::Retry(request, refusal) => self.join(request, Some(refusal)),
            LobbyMessage::BeginMatch(room) => self.begin_match(*room),
            LobbyMessage::Release(room) => self.directory.release(&room),
            LobbyMessage::Relist(room, listing) => {
                let (is_locked, is_private) = (listing.is_locked, listing.is_private);
                self.directory
                    .relist(&room, is_locked, is_private, listing.metadata);
            }
            LobbyMessage::Ended(room) => {
                if let Some(address) = self.directory.end(&room) {
                    let ended = ServerEvent::RoomEnded { room: &room };
                    self.shared.observers.tell(&ended);
                    address.do_send(RoomMessage::Forgotten);
                }
                self.finish_draining();
            }
            LobbyMessage::Create(request) => self.create(*request),
            LobbyMessage::Info { room, reply } => {
                // The receiver may have stopped waiting.
                let _gone = reply.send(self.directory.info(&room));
            }
            LobbyMessage::List { query, reply } => {
                // The receiver may have stopped waiting.
                let _gone = reply.send(self.directory.list(&query));
            }
            LobbyMessage::Listing(message) => self.receive_listing(message),
            LobbyMessage::Drain { done } => {
                self.draining = Some(done);
                for room in self.directory.addresses() {
                    room.do_send(RoomMessage::Dispose(DisposeReason::Shutdown));
                }
                ctx.run_later(self.shared.config.drain.timeout / 2, |lobby, _| {
                    for room in lobby.directory.ids() {
                        tracing::warn!(%room, "a room has not ended in time: a hook of its thread takes too long");
                    }
                });
                self.finish_draining();
            }
        }
        self.flush_listings_soon(ctx);
    }
}

impl Handler<End> for Lobby {
    type Result = ();

    fn handle(&mut self, _: End, ctx: &mut Self::Context) {
        for room in self.directory.addresses() {
            room.do_send(RoomMessage::Dispose(DisposeReason::Shutdown));
            room.do_send(RoomMessage::Forgotten);
        }
        ctx.stop();
    }
}
