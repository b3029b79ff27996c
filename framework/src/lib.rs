//! Real-time games and live updates on actix: whoever writes a room or a channel gets, without more work, a server whose clients
//! never lose, repeat or reorder a message when the network drops them.
//!
//! # The paved path
//!
//! A *room* is a struct whose methods [`#[courtside::room]`](macro@room) turns into hooks and handlers. They run one at a time,
//! and a [`RoomContext`] is their means to act. The macro writes the traits [`Room`] and [`Handle`], which can be implemented by
//! hand as well.
//! A [`Server`] is built from kinds of rooms, channels and calls, and serves [at a path](Server::at), by itself or in an actix-web application.
//!
//! ```no_run
//! use courtside::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize, Message)]                 // on the wire: type "say"
//! struct Say { text: String }
//!
//! #[derive(Serialize, Message)]                   // on the wire: type "line"
//! struct Line { from: MemberId, text: String }
//!
//! #[derive(Default)]
//! struct Chat;
//!
//! #[courtside::room]                              // clients join it as "chat"
//! impl Chat {
//!     #[on]
//!     fn say(&mut self, from: &Member, say: Say, ctx: &mut RoomContext<Self>) {
//!         ctx.broadcast(&Line { from: from.id(), text: say.text });
//!     }
//! }
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let listener = courtside::listen("127.0.0.1:4000")?;
//!     let server = Server::builder().room::<Chat>().build()?;
//!     server.at("/ws").serve(listener).await?;
//!     Ok(())
//! }
//! ```
//!
//! # Words
//!
//! A **connection** is one WebSocket; it comes and goes. A **session** is one client's identity and what it is still owed, across
//! connections. A **room** is a stateful authority; a **member** is a session in it; a [`Member`] is what the room sees of a
//! member. A **channel** is a named stream of **publications** with history. The **lobby** knows the rooms and finds one for
//! those who want in. An **action** is what clients send, an **event** what servers send. An [`Audience`] is the members that a
//! room's message is for; its **delivery** is how surely the message arrives. A **refusal** is an error that is told to the
//! client.
//!
//! # The house, floor by floor
//!
//! Each floor uses only those below; a test holds that.
//!
//! 0. words: `address`, `ids`, `time`, `tick`, `close`, `error`, `config`
//! 1. `wire`: actions and events, in JSON and MessagePack; `sync`: what changed in a state
//! 2. rules, pure and handed the time: `session`, `channel`, `lobby`
//! 3. what users implement: `room`, `handler`
//! 4. `runtime`: the shells that carry messages and run timers
//! 5. `server`, `call`, `http`, and the features `client`, `testing` and `bench`
#![forbid(unsafe_code)]

// So that `#[derive(Message)]`, which names the crate, works within it, too.
#[allow(unused_extern_crates)]
extern crate self as courtside;

mod address;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod call;
mod caller;
mod channel;
mod claims;
#[cfg(feature = "client")]
pub mod client;
mod close;
mod config;
mod error;
mod handler;
mod http;
mod ids;
mod lobby;
mod memory;
mod room;
mod runtime;
mod server;
mod session;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod tick;
mod time;
mod wire;

pub use address::ClientAddress;
pub use call::Call;
pub use caller::Caller;
pub use channel::config::ChannelConfig;
pub use claims::Claims;
pub use close::CloseCode;
pub use config::{Config, Creations, Drain, Heartbeat, Limits, OutboxBounds, Quota, Rate};
pub use courtside_derive::{Message, room};
pub use error::{BuildError, Refusal};
pub use handler::{Handle, Handlers, Message};
pub use http::socket::watch_socket;
pub use ids::{ChannelName, MemberId, RoomId, SessionId};
pub use lobby::info::{RoomInfo, RoomList};
pub use memory::Memory;
pub use room::Room;
pub use room::audience::Audience;
pub use room::config::{DisposeReason, LeaveReason, RoomConfig};
pub use room::context::RoomContext;
#[doc(hidden)]
pub use room::create::ByDefault as __ByDefault;
pub use room::create::Create;
pub use room::member::Member;
pub use room::state::{State, View};
pub use room::timers::TimerId;
pub use server::{
    ListenOptions, PublishError, Routes, Server, ServerBuilder, ServerHandle, Site, SiteApp,
    listen, listen_with,
};
pub use sync::fixed::Fixed;
pub use sync::grid::Grid;
pub use sync::subset::Subset;
pub use tick::Tick;
pub use wire::action::JoinMode;
pub use wire::codec::Format;
pub use wire::event::ResumeFailure;

/// The programs of these pages must compile.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../README.md")]
    mod readme {}
    #[doc = include_str!("../../docs/from-colyseus.md")]
    mod from_colyseus {}
    #[doc = include_str!("../../docs/from-socket-io.md")]
    mod from_socket_io {}
}

/// What a file that implements a room needs.
pub mod prelude {
    pub use crate::{
        Call, Caller, ChannelConfig, Claims, Config, Create, DisposeReason, Handle, Handlers,
        LeaveReason, Member, MemberId, Message, Refusal, Room, RoomConfig, RoomContext, RoomId,
        Server, ServerBuilder, State, Tick, TimerId, View,
    };
}
