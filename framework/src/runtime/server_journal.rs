//! The journal of a server: it is opened when the server is built, and its gate holds back what the shards of channels send until
//! the records are committed.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::{Semaphore, oneshot};

use crate::channel::memory_log::{MemoryLog, MemoryLogs};
use crate::channel::patterns::ChannelPatterns;
use crate::channel::recent_keys::KeyBounds;
use crate::channel::recovered::{RecoveredChannel, RecoveredChannels};
use crate::ids::ChannelName;
use crate::journal::committer::{Committer, JournalOptions};
use crate::journal::error::{AppendError, OpenError};
use crate::journal::gate::{Health, JournalSync, Lane, Leaving, Submitted};
use crate::journal::journal_thread::{JournalHandle, JournalThread, Outlet};
use crate::journal::record::{Closed, Opened};
use crate::journal::record_list::{Owner, RecordList};
use crate::journal::recovery::Recovery;
use crate::journal::settings::JournalHealth;
use crate::journal::storage::Storage;
use crate::runtime::channel_outward::ChannelOutward;
use crate::runtime::messages::ChannelMessage;
use crate::runtime::server_inner::ServerInner;
use crate::time::millis;

/// The exit code of a process that must not go on, because nobody knows what is on its disk: `EX_IOERR`.
const EXIT: i32 = 74;

/// How long the end of a server waits for its journal.
const PATIENCE: Duration = Duration::from_secs(1);

/// The time by the wall clock, since 1970.
pub(crate) fn unix_time() -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default()
}

/// A journal that was read, and what it contains.
pub(crate) struct OpenedJournal<S> {
    committer: Committer<S>,
    options: JournalOptions,
    channels: RecoveredChannels<MemoryLogs>,
    is_renewed: bool,
}

impl<S: Storage> OpenedJournal<S> {
    pub(crate) fn open(
        storage: Arc<S>,
        options: JournalOptions,
        boot: u128,
        patterns: Arc<ChannelPatterns>,
        keys: KeyBounds,
    ) -> Result<Self, OpenError> {
        // Nobody else may write while this reads.
        if !storage.try_lock().map_err(OpenError::Directory)? {
            return Err(OpenError::Locked);
        }
        let mut channels = RecoveredChannels::new(patterns, keys, MemoryLogs);
        let now = unix_time();
        let opened = Opened {
            boot,
            at: millis(now),
            process: std::process::id(),
            waits_for_disk: options.sync == JournalSync::Always,
        };
        let recovery = Recovery::begin(storage, options)?;
        let (committer, tail) = recovery.finish(opened, now, |_, record| channels.see(record))?;
        if tail.cut > 0 {
            tracing::info!(
                bytes = tail.cut,
                "the journal ended within a write, which was cut off"
            );
        }
        if tail.may_have_lost {
            tracing::warn!(
                "the machine has failed, and the journal may have lost its newest part: channels begin new epochs"
            );
            channels.renew_epochs();
        }
        Ok(Self {
            committer,
            options,
            channels,
            is_renewed: tail.may_have_lost,
        })
    }

    /// Starts the thread that writes.
    pub(crate) fn start(self, shared: &Arc<ServerInner>) -> std::io::Result<ServerJournal> {
        let is_full = Arc::new(AtomicBool::new(false));
        let outlet = ChannelOutlet {
            shared: Arc::downgrade(shared),
            is_full: is_full.clone(),
        };
        let clock = shared.clock();
        let thread = JournalThread::start(self.committer, self.options, outlet, clock)?;
        Ok(ServerJournal {
            handle: thread.handle(),
            thread: Mutex::new(Some(thread)),
            channels: Mutex::new(self.channels),
            is_renewed: self.is_renewed,
            is_full,
        })
    }
}

/// The machine's id since it was started, which a journal notes to know whether the machine has failed since.
pub(crate) fn boot_id() -> u128 {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let id = text.ok().and_then(|text| text.trim().parse().ok());
    // Where there is no such file, each start counts as one of the machine: then channels begin new epochs, and lose nothing.
    let id: uuid::Uuid = id.unwrap_or_else(uuid::Uuid::new_v4);
    id.as_u128()
}

/// A journal that is written.
pub(crate) struct ServerJournal {
    handle: JournalHandle<ChannelOutward>,
    /// `None`: it is closing, or was closed.
    thread: Mutex<Option<JournalThread<ChannelOutward>>>,
    /// The channels that no shard has taken yet.
    channels: Mutex<RecoveredChannels<MemoryLogs>>,
    is_renewed: bool,
    is_full: Arc<AtomicBool>,
}

impl fmt::Debug for ServerJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerJournal").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ServerJournal {
    pub(crate) fn take_channels(
        &self,
        is_wanted: impl Fn(&ChannelName) -> bool,
    ) -> Vec<(ChannelName, RecoveredChannel<MemoryLog>)> {
        lock(&self.channels).take(is_wanted)
    }

    /// Whether the recovered channels have begun new epochs.
    pub(crate) fn is_renewed(&self) -> bool {
        self.is_renewed
    }

    /// The way through the gate of the shard of this number.
    pub(crate) fn lane(&self, number: usize) -> ChannelLane {
        ChannelLane {
            handle: self.handle.clone(),
            lane: Lane(number),
            is_full: self.is_full.clone(),
        }
    }

    /// Whether publications are refused, because too much is under way or the journal is too long.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    pub(crate) fn health(&self, now: Duration) -> JournalHealth {
        match self.handle.health() {
            Health::Stalled { since, why } => JournalHealth::Stalled {
                since: now.saturating_sub(since),
                why,
            },
            Health::Ended { why } => JournalHealth::Ended { why },
            Health::Good if self.is_full() => JournalHealth::Full,
            Health::Good => JournalHealth::Good,
        }
    }

    /// Commits what is under way, and ends the journal in order; resolves when that is done. It waits for a full disk.
    pub(crate) async fn close(&self) {
        let Some(thread) = lock(&self.thread).take() else {
            return;
        };
        let (done, closed) = oneshot::channel();
        // Not a task of a runtime, which would wait for it.
        let close = move || {
            close(thread);
            let _gone = done.send(());
        };
        let started = std::thread::Builder::new()
            .name("journal-close".to_owned())
            .spawn(close);
        match started {
            Ok(_) => {
                let _gone = closed.await;
            }
            Err(error) => tracing::error!(%error, "the journal could not be closed in order"),
        }
    }

    /// Ends the journal when the server ends: in order, unless that takes long because the disk is full.
    pub(crate) fn end(&self) {
        let thread = lock(&self.thread).take();
        let Some(thread) = thread else {
            return;
        };
        // The disk may be full, or become so.
        let (done, closed) = std::sync::mpsc::channel();
        let close = move || {
            close(thread);
            let _gone = done.send(());
        };
        if std::thread::Builder::new().spawn(close).is_ok() {
            let _late = closed.recv_timeout(PATIENCE);
        }
    }
}

fn close(thread: JournalThread<ChannelOutward>) {
    let at = millis(unix_time());
    if let Err(error) = thread.close(Closed { at }) {
        tracing::error!(%error, "the journal could not be closed in order");
    }
}

/// The way of a shard through the gate.
pub(crate) struct ChannelLane {
    handle: JournalHandle<ChannelOutward>,
    lane: Lane,
    is_full: Arc<AtomicBool>,
}

impl ChannelLane {
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// Sends what has followed from an input, after its records are committed. Returns the semaphores of the hubs whose backlog is
    /// full.
    pub(crate) fn submit(
        &self,
        records: RecordList,
        outward: ChannelOutward,
    ) -> Vec<Arc<Semaphore>> {
        let bytes = outward.hubs.count();
        let behind = outward.hubs.behind();
        match self.handle.submit(self.lane, records, outward, bytes) {
            Submitted::Passed(outward) => ChannelOutward::send_past_mail([outward]),
            Submitted::Held => {}
            // Nobody may learn of it. Who waits for it is told that the server has ended.
            Submitted::Shut => {}
        }
        behind
    }
}

/// Where the journal's thread sends what leaves.
struct ChannelOutlet {
    shared: Weak<ServerInner>,
    is_full: Arc<AtomicBool>,
}

impl Outlet<ChannelOutward> for ChannelOutlet {
    fn release(&mut self, released: Vec<Leaving<ChannelOutward>>, is_full: bool) {
        if self.is_full.swap(is_full, Ordering::Relaxed) != is_full && is_full {
            tracing::warn!("publications are refused until the journal has room");
        }
        ChannelOutward::send_past_mail(released.into_iter().map(|leaving| leaving.outward));
    }

    fn rewrite(&mut self, owners: Vec<Owner>) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        for owner in owners {
            if let Owner::Channel(channel) = owner {
                shared.send_to_channel(&channel, ChannelMessage::Snap(channel.clone()));
            }
        }
    }

    fn end(&mut self, error: AppendError) {
        tracing::error!(%error, "the journal cannot go on, so this process ends");
        std::process::exit(EXIT);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
