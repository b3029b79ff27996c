//! Keeps a panic in one task of a thread from the thread's other tasks.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `act`. Returns false if it panicked, which only a mistake of the framework itself can cause.
pub(crate) fn contain(act: impl FnOnce()) -> bool {
    let outcome = catch_unwind(AssertUnwindSafe(act));
    if outcome.is_err() {
        tracing::error!("Courtside panicked while it sent or wrote events: please report it");
    }
    outcome.is_ok()
}
