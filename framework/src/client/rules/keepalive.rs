//! Counts received events, decides when to ping, and detects a dead server.

use std::time::Duration;

/// Counts received events and decides when to ping.
///
/// A ping acknowledges events, requests the acknowledgement of actions, and detects a dead server.
#[derive(Debug)]
pub(crate) struct Keepalive {
    /// How many counted events of this session were received.
    received: u64,
    events_since_ping: usize,
    bytes_since_ping: usize,
    actions_since_ping: usize,
    action_bytes_since_ping: usize,
    /// How often to ping, as the server asked.
    every: Duration,
    /// How long the server may stay silent after a ping.
    timeout: Duration,
    due: Duration,
    /// When the ping was due that the server has not reacted to yet.
    silent_since: Option<Duration>,
}

impl Keepalive {
    /// After this many events or actions, or bytes of them, a ping is due at once. A server keeps many more by default.
    pub(crate) const EVENTS: usize = 128;
    pub(crate) const BYTES: usize = 64 << 10;

    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            received: 0,
            events_since_ping: 0,
            bytes_since_ping: 0,
            actions_since_ping: 0,
            action_bytes_since_ping: 0,
            every: Duration::MAX,
            timeout,
            due: Duration::MAX,
            silent_since: None,
        }
    }

    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Continues to count after the events that another client of the session has received.
    pub(crate) fn start_at(&mut self, received: u64) {
        self.received = received;
    }

    /// A new session counts from zero.
    pub(crate) fn renew(&mut self) {
        self.received = 0;
    }

    /// The welcome has arrived, with the counts of both sides. `every` is at least 100 ms, because zero would flood the server.
    pub(crate) fn begin(&mut self, now: Duration, every: Duration) {
        self.every = every.max(Duration::from_millis(100));
        self.schedule_next(now);
        self.silent_since = None;
    }

    /// Stops pinging until the next [`Keepalive::begin`].
    pub(crate) fn end(&mut self) {
        self.due = Duration::MAX;
        self.silent_since = None;
    }

    fn schedule_next(&mut self, now: Duration) {
        self.due = now.saturating_add(self.every);
        self.events_since_ping = 0;
        self.bytes_since_ping = 0;
        self.actions_since_ping = 0;
        self.action_bytes_since_ping = 0;
    }

    /// A counted event arrived.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.received += 1;
        self.events_since_ping += 1;
        self.bytes_since_ping += bytes;
    }

    /// An action was written.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.actions_since_ping += 1;
        self.action_bytes_since_ping += bytes;
    }

    /// Bytes have arrived, or reading is paused: the server does not count as silent.
    pub(crate) fn server_is_alive(&mut self) {
        self.silent_since = None;
    }

    fn wants_ping(&self, now: Duration) -> bool {
        self.due <= now
            || self.events_since_ping >= Self::EVENTS
            || self.bytes_since_ping >= Self::BYTES
            || self.actions_since_ping >= Self::EVENTS
            || self.action_bytes_since_ping >= Self::BYTES
    }

    /// Whether to write a ping now. If so, it counts as written.
    pub(crate) fn ping(&mut self, now: Duration) -> bool {
        if self.due == Duration::MAX || !self.wants_ping(now) {
            return false;
        }
        self.silent_since.get_or_insert(now);
        self.schedule_next(now);
        true
    }

    /// Whether the server has not reacted to a ping in time. The time begins when the ping was due, even if it could not be written,
    /// so a connection that takes no bytes counts as dead, too.
    pub(crate) fn is_dead(&mut self, now: Duration) -> bool {
        if self.due <= now {
            self.silent_since.get_or_insert(now);
        }
        self.silent_since
            .is_some_and(|since| now.saturating_sub(since) >= self.timeout)
    }

    /// When to call [`Keepalive::ping`] and [`Keepalive::is_dead`] again.
    pub(crate) fn deadline(&self) -> Duration {
        match self.silent_since {
            // Not `due`: a ping that cannot be written would make the caller spin.
            Some(since) => since.saturating_add(self.timeout),
            None => self.due,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn begun() -> Keepalive {
        let mut keepalive = Keepalive::new(at(5000));
        keepalive.begin(at(0), at(10_000));
        keepalive
    }

    #[test]
    fn a_quiet_connection_pings_at_the_servers_pace() {
        let mut keepalive = begun();
        assert!(!keepalive.ping(at(9_999)));
        assert_eq!(keepalive.deadline(), at(10_000));
        assert!(keepalive.ping(at(10_000)));
        keepalive.server_is_alive();
        assert!(!keepalive.ping(at(10_001)));
        assert_eq!(keepalive.deadline(), at(20_000));
    }

    #[test]
    fn many_events_or_bytes_or_actions_are_acknowledged_early() {
        let mut keepalive = begun();
        for _ in 0..Keepalive::EVENTS - 1 {
            keepalive.count(1);
        }
        assert!(!keepalive.ping(at(1)));
        keepalive.count(1);
        assert!(keepalive.ping(at(1)) && !keepalive.ping(at(1)));
        keepalive.count(Keepalive::BYTES);
        assert!(keepalive.ping(at(2)) && !keepalive.ping(at(2)));
        for _ in 0..Keepalive::EVENTS {
            keepalive.wrote(1);
        }
        assert!(keepalive.ping(at(3)) && !keepalive.ping(at(3)));
        assert_eq!(keepalive.received(), Keepalive::EVENTS as u64 + 1);
    }

    #[test]
    fn a_server_that_is_silent_after_a_ping_is_dead() {
        let mut keepalive = begun();
        assert!(!keepalive.is_dead(at(9_999)));
        assert!(keepalive.ping(at(10_000)));
        assert_eq!(keepalive.deadline(), at(15_000));
        assert!(!keepalive.is_dead(at(14_999)));
        assert!(keepalive.is_dead(at(15_000)));
        keepalive.server_is_alive();
        assert!(!keepalive.is_dead(at(15_001)));
    }

    #[test]
    fn a_ping_that_cannot_be_written_times_out_too() {
        let mut keepalive = begun();
        assert!(!keepalive.is_dead(at(10_000)));
        assert_eq!(keepalive.deadline(), at(15_000));
        assert!(keepalive.is_dead(at(15_000)));
    }

    #[test]
    fn without_a_connection_no_server_is_dead() {
        let mut keepalive = begun();
        keepalive.ping(at(10_000));
        keepalive.end();
        assert!(!keepalive.is_dead(at(1_000_000)) && !keepalive.ping(at(1_000_000)));
    }
}
