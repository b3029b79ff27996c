//! The board that the publisher keeps and callers of `scores.board` read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    board::Board, chances::Chances, clock::Clock, match_state::MatchState, update::Update,
};

/// A handle to the one board of the server; clones are the same board.
///
/// Only the publisher writes. A lock is enough: it is held for microseconds and never across an
/// await.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scoreboard {
    board: Arc<Mutex<Board>>,
}

impl Scoreboard {
    /// Applies what was published at this offset.
    pub(crate) fn apply(&self, offset: u64, update: &Update) {
        self.lock().apply(offset, update);
    }

    /// The current board.
    pub(crate) fn snapshot(&self) -> Board {
        self.lock().clone()
    }

    /// The current state of a match, if it has begun.
    pub(crate) fn match_state(&self, id: &str) -> Option<MatchState> {
        MatchState::of(&self.lock(), id)
    }

    /// The clock at a time in Unix milliseconds.
    pub(crate) fn clock(&self, now: u64) -> Clock {
        Clock::read(&self.lock(), now)
    }

    /// The chances in the live matches at a time in Unix milliseconds.
    pub(crate) fn chances(&self, now: u64) -> Chances {
        Chances::at(&self.lock(), now)
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        // If the writer panicked, its board is still the newest one.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
