//! The files of a journal in memory: a disk that fails as a test wants it to.

use std::collections::BTreeMap;
use std::io::{self, Cursor};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::storage::{FileName, SegmentId, Storage, fenced};

/// One process's view of a simulated disk. A clone belongs to the same process.
#[derive(Clone, Debug)]
pub(crate) struct MemoryStorage {
    disk: Arc<Disk>,
    process: u64,
}

#[derive(Debug, Default)]
struct Disk {
    state: Mutex<State>,
    /// A stalled disk goes on.
    wake: Condvar,
}

#[derive(Clone, Debug, Default)]
struct State {
    files: BTreeMap<FileName, Content>,
    /// The process that has the lock.
    holder: Option<u64>,
    newest_process: u64,
    /// The bytes that fit on the disk. `None`: any number.
    capacity: Option<usize>,
    /// All writes fail.
    is_broken: bool,
    /// The next sync fails.
    fails_sync: bool,
    /// Writes and syncs wait.
    is_stalled: bool,
    /// The processes die when so many more bytes have been appended.
    life: Option<usize>,
    is_dead: bool,
    appends: u64,
    appended: usize,
}

#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    /// What a failure of the machine leaves. `None`: not even the name.
    synced: Option<Vec<u8>>,
}

impl MemoryStorage {
    /// A process with an empty disk.
    pub(crate) fn new() -> Self {
        Self {
            disk: Arc::default(),
            process: 0,
        }
    }

    /// A process with an empty disk and its lock.
    pub(crate) fn locked() -> Self {
        let storage = Self::new();
        assert!(storage.try_lock().is_ok_and(|locked| locked));
        storage
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.disk
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Another process at the same disk.
    pub(crate) fn another_process(&self) -> Self {
        let mut state = self.state();
        state.newest_process += 1;
        Self {
            disk: self.disk.clone(),
            process: state.newest_process,
        }
    }

    /// Takes the lock from the process that has it, which may live on without knowing it.
    pub(crate) fn take_over(&self) {
        self.state().holder = Some(self.process);
    }

    /// All processes die. Returns a new one, which finds what they have written.
    pub(crate) fn kill(&self) -> Self {
        let mut state = self.state();
        state.holder = None;
        state.is_dead = false;
        state.life = None;
        drop(state);
        self.another_process()
    }

    /// The processes die as soon as so many more bytes have been appended, in the middle of a write if need be.
    pub(crate) fn die_after(&self, bytes: usize) {
        self.state().life = Some(bytes);
    }

    /// The processes live on. Returns whether they were to die, or have died.
    pub(crate) fn set_life_forever(&self) -> bool {
        let mut state = self.state();
        state.life.take().is_some() || state.is_dead
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// How many bytes were appended, over all files.
    pub(crate) fn appended(&self) -> usize {
        self.state().appended
    }

    /// The machine fails. What was not synced is lost, except for `kept` bytes of each file, and of those `damage` may change some.
    pub(crate) fn power_failure(&self, kept: usize, damage: impl Fn(&mut [u8])) -> Self {
        let mut state = self.state();
        for content in state.files.values_mut() {
            let Some(synced) = &content.synced else {
                content.bytes.truncate(kept);
                damage(&mut content.bytes);
                continue;
            };
            let whole = content.bytes.len().min(synced.len());
            if content.bytes[..whole] != synced[..whole] || synced.len() > content.bytes.len() {
                // Replaced in place, and not synced since: as it was.
                content.bytes.clone_from(synced);
                continue;
            }
            content.bytes.truncate(whole + kept);
            damage(&mut content.bytes[whole..]);
        }
        state
            .files
            .retain(|_, content| content.synced.is_some() || !content.bytes.is_empty());
        drop(state);
        self.kill()
    }

    /// How many bytes fit on the disk, `None` for any number.
    pub(crate) fn set_capacity(&self, bytes: Option<usize>) {
        self.state().capacity = bytes;
    }

    pub(crate) fn set_broken(&self, is_broken: bool) {
        self.state().is_broken = is_broken;
    }

    pub(crate) fn fail_next_sync(&self) {
        self.state().fails_sync = true;
    }

    /// Lets writes and syncs wait, or go on.
    pub(crate) fn set_stalled(&self, is_stalled: bool) {
        self.state().is_stalled = is_stalled;
        self.disk.wake.notify_all();
    }

    /// How often somebody has appended.
    pub(crate) fn appends(&self) -> u64 {
        self.state().appends
    }

    /// The bytes of all files.
    pub(crate) fn size(&self) -> usize {
        self.state().size()
    }

    /// A copy of the disk as it is, with nobody at it.
    pub(crate) fn copy(&self) -> Self {
        let state = self.state().clone();
        let disk = Disk {
            state: Mutex::new(state),
            wake: Condvar::new(),
        };
        let copy = Self {
            disk: Arc::new(disk),
            process: 0,
        };
        copy.kill()
    }

    /// Changes a file behind everybody's back.
    pub(crate) fn tamper(&self, file: FileName, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(content) = self.state().files.get_mut(&file) {
            change(&mut content.bytes);
            content.synced = Some(content.bytes.clone());
        }
    }

    /// The state, once the disk answers.
    fn awake(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        let is_stalled = |state: &mut State| state.is_stalled;
        let waited = self.disk.wake.wait_while(state, is_stalled);
        let state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.is_dead {
            return Err(io::Error::other("the process has died"));
        }
        Ok(state)
    }

    fn writable(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.awake()?;
        if state.holder != Some(self.process) {
            return Err(fenced());
        }
        if state.is_broken {
            return Err(io::Error::other("simulated failure of the disk"));
        }
        Ok(state)
    }
}

impl State {
    fn size(&self) -> usize {
        self.files.values().map(|content| content.bytes.len()).sum()
    }

    fn content(&mut self, file: FileName) -> io::Result<&mut Content> {
        self.files
            .get_mut(&file)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// How many of these bytes are written before the disk is full or the process dies.
    fn admit(&mut self, bytes: usize) -> usize {
        let free = self
            .capacity
            .map_or(bytes, |all| all.saturating_sub(self.size()));
        let mut admitted = bytes.min(free);
        if let Some(life) = &mut self.life {
            admitted = admitted.min(*life);
            *life -= admitted;
            self.is_dead = *life == 0;
        }
        admitted
    }
}

impl Storage for MemoryStorage {
    type Reader = Cursor<Vec<u8>>;

    fn try_lock(&self) -> io::Result<bool> {
        let mut state = self.state();
        let holder = *state.holder.get_or_insert(self.process);
        Ok(holder == self.process)
    }

    fn segments(&self) -> io::Result<Vec<SegmentId>> {
        let state = self.state();
        let segment = |file: &FileName| match file {
            FileName::Segment(segment) => Some(*segment),
            FileName::Head | FileName::Key => None,
        };
        Ok(state.files.keys().filter_map(segment).collect())
    }

    fn create(&self, file: FileName) -> io::Result<()> {
        let mut state = self.writable()?;
        if state.files.contains_key(&file) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.files.insert(file, Content::default());
        Ok(())
    }

    fn append(&self, file: FileName, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.writable()?;
        state.content(file)?;
        state.appends += 1;
        let admitted = state.admit(bytes.len());
        let content = state.content(file)?;
        content.bytes.extend_from_slice(&bytes[..admitted]);
        state.appended += admitted;
        if state.is_dead {
            return Err(io::Error::other("the process has died"));
        }
        if admitted == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(admitted)
    }

    fn overwrite(&self, file: FileName, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.writable()?;
        let content = state.content(file)?;
        let begin = usize::try_from(offset).map_err(io::Error::other)?;
        let end = begin + bytes.len();
        if content.bytes.len() < end {
            content.bytes.resize(end, 0);
        }
        content.bytes[begin..end].copy_from_slice(bytes);
        Ok(())
    }

    fn truncate(&self, file: FileName, length: u64) -> io::Result<()> {
        let mut state = self.writable()?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        state.content(file)?.bytes.truncate(length);
        Ok(())
    }

    fn sync(&self, file: FileName) -> io::Result<()> {
        let mut state = self.awake()?;
        if std::mem::take(&mut state.fails_sync) {
            return Err(io::Error::other("simulated failure of a sync"));
        }
        let content = state.content(file)?;
        content.synced = Some(content.bytes.clone());
        Ok(())
    }

    fn delete(&self, file: FileName) -> io::Result<()> {
        let mut state = self.writable()?;
        let deleted = state.files.remove(&file);
        deleted
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn length(&self, file: FileName) -> io::Result<u64> {
        Ok(self.state().content(file)?.bytes.len() as u64)
    }

    fn read(&self, file: FileName, offset: u64) -> io::Result<Cursor<Vec<u8>>> {
        let mut state = self.state();
        let bytes = &state.content(file)?.bytes;
        let from = usize::try_from(offset).map_or(bytes.len(), |from| from.min(bytes.len()));
        Ok(Cursor::new(bytes[from..].to_vec()))
    }
}
