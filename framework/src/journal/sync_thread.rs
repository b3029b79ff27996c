//! A thread that waits for the disk, so that the thread that appends does not.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use super::error::AppendError;
use super::storage::Storage;
use super::writer::SyncPoint;

/// Does one sync after the other. It ends, after the sync that is under way, when this is dropped.
#[derive(Debug)]
pub(crate) struct SyncThread {
    /// `None`: it is ending.
    requests: Option<SyncSender<SyncPoint>>,
    results: Receiver<Result<SyncPoint, AppendError>>,
    is_busy: bool,
    thread: Option<JoinHandle<()>>,
}

impl SyncThread {
    /// `wake` is called after each sync, when its result is there.
    pub(crate) fn start<S: Storage>(
        storage: Arc<S>,
        wake: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let (requests, points) = sync_channel::<SyncPoint>(1);
        let (done, results) = sync_channel(1);
        let run = move || {
            for point in points {
                let result = point.sync(&*storage).map(|()| point);
                if done.send(result).is_err() {
                    return;
                }
                wake();
            }
        };
        let thread = thread::Builder::new()
            .name("journal-sync".to_owned())
            .spawn(run)?;
        Ok(Self {
            requests: Some(requests),
            results,
            is_busy: false,
            thread: Some(thread),
        })
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Begins a sync, unless one is under way.
    pub(crate) fn request(&mut self, point: impl FnOnce() -> SyncPoint) -> bool {
        if self.is_busy {
            return false;
        }
        let requests = self.requests.as_ref();
        self.is_busy = requests.is_some_and(|requests| requests.send(point()).is_ok());
        self.is_busy
    }

    /// The result of a sync that has ended.
    pub(crate) fn result(&mut self) -> Option<Result<SyncPoint, AppendError>> {
        let result = self.results.try_recv().ok()?;
        self.is_busy = false;
        Some(result)
    }
}

impl Drop for SyncThread {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
