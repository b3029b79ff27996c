//! `courtside-bench-server`: the server that `courtside-load` measures.
//!
//! A room kind `bench` (`say` broadcasts, `echo` replies), a room kind `ticking`, a room kind `plain` with all defaults, a channel
//! `bench` and channels `bench/*` that clients may publish to, and the calls `echo` and `ticks`. For `courtside-prove`, a room kind `counting`, and channels with full histories.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it is a program for a terminal")]

mod counting;
mod plain;
mod talking;
mod ticking;

use actix_web::App;
use clap::Parser;
use courtside::prelude::*;
use courtside::{PublishError, Quota};
use serde::Deserialize;

use counting::Counting;
use plain::Plain;
use talking::{Bench, echo};
use ticking::{Lateness, Ticking, Ticks};
use tikv_jemallocator::Jemalloc;

/// As docs/getting-started.md advises for production.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// A Courtside server to be measured.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:4300")]
    bind: String,
    /// Serves by itself with lean connections (`Site::serve`), instead of mounted in an actix-web `HttpServer`.
    #[arg(long)]
    lean: bool,
    /// Threads that serve connections. With `--lean` there is one for each core that the process may use.
    #[arg(long, default_value_t = 1, conflicts_with = "lean")]
    workers: usize,
    /// Threads that run rooms and channels. Without it, as the framework decides: one for each core, and none where there is
    /// only one.
    #[arg(long)]
    room_threads: Option<usize>,
    /// How many channels `history/0`, `history/1` and so on begin with a full history, of 100 publications each.
    #[arg(long, default_value_t = 0)]
    histories: usize,
    /// Bytes of each of those publications.
    #[arg(long, default_value_t = 70)]
    publication_bytes: usize,
    /// Keeps the framework's default limits, and applies the limits per address to local clients, too. Without it, the rate of a
    /// session and the rooms and channels that an address creates are unlimited.
    #[arg(long)]
    limits: bool,
}

/// An address reserved for documentation (RFC 5737), which no client has.
const NO_PROXY: &str = "192.0.2.1";

/// Fills the channels before the first client connects.
async fn fill(server: &Server, cli: &Cli) -> Result<(), PublishError> {
    let text = "x".repeat(cli.publication_bytes);
    for n in 0..cli.histories * 100 {
        let channel = format!("history/{}", n / 100);
        server.publish(channel, &text).await?;
    }
    Ok(())
}

/// Requests how late ticks were.
#[derive(Deserialize, Message)]
#[message(name = "ticks", reply = Ticks)]
struct TakeTicks;

async fn ticks(call: Call<TakeTicks>) -> Result<Ticks, Refusal> {
    Ok(call.data::<Lateness>().take())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cli = Cli::parse();
    let listener = courtside::listen(&cli.bind)?;
    let mut config = Config::default();
    config.room_threads = cli.room_threads.unwrap_or(config.room_threads);
    if !cli.limits {
        // The generator sends at full speed, all from one address.
        config.limits.rate = None;
        config.limits.address_creations.rooms = Quota::UNBOUNDED;
        config.limits.address_creations.channels = Quota::UNBOUNDED;
    }
    let lateness = Lateness::new();
    let of_rooms = lateness.clone();
    let builder = match cli.limits {
        // With a trusted proxy, the server counts local addresses as well.
        true => Server::builder().trust_proxy(NO_PROXY),
        false => Server::builder(),
    };
    let server = builder
        .config(config)
        .room::<Bench>()
        .room::<Plain>()
        .room_with::<Ticking>(move |(), _| Ok(Ticking::new(of_rooms.clone())))
        .room::<Counting>()
        .channel("bench", Channel::open().history(16).publish_open())
        .channel("history/{*rest}", Channel::open())
        .channel("bench/{*rest}", Channel::open().publish_open())
        .handle(echo)
        .handle(ticks)
        .data(lateness)
        .build()?;
    fill(&server, &cli).await?;
    println!(
        "listening on {} as process {}",
        listener.local_addr()?,
        std::process::id()
    );
    if cli.lean {
        server.at("/ws").serve(listener).await?;
        return Ok(());
    }
    let http = server
        .at("/ws")
        .app(|routes| App::new().configure(routes))
        .http_server()
        .workers(cli.workers)
        .listen(listener)?
        .run();
    server.serve(http).await?;
    Ok(())
}
