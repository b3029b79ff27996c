//! How a server goes away in good order.

use std::sync::atomic::Ordering;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::runtime::messages::LobbyMessage;
use crate::runtime::server_inner::ServerInner;
use crate::runtime::worker::hub::DrainHub;
use crate::time::millis;
use crate::wire::event::Reconnect;

/// Takes nobody new, ends the rooms, sends everybody away, and waits for what the rooms still have to do. Whoever asks for it again waits for the same end.
pub(super) async fn drain(shared: &ServerInner) {
    shared.is_draining.store(true, Ordering::Relaxed);
    // If the one who drains gives up, since its thread ends, the next one does it.
    let mut is_drained = shared.is_drained.lock().await;
    if *is_drained {
        return;
    }
    let drain = shared.config.drain;
    let began = Instant::now();
    let left = || drain.timeout.saturating_sub(began.elapsed());
    let (done, rooms_ended) = oneshot::channel();
    if let Some(lobby) = shared.lobby.get() {
        lobby.do_send(LobbyMessage::Drain { done });
        // A room that hangs must not take the clients' goodbye with it.
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
    *is_drained = true;
}
