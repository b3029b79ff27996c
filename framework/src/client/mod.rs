//! A client for bots, tests and load: the same sessions, rooms and channels, from the other end.
//!
//! A [`Client`] keeps its session across connections: it comes back by itself, sends again what the server has not counted,
//! and hands on each event once. What it does when, is decided by its rules, which are plain data; a task on the
//! current thread moves the bytes.
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
//! # Coming back, and going
//!
//! A lost connection is an [`Event::Disconnected`] and no more: the client comes back in time, [`Event::CaughtUp`] follows what it
//! missed, and requests get their answers. If the session itself is gone, [`Event::Lost`] names the rooms that went with it.
//!
//! [`Client::close`], and dropping the last handle, end the session: its seats are free at once. [`Client::suspend`] leaves it to
//! another client, of a later process perhaps.
//! A request whose future is dropped (`tokio::time::timeout` does that) is taken back if it was not sent yet, and nobody stays in a
//! room whose `join` was given up.
//!
//! # Where it runs
//!
//! The client spawns a task with `tokio::task::spawn_local`, so it needs a `LocalSet` around it: every thread of an actix
//! system is one; elsewhere use `tokio::task::LocalSet`.
//! It reads no clock but tokio's, so that it runs on a paused one.
//!
//! # Reading is up to the application
//!
//! Events wait in a bounded queue. An application that does not call [`Client::next`] will, once the queue is full, also wait in
//! vain for the answers of its requests, as the client stops reading: read events in one place and ask in another.

mod action;
pub(crate) mod connect;
mod credential;
mod driver;
mod ending;
pub(crate) mod error;
mod event;
mod handle;
pub(crate) mod handshake;
mod heard;
mod limits;
mod options;
pub(crate) mod random;
mod room;
mod rules;
mod shared;
mod socket;
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
pub use options::Options;
pub use room::JoinedRoom;
pub use ticket::Ticket;
