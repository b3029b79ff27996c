//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use courtside::Format;

/// Long proofs that no session is lost that could be kept: real processes, a network that fails, and clients of both libraries
/// that count everything in both directions.
#[derive(Debug, Parser)]
#[command(name = "courtside-prove", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The server is stopped (SIGSTOP) for a while, like a paused virtual machine.
    Freeze(FreezeArgs),
    /// The network fails for a while.
    Outage(OutageArgs),
    /// Many subscriptions to channels with full histories at once, and after a restart.
    Histories(HistoriesArgs),
    /// The clients of one run; the other commands start this.
    #[command(hide = true)]
    Players(PlayersArgs),
}

/// The client library.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Library {
    Rust,
    /// In Node, with the bundle that the server serves.
    Typescript,
}

/// How the server runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Way {
    Lean,
    Mounted,
}

/// How the network fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Fault {
    /// Connections are reset, and so are new ones.
    Refuse,
    /// Nothing arrives and no connection ends; what was sent meanwhile arrives later.
    Swallow,
}

#[derive(Debug, Args)]
pub(crate) struct FreezeArgs {
    /// For how long, in seconds.
    #[arg(long, value_delimiter = ',', default_value = "20,30,45,60")]
    pub(crate) secs: Vec<u64>,
    #[arg(long, default_value_t = 60)]
    pub(crate) clients: usize,
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "rust,typescript"
    )]
    pub(crate) library: Vec<Library>,
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "lean,mounted"
    )]
    pub(crate) way: Vec<Way>,
}

#[derive(Debug, Args)]
pub(crate) struct OutageArgs {
    /// For how long, in seconds.
    #[arg(long, value_delimiter = ',', default_value = "5,15,20,25")]
    pub(crate) secs: Vec<u64>,
    #[arg(long, default_value_t = 200)]
    pub(crate) clients: usize,
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "rust,typescript"
    )]
    pub(crate) library: Vec<Library>,
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "refuse,swallow"
    )]
    pub(crate) fault: Vec<Fault>,
}

#[derive(Debug, Args)]
pub(crate) struct HistoriesArgs {
    /// How many clients resubscribe after the restart.
    #[arg(long, default_value_t = 1000)]
    pub(crate) clients: usize,
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "rust,typescript"
    )]
    pub(crate) library: Vec<Library>,
}

#[derive(Debug, Args)]
pub(crate) struct PlayersArgs {
    /// The address of the server's WebSocket.
    #[arg(long)]
    pub(crate) url: String,
    #[arg(long)]
    pub(crate) clients: usize,
    /// How many channels with histories each client subscribes to, all at once. Without it, each joins the counting room.
    #[arg(long, default_value_t = 0)]
    pub(crate) channels: usize,
}

/// Half of the clients use each format.
pub(crate) fn format(n: usize) -> Format {
    Format::ALL[n % 2]
}
