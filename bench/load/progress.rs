//! One line on standard error that says how far it is, rewritten while it runs.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

pub(crate) struct Progress {
    shown: Instant,
    is_on: bool,
}

impl Progress {
    /// Silent if standard error is not a terminal.
    pub(crate) fn new(is_wanted: bool) -> Self {
        Self {
            shown: Instant::now(),
            is_on: is_wanted && std::io::stderr().is_terminal(),
        }
    }

    pub(crate) fn show(&mut self, line: impl FnOnce() -> String) {
        if self.is_on && self.shown.elapsed() > Duration::from_millis(250) {
            self.shown = Instant::now();
            let mut stderr = std::io::stderr().lock();
            // If the progress line cannot be shown, ignore it.
            let _unseen = write!(stderr, "\r\x1b[K{}", line());
            let _unseen = stderr.flush();
        }
    }

    /// Removes the line.
    pub(crate) fn clear(&self) {
        if self.is_on {
            let _unseen = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
