//! The listings of rooms that clients follow, in the lobby; and the question to the application who may.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::error::Refusal;
use crate::lobby::lister::{Lister, ListingRule};
use crate::lobby::listing::listings::{ListingEffect, Listings, Reader};
use crate::runtime::hub_address::HubAddress;
use crate::runtime::hub_batches::HubBatches;
use crate::runtime::lobby::Lobby;
use crate::runtime::messages::{Broadcast, HubItem, ListingMessage, Topic};
use crate::runtime::server_inner::ServerInner;
use crate::session::outbox::{Delivery, ReplaceKey};
use crate::time::{after, if_ever};

/// Asks the application whether a client may see rooms, if it wants to be asked.
pub(crate) async fn may_list(shared: &ServerInner, lister: Lister) -> Result<(), Refusal> {
    let hook = match &shared.listing {
        ListingRule::Everybody => return Ok(()),
        ListingRule::Nobody => {
            let message = "this server does not show its rooms";
            return Err(Refusal::new("listing_denied", message));
        }
        ListingRule::Hook(hook) => hook,
    };
    let panicked = || {
        tracing::error!("the hook of `ServerBuilder::listing` panicked");
        Refusal::failed()
    };
    let begin = AssertUnwindSafe(|| hook(lister));
    let answer = catch_unwind(begin).map_err(|_| panicked())?;
    let answer = AssertUnwindSafe(answer).catch_unwind();
    let answer = match if_ever(shared.config.authorization) {
        Some(patience) => timeout(patience, answer).await.ok(),
        None => Some(answer.await),
    };
    match answer {
        Some(answer) => answer.map_err(|_| panicked())?,
        None => {
            if let Some(left_out) = shared.hook_log.take(shared.now()) {
                tracing::warn!(
                    left_out,
                    "the hook of `ServerBuilder::listing` took longer than `Config::authorization`"
                );
            }
            Err(Refusal::new(
                "authorization_timeout",
                "the server took too long to decide whether this is allowed: try again",
            ))
        }
    }
}

/// The lobby's listings, and when they are flushed.
#[derive(Default)]
pub(crate) struct LobbyListings {
    listings: Listings<HubAddress>,
    /// When the next flush may be.
    not_before: Duration,
    /// A flush is on its way: its timer runs, or a worker is behind.
    is_awaited: bool,
}

impl Lobby {
    pub(super) fn receive_listing(&mut self, message: ListingMessage) {
        let listings = &mut self.listings.listings;
        let effects = match message {
            ListingMessage::Follow {
                receiver, listing, ..
            } => {
                let kind = &listing.key.kind;
                if !listings.knows(kind) {
                    listings.begin(kind.clone(), self.directory.watch(kind));
                }
                let reader = Reader {
                    session: receiver.session,
                    home: receiver.hub,
                    format: receiver.format,
                };
                listings.follow(reader, &listing).into_iter().collect()
            }
            ListingMessage::Unfollow {
                session, listing, ..
            } => {
                listings.unfollow(session, listing);
                Vec::new()
            }
            ListingMessage::Forget(session) => {
                listings.forget(session);
                Vec::new()
            }
            ListingMessage::Show { session, listing } => {
                listings.show(session, listing).into_iter().collect()
            }
            ListingMessage::ShowAll(receiver) => listings.show_all(receiver.session, receiver.hub),
        };
        // The number of these answers is bounded by the permits of the actions that ask for them.
        let _behind = send(effects);
    }

    /// Lets the followers of listings know what has changed, soon, if anything has.
    pub(super) fn flush_listings_soon(&mut self, ctx: &mut Context<Self>) {
        if self.listings.is_awaited || !self.directory.has_changed() {
            return;
        }
        let delay = self.listings.not_before.saturating_sub(self.shared.now());
        self.listings.is_awaited = true;
        ctx.run_later(delay, |lobby, ctx| lobby.flush_listings(ctx));
    }

    fn flush_listings(&mut self, ctx: &mut Context<Self>) {
        self.listings.not_before = after(self.shared.now(), self.shared.config.listing_interval);
        let changed = self.directory.take_changed();
        let behind = send(self.listings.listings.flush(changed));
        // Where workers cannot keep up, the next flush waits for them, and has more changes in one event. Joins do not wait.
        let caught_up = async move {
            for full in behind {
                drop(full.acquire_owned().await);
            }
        };
        let caught_up = caught_up.into_actor(self).map(|(), lobby, ctx| {
            lobby.listings.is_awaited = false;
            lobby.flush_listings_soon(ctx);
        });
        ctx.spawn(caught_up);
    }
}

/// Sends what follows. Returns the semaphores of the workers that are behind.
fn send(effects: Vec<ListingEffect<HubAddress>>) -> Vec<Arc<Semaphore>> {
    let mut outgoing = HubBatches::default();
    for effect in effects {
        match effect {
            ListingEffect::Show {
                home,
                session,
                listing,
                frame,
            } => {
                let page = HubItem::Page {
                    session,
                    listing,
                    frame,
                };
                outgoing.push(&home, page);
            }
            ListingEffect::Announce {
                home,
                listing,
                frame,
                is_whole,
            } => {
                let replaces = Arc::new(ReplaceKey::Listing(listing));
                let delivery = match is_whole {
                    true => Delivery::Latest(replaces),
                    false => Delivery::Step(replaces, 0),
                };
                let broadcast = Broadcast {
                    frame,
                    delivery,
                    except: None,
                };
                outgoing.push(&home, HubItem::Publish(Topic::Listing(listing), broadcast));
            }
            ListingEffect::NotEncoded { listing, error } => {
                tracing::error!(?listing, %error, "a listing of rooms cannot be encoded");
            }
        }
    }
    outgoing.send()
}
