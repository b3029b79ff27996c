//! The command line.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::process::Process;
use crate::talk::Protocol;

/// Puts load on a WebSocket server and checks every message that comes back.
///
/// It runs on one thread. Pin the server and the generator to different cores, and watch `own_cpu_percent`: near 100, the
/// generator measures itself.
#[derive(Debug, Parser)]
#[command(name = "courtside-load", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One client publishes, all receive.
    Fanout(FanoutArgs),
    /// Each connection sends a text and waits for the answer.
    Echo(EchoArgs),
    /// Many idle connections: memory for each.
    Idle(IdleArgs),
    /// All sessions are disconnected at once and resume with their tokens; plain connections only reconnect.
    Storm(StormArgs),
    /// Some of the readers stop reading; the others must not be affected.
    Slow(SlowArgs),
    /// Many small rooms that tick: how late the ticks are, and the cost. Needs the kind `ticking` of courtside-bench-server.
    Rooms(RoomsArgs),
    /// A hostile client, and its effect on an honest one. Needs the rooms and channels of courtside-bench-server.
    Siege(SiegeArgs),
    /// The hostile client of `siege` alone.
    Hostile(HostileArgs),
}

/// The server, and how it is measured.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The server's address.
    #[arg(long, default_value = "127.0.0.1:4300")]
    server: String,
    /// The server's protocol.
    #[arg(long, value_enum, default_value = "courtside")]
    pub(crate) protocol: Protocol,
    /// The path of its WebSocket. Default: `/ws`, for plain servers `/`, for Socket.IO `/socket.io/?EIO=4&transport=websocket`.
    #[arg(long)]
    pub(crate) path: Option<String>,
    /// The server's process id, if it runs on this machine: its CPU and memory are measured, too.
    #[arg(long)]
    pid: Option<u32>,
    /// How long to measure.
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    pub(crate) secs: f64,
    /// Prints one JSON object instead of lines, and no progress.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Target {
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        let addresses = self.server.to_socket_addrs().map_err(|error| {
            io::Error::new(
                error.kind(),
                format!(
                    "`--server {}` is no address: {error}; one looks like 127.0.0.1:4300",
                    self.server
                ),
            )
        })?;
        let mut addresses: Vec<_> = addresses.collect();
        // A name such as localhost often has both kinds of addresses; servers often listen only on IPv4.
        addresses.sort_by_key(SocketAddr::is_ipv6);
        addresses
            .first()
            .copied()
            .ok_or_else(|| io::Error::other("`--server` has no address"))
    }

    pub(crate) fn process(&self) -> io::Result<Option<Process>> {
        self.pid.map(Process::find).transpose()
    }
}

/// What carries a broadcast.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Via {
    /// A channel that lets clients publish.
    Channel,
    /// A room that broadcasts the data of `say`.
    Room,
}

/// What answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum EchoVia {
    /// A room that replies to `echo`; all connections are in one.
    Room,
    /// The server's call `echo`.
    Call,
}

#[derive(Debug, Args)]
pub(crate) struct FanoutArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    #[arg(long, value_enum, default_value = "channel")]
    pub(crate) via: Via,
    /// The channel, or the kind of room.
    #[arg(long, default_value = "bench")]
    pub(crate) name: String,
    /// How many connections receive; the first of them also publishes.
    #[arg(long, default_value_t = 1000, value_parser = count)]
    pub(crate) receivers: usize,
    /// Broadcasts per second. Without it, `--window` broadcasts are kept in flight, at full speed.
    #[arg(long, value_parser = positive)]
    pub(crate) rate: Option<f64>,
    /// How many broadcasts are in flight at once.
    #[arg(long, default_value_t = 16, value_parser = count)]
    pub(crate) window: usize,
    /// Bytes of the text that is broadcast; 17 at least.
    #[arg(long, default_value_t = 100)]
    pub(crate) size: usize,
    /// Seconds before the measurement.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) warm_up: f64,
}

#[derive(Debug, Args)]
pub(crate) struct EchoArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    #[arg(long, value_enum, default_value = "room")]
    pub(crate) via: EchoVia,
    /// The kind of room.
    #[arg(long, default_value = "bench")]
    pub(crate) name: String,
    #[arg(long, default_value_t = 100, value_parser = count)]
    pub(crate) connections: usize,
    /// How many requests each connection has in flight.
    #[arg(long, default_value_t = 1, value_parser = count)]
    pub(crate) window: usize,
    /// Bytes of the text; 17 at least.
    #[arg(long, default_value_t = 100)]
    pub(crate) size: usize,
    /// Seconds before the measurement.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) warm_up: f64,
}

#[derive(Debug, Args)]
pub(crate) struct IdleArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// What each session joins or subscribes to. Default: nothing.
    #[arg(long, value_enum)]
    pub(crate) via: Option<Via>,
    /// The channel, or the kind of room.
    #[arg(long, default_value = "bench")]
    pub(crate) name: String,
    #[arg(long, default_value_t = 10_000, value_parser = count)]
    pub(crate) sessions: usize,
}

#[derive(Debug, Args)]
pub(crate) struct StormArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The channel, which must let clients publish.
    #[arg(long, default_value = "bench")]
    pub(crate) name: String,
    #[arg(long, default_value_t = 5000, value_parser = count)]
    pub(crate) sessions: usize,
    /// How many publications each session misses while it is disconnected.
    #[arg(long, default_value_t = 3)]
    pub(crate) missed: usize,
    /// How many resumes are in flight at once.
    #[arg(long, default_value_t = 128, value_parser = count)]
    pub(crate) at_once: usize,
}

#[derive(Debug, Args)]
pub(crate) struct SlowArgs {
    #[command(flatten)]
    pub(crate) fanout: FanoutArgs,
    /// How many additional readers stop reading.
    #[arg(long, default_value_t = 10, value_parser = count)]
    pub(crate) stalled: usize,
    /// For how many seconds the stalled ones are kept open, unless the server disconnects them before.
    #[arg(long, default_value_t = 30.0, value_parser = positive)]
    pub(crate) patience: f64,
}

#[derive(Debug, Args)]
pub(crate) struct RoomsArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// How many rooms; each has 4 members.
    #[arg(long, default_value_t = 1000, value_parser = count)]
    pub(crate) rooms: usize,
}

/// The bound that a hostile client tries to use up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Bound {
    /// Creates rooms and leaves them.
    Rooms,
    /// Publishes to new channels again and again.
    Channels,
    /// Opens connections and drops them, so that their sessions stay.
    Sessions,
    /// Requests much data, reads it, and never acknowledges.
    Outboxes,
}

impl Bound {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rooms => "rooms",
            Self::Channels => "channels",
            Self::Sessions => "sessions",
            Self::Outboxes => "outboxes",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct SiegeArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The bound that the hostile client tries to use up.
    #[arg(long, value_enum)]
    pub(crate) bound: Bound,
    /// How many times to measure for `--secs`, without and with the hostile client.
    #[arg(long, default_value_t = 5, value_parser = count)]
    pub(crate) rounds: usize,
    /// For how many seconds the hostile client runs alone before the honest one starts.
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    pub(crate) lead: f64,
    /// How many times a second the honest client opens a connection, creates a room, subscribes and leaves.
    #[arg(long, default_value_t = 20.0, value_parser = positive)]
    pub(crate) rate: f64,
    /// The address of the hostile client if the server listens on 127.0.0.1, which is the honest client's address.
    #[arg(long, default_value = "127.0.0.2")]
    pub(crate) from: Ipv4Addr,
    /// How many MB of memory the hostile client may add to the server. The default is `Limits::bytes_in_all`, 268 MB by default,
    /// and two fifths for what it does not cover: the allocator's rounding (a tenth), freed memory that the allocator keeps for 10 s
    /// (a fifth), rooms, histories, sessions and sockets.
    #[arg(long, default_value_t = 375.0, value_parser = positive)]
    pub(crate) growth_mb: f64,
}

#[derive(Debug, Args)]
pub(crate) struct HostileArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The bound that it tries to use up.
    #[arg(long, value_enum)]
    pub(crate) bound: Bound,
    /// Its address, if the server listens on 127.0.0.1.
    #[arg(long, default_value = "127.0.0.2")]
    pub(crate) from: Ipv4Addr,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1e6 => Ok(number),
        _ => Err("it must be a number above 0".to_owned()),
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(number) if number > 0 && number <= 1_000_000 => Ok(number),
        _ => Err("it must be a whole number from 1 to 1000000".to_owned()),
    }
}
