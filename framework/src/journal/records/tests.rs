//! Records come back as they were, and what is not a record is an error.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::super::encoding::{Decoder, Field, Malformed};
use super::super::ranges::Ranges;
use super::super::record::{Closed, Opened, Record};
use super::channel::*;
use super::parts::*;
use super::session::*;
use super::snap::*;
use super::turn::*;
use crate::ids::SessionId;
use crate::wire::codec::Format;

/// Records borrow what they contain, so the tests keep it until they end.
fn text() -> impl Strategy<Value = &'static str> {
    "[a-zé/]{0,12}".prop_map(|text| &*text.leak())
}

fn bytes() -> impl Strategy<Value = &'static [u8]> {
    vec(any::<u8>(), 0..40).prop_map(|bytes| &*bytes.leak())
}

fn session() -> impl Strategy<Value = SessionId> {
    any::<u128>().prop_map(|id| SessionId::from_uuid(Uuid::from_u128(id)))
}

fn time() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
}

fn format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Json), Just(Format::MsgPack)]
}

fn data() -> impl Strategy<Value = Data<'static>> {
    (format(), bytes()).prop_map(|(format, bytes)| Data { format, bytes })
}

fn numbers() -> impl Strategy<Value = Ranges> {
    vec((1..1000_u64, 0..9_u64), 0..4).prop_map(|ranges| {
        let mut numbers = Ranges::default();
        for (first, length) in ranges {
            numbers.insert_range(first..=first + length);
        }
        numbers
    })
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![
        (1..u32::MAX).prop_map(Who::Member),
        session().prop_map(Who::Session)
    ]
}

fn consumed<W: std::fmt::Debug>(
    by: impl Strategy<Value = W>,
) -> impl Strategy<Value = ConsumedList<W>> {
    let one = (by, numbers()).prop_map(|(by, numbers)| Consumed { by, numbers });
    vec(one, 0..3).prop_map(ConsumedList::from_vec)
}

fn origin() -> impl Strategy<Value = Origin<'static>> {
    prop_oneof![
        Just(Origin::Application),
        (text(), any::<u64>()).prop_map(|(room, number)| Origin::Room { room, number }),
        (session(), any::<u64>()).prop_map(|(session, number)| Origin::Session { session, number }),
        text().prop_map(|key| Origin::Key { key }),
    ]
}

fn enter() -> impl Strategy<Value = Enter<'static>> {
    (any::<u32>(), session(), option::of(data())).prop_map(|(member, session, shown)| Enter {
        member,
        session,
        shown,
    })
}

fn step() -> impl Strategy<Value = TurnStep<'static>> {
    let to = prop_oneof![
        Just(Audience::All),
        any::<u32>().prop_map(Audience::Except),
        who().prop_map(Audience::Only),
        vec(any::<u32>(), 0..5).prop_map(Audience::Among),
    ];
    prop_oneof![
        (to, data()).prop_map(|(to, frame)| TurnStep::Send { to, frame }),
        enter().prop_map(TurnStep::Enter),
        any::<u32>().prop_map(|member| TurnStep::Exit { member }),
    ]
}

fn reminder() -> impl Strategy<Value = Reminder<'static>> {
    let due = prop_oneof![
        Just(Due::Never),
        time().prop_map(Due::RoomTime),
        any::<u64>().prop_map(Due::WallTime),
    ];
    (text(), due).prop_map(|(key, due)| Reminder { key, due })
}

fn listing() -> impl Strategy<Value = Listing<'static>> {
    (any::<bool>(), any::<bool>(), bytes()).prop_map(|(is_locked, is_private, metadata)| Listing {
        is_locked,
        is_private,
        metadata,
    })
}

fn seat() -> impl Strategy<Value = Seat> {
    (session(), option::of(time())).prop_map(|(session, until)| Seat { session, until })
}

fn rare() -> impl Strategy<Value = RareChanges<'static>> {
    let publication =
        (any::<u64>(), text(), data()).prop_map(|(number, channel, data)| RoomPublication {
            number,
            channel,
            data,
        });
    (
        vec(reminder(), 0..3),
        vec(publication, 0..3),
        option::of(listing()),
        vec(seat(), 0..3),
        vec(origin(), 0..3),
        any::<bool>(),
    )
        .prop_map(
            |(reminders, publications, listing, seats, received, has_ended)| RareChanges {
                reminders,
                publications,
                listing,
                seats,
                received,
                has_ended,
            },
        )
}

fn turn() -> impl Strategy<Value = Record<'static>> {
    let state = prop_oneof![
        Just(StateChange::None),
        bytes().prop_map(StateChange::Patch),
        bytes().prop_map(StateChange::Whole),
    ];
    (
        (text(), time(), any::<u64>()),
        consumed(who()),
        state,
        vec(step(), 0..4),
        option::of(rare()),
    )
        .prop_map(|((room, now, tick), consumed, state, steps, rare)| {
            Record::Turn(Turn {
                room,
                now,
                tick,
                consumed,
                state,
                steps: steps.into(),
                rare: rare.map(Box::new),
            })
        })
}

fn identity() -> impl Strategy<Value = Identity<'static>> {
    (option::of(text()), option::of(data()), option::of(time())).prop_map(
        |(subject, claims, expires)| Identity {
            subject,
            claims,
            expires,
        },
    )
}

fn session_record() -> impl Strategy<Value = Record<'static>> {
    let change = prop_oneof![
        (format(), identity())
            .prop_map(|(format, identity)| SessionChange::Begun { format, identity }),
        identity().prop_map(SessionChange::Identified),
        (any::<u64>(), any::<u64>()).prop_map(|(generation, attempt)| SessionChange::Confirmed {
            generation,
            attempt
        }),
        any::<u64>().prop_map(|from| SessionChange::Renumbered { from }),
        option::of(data()).prop_map(SessionChange::Ticket),
        Just(SessionChange::Overflowed),
        Just(SessionChange::Ended),
    ];
    (session(), change)
        .prop_map(|(session, change)| Record::Session(SessionRecord { session, change }))
}

fn call() -> impl Strategy<Value = Call<'static>> {
    (
        session(),
        any::<u64>(),
        option::of(any::<u64>()),
        text(),
        data(),
    )
        .prop_map(|(session, number, id, name, data)| Call {
            session,
            number,
            id,
            name,
            data,
        })
}

fn published() -> impl Strategy<Value = Published<'static>> {
    (any::<u64>(), time(), data(), origin()).prop_map(|(offset, at, data, origin)| Published {
        offset,
        at,
        data,
        origin,
    })
}

fn subscriber() -> impl Strategy<Value = Subscriber<'static>> {
    (
        session(),
        any::<bool>(),
        option::of(time()),
        option::of(data()),
    )
        .prop_map(|(session, delta, until, shown)| Subscriber {
            session,
            delta,
            until,
            shown,
        })
}

fn channel_record() -> impl Strategy<Value = Record<'static>> {
    let step = prop_oneof![
        published().prop_map(ChannelStep::Publish),
        subscriber().prop_map(ChannelStep::Subscribe),
        session().prop_map(|session| ChannelStep::Unsubscribe { session }),
        (session(), data()).prop_map(|(to, frame)| ChannelStep::Send { to, frame }),
        Just(ChannelStep::End),
    ];
    (text(), consumed(session()), vec(step, 0..4)).prop_map(|(channel, consumed, steps)| {
        Record::Channel(ChannelRecord {
            channel,
            consumed,
            steps: steps.into(),
        })
    })
}

fn room_snap() -> impl Strategy<Value = Record<'static>> {
    (
        (text(), text(), any::<u32>(), data(), time(), any::<u64>()),
        (consumed(who()), bytes(), vec(enter(), 0..4), any::<u32>()),
        (
            vec(reminder(), 0..3),
            any::<u64>(),
            listing(),
            vec(seat(), 0..3),
            vec(origin(), 0..3),
        ),
    )
        .prop_map(|(a, b, c)| {
            Record::RoomSnap(Box::new(RoomSnap {
                room: a.0,
                kind: a.1,
                version: a.2,
                options: a.3,
                now: a.4,
                tick: a.5,
                consumed: b.0,
                state: b.1,
                members: b.2,
                newest_member: b.3,
                reminders: c.0,
                publications: c.1,
                listing: c.2,
                seats: c.3,
                received: c.4,
            }))
        })
}

fn session_snap() -> impl Strategy<Value = Record<'static>> {
    (
        (
            session(),
            any::<u64>(),
            format(),
            identity(),
            any::<u64>(),
            any::<u64>(),
        ),
        (
            any::<u64>(),
            numbers(),
            any::<u64>(),
            vec(data(), 0..5),
            any::<bool>(),
        ),
        (vec(call(), 0..3), option::of(data())),
    )
        .prop_map(|(a, b, c)| {
            Record::SessionSnap(Box::new(SessionSnap {
                session: a.0,
                as_of: a.1,
                format: a.2,
                identity: a.3,
                generation: a.4,
                attempt: a.5,
                settled: b.0,
                beyond: b.1,
                forgotten: b.2,
                outbox: b.3,
                has_overflowed: b.4,
                calls: c.0,
                ticket: c.1,
            }))
        })
}

fn channel_snap() -> impl Strategy<Value = Record<'static>> {
    let key = (origin(), any::<u64>(), time()).prop_map(|(origin, offset, at)| Remembered {
        origin,
        offset,
        at,
    });
    (
        (text(), text(), any::<u64>()),
        (
            vec(published(), 0..4),
            vec(subscriber(), 0..4),
            vec(key, 0..3),
        ),
    )
        .prop_map(|(a, b)| {
            Record::ChannelSnap(Box::new(ChannelSnap {
                channel: a.0,
                epoch: a.1,
                offset: a.2,
                history: b.0,
                subscribers: b.1,
                keys: b.2,
            }))
        })
}

fn record() -> impl Strategy<Value = Record<'static>> {
    let opened = (any::<u128>(), any::<u64>(), any::<u32>(), any::<bool>()).prop_map(
        |(boot, at, process, waits_for_disk)| {
            Record::Opened(Opened {
                boot,
                at,
                process,
                waits_for_disk,
            })
        },
    );
    let own = (session(), numbers(), vec(data(), 0..3)).prop_map(|(session, consumed, frames)| {
        Record::Own(Own {
            session,
            consumed,
            frames: frames.into(),
        })
    });
    let called =
        (session(), any::<u64>(), option::of(data())).prop_map(|(session, number, frame)| {
            Record::Called(Called {
                session,
                number,
                frame,
            })
        });
    prop_oneof![
        opened,
        any::<u64>().prop_map(|at| Record::Closed(Closed { at })),
        turn(),
        session_record(),
        own,
        call().prop_map(Record::Call),
        called,
        channel_record(),
        room_snap(),
        session_snap(),
        channel_snap(),
    ]
}

fn encoded(record: &Record<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.put(&mut bytes);
    bytes
}

/// The record, if it is all that there is.
fn decoded(bytes: &[u8]) -> Result<Record<'_>, Malformed> {
    let mut from = Decoder::new(bytes);
    let record = Record::get(&mut from)?;
    from.is_empty().then_some(record).ok_or(Malformed)
}

proptest! {
    #[test]
    fn a_record_comes_back_and_no_part_of_it_is_one(record in record()) {
        let bytes = &*encoded(&record).leak();
        prop_assert_eq!(decoded(bytes), Ok(record));
        for length in 0..bytes.len() {
            prop_assert_eq!(decoded(&bytes[..length]), Err(Malformed));
        }
    }

    /// A checksum finds the changed byte before. If it were right, there would still be another record or an error.
    #[test]
    fn changed_bytes_are_another_record_or_an_error(
        record in record(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encoded(&record);
        let at = at.index(bytes.len());
        bytes[at] ^= byte;
        if let Ok(other) = decoded(&bytes) {
            // Each record has one encoding.
            prop_assert_eq!(&encoded(&other), &bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_are_a_record_or_an_error(kind in 0..13_u8, bytes in vec(any::<u8>(), 0..400)) {
        let bytes = [&[kind], &bytes[..]].concat();
        if let Ok(record) = decoded(&bytes) {
            prop_assert_eq!(&encoded(&record), &bytes);
        }
    }
}

/// The record of a usual turn is hardly longer than the event that it contains.
#[test]
fn a_turn_that_answers_costs_few_bytes_besides_its_answer() {
    let frame = [b'x'; 100];
    let turn = Record::Turn(Turn {
        room: "b6ff1c7e9a2d",
        now: Duration::new(40, 123_456_789),
        tick: 800,
        consumed: ConsumedList::from_vec(vec![Consumed {
            by: Who::Member(3),
            numbers: Ranges::from(crate::origin::ActionNumber::new(200).unwrap()),
        }]),
        state: StateChange::None,
        steps: smallvec::smallvec![TurnStep::Send {
            to: Audience::All,
            frame: Data {
                format: Format::Json,
                bytes: &frame,
            },
        }],
        rare: None,
    });
    let bytes = encoded(&turn).len();
    assert!(bytes <= 100 + 36, "{bytes}");
}
