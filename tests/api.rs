//! The HTTP API: what each route does, and what each mistake is answered with.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

#[path = "api/channels.rs"]
mod channels;
#[path = "api/document.rs"]
mod document;
#[path = "api/pages.rs"]
mod pages;
#[path = "api/refusals.rs"]
mod refusals;
#[path = "api/repeats.rs"]
mod repeats;
#[path = "api/rooms.rs"]
mod rooms;
#[path = "api/site.rs"]
mod site;
#[path = "api/users.rs"]
mod users;
