//! The files of a journal in a directory.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::storage::{FileName, SegmentId, Storage, fenced};

/// The file that is locked. It contains the id of the process that has locked it, for people.
const LOCK: &str = "lock";

/// Only the user of the process may read a journal: it contains what clients said and who they are.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A directory with the files of one journal.
#[derive(Debug)]
pub(crate) struct FileStorage {
    directory: PathBuf,
    /// The locked file, if this process has locked it.
    lock: OnceLock<File>,
    /// The file that is appended to.
    open: Mutex<Option<(FileName, Arc<File>)>>,
    /// A file was created whose name may not be on the disk yet.
    has_new_names: AtomicBool,
}

impl FileStorage {
    /// Opens the directory, and creates it with mode 700 if there is none.
    pub(crate) fn open(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(&directory)?;
        Ok(Self {
            directory,
            lock: OnceLock::new(),
            open: Mutex::default(),
            has_new_names: AtomicBool::new(false),
        })
    }

    fn path(&self, file: FileName) -> PathBuf {
        self.directory.join(file.to_string())
    }

    /// A lock on a file whose name was removed keeps nobody out.
    fn check_lock(&self) -> io::Result<()> {
        let held = self.lock.get().ok_or_else(fenced)?.metadata()?;
        let named = fs::metadata(self.directory.join(LOCK)).map_err(|_gone| fenced())?;
        if (held.dev(), held.ino()) == (named.dev(), named.ino()) {
            Ok(())
        } else {
            Err(fenced())
        }
    }

    fn for_append(&self, file: FileName) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((name, handle)) = &*open
            && *name == file
        {
            return Ok(handle.clone());
        }
        let handle = OpenOptions::new().append(true).open(self.path(file))?;
        let handle = Arc::new(handle);
        *open = Some((file, handle.clone()));
        Ok(handle)
    }

    /// A handle for the rest, which happens seldom.
    fn for_change(&self, file: FileName) -> io::Result<File> {
        OpenOptions::new().write(true).open(self.path(file))
    }
}

impl Storage for FileStorage {
    type Reader = File;

    fn try_lock(&self) -> io::Result<bool> {
        if self.lock.get().is_some() {
            return Ok(true);
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(self.directory.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The id is only for people, so a full disk is no reason to refuse.
        let _unwritten = file
            .set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        let _ours = self.lock.set(file);
        Ok(true)
    }

    fn segments(&self) -> io::Result<Vec<SegmentId>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            found.extend(name.to_str().and_then(FileName::segment));
        }
        found.sort_unstable();
        Ok(found)
    }

    fn create(&self, file: FileName) -> io::Result<()> {
        self.check_lock()?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(self.path(file))?;
        self.has_new_names.store(true, Ordering::Release);
        Ok(())
    }

    fn append(&self, file: FileName, bytes: &[u8]) -> io::Result<usize> {
        if self.lock.get().is_none() {
            return Err(fenced());
        }
        let handle = self.for_append(file)?;
        loop {
            match (&*handle).write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return written,
            }
        }
    }

    fn overwrite(&self, file: FileName, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.for_change(file)?.write_all_at(bytes, offset)
    }

    fn truncate(&self, file: FileName, length: u64) -> io::Result<()> {
        self.for_change(file)?.set_len(length)
    }

    fn sync(&self, file: FileName) -> io::Result<()> {
        // Not under the mutex: another thread appends meanwhile.
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let known = open.as_ref().filter(|(name, _)| *name == file);
        let known = known.map(|(_, handle)| handle.clone());
        drop(open);
        match known {
            Some(handle) => handle.sync_data()?,
            None => self.for_change(file)?.sync_data()?,
        }
        if self.has_new_names.swap(false, Ordering::AcqRel) {
            File::open(&self.directory)?.sync_all()?;
        }
        Ok(())
    }

    fn delete(&self, file: FileName) -> io::Result<()> {
        fs::remove_file(self.path(file))
    }

    fn length(&self, file: FileName) -> io::Result<u64> {
        Ok(fs::metadata(self.path(file))?.len())
    }

    fn is_exposed(&self, file: FileName) -> io::Result<bool> {
        let mode = fs::metadata(self.path(file))?.permissions().mode();
        Ok(mode & 0o077 != 0)
    }

    fn read(&self, file: FileName, offset: u64) -> io::Result<File> {
        let mut handle = File::open(self.path(file))?;
        if offset > 0 {
            handle.seek(SeekFrom::Start(offset))?;
        }
        Ok(handle)
    }
}
