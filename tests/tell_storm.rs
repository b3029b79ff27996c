//! Many threads tell many rooms, which begin, end and crash meanwhile: each message is handled once and in order, or its sender has
//! an error. The program `courtside-tell-storm` does the same at full size.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use courtside_tests::tell_storm::{Size, run};

#[test]
fn each_message_is_handled_once_and_in_order_or_its_sender_has_an_error() {
    let size = Size {
        senders: 8,
        rooms: 100,
        messages: 40_000,
        crash_in: 1_000,
    };
    let seen = run(size).unwrap();
    println!("{seen:?}");
    let outcomes = [
        seen.handled,
        seen.refused,
        seen.crashed,
        seen.gone,
        seen.busy,
    ];
    assert_eq!(outcomes.iter().sum::<u64>(), size.messages);
    // Otherwise this would show nothing.
    assert!(seen.handled > 20_000 && seen.refused > 0 && seen.crashed > 0);
    assert!(seen.gone > 0 && seen.rooms > size.rooms);
}
