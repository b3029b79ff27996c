//! The cost of a change of a room for the lobby while 200 clients follow listings:
//! `cargo bench -p courtside --features __bench --bench listing`.
//!
//! It must not grow with the number of rooms. What is measured includes the events, encoded; not their delivery.
#![allow(missing_docs)]

use courtside::bench::listing::FollowedRooms;
use divan::{Bencher, black_box};

const ROOMS: [usize; 3] = [100, 1_000, 10_000];
const CLIENTS: usize = 200;

fn main() {
    divan::main();
}

#[divan::bench(args = ROOMS, sample_size = 100, sample_count = 500)]
fn join_or_leave(bencher: Bencher<'_, '_>, rooms: usize) {
    let mut followed = FollowedRooms::new(rooms, CLIENTS);
    bencher.bench_local(|| black_box(followed.join_or_leave()));
}

#[divan::bench(args = ROOMS, sample_size = 100, sample_count = 500)]
fn begin_or_end(bencher: Bencher<'_, '_>, rooms: usize) {
    let mut followed = FollowedRooms::new(rooms, CLIENTS);
    bencher.bench_local(|| black_box(followed.begin_or_end()));
}

/// This grows with the number of rooms: the lobby looks at each of them once. A client may do it twice a second, by default.
#[divan::bench(args = ROOMS, sample_count = 200)]
fn follow_a_filter_of_its_own(bencher: Bencher<'_, '_>, rooms: usize) {
    let mut followed = FollowedRooms::new(rooms, CLIENTS);
    bencher.bench_local(|| black_box(followed.follow_and_unfollow()));
}
