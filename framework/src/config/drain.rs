//! How a server shuts down.

use std::time::Duration;

use super::setters;

/// How the server shuts down, at SIGTERM, SIGINT or [`Server::drain`](crate::Server::drain).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Drain {
    /// The longest time that the shutdown takes, the rooms' jobs included.
    ///
    /// Default: 10 s.
    /// After that the server cuts its connections and drops the jobs, and the log names the rooms whose jobs have not finished.
    /// A room that ends by itself waits for its jobs as long.
    /// Zero: the server waits for nothing. `Duration::MAX`: it waits forever.
    pub timeout: Duration,
    /// How long clients are told to wait before they reconnect.
    ///
    /// Default: 500 ms. Set about the time that a restart takes: earlier attempts fail and are repeated.
    /// Zero: no wait. `Duration::MAX`: clients do not reconnect by themselves.
    pub reconnect_after: Duration,
    /// The time after `reconnect_after` over which clients spread their attempts at random.
    ///
    /// Default: 2 s. A longer time means fewer connections at once.
    /// Zero: all clients reconnect at the same time. `Duration::MAX`: clients do not reconnect by themselves.
    pub reconnect_jitter: Duration,
    /// Whether a server that is mounted in an `HttpServer` drains by itself at SIGTERM, at the same time as that shuts down.
    ///
    /// Default: true.
    /// It works only on Linux, and only if something in the process handles the signal already, as an `HttpServer` does by default.
    /// Clients then receive a close frame before the `HttpServer` cuts them, and it does not wait for them.
    /// Nothing awaits this drain: an application that ends its process in its own way calls
    /// [`Server::serve_until`](crate::Server::serve_until) or [`Server::drain`](crate::Server::drain).
    pub at_sigterm: bool,
}

setters!(Drain {
    timeout: Duration,
    reconnect_after: Duration,
    reconnect_jitter: Duration,
    at_sigterm: bool,
});

impl Default for Drain {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            reconnect_after: Duration::from_millis(500),
            reconnect_jitter: Duration::from_secs(2),
            at_sigterm: true,
        }
    }
}
