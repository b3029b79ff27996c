//! The wire protocol: actions and events, in two encodings of one data model.
//!
//! The journey of an inbound frame: [`action::read`] finds the fields ([`json`] or [`msgpack`]) and leaves the application's data
//! encoded. The room or the handler that knows the data's type decodes it.
//! The journey of an outbound frame: a function of [`event`] encodes it once per format that has receivers, [`framing`] puts a
//! header in front, and from there on only references to the bytes are passed on.

pub(crate) mod action;
pub(crate) mod codec;
pub(crate) mod event;
pub(crate) mod frame;
pub(crate) mod framing;
pub(crate) mod json;
pub(crate) mod model;
pub(crate) mod msgpack;
pub(crate) mod party;
pub(crate) mod positions;
