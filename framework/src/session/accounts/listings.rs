//! What sessions follow of the rooms, in their accounts.
//!
//! Sessions that follow the same listing share it, so an account counts each listing once, however many of its sessions follow it.
//! The first page of a kind counts for the session alone: whoever comes sees it, whatever others of the same user or address follow.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Accounts, Excess, Holder, Pace, refusal};
use crate::config::{Limits, Quota};
use crate::error::Refusal;
use crate::ids::{IdHasher, ListingId};

/// A listing that a session is about to follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChargedListing {
    pub(crate) id: ListingId,
    /// The first page of a kind, without a filter.
    pub(crate) is_first_page: bool,
}

/// The different listings that an account's sessions follow, and how fast new ones begin.
#[derive(Debug, Default)]
pub(super) struct ListingTally {
    /// `None` until one of them has followed any.
    followed: Mutex<Option<Box<FollowedTally>>>,
    pace: Pace,
}

#[derive(Debug, Default)]
struct FollowedTally {
    /// How many of the sessions follow each.
    sessions: HashMap<ListingId, usize, IdHasher>,
    /// How many of the listings count.
    counted: usize,
}

impl ListingTally {
    fn take(
        &self,
        now: Duration,
        quota: Quota,
        listing: ListingId,
        counts: bool,
    ) -> Result<(), Excess> {
        // Nothing under this lock can leave the tally half changed.
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let followed = followed.get_or_insert_default();
        match followed.sessions.entry(listing) {
            Entry::Occupied(mut sessions) => *sessions.get_mut() += 1,
            Entry::Vacant(vacant) => {
                if counts && followed.counted >= quota.living {
                    return Err(Excess::Many);
                }
                if !self.pace.try_take_per_second(now, quota) {
                    return Err(Excess::Fast);
                }
                vacant.insert(1);
                followed.counted += usize::from(counts);
            }
        }
        Ok(())
    }

    fn give_back(&self, listing: ListingId, counts: bool) {
        let mut kept = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(followed) = kept.as_mut() else {
            return;
        };
        if let Entry::Occupied(mut sessions) = followed.sessions.entry(listing) {
            *sessions.get_mut() -= 1;
            if *sessions.get() == 0 {
                sessions.remove();
                followed.counted -= usize::from(counts);
            }
        }
        let _emptied = kept.take_if(|followed| followed.sessions.is_empty());
    }
}

impl Accounts {
    /// Charges a listing that the session is about to follow.
    ///
    /// # Errors
    ///
    /// If one of the holders follows too many different ones, or new ones too fast.
    pub(crate) fn charge_listing(
        &self,
        listing: ChargedListing,
        now: Duration,
        limits: &Limits,
    ) -> Result<ListingCharge, Refusal> {
        let mut charge = ListingCharge {
            listing,
            accounts: self.clone(),
            taken: 0,
        };
        for (holder, account) in self.0.iter() {
            let quota = holder.creations(limits).listings;
            // Dropping the charge releases what was taken before.
            account
                .listings
                .take(now, quota, listing.id, holder.counts(listing))
                .map_err(|excess| refusal(excess, REFUSED, *holder))?;
            charge.taken += 1;
        }
        Ok(charge)
    }
}

/// The code of the refusal, and what it is about.
const REFUSED: (&str, &str) = ("too_many_listings", "listings of rooms");

impl Holder {
    fn counts(self, listing: ChargedListing) -> bool {
        self == Self::Session || !listing.is_first_page
    }
}

/// The charge of a listing to the accounts of a session that follows it, until this is dropped.
#[derive(Debug)]
pub(crate) struct ListingCharge {
    listing: ChargedListing,
    accounts: Accounts,
    /// How many of the accounts, from the first on, are charged.
    taken: usize,
}

impl Drop for ListingCharge {
    fn drop(&mut self) {
        for (holder, account) in self.accounts.0.iter().take(self.taken) {
            let counts = holder.counts(self.listing);
            account.listings.give_back(self.listing.id, counts);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::Book;
    use super::*;
    use crate::address::ClientAddress;
    use crate::config::Config;

    const AT: Duration = Duration::from_secs(1);

    fn limits() -> Limits {
        let mut limits = Config::default().limits;
        limits.session_creations.listings = Quota::new(2, 100, 100);
        limits.address_creations.listings = Quota::new(3, 1, 5);
        limits
    }

    fn sessions(count: usize) -> Vec<Accounts> {
        let mut book = Book::default();
        let address = ClientAddress::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
        (0..count).map(|_| book.open(None, Some(address))).collect()
    }

    fn charge(accounts: &Accounts, id: u64, is_first_page: bool) -> Result<ListingCharge, Refusal> {
        let id = ListingId(id);
        let listing = ChargedListing { id, is_first_page };
        accounts.charge_listing(listing, AT, &limits())
    }

    fn refused(charged: Result<ListingCharge, Refusal>) -> String {
        charged.unwrap_err().message().to_owned()
    }

    #[test]
    fn an_address_may_follow_so_many_different_listings_and_its_sessions_share_them() {
        let sessions = sessions(12);
        let mut charges: Vec<_> = (0..)
            .zip(&sessions[..3])
            .map(|(n, session)| charge(session, n, false).unwrap())
            .collect();
        let many = refused(charge(&sessions[3], 3, false));
        assert!(many.starts_with("this address"), "{many}");
        for session in &sessions[4..] {
            charges.push(charge(session, 0, false).unwrap());
            charges.push(charge(session, 1, false).unwrap());
            let many = refused(charge(session, 2, false));
            assert!(many.starts_with("this session"), "{many}");
        }
        // The refused one has given back what its session had.
        let dropped = charges.remove(2);
        assert!(charge(&sessions[3], 3, false).is_err());
        drop(dropped);
        charges.push(charge(&sessions[3], 3, false).unwrap());
        charges.push(charge(&sessions[3], 0, false).unwrap());
    }

    #[test]
    fn the_first_page_of_a_kind_can_be_followed_whatever_others_of_the_address_follow() {
        let sessions = sessions(4);
        let charges: Vec<_> = (0..)
            .zip(&sessions[..3])
            .map(|(n, session)| charge(session, n, false).unwrap())
            .collect();
        assert!(charge(&sessions[3], 8, false).is_err());
        let first = charge(&sessions[3], 9, true).unwrap();
        drop((charges, first));
        assert!(charge(&sessions[3], 8, false).is_ok(), "nothing is left");
    }

    #[test]
    fn an_address_begins_new_listings_only_so_fast_however_many_sessions_it_has() {
        let sessions = sessions(7);
        let first = charge(&sessions[0], 0, false).unwrap();
        for (n, session) in (1..).zip(&sessions[1..5]) {
            drop(charge(session, n, false).unwrap());
        }
        let fast = charge(&sessions[5], 5, false).unwrap_err();
        assert_eq!(fast.code(), "too_fast");
        // What one of them follows costs nothing more.
        assert!(charge(&sessions[6], 0, false).is_ok());
        drop(first);
    }

    /// 125 sessions of one address could follow 1,000 listings, which is all that a server has.
    #[test]
    fn by_default_one_address_takes_a_small_part_of_all_listings() {
        let limits = Limits::default();
        let address = limits.address_creations.listings;
        assert!(address.living * 4 <= limits.listings_in_all);
        assert!(limits.subject_creations.listings.living <= address.living);
        // A new filter makes the lobby look at each room of a kind: some milliseconds for as many as a server has.
        assert!(address.per_second <= 10 && address.burst <= 100);
    }
}
