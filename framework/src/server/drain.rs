//! How a server goes away in good order.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::actor::hub::DrainHub;
use crate::actor::messages::LobbyMessage;
use crate::actor::shared::Shared;
use crate::wire::event::Reconnect;

/// Takes nobody new, ends the rooms, and sends everybody away. Whoever asks for it again waits for the same end.
pub(super) async fn drain(shared: &Shared) {
    shared.is_draining.store(true, Ordering::Relaxed);
    // If the one who drains gives up, since its thread ends, the next one does it.
    let mut is_drained = shared.is_drained.lock().await;
    if *is_drained {
        return;
    }
    let drain = shared.config.drain;
    let ends = Instant::now().checked_add(drain.timeout);
    let rooms_end = Instant::now().checked_add(drain.timeout / 2);
    let (done, rooms_ended) = oneshot::channel();
    if let Some(lobby) = shared.lobby.get() {
        lobby.do_send(LobbyMessage::Drain { done });
        // A room that hangs must not take the clients' goodbye with it.
        until(rooms_end, rooms_ended).await;
    }
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let left = |ends: Instant| ends.saturating_duration_since(Instant::now());
    let message = DrainHub {
        reconnect: Reconnect {
            after_ms: millis(drain.reconnect_after),
            jitter_ms: millis(drain.reconnect_jitter),
        },
        timeout: ends.map_or(Duration::MAX, left),
    };
    let hubs = shared.hubs();
    let drained = hubs.iter().map(|hub| hub.drain(message));
    until(ends, futures_util::future::join_all(drained)).await;
    *is_drained = true;
}

/// Waits for `what`, to this moment at the most; without one, for as long as it takes.
async fn until(moment: Option<Instant>, what: impl Future) {
    match moment {
        Some(moment) => {
            let _late = timeout_at(moment, what).await;
        }
        None => {
            what.await;
        }
    }
}
