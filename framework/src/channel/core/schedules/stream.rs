//! What a client of the schedules receives of a channel, and what it must be.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::channel::core::tests::delta::apply;
use crate::ids::ChannelName;

/// The publication of a number: mostly an object, of which little changes from one to the next.
pub(super) fn publication(n: u64) -> Value {
    match n % 7 {
        0 => json!(n),
        _ => {
            json!({"n": n, "half": n / 2, "place": {"ground": "a stadium with a long name", "fifth": n / 5}})
        }
    }
}

/// Whether it is a publication, and not mixed from two of them.
pub(super) fn is_whole(value: &Value) -> bool {
    let n = value.as_u64().or(value["n"].as_u64());
    n.is_some_and(|n| *value == publication(n))
}

/// An event, as far as it matters here.
#[derive(Deserialize)]
pub(super) struct Event {
    pub(super) event: String,
    pub(super) channel: ChannelName,
    pub(super) epoch: Option<String>,
    pub(super) offset: Option<u64>,
    pub(super) recovered: Option<bool>,
    pub(super) publications: Option<Vec<Numbered>>,
    #[serde(default)]
    pub(super) delta: bool,
    pub(super) base: Option<Numbered>,
    pub(super) data: Option<Value>,
    pub(super) patch: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Numbered {
    pub(super) offset: u64,
    pub(super) data: Value,
}

/// What a client knows of a channel.
#[derive(Default)]
pub(super) struct Stream {
    /// The epoch, and the offset up to which it has received everything or was told of a gap.
    pub(super) position: Option<(String, u64)>,
    pub(super) is_active: bool,
    /// How many patches and newest publications it has received.
    pub(super) uncommon: u64,
    /// With patches: the newest publication, which the next patch changes.
    pub(super) base: Option<(u64, Value)>,
    /// Its subscriptions that were not answered yet, with the positions that they continue from.
    pub(super) asked: VecDeque<Option<(String, u64)>>,
}

impl Stream {
    pub(super) fn take(&mut self, event: Event) {
        match event.event.as_str() {
            "subscribed" => self.subscribed(event),
            "publication" => {
                assert!(self.is_active, "a publication without a subscription");
                let position = self.position.as_mut().unwrap();
                assert_eq!(event.offset, Some(position.1 + 1));
                position.1 += 1;
                let value = match (event.data, event.patch) {
                    (Some(data), None) => data,
                    (None, Some(patch)) => {
                        let (at, mut value) = self.base.take().expect("a patch of nothing");
                        assert_eq!(at + 1, position.1, "a patch of something else");
                        apply(&mut value, &patch);
                        self.uncommon += 1;
                        value
                    }
                    both => panic!("{both:?}"),
                };
                assert!(is_whole(&value), "{value}");
                self.base = Some((position.1, value));
            }
            "latest" => {
                let offset = event.offset.unwrap();
                assert!(is_whole(&event.data.unwrap()));
                let position = self.position.as_mut().filter(|_| self.is_active);
                if let Some(position) = position {
                    position.1 = offset.max(position.1);
                    self.uncommon += 1;
                }
            }
            "unsubscribed" => self.is_active = false,
            "error" => drop(self.asked.pop_front()),
            _ => {}
        }
    }

    fn subscribed(&mut self, event: Event) {
        let since = self.asked.pop_front().unwrap();
        let (epoch, offset) = (event.epoch.unwrap(), event.offset.unwrap());
        let publications = event.publications.unwrap();
        let length = publications.len() as u64;
        let numbers = publications.iter().map(|p| p.offset);
        assert!(numbers.eq(offset + 1 - length..=offset), "the newest ones");
        assert!(publications.iter().all(|p| is_whole(&p.data)));
        let missing = since
            .filter(|(of, at)| *of == epoch && *at <= offset)
            .map(|(_, at)| offset - at);
        let is_newest = event.channel.as_str() == "clock";
        match event.recovered {
            Some(true) if is_newest => assert_eq!(missing.map(|n| n.min(1)), Some(length)),
            Some(true) => assert_eq!(missing, Some(length)),
            _ => assert!(missing.is_none_or(|missing| missing > length), "no gap"),
        }
        let newest = event.base.or(publications.into_iter().next_back());
        let newest = newest.filter(|newest| newest.offset == offset);
        self.base = (newest.filter(|_| event.delta)).map(|newest| (offset, newest.data));
        if self.is_active && !is_newest {
            let known = self.position.as_ref();
            assert_eq!(known, Some(&(epoch.clone(), offset)), "something was lost");
        }
        (self.position, self.is_active) = (Some((epoch, offset)), true);
    }
}
