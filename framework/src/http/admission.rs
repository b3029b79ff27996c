//! Admission: the checks before a request becomes a connection.
//!
//! A refusal is an HTTP response with a JSON body, `{ "code", "message" }`; a browser's script sees only that its socket failed.
//! So if the handshake is valid but the credential or the query is not, the connection is opened and receives `goodbye` instead
//! of a session. Refusals are logged with a remedy; the number of log lines that strangers can cause is limited.

use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::{StatusCode, header};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::lean::LeanSocket;
use super::origin::{Origins, Stranger};
use super::socket::{cut_of, is_local};
use crate::address::{ClientAddress, TrustedProxies};
use crate::close::CloseCode;
use crate::error::Refusal;
use crate::runtime::authentication::{Accepted, Unaccepted};
use crate::runtime::connection::guard::{ByteStream, unless_ended};
use crate::runtime::connection::websocket::{self, Handshake};
use crate::runtime::connection::writer::Body;
use crate::runtime::messages::Intent;
use crate::runtime::server_inner::ServerInner;
use crate::runtime::sign_in::SignIn;
use crate::runtime::visitor::Visitor;
use crate::runtime::worker::hub::Hub;
use crate::runtime::worker::opening::{Opening, Resume, TurnedAway};
use crate::session::info::Transport;
use crate::session::quota::LogQuota;
use crate::wire::codec::Format;

/// The rules of admission.
#[derive(Default)]
pub(crate) struct Admission {
    pub(crate) origins: Origins,
    pub(crate) proxies: TrustedProxies,
    /// Limits for log lines: about pages of other hosts, addresses with too many connections, and connections over the server's
    /// limit.
    of_origins: LogQuota,
    of_addresses: LogQuota,
    of_full: LogQuota,
    /// Whether the log line about a trusted proxy without client addresses was written.
    knows_of_nameless: AtomicBool,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

/// The query of a handshake.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Query {
    format: Option<String>,
    pub(super) resume: Option<String>,
    received: Option<String>,
    attempt: Option<String>,
    restore: Option<String>,
    pub(super) end: Option<String>,
    pub(super) access_token: Option<String>,
}

impl Query {
    /// The place for the value of a parameter. `None` for one of the application's.
    pub(super) fn field_mut(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "format" => &mut self.format,
            "resume" => &mut self.resume,
            "received" => &mut self.received,
            "attempt" => &mut self.attempt,
            "restore" => &mut self.restore,
            "end" => &mut self.end,
            "access_token" => &mut self.access_token,
            _ => return None,
        })
    }

    pub(super) fn format(&self) -> Result<Format, &'static str> {
        match self.format.as_deref() {
            None => Ok(Format::default()),
            Some(name) => Format::from_name(name).ok_or("`format` is `json` or `msgpack`"),
        }
    }

    /// The client's request for an earlier session, if there is one. The error says what is wrong.
    pub(super) fn resume(&self) -> Result<Option<Resume>, &'static str> {
        let received = self.received.as_deref().map(str::parse).transpose();
        let received = received.map_err(|_| "`received` is a count")?;
        let attempt = match self.attempt.as_deref().map(str::parse) {
            None => None,
            Some(Ok(attempt @ 1..)) => Some(attempt),
            Some(_) => return Err("`attempt` is a count that begins at 1"),
        };
        let restores = flag(self.restore.as_deref()).ok_or("`restore` is `true` or `false`")?;
        let ends = flag(self.end.as_deref()).ok_or("`end` is `true` or `false`")?;
        // A request that ends a session without naming one succeeds.
        let token = self.resume.clone().or(ends.then(String::new));
        let intent = match (ends, restores) {
            (true, _) => Intent::End,
            (_, true) => Intent::Restore { received },
            _ => Intent::Resume {
                received: received.unwrap_or(0),
            },
        };
        Ok(token.map(|token| Resume {
            token,
            intent,
            attempt,
        }))
    }
}

/// The header in which proxies report their clients. `http` has no constant for it.
const FORWARDED_FOR: header::HeaderName = header::HeaderName::from_static("x-forwarded-for");

/// How a page is related to this server, as browsers say. `http` has no constant for it.
const FETCH_SITE: header::HeaderName = header::HeaderName::from_static("sec-fetch-site");

/// A flag of the query. `None` if it is neither `true` nor `false`.
pub(super) fn flag(value: Option<&str>) -> Option<bool> {
    match value {
        None | Some("false") => Some(false),
        Some("true") => Some(true),
        Some(_) => None,
    }
}

/// The codes of refusals for too many connections.
const TOO_MANY: &str = "too_many_connections";
const FULL: &str = "full";

pub(super) type Refused = (StatusCode, Refusal);

impl Admission {
    /// Answers a request for a connection.
    pub(crate) async fn answer(
        &self,
        hub: &Rc<Hub>,
        request: &HttpRequest,
        payload: web::Payload,
    ) -> HttpResponse {
        match self.open(hub, request, payload).await {
            Ok(response) => response,
            Err(refused) => refusal(&refused),
        }
    }

    /// Opens the connection, if it may be opened.
    async fn open(
        &self,
        hub: &Rc<Hub>,
        request: &HttpRequest,
        payload: web::Payload,
    ) -> Result<HttpResponse, Refused> {
        let (handshake, opening, place) = self.admit(hub, request).await?;
        let lean = request.extensions_mut().remove::<LeanSocket>();
        let (incoming, cut, writer_of_lean): (ByteStream, _, _) = match lean {
            Some(lean) => (lean.incoming, Some(lean.cut), Some(lean.writer)),
            None => (Box::pin(payload), cut_of(request), None),
        };
        // After the server was suspended, it handles attempts that its clients have given up meanwhile. These must not take
        // sessions from later attempts.
        let ends = |resume: &Resume| resume.intent == Intent::End;
        let resume = opening
            .as_ref()
            .ok()
            .and_then(|opening| opening.resume.as_ref());
        let incoming = match resume {
            // Ending a session depends on the token, not on the connection.
            Some(resume) if ends(resume) => Some(incoming),
            // A lean connection reads the socket itself, and a new session takes nothing from another connection.
            resume => unless_ended(incoming, resume.is_some() && writer_of_lean.is_none()).await,
        };
        let Some(incoming) = incoming else {
            let gone = Refusal::new("gone", "the client has closed this connection already");
            return Err((StatusCode::BAD_REQUEST, gone));
        };
        place.keep();
        let (mut response, writer) = websocket::open(hub, &handshake, opening, incoming, cut);
        Ok(match writer_of_lean {
            Some(place) => {
                place.set(Some(writer));
                response.finish()
            }
            None => response.streaming(Body::new(writer)),
        })
    }

    async fn admit<'a>(
        &self,
        hub: &'a Hub,
        request: &HttpRequest,
    ) -> Result<(Handshake, Result<Opening, TurnedAway>, ConnectionPlace<'a>), Refused> {
        let address = self.address_of(request);
        let query = web::Query::<Query>::from_query(request.query_string()).ok();
        let query = query.map(web::Query::into_inner);
        let handshake = match Handshake::read(request) {
            Ok(handshake) => handshake,
            Err(refused) => {
                let token = query.and_then(|query| query.access_token);
                return Err(self
                    .credential_fault(hub, request, token)
                    .await
                    .unwrap_or(refused));
            }
        };
        self.check_origin(hub, request)?;
        // Before authentication, because the number of clients that are being authenticated is bounded, too.
        let place = self.place(hub, request, address)?;
        let turn_away = |format: Option<Format>, code, refusal| TurnedAway {
            format: handshake.format.or(format).unwrap_or_default(),
            address,
            code,
            refusal,
        };
        let read = query.ok_or("the query cannot be read").and_then(|query| {
            let format = query.format()?;
            let resume = query.resume()?;
            Ok((query, format, resume))
        });
        let (query, format, resume) = match read {
            Ok(read) => read,
            Err(message) => {
                let refusal = Refusal::new("bad_query", message);
                let turned_away = turn_away(None, CloseCode::VIOLATION, refusal);
                return Ok((handshake, Err(turned_away), place));
            }
        };
        let visitor = match self
            .visitor(hub, request, query.access_token, address)
            .await?
        {
            Ok(visitor) => visitor,
            Err(refusal) => {
                let turned_away = turn_away(Some(format), CloseCode::UNAUTHORIZED, refusal);
                return Ok((handshake, Err(turned_away), place));
            }
        };
        let opening = Opening {
            transport: Transport::Websocket,
            format: handshake.format.unwrap_or(format),
            visitor,
            resume,
        };
        Ok((handshake, Ok(opening), place))
    }

    /// Authenticates a client. The inner result says whether the application accepts it.
    async fn ask(&self, hub: &Hub, sign_in: &SignIn) -> Result<Result<Accepted, Refusal>, Refused> {
        let shared = &hub.shared;
        let patience = shared.config.authentication;
        let verdict = shared.authentication.ask(sign_in, patience, || hub.now());
        let verdict = match verdict.await {
            Ok(accepted) => Ok(accepted),
            // It says nothing about the client, which has to come back.
            Err(Unaccepted::Refused(refusal)) if refusal.is_unavailable() => {
                return Err((StatusCode::SERVICE_UNAVAILABLE, refusal));
            }
            Err(Unaccepted::Refused(refusal)) => Err(refusal),
            Err(Unaccepted::Late(refusal)) => {
                return Err((StatusCode::SERVICE_UNAVAILABLE, refusal));
            }
        };
        // The server may have started to shut down meanwhile.
        refuse_if_draining(shared)?;
        Ok(verdict)
    }

    /// Authenticates the client of a request. The inner result says whether the application accepts it.
    pub(super) async fn visitor(
        &self,
        hub: &Hub,
        request: &HttpRequest,
        token: Option<String>,
        address: Option<ClientAddress>,
    ) -> Result<Result<Visitor, Refusal>, Refused> {
        let sign_in = SignIn::of_request(request, token, address, hub.shared.data.clone());
        let accepted = self.ask(hub, &sign_in).await?;
        Ok(accepted.map(|Accepted { claims, expires }| Visitor {
            claims,
            expires,
            address,
        }))
    }

    /// The refusal of the credential of a request that is not a handshake. Programs can check a credential this way.
    async fn credential_fault(
        &self,
        hub: &Hub,
        request: &HttpRequest,
        token: Option<String>,
    ) -> Option<Refused> {
        let address = self.address_of(request);
        let sign_in = SignIn::of_request(request, token, address, hub.shared.data.clone());
        sign_in.token()?;
        let _place = match self.place(hub, request, address) {
            Ok(place) => place,
            Err(refused) => return Some(refused),
        };
        match self.ask(hub, &sign_in).await {
            Ok(Ok(_)) => None,
            Ok(Err(refusal)) => Some((StatusCode::UNAUTHORIZED, refusal)),
            Err(refused) => Some(refused),
        }
    }

    /// The client's address, if it is known. A private address may belong to a proxy with all its clients, unless the proxies are
    /// configured; an address of a trusted proxy is never a client's.
    pub(super) fn address_of(&self, request: &HttpRequest) -> Option<ClientAddress> {
        let headers: Vec<&[u8]> = forwarded_for(request).collect();
        let peer = request.peer_addr()?.ip();
        let address = self.proxies.client(peer, headers.into_iter());
        if address.is_none() && !self.knows_of_nameless.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %peer,
                "a trusted proxy does not report its client in `X-Forwarded-For`, so such clients are not counted by address; let the proxy append to that header (this is logged once)"
            );
        }
        address.filter(|address| address.is_public() || !self.proxies.is_empty())
    }

    /// Takes one of the allowed connections for a request. Logs it if there is none.
    pub(super) fn place<'a>(
        &self,
        hub: &'a Hub,
        request: &HttpRequest,
        address: Option<ClientAddress>,
    ) -> Result<ConnectionPlace<'a>, Refused> {
        ConnectionPlace::take(&hub.shared, address).inspect_err(|(_, refusal)| {
            let now = hub.now();
            match refusal.code() {
                TOO_MANY => {
                    if let Some(left_out) = self.of_addresses.take(now) {
                        let address = address.map(tracing::field::display);
                        let names_others = forwarded_for(request).next().is_some();
                        tracing::warn!(
                            address,
                            left_out,
                            forwarded_for = names_others,
                            "a connection was refused because its address has as many as `Limits::connections_per_address` allows; if it is a proxy's address, name it with `ServerBuilder::trust_proxy`"
                        );
                    }
                }
                FULL => {
                    if let Some(left_out) = self.of_full.take(now) {
                        tracing::warn!(
                            left_out,
                            "a connection was refused because there are as many as `Limits::connections` allows"
                        );
                    }
                }
                _ => {}
            }
        })
    }

    /// Checks the page that has sent a request which is no handshake. Such a request may have no `Origin`, although it is a page's.
    pub(super) fn check_page(&self, hub: &Hub, request: &HttpRequest) -> Result<(), Refused> {
        if request.headers().contains_key(header::ORIGIN) {
            return self.check_origin(hub, request);
        }
        let of = |name| request.headers().get(name).and_then(|v| v.to_str().ok());
        // A page of another site may have an image of this address, for example.
        if matches!(of(FETCH_SITE), Some("cross-site" | "same-site")) {
            return self.check_origin_of(hub, request, "null");
        }
        // A page of the host that the browser asks for, or no page. That host must be one of this server's own.
        let host = of(header::HOST).unwrap_or_default();
        let secure = format!("https://{host}");
        if host.is_empty() || self.check_silently(request, &secure).is_ok() {
            return Ok(());
        }
        self.check_origin_of(hub, request, &format!("http://{host}"))
    }

    /// Browsers allow any page to open a socket to any server and send the page's origin; so the server must check it.
    pub(super) fn check_origin(&self, hub: &Hub, request: &HttpRequest) -> Result<(), Refused> {
        let Some(origin) = request.headers().get(header::ORIGIN) else {
            return Ok(());
        };
        self.check_origin_of(hub, request, origin.to_str().unwrap_or_default())
    }

    fn check_silently(&self, request: &HttpRequest, origin: &str) -> Result<(), Stranger> {
        let host = host_of(request);
        let peer = request.peer_addr().map(|peer| peer.ip());
        // A browser's script cannot set this header.
        let is_proxied = peer.is_some_and(|peer| self.proxies.trusts(peer))
            && forwarded_for(request).next().is_some();
        let is_local = is_local(request) && !is_proxied;
        self.origins.check(origin, host, is_local)
    }

    fn check_origin_of(
        &self,
        hub: &Hub,
        request: &HttpRequest,
        origin: &str,
    ) -> Result<(), Refused> {
        let Err(stranger) = self.check_silently(request, origin) else {
            return Ok(());
        };
        let host = host_of(request);
        if let Some(left_out) = self.of_origins.take(hub.now()) {
            match stranger {
                Stranger::Origin => tracing::warn!(
                    origin,
                    host,
                    left_out,
                    "a page of another origin was refused; to allow it: `Server::builder().allow_origin({origin:?})`"
                ),
                Stranger::Host => tracing::warn!(
                    origin,
                    host,
                    left_out,
                    "a page was refused because its host is not one of this server's own; if it is: `Server::builder().host({host:?})`"
                ),
            }
        }
        Err((
            StatusCode::FORBIDDEN,
            Refusal::new(
                "origin_not_allowed",
                "pages of this origin may not connect here",
            ),
        ))
    }
}

fn host_of(request: &HttpRequest) -> &str {
    let host = request.headers().get(header::HOST);
    host.and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// The entries of `X-Forwarded-For`, in order.
fn forwarded_for(request: &HttpRequest) -> impl Iterator<Item = &[u8]> {
    let values = request.headers().get_all(FORWARDED_FOR);
    values.map(|value| value.as_bytes())
}

/// The response to a request that is refused.
pub(super) fn refusal((status, refusal): &Refused) -> HttpResponse {
    tracing::debug!(%status, %refusal, "refused");
    let mut response = HttpResponse::build(*status);
    if matches!(
        *status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    ) {
        response.insert_header((header::RETRY_AFTER, "5"));
    }
    if *status == StatusCode::UPGRADE_REQUIRED {
        response.insert_header((header::UPGRADE, "websocket"));
    }
    if matches!(refusal.code(), "upgrade_required" | "bad_handshake") {
        response.insert_header((header::SEC_WEBSOCKET_VERSION, "13"));
    }
    response.json(json!({ "code": refusal.code(), "message": refusal.message() }))
}

fn unavailable<T>(code: &'static str, message: &'static str) -> Result<T, Refused> {
    Err((StatusCode::SERVICE_UNAVAILABLE, Refusal::new(code, message)))
}

fn refuse_if_draining(shared: &ServerInner) -> Result<(), Refused> {
    if shared.is_draining.load(Ordering::Relaxed) {
        return unavailable("draining", "this server is shutting down");
    }
    Ok(())
}

/// One of the connections that the server and the client's address may have. Released when it is dropped.
pub(super) struct ConnectionPlace<'a> {
    shared: &'a ServerInner,
    address: Option<ClientAddress>,
}

impl<'a> ConnectionPlace<'a> {
    fn take(shared: &'a ServerInner, address: Option<ClientAddress>) -> Result<Self, Refused> {
        refuse_if_draining(shared)?;
        if !shared.add_connection(address) {
            return Err((
                StatusCode::TOO_MANY_REQUESTS,
                Refusal::new(
                    TOO_MANY,
                    "this server has as many connections from your address as it allows",
                ),
            ));
        }
        let taken = shared.connections.fetch_add(1, Ordering::Relaxed);
        let place = Self { shared, address };
        if taken >= shared.config.limits.connections {
            return unavailable(FULL, "this server has as many connections as it can");
        }
        Ok(place)
    }

    /// The connection keeps the place: the hub releases it when the connection's writer is dropped.
    pub(super) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for ConnectionPlace<'_> {
    fn drop(&mut self) {
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        self.shared.forget_connection(self.address);
    }
}
