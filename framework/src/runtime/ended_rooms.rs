//! Rooms that have ended and wait for their jobs.

use std::collections::HashMap;

use tokio::sync::watch;

use crate::ids::RoomId;

/// The rooms of a server that have ended and whose jobs have not, with the number of those jobs.
#[derive(Debug, Default)]
pub(crate) struct EndedRooms(watch::Sender<HashMap<RoomId, usize>>);

impl EndedRooms {
    /// Updates the number of jobs that a room waits for. False if the server no longer waits for this room.
    pub(crate) fn note(&self, room: &RoomId, jobs: usize) -> bool {
        let mut is_known = false;
        self.0.send_modify(|rooms| {
            is_known = match rooms.get_mut(room) {
                Some(known) => {
                    *known = jobs;
                    true
                }
                None => false,
            };
            if jobs == 0 {
                rooms.remove(room);
            }
        });
        is_known
    }

    /// A room has ended while this many jobs were running.
    pub(crate) fn begin(&self, room: RoomId, jobs: usize) {
        self.0.send_modify(|rooms| {
            rooms.insert(room, jobs);
        });
    }

    /// Resolves when no room waits for its jobs any more.
    pub(crate) async fn are_over(&self) {
        let mut rooms = self.0.subscribe();
        // The sender lives as long as this.
        let _over = rooms.wait_for(HashMap::is_empty).await;
    }

    /// Stops waiting for the jobs of one room, or of all.
    pub(crate) fn give_up(&self, room: Option<&RoomId>) {
        self.0.send_modify(|rooms| {
            let given_up: Vec<_> = match room {
                Some(room) => rooms.remove_entry(room).into_iter().collect(),
                None => rooms.drain().collect(),
            };
            for (room, jobs) in given_up {
                tracing::warn!(
                    %room, jobs,
                    "the jobs of a room that has ended have not finished in time (`Config::drain.timeout`)"
                );
            }
        });
    }
}
