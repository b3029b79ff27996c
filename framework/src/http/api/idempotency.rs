//! Requests with an `Idempotency-Key`: the first has an effect, and each repeat gets its answer.
//!
//! The store is plain data that is handed the time. It is bounded by number, bytes and age; the oldest answers are forgotten first.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName};
use bytes::Bytes;

use super::failure::Failure;
use crate::time::after;

/// The most bytes that a key may have.
pub(super) const KEY_BYTES: usize = 128;

/// The header with the key. `http` has no constant for it.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The key of a request, if it has one.
pub(super) fn key_of(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or("");
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !(1..=KEY_BYTES).contains(&text.len()) || !is_plain || values.next().is_some() {
        return Err(Failure::bad(
            "bad_idempotency_key",
            "Idempotency-Key",
            format!(
                "an idempotency key is one header of 1 to {KEY_BYTES} visible ASCII characters"
            ),
        ));
    }
    Ok(Some(text))
}

/// An answer that repeats get, too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// How much the store keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreBounds {
    pub(super) number: usize,
    /// Of answers and keys.
    pub(super) bytes: usize,
    pub(super) age: Duration,
}

/// Names a request: the name of the API's key, and the request's own key, so that two programs do not meet in one.
pub(super) type Slot = Arc<str>;

/// The slot of a request. Neither the name of a key, nor a key in a header, nor that of a publication has a space: so no two requests
/// meet in one slot, and no publication that a slot makes has the key of another.
pub(super) fn slot_of(name: &str, key: &str) -> Slot {
    format!("{name} {key}").into()
}

/// The slot of one command of a batch.
pub(super) fn command_slot(batch: &Slot, number: usize) -> Slot {
    format!("{batch} {number}").into()
}

/// What the store says of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Begun {
    /// It is the first: do it, then call [`Store::finish`] or [`Store::give_up`].
    First,
    /// It is a repeat, and this is the answer.
    Repeat(Answer),
    /// It is a repeat, and the first has no answer yet.
    InProgress,
    /// Another request had this key.
    Other,
    /// As many requests are in progress as the store can hold.
    Full,
}

#[derive(Debug)]
struct Entry {
    fingerprint: u64,
    /// `None` while the request is in progress.
    answer: Option<Answer>,
}

/// The requests that were made.
#[derive(Debug)]
pub(super) struct Store {
    bounds: StoreBounds,
    entries: HashMap<Slot, Entry>,
    /// Those that have an answer, with the time of it, the oldest first.
    answered: VecDeque<(Duration, Slot)>,
    bytes: usize,
    /// Requests are told apart by a hash that nobody can foresee.
    hasher: RandomState,
}

impl Store {
    pub(super) fn new(bounds: StoreBounds) -> Self {
        Self {
            bounds,
            entries: HashMap::new(),
            answered: VecDeque::new(),
            bytes: 0,
            hasher: RandomState::new(),
        }
    }

    /// A request has come.
    pub(super) fn begin(&mut self, now: Duration, slot: &Slot, request: (&str, &[u8])) -> Begun {
        self.expire(now);
        let fingerprint = self.hasher.hash_one(request);
        if let Some(known) = self.entries.get(slot) {
            return match &known.answer {
                _ if known.fingerprint != fingerprint => Begun::Other,
                Some(answer) => Begun::Repeat(answer.clone()),
                None => Begun::InProgress,
            };
        }
        while self.entries.len() >= self.bounds.number {
            if !self.forget_oldest() {
                return Begun::Full;
            }
        }
        self.bytes += slot.len();
        let entry = Entry {
            fingerprint,
            answer: None,
        };
        self.entries.insert(slot.clone(), entry);
        Begun::First
    }

    /// A request that has begun has its answer, which is kept for repeats. An answer that is longer than the store may be is kept
    /// until the next one comes.
    pub(super) fn finish(&mut self, now: Duration, slot: &Slot, answer: Answer) {
        let Some(entry) = self.entries.get_mut(slot) else {
            return;
        };
        let bytes = answer.body.len();
        entry.answer = Some(answer);
        while self.bytes + bytes > self.bounds.bytes && self.forget_oldest() {}
        self.bytes += bytes;
        self.answered.push_back((now, slot.clone()));
    }

    /// A request that has begun has had no effect: a repeat is a first request.
    pub(super) fn give_up(&mut self, slot: &Slot) {
        if self.entries.remove(slot).is_some() {
            self.bytes -= slot.len();
        }
    }

    fn expire(&mut self, now: Duration) {
        let age = self.bounds.age;
        let is_old = |(answered, _): &(Duration, Slot)| after(*answered, age) <= now;
        while self.answered.front().is_some_and(is_old) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((_, slot)) = self.answered.pop_front() else {
            return false;
        };
        if let Some(entry) = self.entries.remove(&slot) {
            self.bytes -= slot.len() + entry.answer.map_or(0, |answer| answer.body.len());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(60);

    fn store(number: usize, bytes: usize) -> Store {
        Store::new(StoreBounds {
            number,
            bytes,
            age: AGE,
        })
    }

    fn answer(body: &'static str) -> Answer {
        Answer {
            status: StatusCode::OK,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    fn begin(store: &mut Store, at: u64, slot: &str, body: &str) -> Begun {
        let request = ("publish", body.as_bytes());
        store.begin(Duration::from_secs(at), &slot.into(), request)
    }

    fn finish(store: &mut Store, at: u64, slot: &str, body: &'static str) {
        store.finish(Duration::from_secs(at), &slot.into(), answer(body));
    }

    #[test]
    fn a_repeat_gets_the_answer_of_the_first_until_that_is_too_old() {
        let mut store = store(9, 900);
        assert_eq!(begin(&mut store, 0, "a", "1"), Begun::First);
        assert_eq!(begin(&mut store, 0, "a", "1"), Begun::InProgress);
        assert_eq!(begin(&mut store, 0, "a", "2"), Begun::Other);
        finish(&mut store, 1, "a", "done");
        assert_eq!(
            begin(&mut store, 60, "a", "1"),
            Begun::Repeat(answer("done"))
        );
        assert_eq!(begin(&mut store, 60, "a", "2"), Begun::Other);
        let elsewhere = ("broadcast", &b"1"[..]);
        let other = store.begin(Duration::from_secs(60), &"a".into(), elsewhere);
        assert_eq!(other, Begun::Other);
        assert_eq!(begin(&mut store, 61, "a", "2"), Begun::First, "forgotten");
        assert_eq!(store.bytes, 1);
    }

    #[test]
    fn what_had_no_effect_is_a_first_request_again() {
        let mut store = store(9, 900);
        assert_eq!(begin(&mut store, 0, "a", "1"), Begun::First);
        store.give_up(&"a".into());
        assert_eq!(begin(&mut store, 0, "a", "2"), Begun::First);
        assert_eq!(store.bytes, 1);
    }

    #[test]
    fn the_oldest_answers_are_forgotten_first_and_requests_in_progress_never() {
        let mut store = store(3, 900);
        for slot in ["a", "b", "c"] {
            assert_eq!(begin(&mut store, 0, slot, "1"), Begun::First);
        }
        assert_eq!(begin(&mut store, 0, "d", "1"), Begun::Full);
        finish(&mut store, 1, "b", "");
        finish(&mut store, 2, "a", "");
        assert_eq!(begin(&mut store, 3, "d", "1"), Begun::First);
        assert_eq!(begin(&mut store, 3, "a", "1"), Begun::Repeat(answer("")));
        assert_eq!(begin(&mut store, 3, "c", "1"), Begun::InProgress);
        assert_eq!(begin(&mut store, 3, "b", "1"), Begun::First, "instead of a");
        assert_eq!(begin(&mut store, 3, "a", "1"), Begun::Full);
    }

    #[test]
    fn answers_have_bytes_together() {
        let mut store = store(9, 10);
        for (at, slot) in (0..).zip(["a", "b", "c"]) {
            assert_eq!(begin(&mut store, at, slot, "1"), Begun::First);
            finish(&mut store, at, slot, "1234");
            assert!(store.bytes <= 10);
        }
        assert_eq!(
            begin(&mut store, 3, "c", "1"),
            Begun::Repeat(answer("1234"))
        );
        assert_eq!(begin(&mut store, 3, "a", "1"), Begun::First, "forgotten");
        finish(&mut store, 3, "a", "longer than the store");
        let kept = Begun::Repeat(answer("longer than the store"));
        assert_eq!(begin(&mut store, 3, "a", "1"), kept, "until the next comes");
        assert_eq!(begin(&mut store, 3, "b", "1"), Begun::First);
        finish(&mut store, 3, "b", "");
        assert_eq!(begin(&mut store, 3, "a", "1"), Begun::First);
        assert_eq!(store.bytes, 2);
    }
}
