//! How often each of many may do something.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// A number of times at once, and one more after each pause, for each key. It keeps a bounded number of keys.
#[derive(Debug)]
pub struct Throttle<K> {
    burst: u32,
    pause: Duration,
    capacity: usize,
    /// When the allowance of each key will be full again.
    full_at: HashMap<K, Duration>,
}

impl<K: Clone + Eq + Hash> Throttle<K> {
    /// So many times at once, and one more after each pause. `capacity` is the most keys that are kept.
    pub fn new(burst: u32, pause: Duration, capacity: usize) -> Self {
        Self {
            burst,
            pause,
            capacity,
            full_at: HashMap::new(),
        }
    }

    /// Takes one time from the allowance of a key. `now` may be any time that never goes back.
    ///
    /// # Errors
    ///
    /// How long until there is one more.
    pub fn spend(&mut self, key: &K, now: Duration) -> Result<(), Duration> {
        let known = self.full_at.get(key).copied();
        let full_at = known.unwrap_or_default().max(now) + self.pause;
        let most = now + self.pause * self.burst;
        if full_at > most {
            return Err(full_at - most);
        }
        if known.is_none() && self.full_at.len() >= self.capacity {
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        if known.is_none() && self.full_at.len() >= self.capacity {
            // So many use it up at the same time that nobody new gets a turn.
            return Err(self.pause);
        }
        self.full_at.insert(key.clone(), full_at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn each_key_has_a_burst_and_then_one_after_each_pause() {
        let mut throttle = Throttle::new(3, secs(10), 8);
        for _ in 0..3 {
            assert_eq!(throttle.spend(&"ann", secs(100)), Ok(()));
        }
        assert_eq!(throttle.spend(&"ann", secs(104)), Err(secs(6)));
        assert_eq!(throttle.spend(&"ben", secs(104)), Ok(()));
        assert_eq!(throttle.spend(&"ann", secs(110)), Ok(()));
        assert_eq!(throttle.spend(&"ann", secs(110)), Err(secs(10)));
        for _ in 0..3 {
            assert_eq!(throttle.spend(&"ann", secs(1000)), Ok(()));
        }
    }

    #[test]
    fn keys_are_bounded_and_those_that_are_full_again_make_room() {
        let mut throttle = Throttle::new(1, secs(10), 2);
        assert_eq!(throttle.spend(&1, secs(0)), Ok(()));
        assert_eq!(throttle.spend(&2, secs(5)), Ok(()));
        assert_eq!(throttle.spend(&3, secs(6)), Err(secs(10)));
        assert_eq!(throttle.spend(&3, secs(10)), Ok(()));
        assert_eq!(throttle.full_at.len(), 2);
    }
}
