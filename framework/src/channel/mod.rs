//! The rules of a channel: its history, and what a server says about those that it offers.

pub(crate) mod config;
pub(crate) mod history;
