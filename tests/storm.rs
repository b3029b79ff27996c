//! Many threads publish over real sockets, and each subscriber receives everything once and in order, or a gap. The
//! program `courtside-storm` does the same at full size.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use courtside_tests::storm::{Size, run};

#[test]
fn each_subscriber_receives_everything_once_and_in_order_or_is_told_of_a_gap() {
    let size = Size {
        publishers: 10,
        channels: 20,
        subscribers: 50,
        publications: 20_000,
        rate: 5_000,
    };
    let seen = run(size).unwrap();
    println!("{seen:?}");
    // Otherwise this would show nothing.
    assert!(seen.received > 20_000 && seen.sessions > 50);
    assert!(seen.resumes > 0 && seen.recovered > 0 && seen.again > 0);
    assert_eq!(seen.followed + seen.missed, 20_020);
}
