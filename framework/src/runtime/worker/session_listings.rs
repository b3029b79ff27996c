//! The listings of rooms that a session follows. The session answers its client at once; the lobby then sends the pages.

use crate::caller::Caller;
use crate::error::Refusal;
use crate::ids::ListingId;
use crate::lobby::lister::{Lister, ListingRule};
use crate::lobby::listing::filter::{Filter, RoomFilter};
use crate::lobby::listing::followed::FollowedListings;
use crate::lobby::listing::registry::ListingKey;
use crate::runtime::listings;
use crate::runtime::messages::{HubItem, ListingMessage, LobbyMessage, MayFollow, Topic};
use crate::runtime::permit::Permit;
use crate::runtime::worker::session::SessionActor;
use crate::runtime::worker::session_actions::take_call;
use crate::session::accounts::listings::ChargedListing;
use crate::session::outbox::Outbox;
use crate::wire::action::FollowRooms;
use crate::wire::event;
use crate::wire::frame::{Encoded, Formats};

/// How many rooms a page has by default.
const USUAL_PAGE: usize = 50;

/// How many rooms a page has at most: the lobby writes it whole for each newcomer.
const LONGEST_PAGE: usize = 200;

impl SessionActor {
    /// The client wants to follow a listing. If the application is to be asked, that happens beside the session.
    pub(crate) fn follow_rooms(
        &mut self,
        id: Option<u64>,
        wanted: FollowRooms,
        permit: Permit,
    ) -> Result<(), Refusal> {
        let shared = self.hub.shared.clone();
        let FollowRooms {
            kind,
            filter,
            after,
            limit,
        } = wanted;
        let match_on = shared.match_on.get(&kind);
        let match_on = match_on.ok_or_else(|| shared.unknown_kind())?;
        let filter = filter.map_or_else(|| Ok(RoomFilter::default()), |filter| filter.decode());
        let filter: RoomFilter = filter.map_err(|error| {
            Refusal::new("bad_payload", format!("`filter` does not fit: {error}"))
        })?;
        // A listing lives as long as it is followed, so its key is no longer than an id.
        if after.as_ref().is_some_and(|room| !room.is_good()) {
            let message = "`after` must be the id of a room";
            return Err(Refusal::new("bad_payload", message));
        }
        let limit = limit.map_or(USUAL_PAGE, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        let key = ListingKey {
            kind: kind.as_str().into(),
            filter: Filter::read(&filter, match_on)?,
            after,
            limit: limit.clamp(1, LONGEST_PAGE),
        };
        let answer = move |permit, outcome| MayFollow {
            id,
            key,
            outcome,
            permit,
        };
        if let ListingRule::Everybody = shared.listing {
            self.may_follow(answer(permit, Ok(())));
            return Ok(());
        }
        let permit = take_call(permit)?;
        let lister = Lister {
            caller: Caller {
                session: self.id,
                claims: self.visitor.claims.clone(),
                address: self.visitor.address,
            },
            kind: Some(kind),
            filter,
            app: shared.data.clone(),
        };
        let (hub, session) = (self.hub.clone(), self.id);
        actix_rt::spawn(async move {
            let outcome = listings::may_list(&shared, lister).await;
            let answer = Box::new(answer(permit, outcome));
            hub.send_item(HubItem::MayFollow { session, answer });
        });
        Ok(())
    }

    /// The application has answered.
    pub(crate) fn may_follow(&mut self, answer: MayFollow) {
        let MayFollow {
            id,
            key,
            outcome,
            permit,
        } = answer;
        let opened = outcome.and_then(|()| self.open_listing(id, key, permit));
        if let Err(refusal) = opened {
            self.error(id, &refusal);
        }
    }

    fn open_listing(
        &mut self,
        id: Option<u64>,
        key: ListingKey,
        permit: Permit,
    ) -> Result<(), Refusal> {
        let shared = self.hub.shared.clone();
        let limits = &shared.config.limits;
        let listing = shared.listings.open(key, limits.listings_in_all);
        let listing = listing.ok_or_else(|| {
            Refusal::new(
                "too_many_listings",
                "clients follow as many different listings of rooms as this server allows",
            )
        })?;
        let follows = |followed: &FollowedListings| followed.contains(listing.id);
        if !self.listings.as_deref().is_some_and(follows) {
            let now = self.hub.now();
            let charged = ChargedListing {
                id: listing.id,
                is_first_page: listing.key.is_first_page(),
            };
            let charge = self.accounts().charge_listing(charged, now, limits)?;
            let followed = self.listings.get_or_insert_default();
            followed.insert(listing.clone(), charge);
            self.hub.enter_topic(Topic::Listing(listing.id), self.id);
        }
        #[derive(serde::Serialize)]
        struct Followed {
            listing: ListingId,
        }
        let followed = Followed {
            listing: listing.id,
        };
        self.reply(id, &followed);
        self.to_lobby(ListingMessage::Follow {
            receiver: self.receiver(),
            listing,
            _permit: permit,
        });
        Ok(())
    }

    pub(crate) fn unfollow_rooms(
        &mut self,
        id: Option<u64>,
        listing: ListingId,
        permit: Permit,
    ) -> Result<(), Refusal> {
        let followed = self.listings.as_mut();
        if !followed.is_some_and(|followed| followed.remove(listing)) {
            return Err(Refusal::new(
                "not_followed",
                "the session does not follow this listing",
            ));
        }
        let _emptied = self.listings.take_if(|followed| followed.is_empty());
        self.forget_listing(listing);
        self.to_lobby(ListingMessage::Unfollow {
            session: self.id,
            listing,
            _permit: permit,
        });
        self.reply(id, &());
        Ok(())
    }

    /// The session has ended, or its client does not know what it follows.
    pub(crate) fn leave_listings(&mut self) {
        if self.take_listings().is_some() {
            self.to_lobby(ListingMessage::Forget(self.id));
        }
    }

    /// What the session follows, which this worker does not receive for it any more.
    pub(crate) fn take_listings(&mut self) -> Option<Box<FollowedListings>> {
        let followed = self.listings.take()?;
        for listing in followed.ids() {
            self.forget_listing(listing);
        }
        Some(followed)
    }

    fn forget_listing(&self, listing: ListingId) {
        let topic = Topic::Listing(listing);
        self.hub.topics.borrow_mut().leave(&topic, self.id);
        let leave = |outbox: &mut Outbox| outbox.leave_listing(listing);
        self.handle.send_queue.with_outbox(leave);
    }

    /// The client is back, perhaps on another worker, and receives the whole pages.
    pub(crate) fn show_listings(&self) {
        let Some(followed) = &self.listings else {
            return;
        };
        for listing in followed.ids() {
            self.hub.enter_topic(Topic::Listing(listing), self.id);
        }
        self.to_lobby(ListingMessage::ShowAll(self.receiver()));
    }

    /// The client was too slow for a change, and has read what waited since.
    pub(crate) fn show_listing(&self, listing: ListingId) {
        let session = self.id;
        self.to_lobby(ListingMessage::Show { session, listing });
    }

    fn to_lobby(&self, message: ListingMessage) {
        let hub = &self.hub;
        hub.flusher
            .to_lobby(&hub.shared, LobbyMessage::Listing(message));
    }

    fn reply(&self, id: Option<u64>, data: &impl serde::Serialize) {
        let Some(id) = id else {
            return;
        };
        let formats = Formats::only(self.handle.send_queue.format());
        match Encoded::new(formats, |w| event::reply(w, id, data)) {
            Ok(frame) => self.hub.send_to_own(self.id, frame),
            Err(error) => {
                tracing::error!(session = %self.id, %error, "an event cannot be encoded");
            }
        }
    }
}
