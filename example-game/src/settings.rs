//! What whoever runs the server decides for all its arenas.

/// The most members of an arena, players and spectators together, and so also the most ships.
pub const CAPACITY: usize = 12;

/// Read by every arena when it is opened.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bots fill an arena up to so many ships and make room for players; zero for none.
    pub ships: usize,
    /// Seconds of fighting in a round.
    pub round_seconds: f32,
    /// Seconds of rest after it.
    pub rest_seconds: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ships: 8,
            round_seconds: 90.0,
            rest_seconds: 8.0,
        }
    }
}
