//! `courtside-load`: a load generator for WebSocket servers.
//!
//! A *swarm* is many connections on one thread; a *crowd* is what happens on them; the *talk* is what the protocol has them
//! say. Each subcommand has its file.
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
mod dial;
mod echo;
mod fanout;
mod gather;
mod hostile;
mod idle;
mod process;
mod progress;
mod report;
mod rooms;
mod siege;
mod slow;
mod storm;
mod swarm;
mod talk;
mod ws;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (report, json) = match &cli.command {
        Command::Fanout(args) => (fanout::run(args), args.target.json),
        Command::Echo(args) => (echo::run(args), args.target.json),
        Command::Idle(args) => (idle::run(args), args.target.json),
        Command::Storm(args) => (storm::run(args), args.target.json),
        Command::Slow(args) => (slow::run(args), args.fanout.target.json),
        Command::Rooms(args) => (rooms::run(args), args.target.json),
        Command::Siege(args) => (siege::run(args), args.target.json),
        Command::Hostile(args) => (hostile::run(args), args.target.json),
    };
    match report {
        Ok(report) => {
            if json {
                println!("{}", report.json());
            } else {
                print!("{}", report.lines());
            }
            ExitCode::from(u8::from(report.has_failed()))
        }
        Err(error) => {
            eprintln!("courtside-load: {error}");
            ExitCode::from(2)
        }
    }
}
