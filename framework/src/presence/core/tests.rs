//! What presence promises, against a model that keeps a plain list.

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::wire::codec::Format;

const INTERVAL: Duration = Duration::from_secs(1);

fn settings(members: usize) -> Presence {
    Presence::default().interval(INTERVAL).members(members)
}

fn session(n: u8) -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(n.into()))
}

fn data(n: u8) -> RawData {
    RawData::of(Format::Json, &n).unwrap()
}

/// Sessions 0 to 7 belong to three subjects; the others have none.
fn who(n: u8) -> Who {
    match n {
        0..8 => Who::Subject(["ann", "bob", "cyd"][usize::from(n % 3)].into()),
        _ => Who::Session(session(n)),
    }
}

/// What a list shows: data and sessions.
type Shown = BTreeMap<Who, (Option<RawData>, usize)>;

fn shown(present: Vec<Present>) -> Shown {
    let entry = |present: Present| (present.who, (present.data, present.sessions));
    present.into_iter().map(entry).collect()
}

/// A client that follows the rules of the protocol.
#[derive(Default, Debug)]
struct Follower {
    version: u64,
    /// `None`: it knows the number only.
    members: Option<Shown>,
    count: usize,
    has_missed: bool,
    asks: usize,
}

impl Follower {
    fn hear(&mut self, announcement: Announcement) {
        if announcement.version() < self.version {
            return;
        }
        match announcement {
            Announcement::Whole { version, members } => {
                (self.version, self.count) = (version, members.len());
                self.members = Some(shown(members));
                self.has_missed = false;
            }
            Announcement::Count { version, count } => {
                (self.version, self.count) = (version, count);
                self.members = None;
                self.has_missed = false;
            }
            Announcement::Change {
                base,
                version,
                count,
                joined,
                changed,
                left,
            } => {
                let Some(members) = self.members.as_mut().filter(|_| base == self.version) else {
                    self.has_missed = true;
                    return;
                };
                members.extend(shown(joined));
                members.extend(shown(changed));
                members.retain(|who, _| !left.contains(who));
                (self.version, self.count) = (version, count);
                assert_eq!(members.len(), count);
            }
        }
    }
}

/// A plain list of what is there.
#[derive(Default)]
struct Model {
    sessions: BTreeMap<u8, Who>,
    data: BTreeMap<Who, Option<RawData>>,
}

impl Model {
    fn shown(&self) -> Shown {
        let mut shown = Shown::new();
        for who in self.sessions.values() {
            let entry = shown.entry(who.clone()).or_default();
            entry.0 = self.data[who].clone();
            entry.1 += 1;
        }
        shown
    }

    fn enter(&mut self, n: u8, data: Option<RawData>) {
        let known = self.sessions.values().any(|known| *known == who(n));
        self.sessions.insert(n, who(n));
        if data.is_some() || !known {
            self.data.insert(who(n), data);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Enter(u8, Option<u8>),
    Leave(u8),
    Change(u8, Option<u8>),
    /// The batch ends. The followers of these numbers miss its event.
    Flush([bool; 3]),
    /// The follower asks for the whole list.
    Whole(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let data = || prop::option::of(0..3_u8);
    prop_oneof![
        4 => (0..12_u8, data()).prop_map(|(n, data)| Step::Enter(n, data)),
        3 => (0..12_u8).prop_map(Step::Leave),
        2 => (0..12_u8, data()).prop_map(|(n, data)| Step::Change(n, data)),
        3 => any::<[bool; 3]>().prop_map(|[a, b, c]| Step::Flush([a && b, b && c, a && c])),
        1 => (0..3_usize).prop_map(Step::Whole),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn followers_agree_with_who_is_there(
        steps in prop::collection::vec(step(), 0..80),
        members in prop::sample::select(vec![0, 1, 2, 4, 100]),
    ) {
        let mut core = PresenceCore::new(settings(members));
        let mut model = Model::default();
        let mut followers: [Follower; 3] = Default::default();
        for follower in &mut followers {
            follower.hear(core.whole());
        }
        let mut now = Duration::ZERO;
        for step in steps {
            match step {
                Step::Enter(n, bytes) => {
                    let bytes = bytes.map(data);
                    core.enter(now, session(n), &who(n), bytes.clone());
                    model.enter(n, bytes);
                }
                Step::Leave(n) => {
                    core.leave(now, session(n));
                    model.sessions.remove(&n);
                }
                Step::Change(n, bytes) => {
                    let bytes = bytes.map(data);
                    let is_there = core.change(now, session(n), bytes.clone());
                    prop_assert_eq!(is_there, model.sessions.contains_key(&n));
                    if is_there {
                        model.data.insert(who(n), bytes);
                    }
                }
                Step::Flush(missed) => {
                    let was_due = core.due();
                    prop_assert!(core.flush(now).is_none(), "it is not due");
                    now += INTERVAL;
                    let announcement = core.flush(now);
                    prop_assert!(core.due().is_none());
                    prop_assert!(was_due.is_some() || announcement.is_none());
                    let Some(announcement) = announcement else { continue };
                    for (follower, missed) in followers.iter_mut().zip(missed) {
                        match missed {
                            // The note by which a client that was too slow notices.
                            true => follower.has_missed |= follower.version != announcement.version(),
                            false => follower.hear(announcement.clone()),
                        }
                    }
                }
                Step::Whole(n) => {
                    followers[n].hear(core.whole());
                    prop_assert!(!followers[n].has_missed);
                }
            }
            prop_assert_eq!(shown(core.everybody()), model.shown());
        }
        now += INTERVAL;
        let last = core.flush(now);
        let expected = model.shown();
        for follower in &mut followers {
            if let Some(last) = &last {
                follower.hear(last.clone());
            }
            if follower.has_missed {
                follower.asks += 1;
                follower.hear(core.whole());
            }
            prop_assert_eq!(follower.count, expected.len());
            if let Some(members) = &follower.members {
                prop_assert_eq!(members, &expected);
            }
            let lists = members > 0 && expected.len() <= settings(members).listed_again();
            prop_assert!(follower.members.is_some() || !lists, "the list does not come back");
            prop_assert!(follower.members.is_none() || expected.len() <= members);
        }
    }
}

fn flushed(core: &mut PresenceCore, now: u64) -> Option<Announcement> {
    core.flush(Duration::from_secs(now))
}

#[test]
fn who_leaves_and_comes_back_within_a_batch_has_not_changed() {
    let mut core = PresenceCore::new(settings(10));
    core.enter(Duration::ZERO, session(9), &who(9), Some(data(1)));
    assert!(flushed(&mut core, 0).is_none(), "the batch is not due");
    let joined = flushed(&mut core, 1).unwrap();
    assert!(
        matches!(&joined, Announcement::Change { base: 0, version: 1, count: 1, joined, .. } if joined.len() == 1)
    );
    for now in [2, 3] {
        core.leave(Duration::from_secs(now), session(9));
        core.enter(Duration::from_secs(now), session(9), &who(9), Some(data(1)));
        assert_eq!(flushed(&mut core, now + 1), None);
    }
    core.enter(Duration::from_secs(5), session(11), &who(11), None);
    core.leave(Duration::from_secs(5), session(11));
    assert_eq!(flushed(&mut core, 6), None);
}

#[test]
fn a_whole_list_in_between_shows_no_less_than_the_event_after_it() {
    let mut core = PresenceCore::new(settings(10));
    core.enter(Duration::ZERO, session(9), &who(9), None);
    let mut follower = Follower::default();
    core.flush(INTERVAL).unwrap();
    core.leave(INTERVAL, session(9));
    follower.hear(core.whole());
    assert_eq!(follower.count, 0);
    core.enter(INTERVAL, session(9), &who(9), None);
    follower.hear(core.flush(2 * INTERVAL).unwrap());
    assert_eq!(follower.count, 1);
}

#[test]
fn one_subject_is_one_entry_with_the_data_that_came_last() {
    let mut core = PresenceCore::new(settings(10));
    core.enter(Duration::ZERO, session(0), &who(0), Some(data(1)));
    core.enter(Duration::ZERO, session(3), &who(3), None);
    let entry = || core.everybody().remove(0);
    assert_eq!((entry().sessions, entry().data), (2, Some(data(1))));
    core.enter(Duration::ZERO, session(6), &who(6), Some(data(2)));
    core.leave(Duration::ZERO, session(0));
    core.leave(Duration::ZERO, session(6));
    let [entry] = &core.everybody()[..] else {
        panic!("one entry")
    };
    assert_eq!((entry.sessions, entry.data.clone()), (1, Some(data(2))));
    core.leave(Duration::ZERO, session(3));
    assert!(core.is_empty() && core.everybody().is_empty());
}

#[test]
fn with_too_many_only_numbers_go_out_and_the_list_comes_back_at_three_quarters() {
    let mut core = PresenceCore::new(settings(8));
    let subject = |n: u64| Who::Subject(n.to_string().into());
    let id = |n: u64| SessionId::from_uuid(Uuid::from_u128(n.into()));
    let mut now = 0;
    let mut seen = Vec::new();
    let mut flush = |core: &mut PresenceCore, now: &mut u64| {
        *now += 1;
        match flushed(core, *now) {
            Some(Announcement::Whole { members, .. }) => {
                seen.push(format!("list of {}", members.len()))
            }
            Some(Announcement::Change { count, .. }) => seen.push(format!("change to {count}")),
            Some(Announcement::Count { count, .. }) => seen.push(count.to_string()),
            None => seen.push("nothing".to_owned()),
        }
    };
    for n in 0..8 {
        core.enter(Duration::ZERO, id(n), &subject(n), None);
    }
    flush(&mut core, &mut now);
    core.enter(Duration::from_secs(now), id(8), &subject(8), None);
    flush(&mut core, &mut now);
    // Data does not change numbers, nor does another session of the same subject.
    assert!(core.change(Duration::from_secs(now), id(8), Some(data(1))));
    core.enter(Duration::from_secs(now), id(100), &subject(8), None);
    flush(&mut core, &mut now);
    for n in 0..3 {
        core.leave(Duration::from_secs(now), id(n));
        flush(&mut core, &mut now);
    }
    core.leave(Duration::from_secs(now), id(4));
    flush(&mut core, &mut now);
    let expected = [
        "change to 8",
        "9",
        "nothing",
        "8",
        "7",
        "list of 6",
        "change to 5",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn an_interval_of_zero_is_due_at_once_and_one_without_end_never() {
    let mut core = PresenceCore::new(settings(8).interval(Duration::ZERO));
    core.enter(INTERVAL, session(0), &who(0), None);
    assert_eq!(core.due(), Some(INTERVAL));
    assert!(core.flush(INTERVAL).is_some());
    let mut core = PresenceCore::new(settings(8).interval(Duration::MAX));
    core.enter(INTERVAL, session(0), &who(0), None);
    assert_eq!(core.due(), None);
    assert!(matches!(core.whole(), Announcement::Whole { members, .. } if members.len() == 1));
}
