//! The thread that writes a journal: a loop around [`Committer`].

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::committer::{Committer, JournalOptions};
use super::error::AppendError;
use super::gate::{Health, Lane, Leaving, OutputGate, Submitted};
use super::record::Closed;
use super::record_list::{Owner, RecordList};
use super::storage::Storage;

/// What the journal's thread calls.
pub(crate) trait Outlet<T>: Send + 'static {
    /// These lists leave now, in order; there are none if only `is_full` has changed: whether turns should pause.
    fn release(&mut self, released: Vec<Leaving<T>>, is_full: bool);

    /// These owners should write a snap soon.
    fn rewrite(&mut self, owners: Vec<Owner>);

    /// Nothing leaves any more, so the process has to end.
    fn end(&mut self, error: AppendError);
}

/// A gate that a thread empties. A clone is a reference.
#[derive(Debug)]
pub(crate) struct JournalHandle<T>(Arc<Shared<T>>);

impl<T> Clone for JournalHandle<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[derive(Debug)]
struct Shared<T> {
    gate: Mutex<OutputGate<T>>,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Something has happened since the thread has looked.
    is_woken: bool,
    wish: Option<Wish>,
}

/// How the thread ends.
#[derive(Clone, Copy, Debug)]
enum Wish {
    /// As soon as nothing is under way, in order.
    Close(Closed),
    /// At once, as if the process had died.
    Stop,
}

impl<T> Shared<T> {
    fn gate(&self) -> MutexGuard<'_, OutputGate<T>> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shuts the gate for good, unless something has come to it.
    fn close_gate(&self) -> bool {
        let mut gate = self.gate();
        let is_idle = gate.is_idle();
        if is_idle {
            gate.end("the journal was closed".to_owned());
        }
        is_idle
    }

    fn wake(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        state.is_woken = true;
        self.wake.notify_one();
    }

    fn wish(&self) -> Option<Wish> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .wish
    }

    /// Waits until something happens, or for `time`.
    fn wait(&self, time: Option<Duration>) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let sleeps = |state: &mut State| !state.is_woken;
        let mut state = match time {
            Some(time) => {
                let waited = self.wake.wait_timeout_while(state, time, sleeps);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let waited = self.wake.wait_while(state, sleeps);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
        };
        state.is_woken = false;
    }
}

impl<T> JournalHandle<T> {
    /// A thread's turn has ended, with these records and with `outward`, which is about `bytes` long.
    pub(crate) fn submit(
        &self,
        lane: Lane,
        records: RecordList,
        outward: T,
        bytes: usize,
    ) -> Submitted<T> {
        let submitted = self.0.gate().submit(lane, records, outward, bytes);
        if matches!(submitted, Submitted::Held) {
            self.0.wake(|_| {});
        }
        submitted
    }

    /// Whether turns should pause. When they need not any more, [`Outlet::release`] says so.
    pub(crate) fn is_full(&self) -> bool {
        self.0.gate().is_full()
    }

    pub(crate) fn health(&self) -> Health {
        self.0.gate().health().clone()
    }
}

/// The thread. If this is dropped, the thread stops after its present step, as if the process had died.
#[derive(Debug)]
pub(crate) struct JournalThread<T> {
    handle: JournalHandle<T>,
    thread: Option<JoinHandle<Result<(), AppendError>>>,
}

impl<T: Send + 'static> JournalThread<T> {
    /// `options` are those with which the journal was recovered; `clock` tells the server's time.
    pub(crate) fn start<S: Storage>(
        mut committer: Committer<S>,
        options: JournalOptions,
        outlet: impl Outlet<T>,
        clock: impl Fn() -> Duration + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            gate: Mutex::new(OutputGate::new(options.sync, options.under_way)),
            state: Mutex::default(),
            wake: Condvar::new(),
        });
        let woken = shared.clone();
        committer.sync_elsewhere(move || woken.wake(|_| {}))?;
        let run = Run {
            shared: shared.clone(),
            committer,
            outlet,
            clock,
        };
        let thread = thread::Builder::new().name("journal".to_owned());
        let thread = thread.spawn(move || run.until_closed())?;
        Ok(Self {
            handle: JournalHandle(shared),
            thread: Some(thread),
        })
    }

    pub(crate) fn handle(&self) -> JournalHandle<T> {
        self.handle.clone()
    }

    /// Waits until everything that was submitted has left, and ends the journal in order. It waits for a full disk to have room.
    pub(crate) fn close(mut self, closed: Closed) -> Result<(), AppendError> {
        self.handle
            .0
            .wake(|state| state.wish = Some(Wish::Close(closed)));
        let ended = self.thread.take().map(JoinHandle::join);
        let panicked = || AppendError::Io(io::Error::other("the journal's thread has panicked"));
        ended.map_or(Ok(()), |ended| ended.unwrap_or_else(|_| Err(panicked())))
    }
}

impl<T> Drop for JournalThread<T> {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.handle.0.wake(|state| state.wish = Some(Wish::Stop));
        }
    }
}

struct Run<S, T, O, C> {
    shared: Arc<Shared<T>>,
    committer: Committer<S>,
    outlet: O,
    clock: C,
}

/// If the thread panics, nothing leaves any more, and submitters learn of it.
struct EndGate<T>(Arc<Shared<T>>);

impl<T> Drop for EndGate<T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0
                .gate()
                .end("the journal's thread has panicked".to_owned());
        }
    }
}

impl<S: Storage, T, O: Outlet<T>, C: Fn() -> Duration> Run<S, T, O, C> {
    fn until_closed(mut self) -> Result<(), AppendError> {
        let _end = EndGate(self.shared.clone());
        let mut was_full = false;
        loop {
            let now = (self.clock)();
            let step = match self.committer.step(&self.shared.gate, now) {
                Ok(step) => step,
                Err(error) => {
                    self.shared.gate().end(error.to_string());
                    self.outlet.end(error);
                    return Ok(());
                }
            };
            let (is_full, is_idle) = {
                let gate = self.shared.gate();
                (gate.is_full(), gate.is_idle())
            };
            if !step.released.is_empty() || is_full != was_full {
                let lanes: Vec<_> = step.released.iter().map(|list| list.lane).collect();
                self.outlet.release(step.released, is_full);
                self.shared.gate().sent(lanes);
                was_full = is_full;
            }
            if !step.rewrite.is_empty() {
                self.outlet.rewrite(step.rewrite);
            }
            match self.shared.wish() {
                Some(Wish::Close(closed)) if is_idle && self.shared.close_gate() => {
                    return self.committer.close(closed);
                }
                Some(Wish::Stop) => {
                    self.shared.gate().end("the journal was stopped".to_owned());
                    return Ok(());
                }
                _ => {}
            }
            let time = step.due.map(|due| due.saturating_sub(now));
            if time != Some(Duration::ZERO) {
                self.shared.wait(time);
            }
        }
    }
}

#[cfg(test)]
mod tests;
