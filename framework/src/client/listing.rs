//! Listings of rooms that a client follows.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::client::action::{ActionName, OutboundAction};
use crate::client::error::CallError;
use crate::client::event::Event;
use crate::client::handle::{Client, reply};
use crate::client::presence::Followed;
use crate::ids::RoomId;
use crate::lobby::info::RoomInfo;
use crate::lobby::listing::filter::RoomFilter;

/// Which rooms to follow: see [`Client::follow_rooms`].
///
/// ```
/// use courtside::RoomFilter;
/// use courtside::client::RoomsWanted;
///
/// let wanted = RoomsWanted::new("arena").filter(RoomFilter::default().has_space(true)).limit(20);
/// # let _ = wanted;
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct RoomsWanted {
    kind: String,
    filter: RoomFilter,
    after: Option<RoomId>,
    limit: Option<u64>,
}

impl RoomsWanted {
    /// All rooms of a kind that are not private, in pages of 50.
    #[must_use]
    pub fn new(kind: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            filter: RoomFilter::default(),
            after: None,
            limit: None,
        }
    }

    /// Only rooms that match.
    #[must_use]
    pub fn filter(mut self, filter: RoomFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Only rooms whose ids come after this one: [`RoomListing::next`] of the page before.
    #[must_use]
    pub fn after(mut self, room: RoomId) -> Self {
        self.after = Some(room);
        self
    }

    /// How many rooms at most, up to 200.
    #[must_use]
    pub fn limit(mut self, rooms: u64) -> Self {
        self.limit = Some(rooms);
        self
    }
}

/// A page of a listing, or what has changed in it. See `docs/protocol.md`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[non_exhaustive]
pub struct RoomsUpdate {
    /// The number of the listing.
    pub listing: u64,
    /// The version that a change starts from. `None`: this is the whole page, and replaces what was known.
    pub base: Option<u64>,
    /// The version of the page.
    pub version: u64,
    /// All rooms of the page. Empty in a change.
    #[serde(default)]
    pub rooms: Vec<RoomInfo>,
    /// In a change: rooms that are new in the page.
    #[serde(default)]
    pub added: Vec<RoomInfo>,
    /// In a change: rooms that look different.
    #[serde(default)]
    pub changed: Vec<RoomInfo>,
    /// In a change: rooms that are no longer in the page.
    #[serde(default)]
    pub removed: Vec<RoomId>,
    /// The last room, if there are more behind the page.
    pub next: Option<RoomId>,
}

/// A page of rooms that a client follows. Pass it every event of [`Client::next`].
///
/// ```no_run
/// # use courtside::client::{Client, Followed, RoomsWanted};
/// # async fn follow(client: Client) -> Result<(), courtside::client::CallError> {
/// let mut listing = client.follow_rooms(RoomsWanted::new("arena")).await?;
/// while let Some(event) = client.next().await {
///     match listing.see(&event) {
///         Followed::Changed => println!("there are {} arenas", listing.rooms().len()),
///         Followed::Unchanged => {}
///         // A new session has begun.
///         Followed::Missed => client.follow_again(&mut listing).await?,
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RoomListing {
    wanted: RoomsWanted,
    /// The server's number for it, in this session.
    listing: u64,
    /// `None` until the whole page has arrived on this connection.
    version: Option<u64>,
    rooms: BTreeMap<RoomId, RoomInfo>,
    next: Option<RoomId>,
}

impl RoomListing {
    /// The rooms of the page, by id.
    #[must_use]
    pub fn rooms(&self) -> &BTreeMap<RoomId, RoomInfo> {
        &self.rooms
    }

    /// If there are more rooms behind the page: its last room, after which the next page begins.
    #[must_use]
    pub fn next(&self) -> Option<&RoomId> {
        self.next.as_ref()
    }

    /// Takes an event of the client. Events about other things change nothing. After [`Followed::Missed`], follow again:
    /// [`Client::follow_again`].
    pub fn see(&mut self, event: &Event) -> Followed {
        match event {
            // The page is kept until the server has sent it again.
            Event::Connected { resumed, .. } => {
                self.version = None;
                match resumed {
                    true => Followed::Unchanged,
                    false => Followed::Missed,
                }
            }
            Event::Rooms(update) if update.listing == self.listing => self.update(update),
            _ => Followed::Unchanged,
        }
    }

    fn update(&mut self, update: &RoomsUpdate) -> Followed {
        match (update.base, self.version) {
            (None, _) => self.rooms.clear(),
            (Some(base), Some(known)) if base == known => {}
            (Some(_), Some(_)) => {
                self.version = None;
                return Followed::Missed;
            }
            // The whole page is on its way.
            (Some(_), None) => return Followed::Unchanged,
        }
        for room in update
            .rooms
            .iter()
            .chain(&update.added)
            .chain(&update.changed)
        {
            self.rooms.insert(room.room.clone(), room.clone());
        }
        for room in &update.removed {
            self.rooms.remove(room);
        }
        self.version = Some(update.version);
        self.next.clone_from(&update.next);
        Followed::Changed
    }
}

impl Client {
    /// Follows the rooms of a kind as they begin, end and change. The page arrives as an [`Event::Rooms`], and so does each change.
    ///
    /// A resumed session continues to follow; in a new one, [`RoomListing::see`] asks to follow again. A client that has taken over
    /// a session with [`Client::restore`] follows nothing.
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, or why there is no answer.
    pub async fn follow_rooms(&self, wanted: RoomsWanted) -> Result<RoomListing, CallError> {
        let listing = self.ask_to_follow(&wanted).await?;
        Ok(RoomListing {
            wanted,
            listing,
            version: None,
            rooms: BTreeMap::new(),
            next: None,
        })
    }

    /// Follows the same rooms again, after [`Followed::Missed`]: the whole page arrives.
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, or why there is no answer.
    pub async fn follow_again(&self, listing: &mut RoomListing) -> Result<(), CallError> {
        listing.listing = self.ask_to_follow(&listing.wanted).await?;
        listing.version = None;
        Ok(())
    }

    /// Follows these rooms no longer, for all of this client: the server gives listings of the same kind, filter and page one number,
    /// so another [`RoomListing`] of the same rooms also hears nothing more. Follow once what several parts of a program show.
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, or why there is no answer.
    pub async fn unfollow_rooms(&self, listing: RoomListing) -> Result<(), CallError> {
        let unfollow: OutboundAction<'_, ()> = OutboundAction {
            listing: Some(listing.listing),
            ..OutboundAction::new(ActionName::UnfollowRooms)
        };
        reply(self.inner().ask(unfollow).await?)
    }

    async fn ask_to_follow(&self, wanted: &RoomsWanted) -> Result<u64, CallError> {
        #[derive(Deserialize)]
        struct Listed {
            listing: u64,
        }
        let follow: OutboundAction<'_, ()> = OutboundAction {
            kind: Some(&wanted.kind),
            filter: Some(&wanted.filter),
            after: wanted.after.as_ref(),
            limit: wanted.limit,
            ..OutboundAction::new(ActionName::FollowRooms)
        };
        let listed: Listed = reply(self.inner().ask(follow).await?)?;
        Ok(listed.listing)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ids::SessionId;

    fn room(id: &str) -> Value {
        json!({"room": id, "kind": "arena", "members": 1, "capacity": 2, "locked": false, "metadata": null})
    }

    fn event(update: Value) -> Event {
        Event::Rooms(serde_json::from_value(update).unwrap())
    }

    #[test]
    fn a_listing_keeps_its_page_and_notices_what_it_has_missed() {
        let mut listing = RoomListing {
            wanted: RoomsWanted::new("arena"),
            listing: 7,
            version: None,
            rooms: BTreeMap::new(),
            next: None,
        };
        let change = |base: u64, added: &str, removed: &str| {
            event(
                json!({"listing": 7, "base": base, "version": base + 1, "added": [room(added)], "removed": [removed]}),
            )
        };
        let whole = |version: u64| {
            event(
                json!({"listing": 7, "kind": "arena", "version": version, "rooms": [room("a"), room("b")], "next": "b"}),
            )
        };
        let ids = |listing: &RoomListing| {
            let ids = listing.rooms().keys().map(ToString::to_string);
            ids.collect::<Vec<_>>()
        };
        assert_eq!(listing.see(&change(3, "x", "y")), Followed::Unchanged);
        assert_eq!(listing.see(&whole(4)), Followed::Changed);
        assert_eq!(listing.next(), Some(&"b".into()));
        assert_eq!(listing.see(&change(4, "c", "a")), Followed::Changed);
        assert_eq!(
            (ids(&listing), listing.next()),
            (vec!["b".to_owned(), "c".to_owned()], None)
        );
        let other = event(json!({"listing": 8, "version": 1, "rooms": []}));
        assert_eq!(listing.see(&other), Followed::Unchanged);
        assert_eq!(listing.see(&change(6, "x", "y")), Followed::Missed);
        assert_eq!(
            listing.see(&change(7, "x", "y")),
            Followed::Unchanged,
            "once"
        );
        assert_eq!(listing.see(&whole(8)), Followed::Changed);
        let connected = |resumed| Event::Connected {
            session: SessionId::random(),
            resumed,
            reason: None,
        };
        assert_eq!(listing.see(&connected(true)), Followed::Unchanged);
        assert_eq!(listing.see(&change(8, "x", "y")), Followed::Unchanged);
        assert_eq!(listing.see(&whole(9)), Followed::Changed);
        assert_eq!(listing.see(&connected(false)), Followed::Missed);
        assert_eq!(ids(&listing), ["a", "b"], "it is kept meanwhile");
    }
}
