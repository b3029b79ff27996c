//! The server: who is admitted, the channels, one call, the pages.

use std::{net::TcpListener, path::Path, time::Duration};

use courtside::{
    Api, ApiKey, ApiRoutes, ApiScope, Journal, Presence, PublishError, ServerBuilder, prelude::*,
};
use serde::{Deserialize, Serialize};

use crate::{
    board::Board,
    clock::CLOCK,
    pages,
    passes::Passes,
    premium,
    problem::Problem,
    publisher::{MATCH, Outlet, UPDATES},
    referee::{Pitch, PushedFeed},
    scoreboard::Scoreboard,
};

/// Where the HTTP API is, if there is a referee.
pub(crate) const API: &str = "/api";

/// What the referee's key may do: tell rooms.
pub(crate) const FEED_SCOPES: [ApiScope; 1] = [ApiScope::RoomsTell];

/// How many updates a late or returning visitor gets at most.
///
/// It need not hold a whole run, because pages take the board from `scores.board`. It fills the
/// ticker of late visitors, and of visitors whose session was lost: at the default speed four
/// minutes of a real tournament, in 100 KiB.
const HISTORY_OF_UPDATES: usize = 250;

/// The same for one match, of which a visitor needs only the newest state. The others are for those who want each one.
const HISTORY_OF_A_MATCH: usize = 25;

/// A replay in real time must still have its first half during the second.
const HISTORY_AGE: Duration = Duration::from_secs(6 * 60 * 60);

/// Builds the server. It must be called within an actix `System`.
///
/// `data` is the directory of its journal, if it has one.
pub(crate) fn build(
    scoreboard: Scoreboard,
    passes: Passes,
    pushed: Option<PushedFeed>,
    data: Option<&Path>,
) -> Result<Server, Problem> {
    let builder = builder(scoreboard, passes, pushed);
    let builder = match data {
        Some(directory) => builder.journal(Journal::dir(directory)),
        None => builder,
    };
    builder
        .build()
        .map_err(|error| Problem::Server(error.to_string()))
}

/// With a referee, there is a room for what the referee pushes in.
pub(crate) fn builder(
    scoreboard: Scoreboard,
    passes: Passes,
    pushed: Option<PushedFeed>,
) -> ServerBuilder {
    let history = |size| Channel::open().history(size).history_age(HISTORY_AGE);
    // Pages show how many watch a match, and not who.
    let watching = Presence::default().members(0);
    let builder = Server::builder()
        .authenticate(premium::authenticate)
        .channel(UPDATES, history(HISTORY_OF_UPDATES))
        .channel(
            &format!("{MATCH}{{id}}"),
            history(HISTORY_OF_A_MATCH).delta(true).presence(watching),
        )
        .channel(CLOCK, Channel::open().latest(true))
        .channel("premium/{topic}", premium::channel())
        .handle(board)
        .data(scoreboard)
        .data(passes);
    match pushed {
        Some(pushed) => builder.data(pushed).room::<Pitch>(),
        None => builder,
    }
}

/// The HTTP API, for a referee with this key.
pub(crate) fn api(server: &Server, key: &str) -> Result<ApiRoutes, Problem> {
    let key = ApiKey::new("feed", key).scopes(FEED_SCOPES);
    let api = server.api(Api::default().key(key));
    api.map_err(Problem::FeedKey)
}

/// Serves until the process receives a signal to end.
pub(crate) async fn run(
    server: &Server,
    passes: Passes,
    api: Option<ApiRoutes>,
    listener: TcpListener,
) -> Result<(), Problem> {
    server
        .at("/ws")
        .client_at("/courtside.js")
        .configure(move |app| {
            pages::configure(app);
            premium::configure(app, &passes);
            if let Some(api) = &api {
                app.service(api.at(API));
            }
        })
        .serve(listener)
        .await
        .map_err(|error| Problem::Server(error.to_string()))
}

/// Requests the whole board, and the offset on `updates` that it corresponds to.
#[derive(Deserialize, Message)]
#[message(name = "scores.board", reply = Board)]
struct WholeBoard;

async fn board(call: Call<WholeBoard>) -> Result<Board, Refusal> {
    Ok(call.data::<Scoreboard>().snapshot())
}

impl Outlet for Server {
    type Error = PublishError;

    async fn publish<T: Serialize>(&self, channel: &str, data: &T) -> Result<u64, PublishError> {
        self.handle().publish(channel, data).await
    }
}

#[cfg(test)]
mod tests;
