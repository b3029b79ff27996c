//! The accounts to which the rooms and channels that clients cause are charged: the session's, its subject's and its address's.
//!
//! A room outlives the client that caused it, and a channel outlives its publications. Each is charged to the accounts for as
//! long as it exists, so that no client can use up what is meant for all.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::address::ClientAddress;
use crate::config::{Limits, Quota};
use crate::error::Refusal;

/// What a client can create.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Thing {
    Room,
    Channel,
    /// It follows a listing of rooms.
    Listing,
}

/// The holder of an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Holder {
    Session,
    Subject,
    Address,
}

#[derive(Debug, Default)]
struct Account {
    rooms: Tally,
    channels: Tally,
    listings: Tally,
}

impl Account {
    fn tally(&self, thing: Thing) -> &Tally {
        match thing {
            Thing::Room => &self.rooms,
            Thing::Channel => &self.channels,
            Thing::Listing => &self.listings,
        }
    }
}

/// How many exist, and how fast they were created.
#[derive(Debug, Default)]
struct Tally {
    living: AtomicUsize,
    /// When all of them would have been created at the steady rate, in nanoseconds of the server's time; at most a burst ahead.
    paced_until: AtomicU64,
}

enum Excess {
    Many,
    Fast,
}

impl Tally {
    fn take(&self, now: Duration, quota: Quota) -> Result<(), Excess> {
        if self.living.fetch_add(1, Ordering::Relaxed) >= quota.living {
            self.give_back();
            return Err(Excess::Many);
        }
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let each = 1_000_000_000 / u64::from(quota.per_second.max(1));
        let ahead = each.saturating_mul(u64::from(quota.burst.saturating_sub(1)));
        let next = |until: u64| {
            let until = until.max(now);
            (until - now <= ahead).then(|| until.saturating_add(each))
        };
        let paced = &self.paced_until;
        if paced
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .is_err()
        {
            self.give_back();
            return Err(Excess::Fast);
        }
        Ok(())
    }

    fn give_back(&self) {
        self.living.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The accounts of a session. A clone is another handle to them.
#[derive(Clone, Debug)]
pub(crate) struct Accounts(Arc<[(Holder, Arc<Account>)]>);

impl Accounts {
    /// Charges a room or channel that is about to be created.
    ///
    /// # Errors
    ///
    /// If one of the holders has created too many that still exist, or creates them too fast.
    pub(crate) fn charge(
        &self,
        thing: Thing,
        now: Duration,
        limits: &Limits,
    ) -> Result<Charge, Refusal> {
        let mut charge = Charge {
            thing,
            accounts: self.clone(),
            taken: 0,
        };
        for (holder, account) in self.0.iter() {
            let creations = match holder {
                Holder::Session => &limits.session_creations,
                Holder::Subject => &limits.subject_creations,
                Holder::Address => &limits.address_creations,
            };
            let quota = match thing {
                Thing::Room => creations.rooms,
                Thing::Channel => creations.channels,
                Thing::Listing => creations.listings,
            };
            // Dropping the charge releases what was taken before.
            account
                .tally(thing)
                .take(now, quota)
                .map_err(|excess| refusal(excess, thing, *holder))?;
            charge.taken += 1;
        }
        Ok(charge)
    }
}

fn refusal(excess: Excess, thing: Thing, holder: Holder) -> Refusal {
    let (code, things) = match thing {
        Thing::Room => ("too_many_rooms", "rooms"),
        Thing::Channel => ("too_many_channels", "channels"),
        Thing::Listing => ("too_many_listings", "listings of rooms"),
    };
    let holder = match holder {
        Holder::Session => "this session",
        Holder::Subject => "this user",
        Holder::Address => "this address",
    };
    match excess {
        Excess::Many => Refusal::new(
            code,
            format!("{holder} has begun as many {things} as it may that have not ended yet"),
        ),
        Excess::Fast => Refusal::new(
            "too_fast",
            format!("{holder} begins {things} too fast: try again in a second"),
        ),
    }
}

/// The charge of one room or channel to its creator's accounts, until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    thing: Thing,
    accounts: Accounts,
    /// How many of the accounts, from the first on, are charged.
    taken: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        for (_, account) in self.accounts.0.iter().take(self.taken) {
            account.tally(self.thing).give_back();
        }
    }
}

/// The holder of an account that sessions share.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum AccountKey {
    Subject(Arc<str>),
    Address(ClientAddress),
}

/// The accounts that several sessions share. An account exists as long as one of the sessions, or anything charged to it.
#[derive(Debug, Default)]
pub(crate) struct Book {
    accounts: HashMap<AccountKey, Weak<Account>>,
    /// At how many accounts unused ones are removed.
    tidy_at: usize,
}

impl Book {
    /// The accounts of a new session.
    pub(crate) fn open(
        &mut self,
        subject: Option<&Arc<str>>,
        address: Option<ClientAddress>,
    ) -> Accounts {
        let subject =
            subject.map(|subject| (Holder::Subject, AccountKey::Subject(subject.clone())));
        let address = address.map(|address| (Holder::Address, AccountKey::Address(address)));
        let own = (Holder::Session, Arc::default());
        let shared = subject.into_iter().chain(address);
        let shared = shared.map(|(holder, key)| (holder, self.account(key)));
        Accounts(std::iter::once(own).chain(shared).collect())
    }

    fn account(&mut self, key: AccountKey) -> Arc<Account> {
        if self.accounts.len() >= self.tidy_at {
            self.accounts
                .retain(|_, account| account.strong_count() > 0);
            // Doubled, so that the amortised cost of the search is constant for each new session.
            self.tidy_at = 2 * self.accounts.len() + 16;
        }
        let known = self.accounts.entry(key).or_default();
        known.upgrade().unwrap_or_else(|| {
            let account = Arc::default();
            *known = Arc::downgrade(&account);
            account
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::config::Config;

    fn limits() -> Limits {
        let mut limits = Config::default().limits;
        limits.session_creations.rooms = Quota::new(5, 2, 3);
        limits.subject_creations.rooms = Quota::new(6, 100, 100);
        limits.address_creations.rooms = Quota::new(8, 100, 100);
        limits
    }

    fn address(n: u8) -> Option<ClientAddress> {
        Some(ClientAddress::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, n))))
    }

    fn room(accounts: &Accounts, now: u64) -> Result<Charge, String> {
        let now = Duration::from_millis(now);
        let charge = accounts.charge(Thing::Room, now, &limits());
        charge.map_err(|refusal| refusal.code().to_owned())
    }

    #[test]
    fn a_session_causes_so_many_at_once_so_many_a_second_and_so_many_that_live() {
        let accounts = Book::default().open(None, None);
        let mut living: Vec<_> = (0..3).map(|_| room(&accounts, 1000).unwrap()).collect();
        assert_eq!(room(&accounts, 1000).unwrap_err(), "too_fast");
        assert_eq!(room(&accounts, 1499).unwrap_err(), "too_fast");
        living.push(room(&accounts, 1500).unwrap());
        assert_eq!(room(&accounts, 1999).unwrap_err(), "too_fast");
        living.push(room(&accounts, 60_000).unwrap());
        assert_eq!(room(&accounts, 60_000).unwrap_err(), "too_many_rooms");
        living.pop();
        living.push(room(&accounts, 60_000).unwrap());
        assert!(
            accounts
                .charge(Thing::Channel, Duration::ZERO, &limits())
                .is_ok()
        );
    }

    #[test]
    fn a_subject_and_an_address_share_one_account_among_their_sessions() {
        let mut book = Book::default();
        let (ann, bob) = (Arc::from("ann"), Arc::from("bob"));
        let mut living = Vec::new();
        for n in 0..6 {
            let session = book.open(Some(&ann), address(n));
            living.push(room(&session, 0).unwrap());
        }
        let more = book.open(Some(&ann), address(9));
        assert_eq!(room(&more, 0).unwrap_err(), "too_many_rooms");
        let other = book.open(Some(&bob), address(9));
        living.push(room(&other, 0).unwrap());
        // The refused one has released what it had taken from its address.
        for n in 0..7 {
            let session = book.open(None, address(9));
            living.push(room(&session, n).unwrap());
        }
        let last = book.open(None, address(9));
        assert_eq!(room(&last, 9).unwrap_err(), "too_many_rooms");
        living.clear();
        assert!(room(&last, 9).is_ok() && room(&more, 9).is_ok());
    }

    #[test]
    fn accounts_that_nobody_has_are_forgotten() {
        let mut book = Book::default();
        let kept = book.open(None, address(0));
        let charge = room(&kept, 0).unwrap();
        drop(kept);
        for n in 0..1000 {
            book.open(Some(&Arc::from(format!("user {n}"))), None);
            assert!(book.accounts.len() <= 40);
        }
        let again = book.open(None, address(0));
        let living = || again.0[1].1.rooms.living.load(Ordering::Relaxed);
        assert_eq!(living(), 1, "the room is still on the address's account");
        drop(charge);
        assert_eq!(living(), 0);
    }
}
