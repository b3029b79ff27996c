//! The rules of a channel: its history, who is subscribed to it, and what a server says about those that it offers.

pub(crate) mod config;
pub(crate) mod history;
pub(crate) mod registry;
pub(crate) mod subscribers;
