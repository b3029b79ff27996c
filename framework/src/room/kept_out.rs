//! Who is kept out of a room, and for how long.

use std::collections::HashMap;
use std::time::Duration;

use crate::error::Refusal;
use crate::origin::Sender;
use crate::presence::who::Who;
use crate::time::{after, if_ever};

/// How many users one room keeps out at a time. If there are more, the one whose time ends first may come in again.
pub(crate) const MOST_KEPT_OUT: usize = 1000;

/// The application, or a room, keeps a user out of a room. It is plain data, so that it could be kept, or sent to another process.
#[derive(Clone, Debug)]
pub(crate) struct KeepOut {
    /// Who wants it.
    pub(crate) sender: Sender,
    pub(crate) who: Who,
    pub(crate) time: Duration,
    pub(crate) why: String,
}

/// The users whom a room keeps out. Times are the room's.
#[derive(Debug, Default)]
pub(crate) struct KeptOut(HashMap<Who, Ban>);

#[derive(Debug)]
struct Ban {
    until: Duration,
    why: String,
}

impl KeptOut {
    /// Keeps a user out from now on, for this time: in place of any earlier time, and with zero no longer.
    pub(crate) fn set(&mut self, now: Duration, who: Who, time: Duration, why: String) {
        self.0.retain(|_, ban| ban.until > now);
        if time.is_zero() {
            self.0.remove(&who);
            return;
        }
        let until = after(now, time);
        self.0.insert(who, Ban { until, why });
        if self.0.len() > MOST_KEPT_OUT {
            let first = self.0.iter().min_by_key(|(_, ban)| ban.until);
            if let Some(first) = first.map(|(who, _)| who.clone()) {
                self.0.remove(&first);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses a user who is kept out.
    pub(crate) fn check(&self, now: Duration, who: &Who) -> Result<(), Refusal> {
        let Some(ban) = self.0.get(who).filter(|ban| ban.until > now) else {
            return Ok(());
        };
        let left = if_ever(ban.until).map(|until| until.saturating_sub(now));
        let time = match left.map(|left| left.as_millis().div_ceil(1000)) {
            Some(seconds) => format!("for {seconds} s more"),
            None => "for good".to_owned(),
        };
        let message = match ban.why.as_str() {
            "" => format!("this room keeps you out {time}"),
            why => format!("this room keeps you out {time}: {why}"),
        };
        Err(Refusal::new("kept_out", message))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn user(n: usize) -> Who {
        Who::Subject(format!("user-{n}").into())
    }

    fn refusal(kept_out: &KeptOut, now: u64, who: &Who) -> Option<String> {
        let refusal = kept_out.check(at(now), who).err()?;
        assert_eq!(refusal.code(), "kept_out");
        Some(refusal.message().to_owned())
    }

    #[test]
    fn a_user_is_kept_out_for_the_time_and_told_what_is_left_of_it() {
        let mut kept_out = KeptOut::default();
        kept_out.set(at(0), user(1), at(2000), "no shouting".to_owned());
        let message = "this room keeps you out for 1 s more: no shouting";
        assert_eq!(refusal(&kept_out, 1001, &user(1)).as_deref(), Some(message));
        assert_eq!(refusal(&kept_out, 1001, &user(2)), None);
        assert_eq!(refusal(&kept_out, 2000, &user(1)), None);
        kept_out.set(at(1), user(1), Duration::MAX, String::new());
        let message = "this room keeps you out for good";
        assert_eq!(
            refusal(&kept_out, 9_000_000, &user(1)).as_deref(),
            Some(message)
        );
        kept_out.set(at(2), user(1), Duration::ZERO, String::new());
        assert!(kept_out.is_empty());
    }

    #[test]
    fn the_one_whose_time_ends_first_makes_room_and_those_whose_time_is_over_take_none() {
        let mut kept_out = KeptOut::default();
        let keep = |kept_out: &mut KeptOut, now, n, time| {
            kept_out.set(at(now), user(n), at(time), String::new());
        };
        for n in 0..MOST_KEPT_OUT {
            keep(&mut kept_out, 0, n, if n == 7 { 10 } else { 20 });
        }
        keep(&mut kept_out, 1, MOST_KEPT_OUT, 100);
        assert_eq!(kept_out.0.len(), MOST_KEPT_OUT);
        assert_eq!(refusal(&kept_out, 2, &user(7)), None);
        assert!(refusal(&kept_out, 2, &user(8)).is_some());
        keep(&mut kept_out, 30, 0, 100);
        assert_eq!(kept_out.0.len(), 2);
    }
}
