//! The lobby's actor: begins rooms, and sends clients to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::{Actor, ActorContext, ArbiterHandle, Context, Handler};
use serde_json::Value;
use tokio::sync::oneshot;

use super::messages::{End, JoinRequest, LobbyMessage, RoomAddress, RoomMessage};
use super::room::{RoomKind, refuse_join};
use super::shared::Shared;
use crate::error::Refusal;
use crate::ids::RoomId;
use crate::lobby::info::RoomInfo;
use crate::lobby::matching::Directory;
use crate::wire::action::{JoinMode, JoinTarget};
use crate::wire::codec::RawData;

/// The directory of rooms, and the matchmaker.
pub(crate) struct Lobby {
    shared: Arc<Shared>,
    kinds: HashMap<String, Box<dyn RoomKind>>,
    /// The threads for rooms. None: a room runs where the connection lives that causes it, or on the lobby's if it must.
    threads: Vec<ArbiterHandle>,
    next_thread: usize,
    directory: Directory<RoomAddress>,
    draining: Option<oneshot::Sender<()>>,
}

impl Lobby {
    pub(crate) fn new(
        shared: Arc<Shared>,
        kinds: HashMap<String, Box<dyn RoomKind>>,
        threads: Vec<ArbiterHandle>,
    ) -> Self {
        Self {
            shared,
            kinds,
            threads,
            next_thread: 0,
            directory: Directory::new(),
            draining: None,
        }
    }

    fn join(&mut self, request: JoinRequest) {
        match self.seat(&request) {
            Ok(room) => room.do_send(RoomMessage::Join(request)),
            Err(refusal) => refuse_join(&request.receiver, request.id, &refusal),
        }
    }

    /// Takes a seat for the client, in a new room if need be.
    fn seat(&mut self, request: &JoinRequest) -> Result<RoomAddress, Refusal> {
        if self.shared.is_draining.load(Ordering::Relaxed) {
            return Err(Refusal::new("draining", "this server is going away"));
        }
        let (kind, mode) = match &request.target {
            JoinTarget::Room(id) => return self.directory.seat_by_id(id),
            JoinTarget::Kind(kind, mode) => (kind, *mode),
        };
        let Some(registered) = self.kinds.get(kind) else {
            let mut known: Vec<_> = self.kinds.keys().map(String::as_str).collect();
            known.sort_unstable();
            return Err(Refusal::new(
                "unknown_kind",
                format!(
                    "there is no such kind of room; this server has: {}",
                    known.join(", ")
                ),
            ));
        };
        let config = registered.config();
        let wish = wish_of(&request.options, &config.match_on);
        if mode != JoinMode::Create
            && let Some((_, room)) = self.directory.seat_by_kind(kind, &config.match_on, &wish)
        {
            return Ok(room);
        }
        if mode == JoinMode::Existing {
            return Err(Refusal::new("unknown_room", "no room of this kind fits"));
        }
        if self.directory.len() >= self.shared.config.limits.rooms_in_all {
            return Err(Refusal::new(
                "room_full",
                "this server has as many rooms as it can: try again later",
            ));
        }
        let id = RoomId::random();
        let of_client = || request.receiver.hub.thread();
        let thread = self.threads.get(self.next_thread).or_else(of_client);
        let room = registered.start(
            thread,
            self.shared.clone(),
            id.clone(),
            request.options.clone(),
        );
        self.next_thread = (self.next_thread + 1) % self.threads.len().max(1);
        self.directory
            .add(id.clone(), kind.clone(), room, config.capacity, wish);
        self.directory.seat_by_id(&id)
    }

    fn list(&self, kind: Option<&str>) -> Vec<RoomInfo> {
        let mut rooms: Vec<_> = self
            .directory
            .iter()
            .filter(|(_, entry)| !entry.is_private && kind.is_none_or(|kind| entry.kind == kind))
            .map(|(id, entry)| RoomInfo {
                room: id.clone(),
                kind: entry.kind.clone(),
                members: entry.seats_taken,
                capacity: entry.capacity,
                locked: entry.is_locked,
                metadata: entry.metadata.clone(),
            })
            .collect();
        rooms.sort_by(|a, b| a.room.cmp(&b.room));
        rooms
    }

    fn finish_draining(&mut self) {
        if self.directory.len() == 0
            && let Some(done) = self.draining.take()
        {
            // Whoever asked may have stopped waiting.
            let _gone = done.send(());
        }
    }
}

/// The part of a client's options that its room is matched on. The rest is the room's to read, and not kept here.
fn wish_of(options: &RawData, match_on: &[String]) -> Value {
    if match_on.is_empty() {
        return Value::Null;
    }
    // What cannot be read is refused by the room, which knows what it expects.
    match options.decode::<Value>() {
        Ok(Value::Object(mut fields)) => {
            fields.retain(|field, _| match_on.contains(field));
            Value::Object(fields)
        }
        _ => Value::Null,
    }
}

impl Actor for Lobby {
    type Context = Context<Self>;
}

impl Handler<LobbyMessage> for Lobby {
    type Result = ();

    fn handle(&mut self, message: LobbyMessage, _: &mut Self::Context) {
        match message {
            LobbyMessage::Join(request) => self.join(request),
            LobbyMessage::Retry(mut request) => {
                request.attempts += 1;
                self.join(request);
            }
            LobbyMessage::Release(room) => self.directory.release(&room),
            LobbyMessage::Relist(room, listing) => {
                if let Some(entry) = self.directory.get_mut(&room) {
                    entry.is_locked = listing.is_locked;
                    entry.is_private = listing.is_private;
                    entry.metadata = listing.metadata;
                }
            }
            LobbyMessage::Ended(room) => {
                if let Some(entry) = self.directory.remove(&room) {
                    entry.address.do_send(RoomMessage::Forgotten);
                }
                self.finish_draining();
            }
            LobbyMessage::List { kind, reply } => {
                // Whoever asked may have stopped waiting.
                let _gone = reply.send(self.list(kind.as_deref()));
            }
            LobbyMessage::Drain { done } => {
                self.draining = Some(done);
                for (_, entry) in self.directory.iter() {
                    entry.address.do_send(RoomMessage::Dispose);
                }
                self.finish_draining();
            }
        }
    }
}

impl Handler<End> for Lobby {
    type Result = ();

    fn handle(&mut self, _: End, ctx: &mut Self::Context) {
        for (_, entry) in self.directory.iter() {
            entry.address.do_send(RoomMessage::Dispose);
            entry.address.do_send(RoomMessage::Forgotten);
        }
        ctx.stop();
    }
}
