//! The server: arenas, the queue for duels, the calls, and the HTTP API for those who run it.

use std::time::Duration;

use courtside::matchmaking::{Entry, Queue, RankRule};
use courtside::prelude::*;
use courtside::{Api, ApiError, ApiKey, ApiRoutes, ApiScope};

use crate::arena::{Arena, DUELLISTS, Records};
use crate::calls;
use crate::messages::ArenaOptions;
use crate::player::Passes;
use crate::ratings::Ratings;
use crate::settings::{Settings, config};
use crate::sign_in;

/// Where the HTTP API is.
pub const API: &str = "/api/v1";

/// After this time, a bot takes the place of an opponent.
const BOT_AFTER: Duration = Duration::from_secs(12);

/// The server, not built yet.
pub fn builder(settings: Settings, records: Records, passes: Passes) -> ServerBuilder {
    Server::builder()
        .config(config())
        .authenticate(sign_in::authenticate)
        .room_with::<Arena>(Arena::opening(settings, records.clone()))
        .queue::<Arena>("duel", duels(settings, records.ratings))
        .handle(calls::top)
        .handle(calls::open)
        .data(records.leaderboard)
        .data(passes)
}

/// Finds opponents of similar rating. A guest has the rating of a new player.
fn duels(settings: Settings, ratings: Ratings) -> Queue {
    let mut rule = RankRule::new(DUELLISTS);
    if settings.ships > 0 {
        rule = rule.at_least(1, BOT_AFTER);
    }
    Queue::new(rule)
        .ticket(move |seeker| {
            Ok(Entry::ranked(
                ratings.of(seeker.subject().unwrap_or_default()),
            ))
        })
        .options(|_| ArenaOptions {
            duel: true,
            ..ArenaOptions::default()
        })
}

/// The HTTP API, with one key, which may list the arenas and send them notices.
///
/// # Errors
///
/// If the secret is too short.
pub fn api(server: &Server, secret: String) -> Result<ApiRoutes, ApiError> {
    let admin = ApiKey::new("admin", secret).scopes([ApiScope::RoomsRead, ApiScope::RoomsTell]);
    server.api(Api::default().key(admin))
}
