//! The connection's actor: one WebSocket, from its handshake to its last frame.
//!
//! This is the only file that uses `actix-web-actors`, which its maintainers call deprecated. Another frame decoder would
//! change nothing outside of it.
//!
//! Inbound bytes pass a [`Guard`], which stops at the first frame that breaks a rule, before anything is buffered for it;
//! then the library's decoder; then [`WebSocket`], which reassembles fragments and hands messages to the session. Outbound
//! frames leave by the [`Writer`]. The actor itself writes nothing, because two paths out would have no order.

use std::rc::Rc;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, StreamHandler, WrapFuture};
use actix_http::ws::{Codec, Item, hash_key};
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode, Version};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use actix_web_actors::ws::{Message, ProtocolError, WebsocketContext};
use bytes::BytesMut;
use tokio::time::sleep;

use crate::close::CloseCode;
use crate::error::Refusal;
use crate::runtime::connection::guard::{ByteStream, Guard, Incoming};
use crate::runtime::connection::handle::{ConnectionHandle, Cut};
use crate::runtime::connection::phase::CloseMode;
use crate::runtime::connection::writer::Writer;
use crate::runtime::messages::SessionMessage;
use crate::runtime::permit::Permit;
use crate::runtime::worker::hub::{GOODBYE_TIME, Hub};
use crate::runtime::worker::opening::{Opening, TurnedAway};
use crate::runtime::worker::session_handle::SessionHandle;
use crate::session::rate_limiter::Pass;
use crate::wire::action;
use crate::wire::codec::{Format, RawData};
use crate::wire::framing;

/// A request that is a WebSocket handshake by RFC 6455, 4.2.1.
#[derive(Debug)]
pub(crate) struct Handshake {
    accept: [u8; 28],
    /// The format of the subprotocol that both sides support.
    pub(crate) format: Option<Format>,
}

impl Handshake {
    /// Checks everything that the RFC requires of the client.
    pub(crate) fn read(request: &HttpRequest) -> Result<Self, (StatusCode, Refusal)> {
        let headers = request.headers();
        let refuse = |message: &'static str| {
            Err((
                StatusCode::BAD_REQUEST,
                Refusal::new("bad_handshake", message),
            ))
        };
        if request.method() != Method::GET || request.version() != Version::HTTP_11 {
            return refuse("a WebSocket begins with a GET request in HTTP/1.1");
        }
        if !has_token(headers, header::UPGRADE, "websocket")
            || !has_token(headers, header::CONNECTION, "upgrade")
        {
            return Err((
                StatusCode::UPGRADE_REQUIRED,
                Refusal::new(
                    "upgrade_required",
                    "this address speaks WebSocket: open it with `new WebSocket(url)`",
                ),
            ));
        }
        let length = headers.get(header::CONTENT_LENGTH);
        if headers.contains_key(header::TRANSFER_ENCODING) || length.is_some_and(|l| l != "0") {
            return refuse("a WebSocket's handshake has no body");
        }
        if headers
            .get(header::SEC_WEBSOCKET_VERSION)
            .is_none_or(|version| version != "13")
        {
            return refuse("this server speaks version 13 of WebSocket");
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY);
        match key.filter(|key| is_key(key.as_bytes())) {
            Some(key) => Ok(Self {
                accept: hash_key(key.as_bytes()),
                format: subprotocol(headers),
            }),
            None => refuse("`Sec-WebSocket-Key` is not 16 bytes in base64"),
        }
    }
}

fn tokens(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|known| known.eq_ignore_ascii_case(token))
}

fn subprotocol(headers: &HeaderMap) -> Option<Format> {
    tokens(headers, header::SEC_WEBSOCKET_PROTOCOL).find_map(|offered| {
        Format::ALL
            .into_iter()
            .find(|format| format.subprotocol() == offered)
    })
}

/// 16 bytes are 22 characters of base64 and two of padding; the last of the 22 has only two significant bits.
fn is_key(key: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'+' || *byte == b'/';
    key.len() == 24
        && key.ends_with(b"==")
        && key[..22].iter().all(is_base64)
        && b"AQgw".contains(&key[21])
}

/// Opens a connection. Returns the response to its handshake, and its writer, which is to be driven until it ends.
pub(crate) fn open(
    hub: &Rc<Hub>,
    handshake: &Handshake,
    opening: Result<Opening, TurnedAway>,
    payload: ByteStream,
    cut: Option<Cut>,
) -> (HttpResponseBuilder, Writer) {
    let connection = match opening {
        Ok(opening) => hub.open(opening, cut),
        Err(turned_away) => hub.turn_away(&turned_away, cut),
    };
    let incoming = Incoming::new(payload);
    let limit = hub.shared.config.limits.message_bytes;
    let guard = Guard::new(incoming.clone(), limit as u64);
    let socket = WebSocket {
        hub: hub.clone(),
        handle: connection.clone(),
        incoming: incoming.clone(),
        fragments: None,
    };
    let codec = Codec::new().max_size(limit);
    let actor = WebsocketContext::with_codec(socket, guard, codec);
    let writer = Writer::new(Box::pin(actor), connection, hub.clone(), incoming);
    let mut response = HttpResponse::build(StatusCode::SWITCHING_PROTOCOLS);
    response.upgrade("websocket");
    if let Ok(accept) = std::str::from_utf8(&handshake.accept) {
        response.insert_header((header::SEC_WEBSOCKET_ACCEPT, accept));
    }
    if let Some(format) = handshake.format {
        response.insert_header((header::SEC_WEBSOCKET_PROTOCOL, format.subprotocol()));
    }
    (response, writer)
}

/// A message of which some fragments have arrived.
struct Fragments {
    format: Format,
    bytes: BytesMut,
}

/// The actor of one WebSocket.
pub(crate) struct WebSocket {
    hub: Rc<Hub>,
    handle: Rc<ConnectionHandle>,
    incoming: Incoming,
    /// Boxed, because it is rare.
    fragments: Option<Box<Fragments>>,
}

type Ctx = WebsocketContext<WebSocket>;

impl Actor for WebSocket {
    type Context = Ctx;
}

impl StreamHandler<Result<Message, ProtocolError>> for WebSocket {
    fn handle(&mut self, item: Result<Message, ProtocolError>, ctx: &mut Ctx) {
        self.handle.note_received();
        self.incoming.note_processed();
        match item {
            Ok(Message::Pong(_) | Message::Nop) => {}
            Ok(Message::Close(reason)) => {
                self.close(reason.map(|r| (u16::from(r.code), r.description)), ctx);
            }
            // After a close frame was sent, only the client's own is of interest.
            Ok(_) if self.handle.is_ending() => {}
            Ok(Message::Ping(payload)) => self.handle.send_control(framing::control(0xA, &payload)),
            Ok(Message::Text(text)) => self.take(RawData::Json(text), ctx),
            Ok(Message::Binary(bytes)) => self.take(RawData::MsgPack(bytes), ctx),
            Ok(Message::Continuation(item)) => self.reassemble(item, ctx),
            // The decoder returns an error again at each poll, so the actor must stop.
            Err(error) => {
                let code = match error {
                    ProtocolError::Overflow => CloseCode::TOO_BIG,
                    // The guard lets no other error through: this is a text that is not UTF-8.
                    ProtocolError::Io(_) => CloseCode::INVALID_TEXT,
                    _ => CloseCode::PROTOCOL_ERROR,
                };
                self.fail(code, ctx);
            }
        }
    }

    fn finished(&mut self, ctx: &mut Ctx) {
        match self.incoming.fault() {
            // The fault is in the client's close frame, so a goodbye would come too late.
            Some(CloseCode::INVALID_TEXT) => {
                let close = framing::close(CloseCode::INVALID_TEXT.0, "");
                self.handle.echo_close(close, self.hub.closing_deadline());
                ctx.stop();
            }
            Some(code) => self.fail(code, ctx),
            None => {
                self.handle.client_is_done();
                ctx.stop();
            }
        }
    }
}

impl WebSocket {
    /// Closes the connection of a client that broke a rule of WebSocket.
    fn fail(&mut self, code: CloseCode, ctx: &mut Ctx) {
        let limit = self.hub.shared.config.limits.message_bytes;
        let reason = match code {
            CloseCode::TOO_BIG => format!("a message may have {limit} bytes"),
            CloseCode::INVALID_TEXT => "a text was not UTF-8".to_owned(),
            _ => "a frame broke the rules of WebSocket".to_owned(),
        };
        self.end(code, &reason, ctx);
    }

    /// Closes the connection and discards what still arrives.
    fn end(&mut self, code: CloseCode, reason: &str, ctx: &mut Ctx) {
        // The client's close frame ends the connection at once. A client that does not answer has little time.
        let deadline = self.hub.now() + GOODBYE_TIME;
        let reconnect = code.comes_back().then(|| self.hub.reconnect_at_once());
        self.handle
            .end(code, reason, reconnect, CloseMode::Now, deadline);
        self.incoming.discard();
        ctx.stop();
    }

    /// Answers the client's close frame with the same code, if that is one that may be sent (RFC 6455, 7.4).
    ///
    /// If the client begins the close, with 1000 or without a code, its session ends, too. A page that navigates away closes
    /// with another code, and a failing network with none.
    fn close(&mut self, reason: Option<(u16, Option<String>)>, ctx: &mut Ctx) {
        if !self.handle.is_ending() && matches!(reason, None | Some((1000, _))) {
            let Some(session) = self.handle.session() else {
                let decided = self.handle.clone().until_attached_or_ending();
                let then = decided
                    .into_actor(self)
                    .map(move |(), actor, ctx| actor.close(reason, ctx));
                ctx.wait(then);
                return;
            };
            let connection = self.handle.id;
            session
                .address
                .do_send(SessionMessage::Closed { connection });
        }
        let deadline = self.hub.closing_deadline();
        let echo = match reason {
            None => framing::control(0x8, b""),
            Some((code @ (1000..=1003 | 1007..=1014 | 3000..=4999), _)) => framing::close(code, ""),
            Some(_) => framing::close(CloseCode::PROTOCOL_ERROR.0, ""),
        };
        self.handle.echo_close(echo, deadline);
        ctx.stop();
    }

    fn reassemble(&mut self, item: Item, ctx: &mut Ctx) {
        let (format, bytes, is_last) = match item {
            Item::FirstText(bytes) => (Some(Format::Json), bytes, false),
            Item::FirstBinary(bytes) => (Some(Format::MsgPack), bytes, false),
            Item::Continue(bytes) => (None, bytes, false),
            Item::Last(bytes) => (None, bytes, true),
        };
        if let Some(format) = format {
            self.fragments = Some(Box::new(Fragments {
                format,
                bytes: BytesMut::new(),
            }));
        }
        let Some(fragments) = &mut self.fragments else {
            return self.fail(CloseCode::PROTOCOL_ERROR, ctx);
        };
        if fragments.bytes.len() + bytes.len() > self.hub.shared.config.limits.message_bytes {
            return self.fail(CloseCode::TOO_BIG, ctx);
        }
        fragments.bytes.extend_from_slice(&bytes);
        if is_last && let Some(fragments) = self.fragments.take() {
            let Fragments { format, bytes } = *fragments;
            match RawData::new(format, bytes.freeze()) {
                Ok(message) => self.take(message, ctx),
                Err(_) => self.fail(CloseCode::INVALID_TEXT, ctx),
            }
        }
    }

    /// Accepts a message when the connection has a session, the rate allows the message, and a permit is free. Until then
    /// nothing more is read from this client, and TCP slows it down.
    fn take(&mut self, message: RawData, ctx: &mut Ctx) {
        if self.handle.is_ending() {
            return;
        }
        let Some(session) = self.handle.session() else {
            let attached = self.handle.clone().until_attached_or_ending();
            let then = attached
                .into_actor(self)
                .map(move |(), actor, ctx| actor.take(message, ctx));
            ctx.wait(then);
            return;
        };
        match &self.hub.shared.config.limits.rate {
            Some(rate) => match session.router.check_rate(self.hub.now(), rate) {
                Pass::Now => self.admit(&session, message, ctx),
                Pass::After(wait) => {
                    self.handle.pause_reading(true);
                    let connection = self.handle.clone();
                    let wait = async move {
                        // Messages on an ending connection are ignored, but its close frame must be read.
                        tokio::select! {
                            () = sleep(wait) => {}
                            () = connection.until_ending() => {}
                        }
                    };
                    let then = wait.into_actor(self);
                    ctx.wait(then.map(move |(), actor, ctx| {
                        actor.handle.pause_reading(false);
                        // The connection may have another session by now, or none.
                        if let Some(session) = actor.handle.session() {
                            actor.admit(&session, message, ctx);
                        }
                    }));
                }
                Pass::Never => {
                    let (rate, patience) = (rate.per_second, rate.patience.as_secs());
                    let reason = format!("more than {rate} messages a second for {patience} s");
                    self.end(CloseCode::VIOLATION, &reason, ctx);
                }
            },
            None => self.admit(&session, message, ctx),
        }
    }

    /// Hands a message to the session when a permit is free.
    fn admit(&mut self, session: &SessionHandle, message: RawData, ctx: &mut Ctx) {
        match session.permits.try_take(message.bytes().len()) {
            Some(permit) => self.hand_over(session, &message, permit),
            None => {
                self.handle.pause_reading(true);
                let (permit, connection) = (session.permits.clone(), self.handle.clone());
                let bytes = message.bytes().len();
                let permit = async move {
                    tokio::select! {
                        permit = permit.take(bytes) => permit,
                        () = connection.until_ending() => None,
                    }
                };
                let then = permit.into_actor(self).map(move |permit, actor, _| {
                    actor.handle.pause_reading(false);
                    // The connection may have another session by now, or none.
                    if let (Some(permit), Some(session)) = (permit, actor.handle.session()) {
                        actor.hand_over(&session, &message, permit);
                    }
                });
                ctx.wait(then);
            }
        }
    }

    fn hand_over(&self, session: &SessionHandle, message: &RawData, permit: Permit) {
        if self.handle.is_ending() {
            return;
        }
        // A message refers to everything that was read with it. A message that has to wait is copied, so that it keeps only
        // its own bytes.
        let message = match session.permits.is_behind() {
            true => &message.detached(),
            false => message,
        };
        let inbound = action::read(message, self.hub.shared.config.limits.nesting);
        let (connection, router) = (self.handle.id, &session.router);
        if let Some((inbound, permit)) =
            router.send_directly(&self.hub.flusher, connection, inbound, permit)
        {
            router.note_mailed();
            session.address.do_send(SessionMessage::Received {
                connection,
                inbound,
                permit,
            });
        }
    }
}
