//! Requests to the server itself, outside of any arena.

use courtside::prelude::*;
use courtside::{CreateError, RoomId};

use crate::arena::Arena;
use crate::leaderboard::{Leaderboard, Row};
use crate::messages::{ArenaOptions, Open, Top};

/// The most lines of the best scores.
const MOST_ROWS: usize = 50;

/// The best scores of all arenas.
///
/// # Errors
///
/// None.
pub async fn top(call: Call<Top>) -> Result<Vec<Row>, Refusal> {
    let leaderboard = call.data::<Leaderboard>();
    Ok(leaderboard.top(call.message.limit.min(MOST_ROWS)))
}

/// Opens a private arena, whose id is a code that friends can type.
///
/// # Errors
///
/// `too_fast` and `too_many_rooms` if the client opens too many.
pub async fn open(call: Call<Open>) -> Result<RoomId, Refusal> {
    let options = ArenaOptions {
        private: true,
        ..ArenaOptions::default()
    };
    let server = call.server();
    loop {
        let arena = server.create::<Arena>(&options).id(RoomId::code());
        match arena.charge_to(&call.caller).await {
            Ok(room) => return Ok(room.id().clone()),
            // There are 64 million codes, and 200 arenas.
            Err(CreateError::Taken) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
