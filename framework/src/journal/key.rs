//! The secret of a journal's resume tokens, in a file of its own: copies for inspection leave it out.

use std::fmt;
use std::io;

use super::error::OpenError;
use super::storage::{FileName, Storage, read_all};

/// 32 random bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key([u8; Self::LENGTH]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    const LENGTH: usize = 32;

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A new key from the operating system's random numbers.
    pub(crate) fn random() -> io::Result<Self> {
        let mut bytes = [0; Self::LENGTH];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(bytes))
    }

    /// Reads the key. If the journal has not begun, creates one; the process must have the lock.
    ///
    /// A journal with another key would end all sessions without a word, so a key that is lost is an error.
    pub(crate) fn open(storage: &impl Storage) -> Result<Self, OpenError> {
        let failed = OpenError::of(FileName::Key);
        let has_begun = read_all(storage, FileName::Head)
            .map_err(OpenError::of(FileName::Head))?
            .is_some();
        let bytes = match read_all(storage, FileName::Key).map_err(&failed)? {
            None if has_begun => return Err(OpenError::LostKey),
            None => return Self::create(storage).map_err(&failed),
            Some(bytes) => bytes,
        };
        if storage.is_exposed(FileName::Key).map_err(&failed)? {
            return Err(OpenError::ExposedKey);
        }
        match bytes.as_slice().try_into() {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) if has_begun => Err(OpenError::BadKey(bytes.len())),
            // The process that wanted to begin the journal has died meanwhile.
            Err(_) => storage
                .delete(FileName::Key)
                .and_then(|()| Self::create(storage))
                .map_err(&failed),
        }
    }

    fn create(storage: &impl Storage) -> io::Result<Self> {
        let key = Self::random()?;
        storage.create(FileName::Key)?;
        storage.overwrite(FileName::Key, 0, &key.0)?;
        storage.sync(FileName::Key)?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::super::head::Head;
    use super::super::memory_storage::MemoryStorage;
    use super::super::segment::StoreId;
    use super::*;

    #[test]
    fn a_key_stays_and_a_lost_one_is_an_error() {
        let storage = MemoryStorage::locked();
        let key = Key::open(&storage).unwrap();
        assert_ne!(key.bytes(), Key::random().unwrap().bytes());
        assert_eq!(Key::open(&storage).unwrap(), key);
        storage.tamper(FileName::Key, |bytes| bytes.truncate(9));
        assert_ne!(
            Key::open(&storage).unwrap(),
            key,
            "the journal has not begun"
        );
        Head::create(&storage, StoreId::random()).unwrap();
        storage.tamper(FileName::Key, |bytes| bytes.truncate(9));
        let short = Key::open(&storage).unwrap_err();
        assert!(matches!(short, OpenError::BadKey(9)));
        storage.delete(FileName::Key).unwrap();
        let lost = Key::open(&storage).unwrap_err();
        assert!(matches!(lost, OpenError::LostKey));
        assert!(lost.to_string().contains("chmod 600 key"));
        assert_eq!(format!("{key:?}"), "Key(…)");
    }
}
