//! What was received: the count that a resume needs, and when the server is told of it.

use std::time::Duration;

/// Counts sequenced events and decides when to ping.
///
/// A ping acknowledges events, asks for the acknowledgement of actions, and finds a dead server.
#[derive(Debug)]
pub(crate) struct Receipt {
    /// How many sequenced events of this session were received.
    received: u64,
    events_since_ping: usize,
    bytes_since_ping: usize,
    actions_since_ping: usize,
    action_bytes_since_ping: usize,
    /// How often to ping, as the server wishes.
    every: Duration,
    /// How long after a ping silence means that the server is dead.
    timeout: Duration,
    due: Duration,
    /// Since when the server owes a sign of life.
    owed_since: Option<Duration>,
}

impl Receipt {
    /// So many events, or bytes of them, are acknowledged without waiting for the next regular ping; far less than what a
    /// server keeps by default.
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
            owed_since: None,
        }
    }

    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Goes on counting after what another client of the session has received.
    pub(crate) fn start_at(&mut self, received: u64) {
        self.received = received;
    }

    /// A new session counts from zero.
    pub(crate) fn renew(&mut self) {
        self.received = 0;
    }

    /// The welcome has come: it carried the counts of both sides. An `every` of zero would be a flood, so 100 ms is the least.
    pub(crate) fn begin(&mut self, now: Duration, every: Duration) {
        self.every = every.max(Duration::from_millis(100));
        self.rest(now);
        self.owed_since = None;
    }

    /// No pings until the next [`Receipt::begin`].
    pub(crate) fn end(&mut self) {
        self.due = Duration::MAX;
        self.owed_since = None;
    }

    fn rest(&mut self, now: Duration) {
        self.due = now.saturating_add(self.every);
        self.events_since_ping = 0;
        self.bytes_since_ping = 0;
        self.actions_since_ping = 0;
        self.action_bytes_since_ping = 0;
    }

    /// A sequenced event arrived.
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

    /// Any frame arrived, or nothing was read on purpose: the server is not silent.
    pub(crate) fn heard(&mut self) {
        self.owed_since = None;
    }

    fn wants_ping(&self, now: Duration) -> bool {
        self.due <= now
            || self.events_since_ping >= Self::EVENTS
            || self.bytes_since_ping >= Self::BYTES
            || self.actions_since_ping >= Self::EVENTS
            || self.action_bytes_since_ping >= Self::BYTES
    }

    /// Whether a ping is to be written now; if so, counts it as written.
    pub(crate) fn ping(&mut self, now: Duration) -> bool {
        if self.due == Duration::MAX || !self.wants_ping(now) {
            return false;
        }
        self.owed_since.get_or_insert(now);
        self.rest(now);
        true
    }

    /// Whether the server has been silent for too long. It runs from when a ping was due, written or not, so that a connection
    /// that takes nothing counts as dead, too.
    pub(crate) fn is_dead(&mut self, now: Duration) -> bool {
        if self.due <= now {
            self.owed_since.get_or_insert(now);
        }
        self.owed_since
            .is_some_and(|since| now.saturating_sub(since) >= self.timeout)
    }

    /// When to ask again.
    pub(crate) fn deadline(&self) -> Duration {
        match self.owed_since {
            // A ping that is due but cannot be written must not make the caller spin.
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

    fn begun() -> Receipt {
        let mut receipt = Receipt::new(at(5000));
        receipt.begin(at(0), at(10_000));
        receipt
    }

    #[test]
    fn a_quiet_connection_pings_at_the_servers_pace() {
        let mut receipt = begun();
        assert!(!receipt.ping(at(9_999)));
        assert_eq!(receipt.deadline(), at(10_000));
        assert!(receipt.ping(at(10_000)));
        receipt.heard();
        assert!(!receipt.ping(at(10_001)));
        assert_eq!(receipt.deadline(), at(20_000));
    }

    #[test]
    fn many_events_or_bytes_or_actions_are_acknowledged_early() {
        let mut receipt = begun();
        for _ in 0..Receipt::EVENTS - 1 {
            receipt.count(1);
        }
        assert!(!receipt.ping(at(1)));
        receipt.count(1);
        assert!(receipt.ping(at(1)) && !receipt.ping(at(1)));
        receipt.count(Receipt::BYTES);
        assert!(receipt.ping(at(2)) && !receipt.ping(at(2)));
        for _ in 0..Receipt::EVENTS {
            receipt.wrote(1);
        }
        assert!(receipt.ping(at(3)) && !receipt.ping(at(3)));
        assert_eq!(receipt.received(), Receipt::EVENTS as u64 + 1);
    }

    #[test]
    fn a_server_that_says_nothing_after_a_ping_is_dead() {
        let mut receipt = begun();
        assert!(!receipt.is_dead(at(9_999)));
        assert!(receipt.ping(at(10_000)));
        assert_eq!(receipt.deadline(), at(15_000));
        assert!(!receipt.is_dead(at(14_999)));
        assert!(receipt.is_dead(at(15_000)));
        receipt.heard();
        assert!(!receipt.is_dead(at(15_001)));
    }

    #[test]
    fn a_ping_that_cannot_be_written_counts_as_asked() {
        let mut receipt = begun();
        assert!(!receipt.is_dead(at(10_000)));
        assert_eq!(receipt.deadline(), at(15_000));
        assert!(receipt.is_dead(at(15_000)));
    }

    #[test]
    fn without_a_connection_nobody_is_dead() {
        let mut receipt = begun();
        receipt.ping(at(10_000));
        receipt.end();
        assert!(!receipt.is_dead(at(1_000_000)) && !receipt.ping(at(1_000_000)));
    }
}
