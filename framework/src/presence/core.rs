//! Who is present, and what changes from one batch to the next.
//!
//! The core is handed the time. Its first change begins a *batch*, which is due [`Presence::interval`] later. Then [`flush`]
//! returns what has changed in all, under the next *version*. A client that knows version `base` of the list, or that was given
//! the whole list since, and applies the change, has the list of the new version.
//!
//! A whole list shows who is present now, which may be newer than its version. So if one was given during a batch, the batch's
//! event also names those whose changes have cancelled out since the batch began.
//!
//! [`flush`]: PresenceCore::flush

use std::collections::HashMap;
use std::time::Duration;

use indexmap::IndexMap;

use super::config::Presence;
use super::event::{Announcement, Present};
use super::who::Who;
use crate::ids::{IdHasher, SessionId};
use crate::time::{after, if_ever};
use crate::wire::codec::RawData;

/// What others see of somebody.
#[derive(Clone, PartialEq, Eq, Debug)]
struct PresenceEntry {
    /// The data that one of the sessions has set last.
    data: Option<RawData>,
    /// The number of sessions; never zero.
    sessions: usize,
}

/// Somebody whose entry has changed since the batch began.
#[derive(Debug)]
struct Touched {
    /// The entry when the batch began.
    before: Option<PresenceEntry>,
    /// Whether a whole list has shown the entry as it was in between.
    is_shown: bool,
}

/// The changes since the last version.
#[derive(Debug)]
struct Batch {
    due: Duration,
    /// At most [`Presence::members`]; with more, the batch ends with a whole list.
    touched: IndexMap<Who, Touched>,
    is_whole: bool,
    /// Whether somebody was given a number, or a list, during the batch.
    is_shown: bool,
}

/// The presence of one channel or room.
#[derive(Debug)]
pub(crate) struct PresenceCore {
    settings: Presence,
    entries: IndexMap<Who, PresenceEntry>,
    sessions: HashMap<SessionId, Who, IdHasher>,
    version: u64,
    /// How many entries the last version had.
    count: usize,
    /// Whether clients receive the list now, and not only its length.
    is_listed: bool,
    /// Whether the last version was a list.
    has_list: bool,
    batch: Option<Batch>,
}

impl PresenceCore {
    pub(crate) fn new(settings: Presence) -> Self {
        Self {
            settings,
            entries: IndexMap::new(),
            sessions: HashMap::default(),
            version: 0,
            count: 0,
            is_listed: settings.members > 0,
            has_list: settings.members > 0,
            batch: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// When the batch ends. `None`: nothing has changed, or changes are never sent.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.batch.as_ref().and_then(|batch| if_ever(batch.due))
    }

    /// Everybody who is present now, however many there are.
    pub(crate) fn everybody(&self) -> Vec<Present> {
        let present = |(who, entry): (&Who, &PresenceEntry)| entry.present(who);
        self.entries.iter().map(present).collect()
    }

    /// A session is present. If it was already, only its data changes. Without data, the entry keeps what it has.
    pub(crate) fn enter(
        &mut self,
        now: Duration,
        session: SessionId,
        who: &Who,
        data: Option<RawData>,
    ) {
        if self.sessions.contains_key(&session) {
            if data.is_some() {
                self.change(now, session, data);
            }
            return;
        }
        self.sessions.insert(session, who.clone());
        self.touch(now, who);
        match self.entries.get_mut(who) {
            Some(entry) => {
                entry.sessions += 1;
                entry.data = data.or(entry.data.take());
            }
            None => {
                let entry = PresenceEntry { data, sessions: 1 };
                self.entries.insert(who.clone(), entry);
            }
        }
        if self.entries.len() > self.settings.members {
            self.is_listed = false;
        }
        self.forget_touched_if_unlisted();
    }

    /// A session is present no more.
    pub(crate) fn leave(&mut self, now: Duration, session: SessionId) {
        let Some(who) = self.sessions.remove(&session) else {
            return;
        };
        self.touch(now, &who);
        let is_last = self.entries.get_mut(&who).is_some_and(|entry| {
            entry.sessions -= 1;
            entry.sessions == 0
        });
        if is_last {
            self.entries.swap_remove(&who);
        }
        self.forget_touched_if_unlisted();
    }

    /// Changes what a session's entry shows. False if the session is not present.
    pub(crate) fn change(
        &mut self,
        now: Duration,
        session: SessionId,
        data: Option<RawData>,
    ) -> bool {
        let Some(who) = self.sessions.get(&session).cloned() else {
            return false;
        };
        // Numbers do not depend on data.
        if self.is_listed {
            self.touch(now, &who);
        }
        if let Some(entry) = self.entries.get_mut(&who) {
            entry.data = data;
        }
        true
    }

    /// Notes an entry as it is before a change.
    fn touch(&mut self, now: Duration, who: &Who) {
        let due = after(now, self.settings.interval);
        let batch = self.batch.get_or_insert_with(|| Batch::new(due));
        if batch.is_whole || batch.touched.contains_key(who) {
            return;
        }
        if batch.touched.len() >= self.settings.members {
            batch.is_whole = true;
            batch.touched = IndexMap::new();
            return;
        }
        let touched = Touched {
            before: self.entries.get(who).cloned(),
            is_shown: false,
        };
        batch.touched.insert(who.clone(), touched);
    }

    fn forget_touched_if_unlisted(&mut self) {
        if !self.is_listed
            && let Some(batch) = &mut self.batch
        {
            batch.is_whole = true;
            batch.touched = IndexMap::new();
        }
    }

    /// The list for somebody who does not have it, or who has missed a change.
    pub(crate) fn whole(&mut self) -> Announcement {
        if let Some(batch) = &mut self.batch {
            batch.is_shown = true;
            for touched in batch.touched.values_mut() {
                touched.is_shown = true;
            }
        }
        self.list()
    }

    fn list(&self) -> Announcement {
        let version = self.version;
        match self.is_listed {
            true => Announcement::Whole {
                version,
                members: self.everybody(),
            },
            false => Announcement::Count {
                version,
                count: self.entries.len(),
            },
        }
    }

    /// Ends the batch if it is due. `None`: nobody needs to learn anything.
    pub(crate) fn flush(&mut self, now: Duration) -> Option<Announcement> {
        let batch = self.batch.take_if(|batch| batch.due <= now)?;
        let count = self.entries.len();
        let is_known = std::mem::replace(&mut self.count, count) == count && !batch.is_shown;
        if !self.is_listed {
            self.is_listed = self.settings.members > 0 && count <= self.settings.listed_again();
        }
        if batch.is_whole {
            let had_list = std::mem::replace(&mut self.has_list, self.is_listed);
            if is_known && !had_list && !self.is_listed {
                return None;
            }
            self.version += 1;
            return Some(self.list());
        }
        let (mut joined, mut changed, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for (who, touched) in batch.touched {
            let entry = self.entries.get(&who);
            if touched.before.as_ref() == entry && !touched.is_shown {
                continue;
            }
            match entry {
                Some(entry) if touched.before.is_some() => changed.push(entry.present(&who)),
                Some(entry) => joined.push(entry.present(&who)),
                None => left.push(who),
            }
        }
        if joined.is_empty() && changed.is_empty() && left.is_empty() {
            return None;
        }
        let base = self.version;
        self.version += 1;
        Some(Announcement::Change {
            base,
            version: self.version,
            count,
            joined,
            changed,
            left,
        })
    }
}

impl PresenceEntry {
    fn present(&self, who: &Who) -> Present {
        Present {
            who: who.clone(),
            data: self.data.clone(),
            sessions: self.sessions,
        }
    }
}

impl Batch {
    fn new(due: Duration) -> Self {
        Self {
            due,
            touched: IndexMap::new(),
            is_whole: false,
            is_shown: false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
