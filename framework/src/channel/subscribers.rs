//! The subscribers of a channel, and their homes: the places to which their frames are sent.

use std::collections::HashMap;

use crate::ids::{IdHasher, SessionId};
use crate::wire::codec::Format;
use crate::wire::frame::Formats;

/// The homes and formats of some of the subscribers.
///
/// They are counted as sessions come and go. So a publication costs the same for one subscriber as for ten thousand.
#[derive(Debug)]
pub(crate) struct Audience<H> {
    /// Each home, with the number of its subscribers. A server has as many homes as threads, so a list is the fastest map.
    homes: Vec<(H, usize)>,
    json: usize,
    msgpack: usize,
}

impl<H> Default for Audience<H> {
    fn default() -> Self {
        Self {
            homes: Vec::new(),
            json: 0,
            msgpack: 0,
        }
    }
}

impl<H: Clone + PartialEq> Audience<H> {
    pub(crate) fn is_empty(&self) -> bool {
        self.homes.is_empty()
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

    pub(crate) fn add(&mut self, home: &H, format: Format) {
        *self.count_of(format) += 1;
        match self.homes.iter_mut().find(|(known, _)| known == home) {
            Some((_, sessions)) => *sessions += 1,
            None => self.homes.push((home.clone(), 1)),
        }
    }

    pub(crate) fn remove(&mut self, home: &H, format: Format) {
        *self.count_of(format) -= 1;
        if let Some(at) = self.homes.iter().position(|(known, _)| known == home) {
            self.homes[at].1 -= 1;
            if self.homes[at].1 == 0 {
                self.homes.swap_remove(at);
            }
        }
    }
}

/// A session that is subscribed.
#[derive(Clone, Debug)]
pub(crate) struct Subscriber<H> {
    pub(crate) home: H,
    pub(crate) format: Format,
    /// Whether it receives patches.
    pub(crate) is_delta: bool,
}

/// The sessions that are subscribed.
#[derive(Debug)]
pub(crate) struct Subscribers<H> {
    sessions: HashMap<SessionId, Subscriber<H>, IdHasher>,
    /// Those that receive whole publications.
    whole: Audience<H>,
    /// Those that receive patches.
    delta: Audience<H>,
}

impl<H> Default for Subscribers<H> {
    fn default() -> Self {
        Self {
            sessions: HashMap::default(),
            whole: Audience::default(),
            delta: Audience::default(),
        }
    }
}

impl<H: Clone + PartialEq> Subscribers<H> {
    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The home of a session, if it is subscribed.
    pub(crate) fn home(&self, session: SessionId) -> Option<&H> {
        self.sessions
            .get(&session)
            .map(|subscriber| &subscriber.home)
    }

    /// Those that receive whole publications.
    pub(crate) fn whole(&self) -> &Audience<H> {
        &self.whole
    }

    /// Those that receive patches.
    pub(crate) fn delta(&self) -> &Audience<H> {
        &self.delta
    }

    fn audience_mut(&mut self, is_delta: bool) -> &mut Audience<H> {
        match is_delta {
            true => &mut self.delta,
            false => &mut self.whole,
        }
    }

    /// Adds a session, and returns its home. A session that is subscribed already keeps the home that it has: only
    /// [`rehome`](Self::rehome) changes that.
    pub(crate) fn enter(
        &mut self,
        session: SessionId,
        home: H,
        format: Format,
        is_delta: bool,
    ) -> H {
        let known = self.remove(session);
        let home = known.map_or(home, |known| known.home);
        let subscriber = Subscriber {
            home: home.clone(),
            format,
            is_delta,
        };
        self.insert(session, subscriber);
        home
    }

    fn insert(&mut self, session: SessionId, subscriber: Subscriber<H>) {
        let Subscriber {
            home,
            format,
            is_delta,
        } = &subscriber;
        self.audience_mut(*is_delta).add(home, *format);
        self.sessions.insert(session, subscriber);
    }

    /// Removes a session, and returns what it was if it was subscribed.
    pub(crate) fn remove(&mut self, session: SessionId) -> Option<Subscriber<H>> {
        let subscriber = self.sessions.remove(&session)?;
        let audience = self.audience_mut(subscriber.is_delta);
        audience.remove(&subscriber.home, subscriber.format);
        Some(subscriber)
    }

    /// Gives a session another home. Returns what it was before, if it is subscribed.
    pub(crate) fn rehome(&mut self, session: SessionId, home: H) -> Option<Subscriber<H>> {
        let before = self.remove(session)?;
        let after = Subscriber {
            home,
            ..before.clone()
        };
        self.insert(session, after);
        Some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = (Vec<u8>, bool, bool);

    fn seen(audience: &Audience<u8>) -> Seen {
        let mut homes: Vec<_> = audience.homes().copied().collect();
        homes.sort_unstable();
        let formats = audience.formats();
        assert_eq!(audience.is_empty(), homes.is_empty());
        (homes, formats.json, formats.msgpack)
    }

    fn home(subscriber: Option<Subscriber<u8>>) -> Option<u8> {
        subscriber.map(|subscriber| subscriber.home)
    }

    /// In either audience, beside a subscriber of the other.
    #[test]
    fn homes_and_formats_are_those_of_the_subscribers() {
        for is_delta in [false, true] {
            let mut subscribers = Subscribers::<u8>::default();
            let ids: Vec<_> = (0..4).map(|_| SessionId::random()).collect();
            let other = SessionId::random();
            subscribers.enter(other, 9, Format::Json, !is_delta);
            let seen = |subscribers: &Subscribers<u8>| {
                let (whole, delta) = (seen(subscribers.whole()), seen(subscribers.delta()));
                let (these, others) = if is_delta {
                    (delta, whole)
                } else {
                    (whole, delta)
                };
                assert_eq!(others, (vec![9], true, false));
                these
            };
            assert_eq!(seen(&subscribers), (vec![], false, false));
            for (n, id) in ids.iter().enumerate() {
                let format = [Format::Json, Format::MsgPack][n / 3];
                subscribers.enter(*id, (n % 2) as u8, format, is_delta);
            }
            let again = subscribers.enter(ids[0], 5, Format::Json, is_delta);
            assert_eq!(again, 0, "it keeps its home");
            assert_eq!(seen(&subscribers), (vec![0, 1], true, true));
            let before = subscribers.rehome(ids[1], 7).unwrap();
            assert_eq!(
                (before.home, before.format, before.is_delta),
                (1, Format::Json, is_delta)
            );
            assert_eq!(seen(&subscribers), (vec![0, 1, 7], true, true));
            assert_eq!(home(subscribers.remove(ids[3])), Some(1));
            assert_eq!(home(subscribers.remove(ids[3])), None);
            assert_eq!(seen(&subscribers), (vec![0, 7], true, false));
            assert_eq!(home(subscribers.rehome(ids[3], 1)), None);
            for (id, at) in [(0, 0), (1, 7), (2, 0)] {
                assert_eq!(subscribers.home(ids[id]), Some(&at));
                assert_eq!(home(subscribers.remove(ids[id])), Some(at));
            }
            assert_eq!(seen(&subscribers), (vec![], false, false));
            subscribers.remove(other);
            assert!(subscribers.is_empty());
        }
    }

    #[test]
    fn a_subscriber_is_in_one_audience() {
        let mut subscribers = Subscribers::<u8>::default();
        let id = SessionId::random();
        for is_delta in [false, true, true, false] {
            subscribers.enter(id, 3, Format::MsgPack, is_delta);
            let (here, there) = match is_delta {
                true => (subscribers.delta(), subscribers.whole()),
                false => (subscribers.whole(), subscribers.delta()),
            };
            assert_eq!(seen(here), (vec![3], false, true));
            assert_eq!(seen(there), (vec![], false, false));
        }
    }
}
