//! A live scoreboard: replays a football tournament and publishes every goal as it is scored.
//!
//! A feed is read into a tournament, the tournament is laid out as a schedule of events, and the
//! publisher plays the schedule in real time. All but the last step is a pure function.
#![forbid(unsafe_code)]

mod board;
mod chances;
mod cli;
mod clock;
mod feed;
mod kickoff;
mod match_state;
mod minute;
mod pages;
mod passes;
mod premium;
mod problem;
mod publisher;
mod referee;
mod rules;
mod schedule;
mod scoreboard;
mod server;
mod standings;
mod text;
mod timeline;
mod tournament;
mod update;

use std::{net::SocketAddr, process::ExitCode};

use clap::Parser;

use crate::{
    cli::Cli, feed::Feed, passes::Passes, problem::Problem, referee::PushedFeed, schedule::Plan,
    scoreboard::Scoreboard, tournament::Tournament,
};

/// What is replayed without `--feed`.
const FAMOUS_FINALS: &str = include_str!("../data/famous-finals.json");

/// A feed without scorers has a note for every match; a few are enough.
const NOTES_SHOWN: usize = 5;

#[actix_web::main]
async fn main() -> ExitCode {
    match serve(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            complain(&format!("example-scores: {problem}"));
            ExitCode::FAILURE
        }
    }
}

async fn serve(cli: Cli) -> Result<(), Problem> {
    let feed = match &cli.feed_key {
        Some(_) => None,
        None => Some(read(&cli)?),
    };
    let listener = courtside::listen(&cli.bind).map_err(Problem::Listen)?;
    let address = listener.local_addr().map_err(Problem::Listen)?;
    let scoreboard = Scoreboard::default();
    let passes = Passes::default();
    let (pushed, accepted) = PushedFeed::new(cli.speed());
    let opening = pushed.opening();
    let pushed = cli.feed_key.as_ref().map(|_| pushed);
    let server = server::build(
        scoreboard.clone(),
        passes.clone(),
        pushed,
        cli.data.as_deref(),
    )?;
    let api = match &cli.feed_key {
        Some(key) => {
            referee::open(&server, &opening).await?;
            Some(server::api(&server, key)?)
        }
        None => None,
    };
    match &feed {
        Some(feed) => greet(feed, address),
        None => say(&format!(
            "Waiting for a referee at {host}{}. Open {host}/",
            server::API,
            host = host_of(address)
        )),
    }

    let plan = Plan {
        speed: cli.speed(),
        again_in: cli.again_in(),
    };
    let outlet = server.clone();
    let publisher = actix_web::rt::spawn(async move {
        let updates = async {
            match &feed {
                Some(feed) => {
                    publisher::play(&outlet, &scoreboard, &feed.tournament, &plan).await?;
                }
                None => publisher::relay(&outlet, &scoreboard, plan.speed, accepted).await?,
            }
            // The others go on: they have no more matches, and nothing to publish.
            std::future::pending().await
        };
        let outcome: Result<(), _> = tokio::select! {
            outcome = updates => outcome,
            outcome = clock::run(&outlet, &scoreboard) => outcome,
            outcome = premium::run(&outlet, &scoreboard) => outcome,
        };
        if let Err(error) = outcome {
            complain(&format!("example-scores: publishing ended: {error}"));
        }
    });
    let outcome = server::run(&server, passes, api, listener).await;
    publisher.abort();
    outcome
}

/// Says what is replayed, and what is doubtful about it.
fn greet(feed: &Feed, address: SocketAddr) {
    for note in feed.notes.iter().take(NOTES_SHOWN) {
        complain(&format!("note: {note}"));
    }
    if let Some(more @ 1..) = feed.notes.len().checked_sub(NOTES_SHOWN) {
        complain(&format!("note: … and {more} more of this kind."));
    }
    say(&greeting(&feed.tournament, address));
}

fn read(cli: &Cli) -> Result<Feed, Problem> {
    match &cli.feed {
        None => Feed::parse(FAMOUS_FINALS).map_err(Problem::BuiltIn),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Problem::Unreadable(path.clone(), error))?;
            Feed::parse(&text).map_err(|error| Problem::Feed(path.clone(), error))
        }
    }
}

/// The line at the start: the tournament, and the address to open.
fn greeting(tournament: &Tournament, address: SocketAddr) -> String {
    format!(
        "{}: {} matches, {} goals. Open {}/",
        tournament.name,
        tournament.fixtures.len(),
        tournament.goals(),
        host_of(address),
    )
}

/// The begin of addresses that a browser on this machine can open.
fn host_of(address: SocketAddr) -> String {
    // A browser cannot open 0.0.0.0.
    let host = match address.ip() {
        ip if ip.is_unspecified() => "localhost".to_owned(),
        ip => SocketAddr::new(ip, 0)
            .to_string()
            .trim_end_matches(":0")
            .to_owned(),
    };
    format!("http://{host}:{}", address.port())
}

#[expect(
    clippy::print_stdout,
    reason = "this is a program, and this is its output"
)]
fn say(line: &str) {
    println!("{line}");
}

#[expect(
    clippy::print_stderr,
    reason = "this is a program, and these are its complaints"
)]
fn complain(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_names_an_address_that_can_be_opened() {
        let tournament = Feed::parse(FAMOUS_FINALS).unwrap().tournament;
        let open = |address: &str| {
            let text = greeting(&tournament, address.parse().unwrap());
            text.split_once("Open ").unwrap().1.to_owned()
        };
        assert_eq!(open("127.0.0.1:4100"), "http://127.0.0.1:4100/");
        assert_eq!(open("0.0.0.0:80"), "http://localhost:80/");
        assert_eq!(open("[::1]:4100"), "http://[::1]:4100/");
    }
}
