//! The wire protocol: what the frames say, in two encodings of one data model.
//!
//! The journey of an inbound frame: [`action::read`] finds the fields ([`json`] or [`msgpack`]) without decoding
//! the application's data, and the data goes on as untouched bytes to the room or handler that knows its type.
//! The journey of an outbound frame: [`event`] writes it once per format that has receivers, WebSocket header included,
//! and from there on only references to its bytes are handed around.

pub(crate) mod action;
pub(crate) mod codec;
pub(crate) mod event;
pub(crate) mod frame;
pub(crate) mod framing;
pub(crate) mod json;
pub(crate) mod model;
pub(crate) mod msgpack;
