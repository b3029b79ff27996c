//! courtside
#![forbid(unsafe_code)]
extern crate self as courtside;

mod channel;
#[cfg(feature = "client")]
pub mod client;
mod close;
mod config;
mod error;
mod ids;
mod lobby;
mod session;
#[cfg(feature = "testing")]
pub mod testing;
mod tick;
mod wire;

pub use channel::config::ChannelConfig;
pub use close::CloseCode;
pub use config::{Config, Drain, Heartbeat, Limits, OutboxBounds};
pub use error::{BuildError, Refusal};
pub use ids::{ChannelName, MemberId, RoomId, SessionId};
pub use tick::Tick;
pub use wire::action::JoinMode;
pub use wire::codec::Format;
pub use wire::event::ResumeFailure;
