//! The addresses of all rooms, by id and by kind, for whoever sends to rooms from outside: on any thread, without asking the lobby.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::Semaphore;

use crate::ids::RoomId;
use crate::room::config::DisposeReason;
use crate::room::inbox::{Inbox, InboxPlace, TellBacklog};
use crate::room::kept_out::KeepOut;
use crate::room::tell::{Admitted, RoomGone, TellAnswer, TellError, Told};
use crate::runtime::messages::{RoomAddress, RoomMessage};

/// A room from its beginning until its actor is gone. Its id is taken for so long: messages that its members sent may still be on
/// their way, and must not reach another room.
pub(crate) struct RoomEntry {
    id: RoomId,
    kind: Arc<str>,
    /// Set when the room's actor starts on its thread.
    address: OnceLock<RoomAddress>,
    inbox: Arc<Inbox>,
    has_ended: AtomicBool,
    /// Somebody outside has asked for its end.
    is_ending: AtomicBool,
    /// Closed when the room has ended, and never has a permit.
    end: Semaphore,
}

impl fmt::Debug for RoomEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomEntry({})", self.id)
    }
}

impl RoomEntry {
    pub(crate) fn id(&self) -> &RoomId {
        &self.id
    }

    /// The room can be reached at this address from now on.
    pub(crate) fn open(&self, address: RoomAddress) {
        let _first = self.address.set(address);
    }

    pub(crate) fn address(&self) -> Result<&RoomAddress, RoomGone> {
        let address = self.address.get().ok_or(RoomGone)?;
        match self.has_ended.load(Ordering::Acquire) {
            false => Ok(address),
            true => Err(RoomGone),
        }
    }

    /// A place for a message of this length among those on their way to this room.
    pub(crate) fn take_place(&self, bytes: usize) -> Result<InboxPlace, TellError> {
        self.address()?;
        self.inbox.try_take(bytes).ok_or(TellError::Busy)
    }

    /// Gives a message its place among those on their way to this room.
    pub(crate) fn admit(&self, told: Told) -> Result<Admitted, TellError> {
        let place = Some(self.take_place(told.data.bytes().len())?);
        Ok(Admitted { told, place })
    }

    /// Sends a message that has its place. If the room is gone, the answer is dropped.
    pub(crate) fn send(&self, admitted: Admitted, answer: Option<TellAnswer>) {
        if let Ok(address) = self.address() {
            address.do_send(RoomMessage::Told(Box::new((admitted, answer))));
        }
    }

    /// Whether the room is still to be asked to end. The caller does it.
    pub(crate) fn claim_end(&self) -> bool {
        !self.is_ending.swap(true, Ordering::AcqRel)
    }

    /// Keeps a user out of the room, after what it was told before.
    pub(crate) fn keep_out(&self, keep_out: KeepOut, answer: TellAnswer) -> Result<(), TellError> {
        let address = self.address()?;
        let place = self.take_place(keep_out.why.len())?;
        let message = Box::new((keep_out, place, Some(answer)));
        address.do_send(RoomMessage::KeepOut(message));
        Ok(())
    }

    /// Ends the room. Resolves when it has ended.
    pub(crate) async fn dispose(&self) -> Result<(), RoomGone> {
        let address = self.address()?;
        if self.claim_end() {
            address.do_send(RoomMessage::Dispose(DisposeReason::Requested));
        }
        // It is only ever closed.
        let _closed = self.end.acquire().await;
        Ok(())
    }
}

#[derive(Default)]
struct Rooms {
    /// All rooms. The ids may be those of clients, so the keys are hashed by the standard library's hasher.
    by_id: HashMap<RoomId, Arc<RoomEntry>>,
    /// The rooms that have not ended.
    by_kind: HashMap<Arc<str>, HashMap<RoomId, Arc<RoomEntry>>>,
}

/// All rooms of a server.
pub(crate) struct RoomRegistry {
    rooms: RwLock<Rooms>,
    backlog: Arc<TellBacklog>,
}

impl RoomRegistry {
    pub(crate) fn new(backlog: Arc<TellBacklog>) -> Self {
        Self {
            rooms: RwLock::default(),
            backlog,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Rooms> {
        self.rooms.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rooms> {
        self.rooms.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A room is about to begin. `None`: its id is taken. The room can be reached when its entry is [opened](RoomEntry::open).
    pub(crate) fn begin(&self, id: RoomId, kind: Arc<str>, inbox: usize) -> Option<Arc<RoomEntry>> {
        let mut rooms = self.write();
        if rooms.by_id.contains_key(&id) {
            return None;
        }
        let entry = Arc::new(RoomEntry {
            id: id.clone(),
            kind: kind.clone(),
            address: OnceLock::new(),
            inbox: Inbox::new(inbox, self.backlog.clone()),
            has_ended: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
            end: Semaphore::const_new(0),
        });
        let of_kind = rooms.by_kind.entry(kind).or_default();
        of_kind.insert(id.clone(), entry.clone());
        rooms.by_id.insert(id, entry.clone());
        Some(entry)
    }

    /// Whether a room has this id, or its actor still exists.
    pub(crate) fn is_taken(&self, id: &RoomId) -> bool {
        self.read().by_id.contains_key(id)
    }

    /// A room that has not ended.
    pub(crate) fn find(&self, id: &RoomId) -> Result<Arc<RoomEntry>, RoomGone> {
        let entry = self.read().by_id.get(id).cloned().ok_or(RoomGone)?;
        entry.address()?;
        Ok(entry)
    }

    /// The rooms of a kind that have begun and not ended.
    pub(crate) fn of_kind(&self, kind: &str) -> Vec<Arc<RoomEntry>> {
        let rooms = self.read();
        let of_kind = rooms.by_kind.get(kind).into_iter().flatten();
        of_kind
            .map(|(_, entry)| entry)
            .filter(|entry| entry.address().is_ok())
            .cloned()
            .collect()
    }

    /// A room has ended. Its id stays taken until its actor is gone.
    pub(crate) fn end(&self, entry: &RoomEntry) {
        if entry.has_ended.swap(true, Ordering::AcqRel) {
            return;
        }
        entry.end.close();
        if let Some(of_kind) = self.write().by_kind.get_mut(&entry.kind) {
            of_kind.remove(&entry.id);
        }
    }

    /// The actor of a room is gone.
    pub(crate) fn forget(&self, entry: &RoomEntry) {
        self.end(entry);
        self.write().by_id.remove(&entry.id);
    }

    /// The server has ended: no room is reached any more.
    pub(crate) fn clear(&self) {
        let rooms = std::mem::take(&mut *self.write());
        for entry in rooms.by_id.values() {
            entry.has_ended.store(true, Ordering::Release);
            entry.end.close();
        }
    }
}
