//! Real-time games and live updates on actix. You write rooms and channels; the server's clients never lose, repeat or reorder a
//! message, even when the network drops their connection.
//!
//! # Getting started
//!
//! A *room* is a struct whose methods [`#[courtside::room]`](macro@room) turns into hooks and handlers. They run one at a time
//! and act through a [`RoomContext`]. The macro implements the traits [`Room`] and [`Handle`], which you can also implement by
//! hand.
//! A [`Server`] is built from kinds of rooms, channels and calls. It serves [at a path](Server::at), by itself or in an actix-web
//! application.
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
//! # Terms
//!
//! - **connection**: one WebSocket; it ends when the network fails.
//! - **session**: a client's identity on the server: its memberships, subscriptions and unacknowledged events. It survives lost
//!   connections for a while, the **window**.
//! - **room**: state and logic on the server that clients join.
//! - **member**: a session in a room. A [`Member`] is what the room's code sees of it.
//! - **lobby**: the part of the server that finds or creates a room for a `join`.
//! - **channel**: a named stream of **publications** with a short history.
//! - **action** and **event**: what a client sends, and what the server sends.
//! - **call**: a request to the server, outside of rooms, with a reply.
//! - **state** and **patch**: the data that a room shows its members, and a change of it.
//! - **audience**: the members that receive a room's message; see [`Audience`].
//! - **message**: an event that a room sends to members reliably: once and in order.
//! - **signal**: like a message, but dropped if the member is disconnected or far behind.
//! - **latest**: like a signal, but the newest one replaces an older one that still waits.
//! - **refusal**: an error with a code and a text that the client receives; see [`Refusal`].
//!
//! # Floors
//!
//! Each module uses only its own floor and lower ones; a test checks that.
//!
//! 0. basic types: `address`, `ids`, `time`, `tick`, `close`, `error`, `config`
//! 1. `wire`: actions and events, in JSON and MessagePack; `sync`: changes of a state
//! 2. rules, pure, with the time as a parameter: `session`, `channel`, `presence`, `lobby`, `matchmaking`
//! 3. what users implement: `room`, `handler`
//! 4. `runtime`: the actors that carry messages and run timers
//! 5. `server`, `call`, `http`, and the features `client` and `testing`
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// `#[derive(Message)]` refers to the crate by name; this makes it work within the crate, too.
#[allow(unused_extern_crates)]
extern crate self as courtside;

mod address;
mod app_data;
#[cfg(feature = "__bench")]
#[doc(hidden)]
pub mod bench;
mod bound;
mod call;
mod caller;
mod channel;
mod claims;
#[cfg(feature = "client")]
pub mod client;
mod close;
mod config;
mod error;
mod follower;
mod handler;
mod http;
mod ids;
#[cfg_attr(
    not(test),
    allow(dead_code, reason = "no session or room writes to a journal yet")
)]
mod journal;
#[cfg(feature = "jwt")]
mod jwt;
mod lobby;
pub mod matchmaking;
mod memory;
mod observer;
mod origin;
mod presence;
mod room;
mod room_handle;
mod runtime;
mod server;
mod server_handle;
mod session;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod tick;
mod time;
mod user_handle;
mod wire;

pub use address::ClientAddress;
pub use call::Call;
pub use caller::Caller;
pub use channel::config::{Channel, Untyped};
pub use channel::error::ChannelError;
pub use channel::follow::{FollowError, Followed, FollowedPublication, Gap, MissedChannel};
pub use channel::history::{HistoryPage, HistoryQuery, PastPublication};
pub use channel::publish::PublishError;
pub use channel::publishing::Publishing;
pub use channel::subscriber::{Access, Subscriber};
pub use claims::Identity;
pub use close::CloseCode;
pub use config::{
    BadSetting, Config, Creations, Drain, Heartbeat, Limits, Misses, OutboxBounds, Quota, Rate,
};
pub use courtside_derive::{Message, room};
pub use error::{BuildError, Refusal};
pub use follower::Follower;
pub use handler::{Handle, Handlers, Message, Receive};
#[cfg(feature = "api")]
pub use http::api::key::{ApiError, ApiKey, ApiScope};
#[cfg(feature = "api")]
pub use http::api::{Api, ApiRoutes};
pub use http::socket::watch_socket;
pub use ids::{ChannelName, MemberId, RoomId, SessionId};
pub use journal::gate::JournalSync;
pub use journal::settings::{Journal, JournalHealth};
#[cfg(feature = "jwt")]
pub use jwt::{JwtAlgorithm, JwtError, JwtVerifier};
pub use lobby::info::{RoomInfo, RoomList};
pub use lobby::lister::Lister;
pub use lobby::listing::filter::RoomFilter;
pub use memory::Memory;
pub use observer::{Observer, ServerEvent, Stats};
pub use origin::Sender;
pub use presence::config::Presence;
pub use presence::member::{PresenceError, PresenceMember};
pub use room::Room;
pub use room::applicant::Applicant;
pub use room::audience::Audience;
pub use room::config::{DisposeReason, LeaveReason, RoomConfig};
pub use room::context::RoomContext;
#[doc(hidden)]
pub use room::create::ByDefault as __ByDefault;
pub use room::create::{Create, CreateError};
pub use room::member::Member;
pub use room::server_context::{OtherRoom, ServerContext};
pub use room::state::{State, View};
pub use room::tell::{AskError, BroadcastError, BroadcastSent, RoomGone, TellError};
pub use room::timers::TimerId;
pub use room::user_context::OtherUser;
pub use room_handle::{Ask, BroadcastAck, BroadcastReport, CreateRoom, RoomHandle, TellAck};
pub use runtime::sign_in::SignIn;
pub use server::{
    ListenOptions, Routes, Server, ServerBuilder, Site, SiteApp, listen, listen_with,
};
pub use server_handle::{PublishAck, ServerHandle};
pub use session::farewell::Disconnect;
pub use session::info::{SessionInfo, Transport};
pub use session::sending::UserError;
pub use sync::fixed::Fixed;
pub use sync::grid::Grid;
pub use sync::subset::Subset;
pub use tick::Tick;
pub use user_handle::{UserAck, UserHandle};
pub use wire::action::JoinMode;
pub use wire::codec::Format;
pub use wire::event::{ResumeFailure, SessionRoom};

/// The programs on these pages must compile.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../README.md")]
    mod readme {}
    #[doc = include_str!("../../docs/from-colyseus.md")]
    mod from_colyseus {}
    #[doc = include_str!("../../docs/from-socket-io.md")]
    mod from_socket_io {}
    #[doc = include_str!("../../docs/durability.md")]
    mod durability {}
    #[cfg(feature = "api")]
    #[doc = include_str!("../../docs/http-api.md")]
    mod http_api {}
    #[doc = include_str!("../../docs/recipes/http-route.md")]
    mod http_route {}
    #[doc = include_str!("../../docs/recipes/live-lobby.md")]
    mod live_lobby {}
    #[doc = include_str!("../../docs/recipes/private-rooms.md")]
    mod private_rooms {}
    #[doc = include_str!("../../docs/recipes/tournaments.md")]
    mod tournaments {}
    #[doc = include_str!("../../docs/matchmaking.md")]
    mod matchmaking {}
}

/// Everything that a file needs to implement a room.
pub mod prelude {
    pub use crate::{
        Call, Caller, Channel, Config, Create, DisposeReason, Handle, Handlers, Identity,
        LeaveReason, Member, MemberId, Message, Presence, Receive, Refusal, Room, RoomConfig,
        RoomContext, RoomId, Sender, Server, ServerBuilder, SignIn, State, Tick, TimerId, View,
    };
}
