//! `cargo run --release -p courtside-tests --bin courtside-tell-storm`: 8 threads send a million messages to 1,000 rooms, which begin,
//! end and crash meanwhile.
#![allow(clippy::print_stdout)] // It is a program for the terminal.

use std::time::Instant;

use courtside_tests::tell_storm::{Size, run};

fn main() -> Result<(), String> {
    // Thousands of rooms crash.
    std::panic::set_hook(Box::new(|_| {}));
    let size = Size {
        senders: 8,
        rooms: 1_000,
        messages: 1_000_000,
        crash_in: 1_000,
    };
    println!("{size:?}");
    #[allow(clippy::disallowed_methods)] // It measures real time.
    let began = Instant::now();
    let seen = run(size)?;
    println!("{seen:#?}, in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}
