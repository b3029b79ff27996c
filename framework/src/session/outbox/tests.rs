//! What an outbox promises.

use std::sync::Arc;

use super::super::long_queue::{LONG, SMALL};
use super::*;
use proptest::prelude::*;

fn bounds(bytes: usize, frames: usize) -> OutboxBounds {
    let mut bounds = crate::Config::default().outbox;
    bounds.bytes = bytes;
    bounds.frames = frames;
    bounds
}

fn bytes(n: u64) -> Bytes {
    n.to_string().into()
}

fn frame(n: u64) -> Encoded {
    Encoded::of_bytes(Format::Json, bytes(n))
}

fn new(bounds: OutboxBounds) -> Outbox {
    Outbox::new(bounds, Format::Json)
}

fn push(outbox: &mut Outbox, n: u64) -> Pushed {
    outbox.push(&frame(n), &Delivery::Sequenced)
}

fn latest(key: &str) -> Delivery {
    Delivery::Latest(Arc::new(ReplaceKey::Signal("r".into(), key.to_owned())))
}

/// The next frame.
fn pull(outbox: &mut Outbox) -> Option<Bytes> {
    let mut out = BytesMut::new();
    outbox.take(&mut out, 1).then(|| out.freeze())
}

fn drain(outbox: &mut Outbox) -> Vec<Bytes> {
    std::iter::from_fn(|| pull(outbox)).collect()
}

#[test]
fn a_slow_client_gets_the_newest_of_each_slot_and_no_pile() {
    let mut outbox = new(bounds(1000, 10));
    for n in 0..1000 {
        let key = if n % 2 == 0 { "even" } else { "odd" };
        let pushed = outbox.push(&frame(n), &latest(key));
        assert_ne!(pushed, Pushed::Overflow);
    }
    assert_eq!(drain(&mut outbox), [bytes(998), bytes(999)]);
}

/// Thousands of clients that acknowledge a little late cost what they are sent, and not twice that.
#[test]
fn a_long_replay_has_little_spare_memory() {
    let mut outbox = new(bounds(1 << 20, 2000));
    for n in 0..1000 {
        assert_eq!(push(&mut outbox, n), Pushed::Queued);
        assert_eq!(pull(&mut outbox), Some(bytes(n)));
        let kept = outbox.kept.len();
        assert!(kept < LONG || outbox.kept.capacity() <= kept + SMALL);
    }
    assert!(outbox.acknowledge(990));
    assert!(outbox.kept.capacity() <= SMALL);
    assert_eq!(outbox.resume(992), Resumed::Yes);
    assert_eq!(drain(&mut outbox).len(), 8);
}

#[test]
fn droppable_signals_are_dropped_for_those_who_are_behind() {
    let mut outbox = new(bounds(1 << 20, 1000));
    let big = Bytes::from(vec![0; 17 << 10]);
    let frame_of_it = Encoded::of_bytes(Format::Json, big.clone());
    assert_eq!(
        outbox.push(&frame_of_it, &Delivery::Sequenced),
        Pushed::Queued
    );
    assert_eq!(
        outbox.push(&frame(1), &Delivery::Droppable),
        Pushed::Unchanged
    );
    assert_eq!(drain(&mut outbox), [big]);
    assert_eq!(outbox.push(&frame(2), &Delivery::Droppable), Pushed::Queued);
}

#[test]
fn too_much_pending_ends_the_outbox_and_frees_it() {
    let mut outbox = new(bounds(1000, 3));
    for n in 0..3 {
        assert_eq!(push(&mut outbox, n), Pushed::Queued);
    }
    assert_eq!(push(&mut outbox, 3), Pushed::Overflow);
    assert_eq!(push(&mut outbox, 4), Pushed::Unchanged);
    assert!(outbox.is_empty() && outbox.has_overflowed());
    assert_eq!(outbox.resume(0), Resumed::Forgotten);
}

fn long(n: u8, length: usize) -> Encoded {
    Encoded::of_bytes(Format::Json, vec![n; length].into())
}

#[test]
fn a_message_of_any_length_reaches_those_who_keep_up_and_can_be_sent_again() {
    let mut outbox = new(bounds(1000, 10));
    for n in 0..3 {
        let message = long(n, 5000);
        assert_eq!(outbox.push(&message, &Delivery::Sequenced), Pushed::Queued);
        assert_eq!(pull(&mut outbox), Some(message.get(Format::Json)));
    }
    assert_eq!(outbox.resume(1), Resumed::Forgotten);
    assert_eq!(outbox.resume(2), Resumed::Yes);
    assert_eq!(drain(&mut outbox), [vec![2; 5000]]);
    // Who does not keep up cannot have a second one waiting.
    let push = |outbox: &mut Outbox| outbox.push(&long(3, 5000), &Delivery::Sequenced);
    assert_eq!(push(&mut outbox), Pushed::Queued);
    assert_eq!(push(&mut outbox), Pushed::Overflow);
}

#[test]
fn a_state_of_any_length_is_no_reason_to_end_a_session() {
    let mut outbox = new(bounds(1000, 10));
    for n in 0..5 {
        let pushed = outbox.push(&long(n, 5000), &state());
        assert_ne!(pushed, Pushed::Overflow);
        assert_eq!(push(&mut outbox, n.into()), Pushed::Queued);
    }
    let all: Vec<Bytes> = [vec![4; 5000].into()]
        .into_iter()
        .chain((0..5).map(bytes))
        .collect();
    assert_eq!(drain(&mut outbox), all);
    // All else counts as it did.
    let _queued = outbox.push(&long(9, 5000), &state());
    assert_eq!(
        outbox.push(&long(1, 600), &Delivery::Sequenced),
        Pushed::Queued
    );
    assert_eq!(
        outbox.push(&long(2, 600), &Delivery::Sequenced),
        Pushed::Queued
    );
    assert_eq!(push(&mut outbox, 3), Pushed::Overflow);
}

#[test]
fn a_client_that_never_acknowledges_is_served_but_cannot_go_back_beyond_the_bound() {
    let mut outbox = new(bounds(1000, 3));
    for n in 0..100 {
        assert_eq!(push(&mut outbox, n), Pushed::Queued);
        assert_eq!(pull(&mut outbox), Some(bytes(n)));
    }
    assert_eq!(outbox.resume(96), Resumed::Forgotten);
    assert_eq!(outbox.resume(97), Resumed::Yes);
    assert_eq!(drain(&mut outbox), [bytes(97), bytes(98), bytes(99)]);
}

#[test]
fn a_client_cannot_acknowledge_what_was_not_sent() {
    let mut outbox = new(bounds(1000, 10));
    assert_eq!(push(&mut outbox, 0), Pushed::Queued);
    assert!(!outbox.acknowledge(1));
    assert_eq!(outbox.resume(1), Resumed::NeverSent);
    pull(&mut outbox);
    assert!(outbox.acknowledge(1));
}

#[test]
fn old_frames_are_forgotten_after_their_age_and_not_before() {
    let mut outbox = new(bounds(1000, 10));
    let age = outbox.bounds.age;
    assert_eq!(push(&mut outbox, 0), Pushed::Queued);
    pull(&mut outbox);
    let mut now = Duration::ZERO;
    while now < age {
        outbox.age(now);
        assert_eq!(outbox.kept.len(), 1, "{now:?}");
        now += Duration::from_millis(250);
    }
    while now < age * 2 {
        outbox.age(now);
        now += Duration::from_millis(250);
    }
    assert!(outbox.kept.is_empty());
    assert_eq!(outbox.resume(0), Resumed::Forgotten);
    assert_eq!(outbox.resume(1), Resumed::Yes);
}

#[test]
fn what_is_sent_again_after_a_resume_is_not_old() {
    let mut outbox = new(bounds(1000, 10));
    let age = outbox.bounds.age;
    assert_eq!(push(&mut outbox, 0), Pushed::Queued);
    pull(&mut outbox);
    outbox.age(age / 2);
    outbox.age(age);
    assert_eq!(outbox.resume(0), Resumed::Yes);
    pull(&mut outbox);
    outbox.age(age * 3 / 2);
    assert_eq!(outbox.resume(0), Resumed::Yes, "it was sent a moment ago");
}

#[test]
fn a_resume_with_a_full_replay_leaves_room_for_what_comes() {
    let mut outbox = new(bounds(1000, 3));
    for n in 0..3 {
        assert_eq!(push(&mut outbox, n), Pushed::Queued);
        pull(&mut outbox);
    }
    for n in 3..6 {
        assert_eq!(push(&mut outbox, n), Pushed::Queued);
    }
    assert_eq!(outbox.resume(0), Resumed::Yes);
    // Three were put back and three wait already: that is full, and no more than that.
    assert_eq!(pull(&mut outbox), Some(bytes(0)));
    outbox.disconnect();
    assert_eq!(outbox.resume(0), Resumed::Yes);
    assert_eq!(drain(&mut outbox).len(), 6);
    assert_eq!(push(&mut outbox, 6), Pushed::Queued);
}

fn state() -> Delivery {
    Delivery::Latest(Arc::new(ReplaceKey::State("r".into())))
}

fn step(base: u32) -> Delivery {
    let Delivery::Latest(replaces) = state() else {
        unreachable!()
    };
    Delivery::Step(replaces, base)
}

/// A page of a listing is followed as a room's state is, and forgotten when the session follows it no longer.
#[test]
fn pages_of_listings_are_states_of_their_own() {
    let key = |listing| Arc::new(ReplaceKey::Listing(ListingId(listing)));
    let page = |listing| Delivery::Latest(key(listing));
    let change = |listing| Delivery::Step(key(listing), 0);
    let mut outbox = new(bounds(1000, 20));
    assert_eq!(outbox.push(&frame(0), &change(1)), Pushed::Unchanged);
    assert_eq!(outbox.push(&frame(1), &page(1)), Pushed::Queued);
    assert_eq!(outbox.push(&frame(2), &page(2)), Pushed::Queued);
    assert_eq!(outbox.push(&frame(3), &change(1)), Pushed::Queued);
    assert_eq!(outbox.push(&frame(4), &change(1)), Pushed::Behind);
    assert_eq!(outbox.push(&frame(5), &change(2)), Pushed::Queued);
    outbox.leave_listing(ListingId(2));
    assert_eq!(outbox.push(&frame(6), &change(2)), Pushed::Unchanged);
    assert_eq!(drain(&mut outbox), [bytes(1), bytes(3)]);
    assert_eq!(outbox.caught_up(), Some(key(1)));
    assert_eq!(outbox.push(&frame(7), &page(1)), Pushed::Queued);
    outbox.leave_listing(ListingId(1));
    assert!(outbox.is_empty());
}

#[test]
fn steps_wait_for_a_state_to_go_on_from() {
    let mut outbox = new(bounds(1000, 10));
    assert_eq!(outbox.push(&frame(1), &step(0)), Pushed::Unchanged);
    assert_eq!(outbox.push(&frame(2), &state()), Pushed::Queued);
    assert_eq!(outbox.push(&frame(3), &step(1)), Pushed::Queued);
    assert_eq!(drain(&mut outbox), [bytes(2), bytes(3)]);
    // What the connection had is not known on the next one.
    outbox.disconnect();
    assert_eq!(outbox.push(&frame(4), &step(2)), Pushed::Unchanged);
}

#[test]
fn a_step_too_many_is_dropped_with_all_that_follow_until_a_state_comes() {
    let mut outbox = new(bounds(1000, 10));
    assert_eq!(outbox.push(&frame(0), &state()), Pushed::Queued);
    assert_eq!(outbox.push(&frame(1), &step(0)), Pushed::Queued);
    assert_eq!(outbox.push(&frame(2), &step(1)), Pushed::Behind);
    assert_eq!(outbox.push(&frame(3), &step(2)), Pushed::Unchanged);
    assert_eq!(outbox.caught_up(), None, "the first two still wait");
    assert_eq!(drain(&mut outbox), [bytes(0), bytes(1)]);
    assert_eq!(
        outbox.caught_up(),
        Some(Arc::new(ReplaceKey::State("r".into())))
    );
    assert_eq!(outbox.caught_up(), None);
    assert_eq!(outbox.push(&frame(4), &step(3)), Pushed::Unchanged);
    assert_eq!(outbox.push(&frame(5), &state()), Pushed::Queued);
    assert_eq!(outbox.push(&frame(6), &step(4)), Pushed::Queued);
    assert_eq!(drain(&mut outbox), [bytes(5), bytes(6)]);
}

#[test]
fn a_whole_state_takes_the_place_of_the_steps_that_wait() {
    let mut outbox = new(bounds(1000, 10));
    assert_eq!(outbox.push(&frame(0), &state()), Pushed::Queued);
    assert_eq!(drain(&mut outbox), [bytes(0)]);
    assert_eq!(outbox.push(&frame(1), &step(0)), Pushed::Queued);
    assert_eq!(push(&mut outbox, 2), Pushed::Queued);
    assert_eq!(outbox.push(&frame(3), &state()), Pushed::Queued);
    assert_eq!(drain(&mut outbox), [bytes(2), bytes(3)]);
    assert_eq!(outbox.pending_bytes, 0);
}

#[test]
fn leaving_a_room_takes_its_pending_state_with_it() {
    let mut outbox = new(bounds(1000, 10));
    assert_eq!(outbox.push(&frame(1), &latest("a")), Pushed::Queued);
    assert_eq!(push(&mut outbox, 2), Pushed::Queued);
    outbox.leave_room(&"r".into(), false);
    assert_eq!(drain(&mut outbox), [bytes(2)]);
    assert_eq!(outbox.pending_bytes, 0);
}

#[test]
fn the_newest_publication_replaces_an_older_one_unless_a_subscription_came_between() {
    let newest = |channel: &str| {
        let replaces = ReplaceKey::Publication(channel.into());
        Delivery::Latest(Arc::new(replaces))
    };
    let mut outbox = new(bounds(1000, 10));
    assert_eq!(outbox.push(&frame(1), &newest("clock")), Pushed::Queued);
    assert_eq!(push(&mut outbox, 2), Pushed::Queued);
    assert_eq!(outbox.push(&frame(3), &newest("clock")), Pushed::Unchanged);
    assert_eq!(outbox.push(&frame(4), &newest("score")), Pushed::Queued);
    // The answer to another subscription: what follows it must not overtake it.
    outbox.seal_publication(&"clock".into());
    assert_eq!(push(&mut outbox, 5), Pushed::Queued);
    assert_eq!(outbox.push(&frame(6), &newest("clock")), Pushed::Queued);
    assert_eq!(outbox.push(&frame(7), &newest("clock")), Pushed::Unchanged);
    assert_eq!(outbox.push(&frame(8), &newest("score")), Pushed::Unchanged);
    assert_eq!(outbox.produced(), 2, "they are not counted");
    outbox.leave_room(&"clock".into(), false);
    assert_eq!(drain(&mut outbox), [3, 2, 8, 5, 7].map(bytes));
    assert_eq!(outbox.push(&frame(9), &newest("clock")), Pushed::Queued);
    outbox.disconnect();
    assert!(drain(&mut outbox).is_empty(), "the hub sends it again");
}

#[test]
fn the_last_states_of_rooms_that_have_ended_are_bounded_too() {
    let last_of = |name: String| {
        let room = RoomId::from(&*name);
        let replaces = ReplaceKey::State(room.clone());
        (room, Delivery::Latest(Arc::new(replaces)))
    };
    // How many of a hundred are left, one after another, with what each leaves behind.
    for (length, stay) in [(5000, 1), (400, 2), (10, 100)] {
        let mut outbox = new(bounds(1000, 1000));
        for n in 0..100 {
            let (room, delivery) = last_of(format!("room {n}"));
            assert_eq!(outbox.push(&long(n, length), &delivery), Pushed::Queued);
            outbox.leave_room(&room, true);
        }
        assert_eq!(drain(&mut outbox).len(), stay, "{length}");
        assert_eq!(outbox.pending_bytes, 0);
    }
}

#[test]
fn control_frames_go_first_in_order_and_do_not_pile_up() {
    let mut outbox = new(bounds(1000, 10));
    assert_eq!(push(&mut outbox, 1), Pushed::Queued);
    for n in 0..100 {
        outbox.push_control(bytes(n));
    }
    let mut expected: Vec<Bytes> = (84..100).map(bytes).collect();
    expected.push(bytes(1));
    assert_eq!(drain(&mut outbox), expected);
}

#[derive(Clone, Debug)]
enum Step {
    Push,
    Pull,
    Lose,
    Resume,
    Acknowledge,
}

proptest! {
    /// However often the connection is lost, with whatever the network had swallowed, the client counts each frame once and in order.
    #[test]
    fn every_frame_arrives_once_and_in_order(steps in prop::collection::vec(
        prop_oneof![
            4 => Just(Step::Push), 4 => Just(Step::Pull), 1 => Just(Step::Lose), 2 => Just(Step::Resume), 1 => Just(Step::Acknowledge)
        ], 0..400), swallowed in prop::collection::vec(0_usize..4, 400)) {
        let mut outbox = new(bounds(1 << 20, 1000));
        let (mut made, mut got) = (0, Vec::new());
        // What was written and is still on its way.
        let mut wire: VecDeque<Bytes> = VecDeque::new();
        let mut connected = true;
        for (step, lost) in steps.into_iter().zip(swallowed) {
            match step {
                Step::Push => { prop_assert_eq!(push(&mut outbox, made), Pushed::Queued); made += 1; }
                Step::Pull if connected => {
                    wire.extend(pull(&mut outbox));
                    while wire.len() > lost { got.extend(wire.pop_front()); }
                }
                Step::Lose => { connected = false; wire.clear(); outbox.disconnect(); }
                Step::Resume => { wire.clear(); outbox.disconnect(); prop_assert_eq!(outbox.resume(got.len() as u64), Resumed::Yes); connected = true; }
                Step::Acknowledge if connected => prop_assert!(outbox.acknowledge(got.len() as u64)),
                _ => {}
            }
        }
        prop_assert_eq!(outbox.resume(got.len() as u64), Resumed::Yes);
        got.extend(drain(&mut outbox));
        let expected: Vec<Bytes> = (0..made).map(bytes).collect();
        prop_assert_eq!(got, expected);
        prop_assert_eq!(outbox.pending_bytes, 0);
    }
}

/// However many ask together, what they may be sent fits beside what waits, and each gets its turn.
#[test]
fn grants_fit_what_is_free_and_are_given_again_when_it_is_written() {
    let mut outbox = new(bounds(300, 100));
    let (mut out, mut answered) = (BytesMut::new(), 0);
    while answered < 50 {
        let mut granted = 0;
        while let Some(budget) = outbox.grant() {
            assert_eq!(budget, 100);
            granted += 1;
        }
        assert!((1..=2).contains(&granted), "{granted}");
        assert!(!outbox.has_room(), "nothing has been written since");
        for _ in 0..granted {
            let event = Encoded::of_bytes(Format::Json, vec![b'x'; 100].into());
            assert_eq!(outbox.push(&event, &Delivery::Sequenced), Pushed::Queued);
            outbox.use_grant();
            answered += 1;
        }
        assert!(!outbox.has_room(), "all that is free is taken");
        out.clear();
        outbox.take(&mut out, 1000);
        assert!(outbox.has_room());
        assert!(!outbox.has_room(), "said once");
    }
}

#[test]
fn grants_that_are_still_on_their_way_follow_the_session() {
    let mut outbox = new(bounds(300, 100));
    assert!(outbox.grant().is_some());
    assert!(outbox.grant().is_some());
    assert_eq!(outbox.append(&mut new(bounds(300, 100))), Pushed::Queued);
    assert_eq!(outbox.grant(), None, "two histories are yet to come");
    outbox.use_grant();
    assert!(outbox.grant().is_some());
}

#[test]
fn a_grant_that_is_not_used_up_makes_room_for_the_next() {
    let mut outbox = new(bounds(300, 100));
    for _ in 0..100 {
        assert_eq!(outbox.grant(), Some(100));
        outbox.use_grant();
    }
    let mut least = new(bounds(0, 0));
    assert_eq!((least.grant(), least.grant()), (Some(0), None));
    let mut most = new(bounds(usize::MAX, usize::MAX));
    for _ in 0..2 {
        assert_eq!(most.grant(), Some(usize::MAX / 3));
    }
    assert_eq!(most.grant(), None);
}

#[derive(Clone, Copy, Debug)]
enum Said {
    Latest,
    Counted,
    Subscribe,
    Read(usize),
    /// The connection is lost with so many frames on the way, and the client resumes.
    Cut(usize),
}

proptest! {
    /// A channel that delivers the newest, among counted events and over lost connections: whatever is skipped, the client of
    /// the present subscription ends with the newest, no offset goes back, and each counted event arrives once.
    #[test]
    fn a_subscriber_ends_with_the_newest_publication(said in prop::collection::vec(
        prop_oneof![
            4 => Just(Said::Latest),
            2 => Just(Said::Counted),
            1 => Just(Said::Subscribe),
            3 => (1..5_usize).prop_map(Said::Read),
            1 => (0..4_usize).prop_map(Said::Cut),
        ],
        0..80,
    )) {
        let newest = Delivery::Latest(Arc::new(ReplaceKey::Publication("clock".into())));
        let mut outbox = new(bounds(100_000, 1_000));
        // Frames are `kind number`: `l` of a publication, `c` of another event, `s` of an answer with the newest publication.
        let frame = |kind: char, n: u64| Encoded::of_bytes(Format::Json, format!("{kind} {n}").into());
        let (mut published, mut counted, mut answers) = (0_u64, 0_u64, Vec::new());
        let (mut received, mut has, mut seen) = (0_u64, None, Vec::new());
        let mut read = |frames: Vec<Bytes>, received: &mut u64, has: &mut Option<u64>| {
            for bytes in frames {
                let text = std::str::from_utf8(&bytes).unwrap();
                let n: u64 = text[2..].parse().unwrap();
                match &text[..1] {
                    "l" => *has = has.map(|known| known.max(n)),
                    "s" => {
                        *has = Some(n);
                        *received += 1;
                    }
                    _ => {
                        seen.push(n);
                        *received += 1;
                    }
                }
            }
        };
        for each in said.into_iter().chain([Said::Read(10_000)]) {
            match each {
                Said::Latest => {
                    published += 1;
                    let _replaced = outbox.push(&frame('l', published), &newest);
                }
                Said::Counted => {
                    counted += 1;
                    prop_assert_eq!(outbox.push(&frame('c', counted), &Delivery::Sequenced), Pushed::Queued);
                }
                Said::Subscribe => {
                    outbox.seal_publication(&"clock".into());
                    answers.push(published);
                    prop_assert_eq!(outbox.push(&frame('s', published), &Delivery::Sequenced), Pushed::Queued);
                }
                Said::Read(count) => {
                    let frames = std::iter::from_fn(|| pull(&mut outbox)).take(count).collect();
                    read(frames, &mut received, &mut has);
                }
                Said::Cut(lost) => {
                    for _ in 0..lost {
                        let _swallowed = pull(&mut outbox);
                    }
                    outbox.disconnect();
                    prop_assert_eq!(outbox.resume(received), Resumed::Yes);
                    // As the hub does for a session that returns.
                    let _queued = outbox.push(&frame('l', published), &newest);
                }
            }
        }
        prop_assert!(seen.into_iter().eq(1..=counted));
        prop_assert_eq!(has, (!answers.is_empty()).then_some(published));
    }
}

/// A change of the list of a channel, with its note.
fn update(channel: &str, note: u64) -> Delivery {
    Delivery::Presence(Arc::new(PresenceUpdate {
        place: crate::ids::Place::Channel(channel.into()),
        missed: frame(note),
    }))
}

#[test]
fn a_client_that_is_behind_gets_one_note_instead_of_changes_of_a_list() {
    let mut outbox = new(bounds(1 << 20, 1000));
    assert_eq!(outbox.push(&frame(1), &update("a", 91)), Pushed::Queued);
    let big = Bytes::from(vec![0; 17 << 10]);
    let pushed = outbox.push(
        &Encoded::of_bytes(Format::Json, big.clone()),
        &Delivery::Sequenced,
    );
    assert_eq!(pushed, Pushed::Queued);
    // The note takes the place of the change that waits already.
    assert_eq!(outbox.push(&frame(2), &update("a", 92)), Pushed::Unchanged);
    assert_eq!(outbox.push(&frame(3), &update("b", 93)), Pushed::Queued);
    for n in 4..1000 {
        assert_eq!(outbox.push(&frame(n), &update("b", n)), Pushed::Unchanged);
    }
    assert_eq!(drain(&mut outbox), [big, bytes(92), bytes(999)]);
    assert_eq!(outbox.held().unsent, 0);
    assert_eq!(outbox.push(&frame(5), &update("a", 95)), Pushed::Queued);
    outbox.disconnect();
    assert_eq!(drain(&mut outbox), Vec::<Bytes>::new());
}

#[test]
fn a_note_comes_after_a_whole_list_that_waits() {
    let mut outbox = new(bounds(1 << 20, 1000));
    let big = Bytes::from(vec![0; 17 << 10]);
    let wide = Encoded::of_bytes(Format::Json, big.clone());
    assert_eq!(outbox.push(&wide, &Delivery::Sequenced), Pushed::Queued);
    assert_eq!(outbox.push(&frame(1), &update("a", 98)), Pushed::Queued);
    // The client has asked for the list; in front of it, it would ignore that the list has changed since.
    assert_eq!(outbox.push(&frame(2), &Delivery::Plain), Pushed::Queued);
    assert_eq!(outbox.push(&frame(3), &update("a", 99)), Pushed::Unchanged);
    assert_eq!(drain(&mut outbox), [big, bytes(2), bytes(99)]);
    assert_eq!(outbox.held().unsent, 0);
}
