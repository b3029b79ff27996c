//! All listings of a server that clients follow, with their followers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use smallvec::SmallVec;

use super::event::{Content, PageEvent};
use super::filter::{Filter, Shape};
use super::page::Page;
use super::registry::Listing;
use super::shown::{ChangedRoom, Shown};
use super::view::{Effect, View};
use crate::ids::{IdHasher, ListingId, RoomId, SessionId};
use crate::wire::codec::{CodecError, Format};
use crate::wire::frame::{Encoded, Formats};

/// What follows from a change. `H` is a follower's home: the place to which its events are sent.
#[derive(Debug)]
pub(crate) enum ListingEffect<H> {
    /// The whole page, for one follower.
    Show {
        home: H,
        session: SessionId,
        listing: ListingId,
        frame: Encoded,
    },
    /// A change of the page or, if there was too much of that, the whole page: for all followers with this home.
    Announce {
        home: H,
        listing: ListingId,
        frame: Encoded,
        is_whole: bool,
    },
    NotEncoded {
        listing: ListingId,
        error: CodecError,
    },
}

/// Somebody who follows listings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<H> {
    pub(crate) session: SessionId,
    pub(crate) home: H,
    pub(crate) format: Format,
}

#[derive(Debug)]
struct Follower<H> {
    home: H,
    format: Format,
    listings: SmallVec<[ListingId; 2]>,
}

/// The public rooms of one kind, as they were at the last flush.
#[derive(Debug, Default)]
struct KindRooms {
    rooms: BTreeMap<RoomId, Shown>,
    /// For each filter that is followed.
    views: HashMap<Filter, View>,
    /// The shapes of these filters, with the number of them.
    shapes: BTreeMap<Shape, usize>,
}

#[derive(Debug)]
pub(crate) struct Listings<H> {
    kinds: HashMap<Arc<str>, KindRooms>,
    pages: HashMap<ListingId, Page<H>, IdHasher>,
    followers: HashMap<SessionId, Follower<H>, IdHasher>,
    /// The pages that have changed since the last flush.
    changed: BTreeSet<ListingId>,
    /// How many shapes, pages and rows were looked at.
    #[cfg(test)]
    visits: usize,
}

impl<H> Default for Listings<H> {
    fn default() -> Self {
        Self {
            kinds: HashMap::new(),
            pages: HashMap::default(),
            followers: HashMap::default(),
            changed: BTreeSet::new(),
            #[cfg(test)]
            visits: 0,
        }
    }
}

impl<H: Clone + PartialEq> Listings<H> {
    /// Whether the rooms of a kind are known here. If not, tell them with [`begin`](Self::begin) before the kind is followed.
    pub(crate) fn knows(&self, kind: &str) -> bool {
        self.kinds.contains_key(kind)
    }

    /// From now on the rooms of this kind are listed, and their changes come with [`flush`](Self::flush).
    pub(crate) fn begin(&mut self, kind: Arc<str>, rooms: Vec<(RoomId, Shown)>) {
        let rooms = rooms.into_iter().collect();
        let known = KindRooms {
            rooms,
            ..KindRooms::default()
        };
        self.kinds.insert(kind, known);
    }

    /// A session follows a listing, perhaps again: it receives the whole page.
    pub(crate) fn follow(
        &mut self,
        reader: Reader<H>,
        listing: &Arc<Listing>,
    ) -> Option<ListingEffect<H>> {
        let (id, key) = (listing.id, &listing.key);
        let kind = self.kinds.get_mut(&key.kind)?;
        let page = self.pages.entry(id).or_insert_with(|| {
            let view = kind.view(&key.filter);
            view.open(id, key.after.clone(), key.limit);
            Page::new(listing.clone(), view.continues(id))
        });
        let Reader {
            session,
            home,
            format,
        } = reader;
        let follower = self.followers.entry(session).or_insert(Follower {
            home,
            format,
            listings: SmallVec::new(),
        });
        if !follower.listings.contains(&id) {
            follower.listings.push(id);
            page.followers.add(&follower.home, format);
        }
        self.show(session, id)
    }

    pub(crate) fn unfollow(&mut self, session: SessionId, listing: ListingId) {
        let Some(follower) = self.followers.get_mut(&session) else {
            return;
        };
        let Some(at) = follower.listings.iter().position(|known| *known == listing) else {
            return;
        };
        follower.listings.swap_remove(at);
        let (home, format) = (follower.home.clone(), follower.format);
        if follower.listings.is_empty() {
            self.followers.remove(&session);
        }
        self.leave(listing, &home, format);
    }

    /// The session has ended, or follows nothing any more.
    pub(crate) fn forget(&mut self, session: SessionId) {
        let Some(follower) = self.followers.remove(&session) else {
            return;
        };
        for listing in follower.listings {
            self.leave(listing, &follower.home, follower.format);
        }
    }

    fn leave(&mut self, listing: ListingId, home: &H, format: Format) {
        let Some(page) = self.pages.get_mut(&listing) else {
            return;
        };
        page.followers.remove(home, format);
        if !page.followers.is_empty() {
            return;
        }
        self.changed.remove(&listing);
        if let Some(page) = self.pages.remove(&listing) {
            let key = &page.listing.key;
            if let Some(kind) = self.kinds.get_mut(&key.kind) {
                kind.close(&key.filter, listing);
            }
        }
    }

    /// The session has returned, perhaps at another home, and receives the whole pages of all its listings.
    pub(crate) fn show_all(&mut self, session: SessionId, home: H) -> Vec<ListingEffect<H>> {
        let Some(follower) = self.followers.get_mut(&session) else {
            return Vec::new();
        };
        let before = std::mem::replace(&mut follower.home, home.clone());
        let (format, listings) = (follower.format, follower.listings.clone());
        if before != home {
            for listing in &listings {
                if let Some(page) = self.pages.get_mut(listing) {
                    page.followers.remove(&before, format);
                    page.followers.add(&home, format);
                }
            }
        }
        let shown = listings.into_iter();
        shown
            .filter_map(|listing| self.show(session, listing))
            .collect()
    }

    /// The whole page, for a follower that does not have it or was too slow for its changes.
    pub(crate) fn show(
        &mut self,
        session: SessionId,
        listing: ListingId,
    ) -> Option<ListingEffect<H>> {
        let follower = self.followers.get(&session)?;
        if !follower.listings.contains(&listing) {
            return None;
        }
        let page = self.pages.get_mut(&listing)?;
        if page.whole.is_none() {
            let kind = self.kinds.get(&page.listing.key.kind)?;
            match kind.whole(page, Formats::only(follower.format)) {
                // The other format is made from it on demand, once.
                Ok(whole) => page.whole = Some(whole),
                Err(error) => return Some(ListingEffect::NotEncoded { listing, error }),
            }
        }
        Some(ListingEffect::Show {
            home: follower.home.clone(),
            session,
            listing,
            frame: page.whole.clone()?,
        })
    }

    /// Takes the rooms that have changed since the last flush, each once, and tells the followers whom they concern.
    pub(crate) fn flush(&mut self, rooms: Vec<ChangedRoom>) -> Vec<ListingEffect<H>> {
        for room in rooms {
            self.update(room);
        }
        let mut effects = Vec::new();
        for listing in std::mem::take(&mut self.changed) {
            match self.announce(listing) {
                None => {}
                Some(Ok((frame, is_whole))) => {
                    let homes = self.pages.get(&listing).map(|page| page.followers.homes());
                    effects.extend(homes.into_iter().flatten().map(|home| {
                        ListingEffect::Announce {
                            home: home.clone(),
                            listing,
                            frame: frame.clone(),
                            is_whole,
                        }
                    }));
                }
                Some(Err(error)) => effects.push(ListingEffect::NotEncoded { listing, error }),
            }
        }
        effects
    }

    fn update(&mut self, ChangedRoom { kind, room, now }: ChangedRoom) {
        let Some(kind) = self.kinds.get_mut(&kind) else {
            return;
        };
        let before = match now.clone() {
            Some(now) => kind.rooms.insert(room.clone(), now),
            None => kind.rooms.remove(&room),
        };
        let (pages, changed, rooms) = (&mut self.pages, &mut self.changed, &kind.rooms);
        #[cfg(test)]
        let visits = &mut self.visits;
        let mut tell = |listing: ListingId, effect: Effect<'_>| {
            #[cfg(test)]
            {
                *visits += 1;
            }
            let Some(page) = pages.get_mut(&listing) else {
                return;
            };
            changed.insert(listing);
            match effect {
                Effect::Enters(other) => page.touch(other, None),
                Effect::Changes(other) | Effect::Leaves(other) if *other == room => {
                    page.touch(other, before.as_ref());
                }
                Effect::Changes(other) | Effect::Leaves(other) => {
                    page.touch(other, rooms.get(other));
                }
                Effect::Continues => {}
            }
        };
        for shape in kind.shapes.keys() {
            let of = |room: &Option<Shown>| Filter::of(*shape, room.as_ref()?);
            let (was, is) = (of(&before), of(&now));
            if was == is {
                if let Some(view) = was.and_then(|filter| kind.views.get(&filter)) {
                    view.change(&room, &mut tell);
                }
                continue;
            }
            if let Some(view) = was.and_then(|filter| kind.views.get_mut(&filter)) {
                view.remove(&room, &mut tell);
            }
            if let Some(view) = is.and_then(|filter| kind.views.get_mut(&filter)) {
                view.insert(&room, &mut tell);
            }
        }
        #[cfg(test)]
        {
            self.visits += kind.shapes.len();
        }
    }

    /// The event for the followers of a page, and whether it is the whole page. `None`: they would see no change.
    fn announce(&mut self, listing: ListingId) -> Option<Result<(Encoded, bool), CodecError>> {
        let page = self.pages.get_mut(&listing)?;
        let key = &page.listing.key;
        let kind = self.kinds.get(&key.kind)?;
        let view = kind.views.get(&key.filter)?;
        let formats = page.followers.formats();
        let continued = view.continues(listing);
        let is_known = continued == page.continued;
        page.continued = continued;
        let Some(changes) = page.take_changes() else {
            page.version += 1;
            let whole = kind.whole(page, formats);
            page.whole = whole.as_ref().ok().cloned();
            return Some(whole.map(|frame| (frame, true)));
        };
        let (mut added, mut changed, mut removed) = (Vec::new(), Vec::new(), Vec::new());
        for (room, before) in &changes {
            let now = kind.rooms.get(room).filter(|_| view.shows(listing, room));
            match (before, now) {
                (None, Some(now)) => added.push((room, now)),
                (Some(_), None) => removed.push(room),
                (Some(before), Some(now)) if !before.looks_like(now) => changed.push((room, now)),
                _ => {}
            }
        }
        #[cfg(test)]
        {
            self.visits += changes.len();
        }
        if is_known && added.len() + changed.len() + removed.len() == 0 {
            return None;
        }
        let base = page.version;
        page.version += 1;
        page.whole = None;
        let event = PageEvent {
            listing,
            kind: &page.listing.key.kind,
            version: page.version,
            content: Content::Change {
                base,
                added,
                changed,
                removed,
            },
            next: view.last(listing).filter(|_| continued),
        };
        Some(Encoded::new(formats, |w| event.write(w)).map(|frame| (frame, false)))
    }
}

impl KindRooms {
    /// The rooms that match a filter. If nobody follows the filter yet, this looks at each room of the kind once.
    fn view(&mut self, filter: &Filter) -> &mut View {
        let (rooms, shapes) = (&self.rooms, &mut self.shapes);
        self.views.entry(filter.clone()).or_insert_with(|| {
            let shape = filter.shape();
            *shapes.entry(shape).or_default() += 1;
            let matches =
                |(_, shown): &(&RoomId, &Shown)| Filter::of(shape, shown).as_ref() == Some(filter);
            View::of(rooms.iter().filter(matches).map(|(room, _)| room.clone()))
        })
    }

    fn close(&mut self, filter: &Filter, listing: ListingId) {
        let Some(view) = self.views.get_mut(filter) else {
            return;
        };
        view.close(listing);
        if view.has_pages() {
            return;
        }
        self.views.remove(filter);
        let shape = filter.shape();
        if let Some(views) = self.shapes.get_mut(&shape) {
            *views -= 1;
            if *views == 0 {
                self.shapes.remove(&shape);
            }
        }
    }

    fn whole<H>(&self, page: &Page<H>, formats: Formats) -> Result<Encoded, CodecError> {
        let (key, listing) = (&page.listing.key, page.listing.id);
        let view = self.views.get(&key.filter);
        let rooms = view.into_iter().flat_map(|view| view.rooms(listing));
        let row = |room| self.rooms.get(room).map(|shown| (room, shown));
        let event = PageEvent {
            listing,
            kind: &key.kind,
            version: page.version,
            content: Content::Whole(rooms.filter_map(row).collect()),
            next: view
                .filter(|view| view.continues(listing))
                .and_then(|view| view.last(listing)),
        };
        Encoded::new(formats, |w| event.write(w))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
