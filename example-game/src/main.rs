//! Runs the example game.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use clap::Parser;
use example_game::arena::Records;
use example_game::player::Passes;
use example_game::settings::{CAPACITY, Settings};
use example_game::sign_in::{self, Visits};
use example_game::{pages, site};

/// A real-time arena in the browser, with bots until friends join.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The address to listen on; with 0.0.0.0:4000 others in your network can play, and port 0 takes any free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4000")]
    bind: String,

    /// Bots fill each arena up to this many ships and make room for players; 0 for none
    #[arg(long, value_name = "SHIPS", default_value_t = 8, value_parser = ships)]
    bots: usize,

    /// Length of a round in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(5..=3600))]
    round: u16,

    /// The secret of a key to the HTTP API at /api/v1, of at least 32 characters; without it, there is no API
    #[arg(long, value_name = "SECRET")]
    admin_key: Option<String>,
}

fn ships(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(ships) if ships <= CAPACITY => Ok(ships),
        _ => Err(format!("a number from 0 to {CAPACITY}")),
    }
}

#[actix_web::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed standard error is no reason to panic.
            let _ = writeln!(io::stderr(), "example-game: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(io::stderr)
        .init();
    // Before anything else, so that a failure is the only output.
    let listener = courtside::listen(&options.bind).map_err(|error| advised(&error))?;
    let settings = Settings {
        ships: options.bots,
        round_seconds: f32::from(options.round),
        ..Settings::default()
    };
    let (passes, visits) = (Passes::default(), Visits::default());
    let server = site::builder(settings, Records::default(), passes.clone()).build()?;
    let api = options.admin_key.map(|key| site::api(&server, key));
    let api = api.transpose()?;
    let url = url(listener.local_addr()?);
    // A closed standard output must not stop the game.
    let _ = writeln!(io::stdout(), "The arena is open: {url}  (Ctrl-C closes it)");
    server
        .at("/ws")
        .client_at("/courtside.js")
        .configure(pages::configure)
        .configure(move |app| {
            sign_in::configure(app, passes.clone(), visits.clone());
            if let Some(api) = &api {
                app.service(api.at(site::API));
            }
        })
        .serve(listener)
        .await?;
    Ok(())
}

/// The error and, if the port is in use, the option that helps.
fn advised(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "{error}\nAnother port is chosen with --bind, for example --bind 127.0.0.1:4001"
        ),
        _ => error.to_string(),
    }
}

/// The address to open in a browser on this machine: the wildcard address cannot be opened.
fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}/", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_to_open_can_be_opened() {
        let url_of = |text: &str| url(text.parse().expect("an address"));
        assert_eq!(url_of("127.0.0.1:4000"), "http://127.0.0.1:4000/");
        assert_eq!(url_of("0.0.0.0:80"), "http://127.0.0.1:80/");
        assert_eq!(url_of("[::]:4000"), "http://[::1]:4000/");
    }

    #[test]
    fn a_taken_port_is_said_plainly() {
        let taken = courtside::listen("127.0.0.1:0").expect("some port is free");
        let address = taken.local_addr().expect("it is bound").to_string();
        let error = courtside::listen(&address).expect_err("it is taken");
        let said = advised(&error);
        assert!(said.contains(&address) && said.contains("--bind"), "{said}");
    }

    #[test]
    fn more_bots_than_seats_are_refused() {
        assert!(Options::try_parse_from(["example-game", "--bots", "13"]).is_err());
        assert!(Options::try_parse_from(["example-game", "--bots", "0"]).is_ok());
    }
}
