//! Events: the frames that servers send. Each event has one function, which writes the fields in the order of the protocol's
//! table.
//!
//! Client and server count sequenced events; the others may be dropped. The caller decides by its choice of
//! [`Delivery`](crate::session::outbox::Delivery), and a test compares the choices with the table here.

mod matching;

use std::sync::OnceLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::codec::{CodecError, Format, RawData, encode_into, transcode_into};
use super::frame::{FrameWriter, msgpack_str};
use crate::close::CloseCode;
use crate::config::Limits;
use crate::error::Refusal;
use crate::ids::{ChannelName, MemberId, RoomId, SessionId};
use crate::time::millis;

pub(crate) use matching::{matched, no_match, queued};

type Written = Result<(), CodecError>;

/// The version of the protocol that this crate speaks.
pub(crate) const PROTOCOL: u32 = 1;

/// Whether client and server count events of this name. Clients count events whose names they do not know.
#[cfg(any(test, feature = "client"))]
pub(crate) fn is_sequenced(event: &str) -> bool {
    !matches!(
        event,
        "welcome"
            | "pong"
            | "signal"
            | "state"
            | "patch"
            | "latest"
            | "presence"
            | "rooms"
            | "expiring"
            | "goodbye"
    )
}

/// Why the server could not resume a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResumeFailure {
    /// The session's window had ended.
    Expired,
    /// No session of this server ever had this token, or the client's counts do not belong to the session.
    Unknown,
    /// The client missed more than the server keeps for a session.
    Overflow,
    /// The client's credential belongs to another subject than the session.
    Identity,
    /// The application has ended the session, and its client may begin a new one: see [`Disconnect`](crate::Disconnect).
    Disconnected,
}

/// The first event on each connection.
#[derive(Debug)]
pub(crate) struct Welcome<'a> {
    pub(crate) session: SessionId,
    pub(crate) resume: &'a str,
    pub(crate) resumed: bool,
    pub(crate) reason: Option<ResumeFailure>,
    pub(crate) received: u64,
    /// How many sequenced events the session has produced so far.
    pub(crate) sent: u64,
    pub(crate) time: u64,
    pub(crate) ping: Duration,
    pub(crate) window: Duration,
    pub(crate) limits: &'a ClientLimits,
    /// For a client that asked for it, because it has lost its own records.
    pub(crate) restored: Option<Restored>,
}

/// The rooms, subscriptions and tickets of a session.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) rooms: Vec<SessionRoom>,
    pub(crate) subscriptions: Vec<ChannelName>,
    pub(crate) tickets: Vec<RestoredTicket>,
}

/// A queue in which the session is and, if it has a match, the room to join.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub(crate) struct RestoredTicket {
    pub(crate) queue: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) room: Option<RoomId>,
}

/// A room that a session is in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionRoom {
    /// The room.
    pub room: RoomId,
    /// Its kind.
    pub kind: String,
    /// The member that the session is there.
    pub member: MemberId,
}

/// The bounds that concern clients, so that a client need not learn them from errors. Each `welcome` has them, so they are encoded
/// once.
#[derive(Debug)]
pub(crate) struct ClientLimits {
    bounds: Bounds,
    encoded: [OnceLock<Box<[u8]>>; 2],
}

#[derive(Serialize, Debug)]
struct Bounds {
    message_bytes: usize,
    nesting: usize,
    rooms: usize,
    subscriptions: usize,
    calls: usize,
    actions_in_flight: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<ClientRate>,
}

#[derive(Serialize, Debug)]
struct ClientRate {
    per_second: u32,
    burst: u32,
}

impl From<&Limits> for ClientLimits {
    fn from(limits: &Limits) -> Self {
        let bounds = Bounds {
            message_bytes: limits.message_bytes,
            nesting: limits.nesting,
            rooms: limits.rooms,
            subscriptions: limits.subscriptions,
            calls: limits.calls,
            actions_in_flight: limits.actions_in_flight,
            rate: limits.rate.map(|rate| ClientRate {
                per_second: rate.per_second,
                burst: rate.burst,
            }),
        };
        Self {
            bounds,
            encoded: Default::default(),
        }
    }
}

impl ClientLimits {
    fn encoded(&self, format: Format) -> Result<&[u8], CodecError> {
        let place = &self.encoded[format as usize];
        if let Some(encoded) = place.get() {
            return Ok(encoded);
        }
        let mut encoded = Vec::new();
        encode_into(format, &self.bounds, &mut encoded)?;
        Ok(place.get_or_init(|| encoded.into()))
    }
}

impl Welcome<'_> {
    pub(crate) fn write(&self, w: &mut FrameWriter) -> Written {
        w.event("welcome")
            .field("protocol", &PROTOCOL)?
            .field("session", &self.session)?
            .text("resume", self.resume)?
            .field("resumed", &self.resumed)?;
        if let Some(reason) = &self.reason {
            w.field("reason", reason)?;
        }
        let format = w.format();
        w.field("received", &self.received)?
            .field("sent", &self.sent)?
            .field("time", &self.time)?
            .field("ping_ms", &millis(self.ping))?
            .field("window_ms", &millis(self.window))?
            .raw("limits", format, self.limits.encoded(format)?)?;
        if let Some(restored) = &self.restored {
            w.field("rooms", &restored.rooms)?
                .field("subscriptions", &restored.subscriptions)?;
            if !restored.tickets.is_empty() {
                w.field("tickets", &restored.tickets)?;
            }
        }
        Ok(())
    }
}

fn id_field(w: &mut FrameWriter, id: Option<u64>) -> Written {
    if let Some(id) = id {
        w.field("id", &id)?;
    }
    Ok(())
}

pub(crate) fn pong(w: &mut FrameWriter, id: Option<u64>, received: u64, time: u64) -> Written {
    w.event("pong");
    id_field(w, id)?;
    w.field("received", &received)?.field("time", &time)?;
    Ok(())
}

/// The client's credential ends soon.
pub(crate) fn expiring(w: &mut FrameWriter, left: Duration) -> Written {
    w.event("expiring").field("in_ms", &millis(left))?;
    Ok(())
}

pub(crate) fn joined(
    w: &mut FrameWriter,
    id: Option<u64>,
    room: &RoomId,
    kind: &str,
    member: MemberId,
) -> Written {
    w.event("joined");
    id_field(w, id)?;
    w.field("room", room)?
        .text("kind", kind)?
        .field("member", &member)?;
    Ok(())
}

/// `message` is for people: why the room has kicked its member.
pub(crate) fn left(
    w: &mut FrameWriter,
    id: Option<u64>,
    room: &RoomId,
    reason: &str,
    message: Option<&str>,
) -> Written {
    w.event("left");
    id_field(w, id)?;
    w.field("room", room)?.text("reason", reason)?;
    if let Some(message) = message {
        w.text("message", message)?;
    }
    Ok(())
}

/// `message`, or `signal`, which has the same fields and is not sequenced. Without a room, the application has sent it.
pub(crate) fn message<T: Serialize + ?Sized>(
    w: &mut FrameWriter,
    event: &'static str,
    room: Option<&RoomId>,
    name: &str,
    data: Option<&T>,
) -> Written {
    w.event(event);
    if let Some(room) = room {
        w.field("room", room)?;
    }
    w.text("type", name)?;
    if let Some(data) = data {
        w.data(data)?;
    }
    Ok(())
}

/// The whole state of a room. `data` is encoded in the writer's format. `keys` is the table whose numbers the following patches
/// use for keys.
pub(crate) fn state(
    w: &mut FrameWriter,
    room: &RoomId,
    tick: u64,
    data: &[u8],
    keys: Option<&impl Serialize>,
    hash: Option<u32>,
) -> Written {
    let format = w.format();
    w.event("state").field("room", room)?.field("tick", &tick)?;
    if let Some(keys) = keys {
        w.field("keys", keys)?;
    }
    if let Some(hash) = hash {
        w.field("hash", &hash)?;
    }
    w.raw("data", format, data)?;
    Ok(())
}

/// What changed in a room's state since `base`. `data` is encoded in the writer's format.
pub(crate) fn patch(
    w: &mut FrameWriter,
    room: &RoomId,
    tick: u64,
    base: u64,
    data: &[u8],
    hash: Option<u32>,
) -> Written {
    let format = w.format();
    w.event("patch")
        .field("room", room)?
        .field("tick", &tick)?
        .field("base", &base)?;
    if let Some(hash) = hash {
        w.field("hash", &hash)?;
    }
    w.raw("data", format, data)?;
    Ok(())
}

/// One item of a channel's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publication {
    pub(crate) offset: u64,
    pub(crate) data: RawData,
}

pub(crate) fn publication(
    w: &mut FrameWriter,
    channel: &ChannelName,
    publication: &Publication,
) -> Written {
    publication_as(w, "publication", channel, publication)
}

/// A publication that replaces older ones, and is not sequenced.
pub(crate) fn latest(
    w: &mut FrameWriter,
    channel: &ChannelName,
    publication: &Publication,
) -> Written {
    publication_as(w, "latest", channel, publication)
}

/// A publication as a patch of the one before.
pub(crate) fn publication_patch(
    w: &mut FrameWriter,
    channel: &ChannelName,
    offset: u64,
    patch: &RawData,
) -> Written {
    w.event("publication")
        .field("channel", channel)?
        .field("offset", &offset)?
        .raw("patch", patch.format(), patch.bytes())?;
    Ok(())
}

fn publication_as(
    w: &mut FrameWriter,
    event: &'static str,
    channel: &ChannelName,
    publication: &Publication,
) -> Written {
    w.event(event)
        .field("channel", channel)?
        .field("offset", &publication.offset)?
        .raw("data", publication.data.format(), publication.data.bytes())?;
    Ok(())
}

/// The answer to `subscribe`.
#[derive(Debug)]
pub(crate) struct Subscribed<'a> {
    pub(crate) channel: &'a ChannelName,
    pub(crate) epoch: &'a str,
    pub(crate) offset: u64,
    pub(crate) recovered: bool,
    pub(crate) publications: &'a [Publication],
    /// Whether the subscriber receives patches.
    pub(crate) is_delta: bool,
    /// What the next patch changes, if it is not the last of the list.
    pub(crate) base: Option<&'a Publication>,
    /// What the channel's hook gives the subscriber to begin with.
    pub(crate) data: Option<&'a RawData>,
    /// The time after which the subscription ends, if the hook has limited it.
    pub(crate) left: Option<Duration>,
}

impl Subscribed<'_> {
    pub(crate) fn write(&self, w: &mut FrameWriter, id: Option<u64>) -> Written {
        w.event("subscribed");
        id_field(w, id)?;
        w.field("channel", self.channel)?
            .text("epoch", self.epoch)?
            .field("offset", &self.offset)?
            .field("recovered", &self.recovered)?
            .list("publications", self.publications, write_publication)?;
        if self.is_delta {
            w.field("delta", &true)?;
        }
        if let Some(Publication { offset, data }) = self.base {
            w.object("base", |w| {
                w.field("offset", offset)?
                    .raw("data", data.format(), data.bytes())?;
                Ok(())
            })?;
        }
        if let Some(data) = self.data {
            w.raw("data", data.format(), data.bytes())?;
        }
        if let Some(left) = self.left {
            w.field("expires_ms", &millis(left))?;
        }
        Ok(())
    }
}

/// A page of a channel's history.
#[derive(Debug)]
pub(crate) struct HistoryPage<'a> {
    pub(crate) epoch: &'a str,
    /// Of the channel's newest publication.
    pub(crate) offset: u64,
    pub(crate) publications: &'a [Publication],
    /// Whether there are more publications in the direction in which the client turns the pages.
    pub(crate) more: bool,
}

impl HistoryPage<'_> {
    /// The `reply` to `history`.
    pub(crate) fn write(&self, w: &mut FrameWriter, id: Option<u64>) -> Written {
        w.event("reply");
        id_field(w, id)?;
        w.object("data", |w| {
            w.text("epoch", self.epoch)?
                .field("offset", &self.offset)?
                .list("publications", self.publications, write_publication)?
                .field("more", &self.more)?;
            Ok(())
        })?;
        Ok(())
    }
}

fn write_publication(item: &Publication, format: Format, out: &mut Vec<u8>) -> Written {
    match format {
        Format::Json => {
            out.extend_from_slice(b"{\"offset\":");
            encode_into(format, &item.offset, out)?;
            out.extend_from_slice(b",\"data\":");
            transcode_into(item.data.format(), format, item.data.bytes(), out)?;
            out.push(b'}');
        }
        Format::MsgPack => {
            out.push(0x82);
            msgpack_str(out, "offset");
            encode_into(format, &item.offset, out)?;
            msgpack_str(out, "data");
            transcode_into(item.data.format(), format, item.data.bytes(), out)?;
        }
    }
    Ok(())
}

pub(crate) fn unsubscribed(
    w: &mut FrameWriter,
    id: Option<u64>,
    channel: &ChannelName,
    reason: &str,
) -> Written {
    w.event("unsubscribed");
    id_field(w, id)?;
    w.field("channel", channel)?.text("reason", reason)?;
    Ok(())
}

pub(crate) fn published(
    w: &mut FrameWriter,
    id: u64,
    channel: &ChannelName,
    offset: u64,
) -> Written {
    w.event("published")
        .field("id", &id)?
        .field("channel", channel)?
        .field("offset", &offset)?;
    Ok(())
}

/// The answer to a call or a message. If the reply is null, there is no field `data`.
pub(crate) fn reply(w: &mut FrameWriter, id: u64, data: &impl Serialize) -> Written {
    w.event("reply").field("id", &id)?.data_unless_null(data)?;
    Ok(())
}

/// The reply to a `refresh` that was accepted. Without `left`, the credential does not expire.
pub(crate) fn refreshed(w: &mut FrameWriter, id: u64, left: Option<Duration>) -> Written {
    #[derive(Serialize)]
    struct Refreshed {
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_ms: Option<u64>,
    }
    let expires_ms = left.map(millis);
    reply(w, id, &Refreshed { expires_ms })
}

pub(crate) fn error(
    w: &mut FrameWriter,
    id: Option<u64>,
    room: Option<&RoomId>,
    refusal: &Refusal,
) -> Written {
    w.event("error");
    id_field(w, id)?;
    if let Some(room) = room {
        w.field("room", room)?;
    }
    w.text("code", refusal.code())?
        .text("message", refusal.message())?;
    Ok(())
}

/// When a client that the server disconnects should reconnect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Reconnect {
    pub(crate) after_ms: u64,
    pub(crate) jitter_ms: u64,
}

pub(crate) fn goodbye(
    w: &mut FrameWriter,
    code: CloseCode,
    reason: &str,
    error: Option<&str>,
    reconnect: Option<Reconnect>,
) -> Written {
    w.event("goodbye")
        .field("code", &code.0)?
        .text("reason", reason)?;
    if let Some(error) = error {
        w.text("error", error)?;
    }
    if let Some(reconnect) = &reconnect {
        w.field("reconnect", reconnect)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
