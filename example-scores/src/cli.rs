//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// A live scoreboard: replays a football tournament and publishes every goal as it is scored.
///
/// Open the address that it prints. `/` is the scoreboard, `/plain` is a page of ten lines of
/// JavaScript that needs no library.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  \
        example-scores                               eleven famous finals\n  \
        example-scores --feed worldcup.json          a file in openfootball's format\n  \
        example-scores --speed 60                    a match in two seconds\n  \
        example-scores --bind 0.0.0.0:4100           for the phone in the same network\n  \
        example-scores --data scores                 keeps what was published over a restart\n  \
        example-scores --feed-key $(openssl rand -hex 16)   a match that a referee pushes in by HTTP"
)]
pub(crate) struct Cli {
    /// The tournament, a file in the format of openfootball's worldcup.json [default: famous finals]
    #[arg(long, value_name = "FILE")]
    pub(crate) feed: Option<PathBuf>,

    /// Show no replay, but the match that a referee pushes in by HTTP with this key, of 32 characters at least
    #[arg(long, value_name = "KEY", conflicts_with_all = ["feed", "pause", "once"])]
    pub(crate) feed_key: Option<String>,

    /// Keep what was published in this directory, so that a visitor misses nothing when the server restarts
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Minutes of football per second: at 10, the default, a match takes about eleven seconds. With --feed-key, a minute is a minute
    #[arg(long, value_name = "N", value_parser = speed)]
    speed: Option<f64>,

    /// The address to listen on; port 0 takes any free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4100")]
    pub(crate) bind: String,

    /// Seconds between the end of the tournament and its next run
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub(crate) pause: u64,

    /// Play the tournament once and then keep serving the final board
    #[arg(long, conflicts_with = "pause")]
    pub(crate) once: bool,
}

impl Cli {
    /// Minutes of football per second.
    pub(crate) fn speed(&self) -> f64 {
        let usual = match self.feed_key {
            Some(_) => 1.0 / 60.0,
            None => 10.0,
        };
        self.speed.unwrap_or(usual)
    }

    /// Seconds until the next run, or `None` for a single one.
    pub(crate) fn again_in(&self) -> Option<u64> {
        (!self.once).then_some(self.pause)
    }
}

/// From one minute of football in a hundred seconds to a match in an instant.
fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.01..=1000.0).contains(&speed) => Ok(speed),
        _ => Err("expected minutes of football per second, from 0.01 to 1000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_without_arguments_gets_the_defaults() {
        let cli = Cli::try_parse_from(["example-scores"]).unwrap();
        assert_eq!(
            (cli.speed(), cli.bind.as_str(), cli.feed.as_ref()),
            (10.0, "127.0.0.1:4100", None)
        );
        assert_eq!(cli.again_in(), Some(20));
        assert_eq!(
            Cli::try_parse_from(["example-scores", "--once"])
                .unwrap()
                .again_in(),
            None
        );
    }

    #[test]
    fn a_speed_that_would_stop_or_flood_is_refused() {
        for wrong in ["0", "-1", "fast", "NaN", "inf", "100000"] {
            let speed = format!("--speed={wrong}");
            assert!(
                Cli::try_parse_from(["example-scores", &speed]).is_err(),
                "{wrong}"
            );
        }
    }
}
