//! The rooms of a kind that match one filter, and which pages show which of them.
//!
//! Each room has the pages that show it, so a room that changes finds them without a look at any other page. A room that comes or
//! goes moves the ends of the pages around it by one, and of no others.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound::{Excluded, Included, Unbounded};

use smallvec::SmallVec;

use crate::ids::{IdHasher, ListingId, RoomId};

/// The pages that show a room.
type Pages = SmallVec<[ListingId; 2]>;

/// What happens to a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect<'a> {
    /// This room is about to enter the page.
    Enters(&'a RoomId),
    /// This room, which was in the page, leaves it.
    Leaves(&'a RoomId),
    /// This room stays in the page, and may look different.
    Changes(&'a RoomId),
    /// There are rooms behind the page now, or no longer.
    Continues,
}

/// Which of the view's rooms a page shows: so many, from the first one after an id on.
#[derive(Debug)]
struct Window {
    after: Option<RoomId>,
    limit: usize,
    len: usize,
    last: Option<RoomId>,
}

impl Window {
    fn is_full(&self) -> bool {
        self.len >= self.limit
    }

    fn ends_with(&self, room: &RoomId) -> bool {
        self.is_full() && self.last.as_ref() == Some(room)
    }
}

#[derive(Debug, Default)]
pub(super) struct View {
    rooms: BTreeMap<RoomId, Pages>,
    windows: HashMap<ListingId, Window, IdHasher>,
    /// The pages by the ids after which they begin.
    starts: BTreeSet<(Option<RoomId>, ListingId)>,
}

impl View {
    pub(super) fn of(rooms: impl Iterator<Item = RoomId>) -> Self {
        Self {
            rooms: rooms.map(|room| (room, Pages::new())).collect(),
            ..Self::default()
        }
    }

    pub(super) fn has_pages(&self) -> bool {
        !self.windows.is_empty()
    }

    /// Begins a page. It shows at least one room, if there is one.
    pub(super) fn open(&mut self, page: ListingId, after: Option<RoomId>, limit: usize) {
        let mut window = Window {
            after: after.clone(),
            limit: limit.max(1),
            len: 0,
            last: None,
        };
        for (room, pages) in following_mut(&mut self.rooms, after.as_ref()).take(window.limit) {
            pages.push(page);
            window.len += 1;
            window.last = Some(room.clone());
        }
        self.starts.insert((after, page));
        self.windows.insert(page, window);
    }

    pub(super) fn close(&mut self, page: ListingId) {
        let Some(window) = self.windows.remove(&page) else {
            return;
        };
        for (_, pages) in following_mut(&mut self.rooms, window.after.as_ref()).take(window.len) {
            pages.retain(|known| *known != page);
        }
        self.starts.remove(&(window.after, page));
    }

    /// The rooms that a page shows.
    pub(super) fn rooms(&self, page: ListingId) -> impl Iterator<Item = &RoomId> {
        let window = self.windows.get(&page);
        window.into_iter().flat_map(|window| {
            let rooms = following(&self.rooms, window.after.as_ref());
            rooms.take(window.len).map(|(room, _)| room)
        })
    }

    /// The last room that a page shows.
    pub(super) fn last(&self, page: ListingId) -> Option<&RoomId> {
        self.windows.get(&page)?.last.as_ref()
    }

    /// Whether there are rooms behind a page.
    pub(super) fn continues(&self, page: ListingId) -> bool {
        self.windows.get(&page).is_some_and(|window| {
            window.is_full()
                && following(&self.rooms, window.last.as_ref())
                    .next()
                    .is_some()
        })
    }

    pub(super) fn shows(&self, page: ListingId, room: &RoomId) -> bool {
        let pages = self.rooms.get(room);
        pages.is_some_and(|pages| pages.contains(&page))
    }

    /// A room that stays may look different.
    pub(super) fn change(&self, room: &RoomId, tell: &mut impl FnMut(ListingId, Effect<'_>)) {
        for page in self.rooms.get(room).into_iter().flatten() {
            tell(*page, Effect::Changes(room));
        }
    }

    /// Adds a room that is not there yet.
    pub(super) fn insert(&mut self, room: &RoomId, tell: &mut impl FnMut(ListingId, Effect<'_>)) {
        let concerned = self.concerned_by(room, tell);
        self.rooms.insert(room.clone(), Pages::new());
        for page in concerned {
            let Some(window) = self.windows.get_mut(&page) else {
                continue;
            };
            tell(page, Effect::Enters(room));
            mark(&mut self.rooms, room, page);
            window.len += 1;
            window.last = window.last.take().max(Some(room.clone()));
            if window.len > window.limit
                && let Some(out) = window.last.take()
            {
                tell(page, Effect::Leaves(&out));
                unmark(&mut self.rooms, &out, page);
                window.len -= 1;
                let before = self.rooms.range::<RoomId, _>(..&out).next_back();
                window.last = before.map(|(room, _)| room.clone());
            }
        }
    }

    /// The pages that a new room enters: those that show the room before it and do not end there, and those that begin between
    /// the two. Tells the pages that end there and had nothing behind them.
    fn concerned_by(
        &self,
        room: &RoomId,
        tell: &mut impl FnMut(ListingId, Effect<'_>),
    ) -> Vec<ListingId> {
        let before = self.rooms.range::<RoomId, _>(..room).next_back();
        let is_last = following(&self.rooms, Some(room)).next().is_none();
        let mut concerned = Vec::new();
        if let Some((before, pages)) = before {
            for page in pages {
                let ends = |window: &Window| window.ends_with(before);
                match self.windows.get(page).is_some_and(ends) {
                    false => concerned.push(*page),
                    true if is_last => tell(*page, Effect::Continues),
                    true => {}
                }
            }
        }
        let first = (before.map(|(before, _)| before.clone()), ListingId::FIRST);
        let end = (Some(room.clone()), ListingId::FIRST);
        let starting = self.starts.range((Included(first), Excluded(end)));
        concerned.extend(starting.map(|(_, page)| *page));
        concerned
    }

    pub(super) fn remove(&mut self, room: &RoomId, tell: &mut impl FnMut(ListingId, Effect<'_>)) {
        let Some(pages) = self.rooms.remove(room) else {
            return;
        };
        let before = self.rooms.range::<RoomId, _>(..room).next_back();
        if following(&self.rooms, Some(room)).next().is_none()
            && let Some((before, pages)) = before
        {
            for page in pages {
                let ends = |window: &Window| window.ends_with(before);
                if self.windows.get(page).is_some_and(ends) {
                    tell(*page, Effect::Continues);
                }
            }
        }
        let before = before.map(|(before, _)| before.clone());
        for page in pages {
            let Some(window) = self.windows.get_mut(&page) else {
                continue;
            };
            tell(page, Effect::Leaves(room));
            let was_full = window.is_full();
            window.len -= 1;
            if window.last.as_ref() == Some(room) {
                window.last = before.clone().filter(|_| window.len > 0);
            }
            let end = window.last.as_ref().or(window.after.as_ref());
            if was_full && let Some((next, pages)) = following_mut(&mut self.rooms, end).next() {
                tell(page, Effect::Enters(next));
                pages.push(page);
                window.len += 1;
                window.last = Some(next.clone());
            }
        }
    }
}

fn following<'a>(
    rooms: &'a BTreeMap<RoomId, Pages>,
    after: Option<&RoomId>,
) -> impl Iterator<Item = (&'a RoomId, &'a Pages)> {
    rooms.range::<RoomId, _>((after.map_or(Unbounded, Excluded), Unbounded))
}

fn following_mut<'a>(
    rooms: &'a mut BTreeMap<RoomId, Pages>,
    after: Option<&RoomId>,
) -> impl Iterator<Item = (&'a RoomId, &'a mut Pages)> + use<'a> {
    rooms.range_mut::<RoomId, _>((after.map_or(Unbounded, Excluded), Unbounded))
}

fn mark(rooms: &mut BTreeMap<RoomId, Pages>, room: &RoomId, page: ListingId) {
    if let Some(pages) = rooms.get_mut(room) {
        pages.push(page);
    }
}

fn unmark(rooms: &mut BTreeMap<RoomId, Pages>, room: &RoomId, page: ListingId) {
    if let Some(pages) = rooms.get_mut(room) {
        pages.retain(|known| *known != page);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn id(n: u32) -> RoomId {
        format!("r{n:03}").into()
    }

    fn shown(view: &View, page: u64) -> (Vec<RoomId>, bool) {
        let page = ListingId(page);
        (view.rooms(page).cloned().collect(), view.continues(page))
    }

    /// What is told of a page leads from what it showed before to what it shows now.
    #[test]
    fn pages_show_what_a_list_of_all_rooms_would() {
        for seed in 1..40_u64 {
            let mut random = seed;
            let mut next = move |bound: u64| {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) % bound
            };
            let mut view = View::default();
            let mut rooms = BTreeSet::new();
            let mut pages: BTreeMap<u64, (Option<RoomId>, usize)> = BTreeMap::new();
            let mut opened = 0;
            for _ in 0..400 {
                let before: BTreeMap<_, _> = pages
                    .keys()
                    .map(|page| (*page, shown(&view, *page)))
                    .collect();
                let mut told: BTreeMap<u64, Vec<String>> = BTreeMap::new();
                let mut tell = |page: ListingId, effect: Effect<'_>| {
                    told.entry(page.0).or_default().push(format!("{effect:?}"));
                };
                let room = id(u32::try_from(next(30)).unwrap());
                match next(10) {
                    0 => {
                        opened += 1;
                        let after = (next(2) == 0).then(|| id(u32::try_from(next(30)).unwrap()));
                        let limit = usize::try_from(next(6)).unwrap() + 1;
                        view.open(ListingId(opened), after.clone(), limit);
                        pages.insert(opened, (after, limit));
                    }
                    1 => {
                        if let Some(page) = pages.keys().next().copied() {
                            pages.remove(&page);
                            view.close(ListingId(page));
                        }
                    }
                    2 => view.change(&room, &mut tell),
                    _ if rooms.remove(&room) => view.remove(&room, &mut tell),
                    _ => {
                        rooms.insert(room.clone());
                        view.insert(&room, &mut tell);
                    }
                }
                for (page, (after, limit)) in &pages {
                    let mut all = rooms.iter().filter(|room| Some(*room) > after.as_ref());
                    let expected: Vec<_> = all.by_ref().take(*limit).cloned().collect();
                    let now = shown(&view, *page);
                    assert_eq!(now, (expected, all.next().is_some()), "seed {seed}");
                    let Some(before) = before.get(page) else {
                        continue;
                    };
                    let told = told.remove(page).unwrap_or_default();
                    let is_told = |effect: Effect<'_>| told.contains(&format!("{effect:?}"));
                    for room in now.0.iter().filter(|room| !before.0.contains(room)) {
                        assert!(is_told(Effect::Enters(room)), "seed {seed}");
                    }
                    for room in before.0.iter().filter(|room| !now.0.contains(room)) {
                        assert!(is_told(Effect::Leaves(room)), "seed {seed}");
                    }
                    assert!(now.1 == before.1 || !told.is_empty(), "seed {seed}");
                    assert!(told.len() <= 2, "seed {seed}: {told:?}");
                }
                assert!(
                    told.is_empty(),
                    "a page is told that is not there: {told:?}"
                );
            }
            for page in pages.keys() {
                view.close(ListingId(*page));
            }
            assert!(!view.has_pages() && view.starts.is_empty());
            assert!(view.rooms.values().all(SmallVec::is_empty));
        }
    }
}
