//! The Rust client: for bots, for tests, for load generators and for services that talk to a Courtside server.
//!
//! A [`Client`] holds one session. It reconnects by itself when a connection is lost, sends the actions again that the server has
//! not acknowledged, and delivers each event exactly once and in order, for as long as the server keeps the session.
//!
//! ```no_run
//! # async fn play() -> Result<(), Box<dyn std::error::Error>> {
//! use courtside::client::{Client, Event, Options};
//! use serde_json::json;
//!
//! let client = Client::connect("ws://127.0.0.1:4000/ws", Options::default()).await?;
//! let arena = client.join("arena", &json!({})).await?;
//! arena.send_raw("steer", &json!({"dx": 1.0, "dy": 0.0}))?;
//! while let Some(event) = client.next().await {
//!     if let Event::State { data, .. } = event {
//!         println!("{data}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Parts
//!
//! | type | what it is |
//! | --- | --- |
//! | [`Client`] | connects, joins rooms, calls handlers, subscribes and publishes to channels, and yields events |
//! | [`SubscribeOptions`], [`HistoryQuery`] | where a subscription starts, and which page of a channel's history to read |
//! | [`JoinedRoom`] | sends messages to one room, and leaves it |
//! | [`Event`] | everything that happens: messages, states, publications, lost connections |
//! | [`Options`] | format, credential, timeouts, bounds; each has a default |
//! | [`ConnectError`], [`SendError`], [`CallError`] | why a connection, an action or a request failed |
//! | [`Ticket`] | what another process needs to take over the session |
//!
//! # Reconnecting
//!
//! A lost connection is reported as [`Event::Disconnected`], and the client reconnects.
//! If the server still has the session, the events that the client missed arrive, then [`Event::CaughtUp`], and pending requests
//! get their answers.
//! If the server has dropped the session, a new one begins, and [`Event::Lost`] lists the rooms that the client was in.
//!
//! # Closing
//!
//! [`Client::close`] ends the session: the client leaves its rooms at once. Dropping the last handle does the same in the
//! background.
//! [`Client::suspend`] ends the client, but keeps the session for another client, in another process perhaps.
//!
//! A request ends when its future is dropped, for example by `tokio::time::timeout`. A request that was not sent yet is then
//! never sent. A room that a dropped [`Client::join`] has joined is left again.
//!
//! # Read events in a task of their own
//!
//! Events wait in a bounded queue ([`Options::events`]). While the queue is full, the client stops reading from its connection,
//! so replies do not arrive either. An application that waits for a reply and does not call [`Client::next`] can wait for ever.
//! Call [`Client::next`] in one task and make requests in another.
//!
//! # Without WebSocket
//!
//! This client speaks WebSocket only. Networks that block it are those of browsers, and the TypeScript client falls back to event
//! streams there. A program that has to listen in such a network can read an event stream with any HTTP client.
//!
//! # Runtime
//!
//! The client spawns a task with `tokio::task::spawn_local`, so it must run in a `tokio::task::LocalSet`. Each thread of an actix
//! system is one already. All timers use tokio's clock, so a test can pause it.
//!
//! # TLS
//!
//! The client speaks `ws://` only. To connect to a `wss://` server, open the encrypted stream with a TLS library of your choice and
//! give it to [`Client::connect_with`]:
//!
//! ```ignore
//! // With the crate tokio-rustls; `tls` is a `tokio_rustls::TlsConnector`.
//! let connect = move || {
//!     let tls = tls.clone();
//!     async move {
//!         let stream = TcpStream::connect(("example.org", 443)).await?;
//!         tls.connect("example.org".try_into().unwrap(), stream).await
//!     }
//! };
//! let options = Options::default().header("Host", "example.org");
//! let client = Client::connect_with(connect, "/ws", options).await?;
//! ```

mod action;
pub(crate) mod connect;
mod credential;
mod driver;
mod ending;
pub(crate) mod error;
mod event;
mod handle;
pub(crate) mod handshake;
mod inner;
mod limits;
mod listing;
mod matching;
mod options;
pub(crate) mod presence;
pub(crate) mod random;
mod room;
mod rules;
mod server_frame;
mod socket;
mod subscribing;
mod ticket;
mod typed;
pub(crate) mod value;

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;

pub use connect::{Connect, Io};
pub use credential::AccessToken;
pub use error::{CallError, ConnectError, SendError};
pub use event::{Event, Position, Subscribed};
pub use handle::Client;
pub use limits::{Limits, Rate};
pub use listing::{RoomListing, RoomsUpdate, RoomsWanted};
pub use matching::Party;
pub use options::Options;
pub use presence::{Followed, PresenceFollower, PresenceUpdate, PresentMember};
pub use room::JoinedRoom;
pub use subscribing::{HistoryPage, HistoryQuery, PastPublication, SubscribeOptions};
pub use ticket::Ticket;
