//! SIGINT and SIGTERM, for applications that leave them to the server.
//!
//! The first signal drains the server; the second one must end the process at once. A task cannot do that, because the thread
//! that would run the task may be the one that hangs. A library must not call `process::exit` either: the application decides
//! about its process, and a supervisor would not see that a signal ended it. So the signals get their default action back. tokio
//! cannot restore the action of a signal that it has listened to; signal-hook can, and acts within the signal handler itself.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_default;
use tokio::signal::unix::{SignalKind, signal};

/// For how long a second signal counts as part of the first one. Programs that start others, such as `timeout`, signal the
/// process and its group, so that the process receives the signal twice.
const SAME: Duration = Duration::from_millis(300);

/// Whether SIGINT and SIGTERM end the process at once. Registered by the first server that handles them.
static ENDS: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| {
    let ends = Arc::new(AtomicBool::new(true));
    for number in [SIGINT, SIGTERM] {
        if let Err(error) = register_conditional_default(number, ends.clone()) {
            tracing::warn!(%error, "a second signal will not end the process at once");
        }
    }
    ends
});

/// How many servers wait for their first signal.
static WAITING: Mutex<usize> = Mutex::new(0);

/// While one exists, SIGINT and SIGTERM do not end the process.
struct Heeding;

impl Heeding {
    fn begin() -> Self {
        count(|waiting| waiting + 1);
        Self
    }
}

impl Drop for Heeding {
    fn drop(&mut self) {
        count(|waiting| waiting.saturating_sub(1));
    }
}

fn count(change: impl FnOnce(usize) -> usize) {
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    *waiting = change(*waiting);
    ENDS.store(*waiting == 0, Ordering::SeqCst);
}

/// Resolves at SIGINT or SIGTERM. 300 ms later, or when this is dropped before, the signals have their default action again.
pub(super) async fn until_told_to_end() {
    let listening = signal(SignalKind::interrupt())
        .and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
    let (mut interrupt, mut terminate) = match listening {
        Ok(listening) => listening,
        Err(error) => {
            // The server must not end because of this.
            tracing::error!(%error, "cannot handle signals: the process will end without a goodbye");
            return pending().await;
        }
    };
    let heeding = Heeding::begin();
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("shutting down");
    // On its own thread, because the application may no longer run a runtime by now.
    let waiting = thread::Builder::new().spawn(move || {
        thread::sleep(SAME);
        drop(heeding);
        tracing::info!("a second signal ends the process at once");
    });
    if let Err(error) = waiting {
        tracing::debug!(%error, "a second signal ends the process at once, even if it is a duplicate of the first");
    }
}
