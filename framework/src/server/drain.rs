//! The orderly shutdown of a server.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::runtime::messages::{DrainHub, LobbyMessage, MatchMessage};
use crate::runtime::server_inner::ServerInner;
use crate::time::millis;
use crate::wire::event::Reconnect;

/// The journal has at least so long to be closed.
const LEAST: Duration = Duration::from_secs(1);

/// Refuses new clients, ends the searches for matches and the rooms, sends every client a goodbye, and waits for the rooms' jobs. Further calls wait for the same drain.
pub(super) async fn drain(shared: &ServerInner) {
    shared.is_draining.store(true, Ordering::Relaxed);
    // If the caller that drains is dropped, because its thread ends, the next caller drains.
    let mut is_drained = shared.is_drained.lock().await;
    if *is_drained {
        return;
    }
    let drain = shared.config.drain;
    let began = Instant::now();
    let left = || drain.timeout.saturating_sub(began.elapsed());
    shared.send_to_matchmaker(MatchMessage::Drain);
    let (done, rooms_ended) = oneshot::channel();
    if let Some(lobby) = shared.lobby.get() {
        lobby.send(LobbyMessage::Drain { done });
        // A room that hangs must not prevent the clients' goodbye.
        let _late = timeout(drain.timeout / 2, rooms_ended).await;
    }
    let message = DrainHub {
        reconnect: Reconnect {
            after_ms: millis(drain.reconnect_after),
            jitter_ms: millis(drain.reconnect_jitter),
        },
        timeout: left(),
    };
    let hubs = shared.hubs();
    let drained = hubs.iter().map(|hub| hub.drain(message));
    let _late = timeout(left(), futures_util::future::join_all(drained)).await;
    let _late = timeout(left(), shared.ended_rooms.are_over()).await;
    shared.ended_rooms.give_up(None);
    if let Some(journal) = shared.journal() {
        // A disk that is full must not keep the process alive.
        let _late = timeout(left().max(LEAST), journal.close()).await;
    }
    *is_drained = true;
}
