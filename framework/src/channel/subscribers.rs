//! The subscribers of a channel, and their homes: the places to which their frames are sent.

use std::collections::HashMap;

use crate::ids::{IdHasher, SessionId};
use crate::wire::codec::Format;
use crate::wire::frame::Formats;

/// The sessions that are subscribed, each with its home and its format.
///
/// The homes and formats that a publication needs are counted as sessions come and go. So a publication costs the same for one
/// subscriber as for ten thousand.
#[derive(Debug)]
pub(crate) struct Subscribers<H> {
    sessions: HashMap<SessionId, (H, Format), IdHasher>,
    /// Each home, with the number of its subscribers. A server has as many homes as threads, so a list is the fastest map.
    homes: Vec<(H, usize)>,
    json: usize,
    msgpack: usize,
}

impl<H> Default for Subscribers<H> {
    fn default() -> Self {
        Self {
            sessions: HashMap::default(),
            homes: Vec::new(),
            json: 0,
            msgpack: 0,
        }
    }
}

impl<H: Clone + PartialEq> Subscribers<H> {
    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The home of a session, if it is subscribed.
    pub(crate) fn home(&self, session: SessionId) -> Option<&H> {
        self.sessions.get(&session).map(|(home, _)| home)
    }

    /// The formats that at least one subscriber has.
    pub(crate) fn formats(&self) -> Formats {
        Formats {
            json: self.json > 0,
            msgpack: self.msgpack > 0,
        }
    }

    /// The homes of all subscribers, each once.
    pub(crate) fn homes(&self) -> impl Iterator<Item = &H> {
        self.homes.iter().map(|(home, _)| home)
    }

    fn count_of(&mut self, format: Format) -> &mut usize {
        match format {
            Format::Json => &mut self.json,
            Format::MsgPack => &mut self.msgpack,
        }
    }

    /// Adds a session, and returns its home. A session that is subscribed already keeps the home that it has: only
    /// [`rehome`](Self::rehome) changes that.
    pub(crate) fn enter(&mut self, session: SessionId, home: H, format: Format) -> H {
        if let Some((known, _)) = self.sessions.get(&session) {
            return known.clone();
        }
        self.insert(session, home.clone(), format);
        home
    }

    fn insert(&mut self, session: SessionId, home: H, format: Format) {
        *self.count_of(format) += 1;
        match self.homes.iter_mut().find(|(known, _)| *known == home) {
            Some((_, sessions)) => *sessions += 1,
            None => self.homes.push((home.clone(), 1)),
        }
        self.sessions.insert(session, (home, format));
    }

    /// Removes a session, and returns its home if it was subscribed.
    pub(crate) fn remove(&mut self, session: SessionId) -> Option<H> {
        let (home, format) = self.sessions.remove(&session)?;
        *self.count_of(format) -= 1;
        if let Some(at) = self.homes.iter().position(|(known, _)| *known == home) {
            self.homes[at].1 -= 1;
            if self.homes[at].1 == 0 {
                self.homes.swap_remove(at);
            }
        }
        Some(home)
    }

    /// Gives a session another home. Returns the home that it had, and its format, if it is subscribed.
    pub(crate) fn rehome(&mut self, session: SessionId, home: H) -> Option<(H, Format)> {
        let format = self.sessions.get(&session)?.1;
        let before = self.remove(session)?;
        self.insert(session, home, format);
        Some((before, format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_and_formats_are_those_of_the_subscribers() {
        let mut subscribers = Subscribers::<u8>::default();
        let ids: Vec<_> = (0..4).map(|_| SessionId::random()).collect();
        let seen = |subscribers: &Subscribers<u8>| {
            let mut homes: Vec<_> = subscribers.homes().copied().collect();
            homes.sort_unstable();
            let formats = subscribers.formats();
            (homes, formats.json, formats.msgpack)
        };
        assert_eq!(seen(&subscribers), (vec![], false, false));
        for (n, id) in ids.iter().enumerate() {
            let format = [Format::Json, Format::MsgPack][n / 3];
            subscribers.enter(*id, (n % 2) as u8, format);
        }
        assert_eq!(subscribers.enter(ids[0], 5, Format::MsgPack), 0);
        assert_eq!(seen(&subscribers), (vec![0, 1], true, true));
        assert_eq!(subscribers.rehome(ids[1], 7), Some((1, Format::Json)));
        assert_eq!(seen(&subscribers), (vec![0, 1, 7], true, true));
        assert_eq!(subscribers.remove(ids[3]), Some(1));
        assert_eq!(subscribers.remove(ids[3]), None);
        assert_eq!(seen(&subscribers), (vec![0, 7], true, false));
        assert_eq!(subscribers.rehome(ids[3], 1), None);
        for (id, home) in [(0, 0), (1, 7), (2, 0)] {
            assert_eq!(subscribers.remove(ids[id]), Some(home));
        }
        assert!(subscribers.is_empty());
        assert_eq!(seen(&subscribers), (vec![], false, false));
    }
}
