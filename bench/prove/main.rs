//! `courtside-prove`: long proofs with real processes, which are not part of the tests.
//!
//! Each run has a server, a number of clients of one library, and a disturbance. A table shows the outcome of the clients; the
//! program fails if a session was lost, a client was closed, or anything is missing.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is a program for a terminal"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "it measures real time, and no test pauses its clock"
)]

mod cli;
mod host;
mod players;
mod proxy;
mod runs;
mod summary;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};

fn main() -> ExitCode {
    let result = match &Cli::parse().command {
        Command::Freeze(args) => runs::freeze(args),
        Command::Outage(args) => runs::outage(args),
        Command::Histories(args) => runs::histories(args),
        Command::Players(args) => players::run(args).and_then(|summary| {
            println!("{}", serde_json::to_string(&summary)?);
            Ok(true)
        }),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("courtside-prove: {error}");
            ExitCode::from(2)
        }
    }
}
