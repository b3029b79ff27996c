//! The way around blocked WebSockets: event streams, and actions by requests.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

#[path = "events/cut.rs"]
mod cut;
#[path = "events/expiry.rs"]
mod expiry;
#[path = "events/fallback.rs"]
mod fallback;
#[path = "events/listening.rs"]
mod listening;
#[path = "events/pages.rs"]
mod pages;
#[path = "events/permission.rs"]
mod permission;
#[path = "events/posting.rs"]
mod posting;
#[path = "events/presence.rs"]
mod presence;
#[path = "events/sockets.rs"]
mod sockets;
