//! courtside
#![forbid(unsafe_code)]

// So that `#[derive(Message)]`, which names the crate, works within it, too.
extern crate self as courtside;

mod actor;
mod call;
mod channel;
mod close;
mod config;
mod error;
mod handler;
mod http;
mod ids;
mod lobby;
mod room;
mod server;
mod session;
mod tick;
mod wire;

pub use call::Call;
pub use channel::config::ChannelConfig;
pub use close::CloseCode;
pub use config::{Config, Drain, Heartbeat, Limits, OutboxBounds};
pub use courtside_derive::Message;
pub use error::{BuildError, Refusal};
pub use handler::{Handle, Handlers, Message};
pub use http::socket::watch_socket;
pub use ids::{ChannelName, MemberId, RoomId, SessionId};
pub use lobby::info::RoomInfo;
pub use room::Room;
pub use room::client::{Claims, Client};
pub use room::config::{LeaveReason, RoomConfig};
pub use room::context::RoomContext;
pub use room::state::State;
pub use room::timers::TimerId;
pub use server::{PublishError, Server, ServerBuilder, listen};
pub use tick::Tick;
pub use wire::action::JoinMode;
pub use wire::codec::Format;
pub use wire::event::ResumeFailure;

/// What a file that implements a room needs.
pub mod prelude {
    pub use crate::{
        Call, ChannelConfig, Client, Config, Handle, Handlers, LeaveReason, MemberId, Message,
        Refusal, Room, RoomConfig, RoomContext, RoomId, Server, State, Tick,
    };
}
