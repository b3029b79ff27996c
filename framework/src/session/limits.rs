//! How many bad frames a client may send.

use std::time::Duration;

use crate::time::{Moment, after};

/// A leaky bucket of violations: each adds one, and each second removes one.
///
/// A single bad frame only causes an error; a stream of them closes the connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Violations {
    level: u32,
    drained: Moment,
}

impl Violations {
    /// Adds one. Returns true if that exceeds the limit.
    pub(crate) fn add(&mut self, now: Duration, most: u32) -> bool {
        let drained = self.drained.get();
        let seconds = now.saturating_sub(drained).as_secs();
        if seconds > 0 {
            self.level = self
                .level
                .saturating_sub(u32::try_from(seconds).unwrap_or(u32::MAX));
            self.drained = after(drained, Duration::from_secs(seconds)).into();
        }
        self.level += 1;
        self.level > most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_is_forgiven_and_a_stream_is_not() {
        let mut violations = Violations::default();
        for second in 0..100 {
            assert!(!violations.add(Duration::from_secs(second), 3), "{second}");
        }
        let now = Duration::from_secs(200);
        let verdicts: Vec<bool> = (0..4).map(|_| violations.add(now, 3)).collect();
        assert_eq!(verdicts, [false, false, false, true]);
    }
}
