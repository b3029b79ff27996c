//! The accounts to which the rooms and channels that clients cause are charged: the session's, its subject's and its address's.
//! They also count the joins that miss, because they name rooms that do not exist.
//!
//! A room outlives the client that caused it, and a channel outlives its publications. Each is charged to the accounts for as
//! long as it exists, so that no client can use up what is meant for all.

pub(crate) mod listings;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use self::listings::ListingTally;
use crate::address::ClientAddress;
use crate::config::{Creations, Limits, Misses, Quota};
use crate::error::Refusal;

/// What a client can create.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Thing {
    Room,
    Channel,
    /// Of a session that looks for a match.
    Ticket,
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
    listings: ListingTally,
    misses: Pace,
    tickets: Tally,
}

impl Account {
    fn tally(&self, thing: Thing) -> &Tally {
        match thing {
            Thing::Room => &self.rooms,
            Thing::Channel => &self.channels,
            Thing::Ticket => &self.tickets,
        }
    }
}

/// How fast things happen: when all of them would have happened at the steady rate, in nanoseconds of the server's time; at most a
/// burst ahead.
#[derive(Debug, Default)]
struct Pace(AtomicU64);

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Pace {
    /// Lets one more happen, if that is not too fast: one each `each`, and `burst` at once.
    fn try_take(&self, now: Duration, each: Duration, burst: u32) -> bool {
        let now = nanos(now);
        let (each, ahead) = steps(each, burst);
        let next = |until: u64| {
            let until = until.max(now);
            (until - now <= ahead).then(|| until.saturating_add(each))
        };
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        taken.is_ok()
    }

    /// Lets one more happen, if that is not too fast for the quota.
    fn try_take_per_second(&self, now: Duration, quota: Quota) -> bool {
        let each = Duration::from_nanos(1_000_000_000 / u64::from(quota.per_second.max(1)));
        self.try_take(now, each, quota.burst)
    }

    /// How long until [`try_take`](Self::try_take) lets one more happen.
    fn wait(&self, now: Duration, each: Duration, burst: u32) -> Duration {
        let (_, ahead) = steps(each, burst);
        let until = self.0.load(Ordering::Relaxed);
        Duration::from_nanos(until.saturating_sub(nanos(now).saturating_add(ahead)))
    }
}

/// The time of one, and of a burst but one, in nanoseconds. Some hundred years are for ever, so that a burst is no more than that.
fn steps(each: Duration, burst: u32) -> (u64, u64) {
    let burst = u64::from(burst.max(1));
    let each = nanos(each).min(u64::MAX / 2 / burst);
    (each, each * (burst - 1))
}

/// How many exist, and how fast they were created.
#[derive(Debug, Default)]
struct Tally {
    living: AtomicUsize,
    pace: Pace,
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
        if !self.pace.try_take_per_second(now, quota) {
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
            let creations = holder.creations(limits);
            let quota = match thing {
                Thing::Room => creations.rooms,
                Thing::Channel => creations.channels,
                Thing::Ticket => creations.tickets,
            };
            // Dropping the charge releases what was taken before.
            account
                .tally(thing)
                .take(now, quota)
                .map_err(|excess| refusal(excess, thing.refused(), *holder))?;
            charge.taken += 1;
        }
        Ok(charge)
    }
}

impl Accounts {
    /// The accounts on which misses count, with their limits. Sessions of one subject count by themselves.
    fn with_misses(&self, limits: &Limits) -> impl Iterator<Item = (Holder, &Pace, Misses)> {
        let (session, address) = (limits.session_misses, limits.address_misses);
        self.0.iter().filter_map(move |(holder, account)| {
            let misses = match holder {
                Holder::Session => session,
                Holder::Address => address,
                Holder::Subject => return None,
            };
            Some((*holder, &account.misses, misses))
        })
    }

    /// Whether a join may name a room by its id.
    ///
    /// # Errors
    ///
    /// If too many have named rooms that do not exist.
    pub(crate) fn check_misses(&self, now: Duration, limits: &Limits) -> Result<(), Refusal> {
        for (holder, pace, misses) in self.with_misses(limits) {
            let wait = pace.wait(now, misses.every, misses.burst);
            if !wait.is_zero() {
                let holder = holder.name();
                // Rounded up.
                let seconds = wait.as_secs().saturating_add(1);
                return Err(Refusal::new(
                    "too_fast",
                    format!(
                        "{holder} has asked for too many rooms that do not exist: try again in {seconds} s"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// A join has named a room that does not exist.
    pub(crate) fn note_miss(&self, now: Duration, limits: &Limits) {
        for (_, pace, misses) in self.with_misses(limits) {
            // False if another session of the address was faster: then it is too fast already.
            let _taken = pace.try_take(now, misses.every, misses.burst);
        }
    }
}

impl Holder {
    fn creations(self, limits: &Limits) -> &Creations {
        match self {
            Self::Session => &limits.session_creations,
            Self::Subject => &limits.subject_creations,
            Self::Address => &limits.address_creations,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Session => "this session",
            Self::Subject => "this user",
            Self::Address => "this address",
        }
    }
}

impl Thing {
    /// The code of the refusal of one too many, and what it is about.
    fn refused(self) -> (&'static str, &'static str) {
        match self {
            Self::Room => ("too_many_rooms", "rooms"),
            Self::Channel => ("too_many_channels", "channels"),
            Self::Ticket => ("too_many_tickets", "searches for a match"),
        }
    }
}

fn refusal(
    excess: Excess,
    (code, things): (&'static str, &'static str),
    holder: Holder,
) -> Refusal {
    let holder = holder.name();
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
    fn rooms_that_do_not_exist_may_be_asked_for_so_often() {
        let mut limits = limits();
        limits.session_misses = Misses::new(3, Duration::from_secs(2));
        limits.address_misses = Misses::new(5, Duration::from_secs(1));
        let mut book = Book::default();
        let (ann, bob) = (book.open(None, address(1)), book.open(None, address(1)));
        let at = Duration::from_millis;
        let miss = |who: &Accounts, now| {
            let checked = who.check_misses(at(now), &limits);
            who.note_miss(at(now), &limits);
            checked.map_err(|refusal| refusal.message().to_owned())
        };
        for _ in 0..3 {
            assert_eq!(miss(&ann, 1000), Ok(()));
        }
        let text =
            |who| format!("{who} has asked for too many rooms that do not exist: try again in 3 s");
        assert_eq!(
            ann.check_misses(at(999), &limits).unwrap_err().message(),
            text("this session")
        );
        assert!(ann.check_misses(at(2999), &limits).is_err());
        assert_eq!(miss(&ann, 3000), Ok(()));
        assert!(ann.check_misses(at(3000), &limits).is_err());
        // The address has had four, of which two are forgiven.
        for _ in 0..3 {
            assert_eq!(miss(&bob, 3000), Ok(()));
        }
        let carl = book.open(None, address(1));
        assert!(
            carl.check_misses(at(3000), &limits)
                .is_err_and(|r| r.message().starts_with("this address"))
        );
        let dora = book.open(None, address(2));
        assert_eq!(dora.check_misses(at(3000), &limits), Ok(()));
        limits.session_misses = Misses::default();
        let eve = book.open(None, None);
        for _ in 0..100 {
            eve.note_miss(at(0), &limits);
        }
        assert_eq!(
            eve.check_misses(at(0), &limits),
            Ok(()),
            "there is no bound"
        );
        limits.session_misses = Misses::new(2, Duration::MAX);
        let fay = book.open(None, None);
        for _ in 0..2 {
            assert_eq!(fay.check_misses(at(0), &limits), Ok(()));
            fay.note_miss(at(0), &limits);
        }
        assert!(fay.check_misses(at(1 << 40), &limits).is_err());
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
