//! Settings of the server for all its arenas.

use courtside::{Config, Quota};

/// The most members of an arena, players and spectators together, and so also the most ships.
pub const CAPACITY: usize = 12;

/// The limits of a server of arenas. Each arena ticks and has bots even if nobody plays there, so the number of arenas determines
/// the load.
#[must_use]
pub fn config() -> Config {
    let mut config = Config::default();
    config.limits.rooms_in_all = 200;
    // A player is in one arena at a time and rarely opens a new one.
    config.limits.session_creations.rooms = Quota::new(8, 1, 4);
    config.limits.address_creations.rooms = Quota::new(100, 4, 32);
    config
}

/// Read by every arena when it is opened.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bots fill an arena up to this many ships and make room for players; zero for none.
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

impl Settings {
    /// The settings of a duel: two ships, of which one is a bot's if an opponent is missing, and short rounds.
    #[must_use]
    pub fn of_duel(self) -> Self {
        Self {
            ships: self.ships.min(2),
            round_seconds: self.round_seconds.min(60.0),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use courtside::JoinMode;
    use courtside::client::Options;
    use courtside::prelude::*;
    use courtside::testing::{TestServer, run};

    use super::*;
    use crate::arena::{Arena, Records};
    use crate::sign_in::authenticate;

    #[test]
    fn a_few_connections_cannot_make_the_server_carry_thousands_of_arenas() {
        run(async {
            let builder = Server::builder()
                .config(config())
                .authenticate(authenticate)
                .room_with::<Arena>(Arena::opening(Settings::default(), Records::default()));
            let server = TestServer::start(builder, 1).await.expect("a server");
            let mut opened = 0;
            for _ in 0..8 {
                let client = server.client(Options::default()).await.expect("a client");
                for _ in 0..50 {
                    let join = client.join_with("arena", JoinMode::Create, &());
                    if let Ok(room) = join.await {
                        opened += 1;
                        room.leave().await.expect("an answer");
                    }
                }
            }
            assert!(opened >= 8, "honest players are let in");
            assert!(opened <= 40, "{opened} arenas were opened");
        });
    }
}
