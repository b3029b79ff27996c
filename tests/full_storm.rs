//! `cargo run --release -p courtside-tests --bin courtside-storm`: 50 threads publish a million times to 200 channels, and 500
//! subscribers of two channels each come, go, are cut and come back.
#![allow(clippy::print_stdout)] // It is a program for the terminal.

use courtside_tests::storm::{Size, run};

fn main() -> Result<(), String> {
    let size = Size {
        publishers: 50,
        channels: 200,
        subscribers: 500,
        publications: 1_000_000,
        rate: 20_000,
    };
    println!("{size:?}: at least 50 s");
    let seen = run(size)?;
    println!("{seen:#?}");
    Ok(())
}
