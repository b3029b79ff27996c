//! What the records of rooms, sessions and channels contain.

pub(crate) mod channel;
pub(crate) mod parts;
pub(crate) mod session;
pub(crate) mod snap;
pub(crate) mod turn;

#[cfg(test)]
mod tests;
