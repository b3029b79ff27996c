//! The actors and what they share: thin shells that carry messages, run timers and apply the effects of the lower floors,
//! which are pure.
//!
//! `docs/architecture.md` says which actor lives on which thread, and which modules of the runtime may use which others.

pub(crate) mod actor_address;
pub(crate) mod authentication;
pub(crate) mod channel_outward;
pub(crate) mod channel_shard;
pub(crate) mod claim_once;
pub(crate) mod connection;
mod contain;
mod ended_rooms;
pub(crate) mod flusher;
pub(crate) mod hub_address;
pub(crate) mod hub_batches;
mod hub_sending;
pub(crate) mod instruction;
pub(crate) mod listings;
pub(crate) mod lobby;
pub(crate) mod mail;
pub(crate) mod matchmaker;
pub(crate) mod messages;
pub(crate) mod permit;
pub(crate) mod posts;
mod receiver_hubs;
pub(crate) mod room;
mod room_admission;
mod room_effects;
mod room_inbox;
pub(crate) mod room_registry;
pub(crate) mod server_inner;
pub(crate) mod server_journal;
pub(crate) mod sign_in;
mod topic;
pub(crate) mod visitor;
pub(crate) mod worker;
pub(crate) mod writes;
