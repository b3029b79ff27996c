//! The rules of a session: what is kept, counted, resumed and closed. Plain data, with the time as a parameter; no runtime.

pub(crate) mod accounts;
pub(crate) mod credential_order;
pub(crate) mod delivery;
pub(crate) mod directory;
pub(crate) mod expiry;
pub(crate) mod farewell;
pub(crate) mod history_queue;
pub(crate) mod in_order;
pub(crate) mod info;
pub(crate) mod limits;
pub(crate) mod liveness;
mod long_queue;
pub(crate) mod outbox;
pub(crate) mod quota;
pub(crate) mod rate_limiter;
pub(crate) mod registry;
pub(crate) mod resume;
pub(crate) mod sending;
#[cfg_attr(
    not(test),
    allow(dead_code, reason = "tokens without a journal are random")
)]
pub(crate) mod signed_token;
pub(crate) mod subscriptions;
pub(crate) mod tickets;
pub(crate) mod time_limits;
