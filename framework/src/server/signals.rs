//! The signals that tell a process to end, for applications that leave them to the server.
//!
//! The first signal drains the server. The second one has to end the process at once. That is no work for a task: the thread that
//! would run the task may be the one that hangs. `process::exit` is no way for a library either: the decision is the application's,
//! and a supervisor would not see that a signal ended the process. So the signals get their default action back. tokio never gives
//! a signal back to which it has listened once; signal-hook can, and acts within the signal handler itself.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_default;
use tokio::signal::unix::{SignalKind, signal};

/// For how long a second signal is taken for the first one. Programs that start others, such as `timeout`, signal the process and
/// its group, so that the process gets the signal twice.
const SAME: Duration = Duration::from_millis(300);

/// Whether SIGINT and SIGTERM end the process at once. Registered with the first server that listens to them.
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

/// While there is one, SIGINT and SIGTERM do not end the process.
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

/// Resolves at SIGINT or SIGTERM. 300 ms after that, or when it is dropped before, the signals have their default action again.
pub(super) async fn until_told_to_end() {
    let listening = signal(SignalKind::interrupt())
        .and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
    let (mut interrupt, mut terminate) = match listening {
        Ok(listening) => listening,
        Err(error) => {
            // A server must not end because of that.
            tracing::error!(%error, "cannot listen to signals: the process will end without a goodbye");
            return pending().await;
        }
    };
    let heeding = Heeding::begin();
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("going away");
    // On a thread of its own: by now the application may have gone on, and need not run a runtime any more.
    let waiting = thread::Builder::new().spawn(move || {
        thread::sleep(SAME);
        drop(heeding);
        tracing::info!("a second signal ends the process at once");
    });
    if let Err(error) = waiting {
        tracing::debug!(%error, "a second signal ends the process at once, also if it is the first one's double");
    }
}
