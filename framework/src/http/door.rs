//! The door: what is checked before a request becomes a connection.
//!
//! A refusal here is an HTTP answer with a JSON body, `{ "code", "message" }`; a browser's script sees only that its socket
//! failed, so each refusal is logged, too, with what to do.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::lean::LeanSocket;
use super::socket::cut_of;
use crate::actor::connection::{self, Handshake};
use crate::actor::guard::{ByteStream, unless_ended};
use crate::actor::hub::{Hub, Opening, Resume, Visitor};
use crate::actor::messages::Intent;
use crate::actor::shared::Shared;
use crate::actor::writer::Body;
use crate::address::{ClientAddress, TrustedProxies};
use crate::error::Refusal;
use crate::room::client::Claims;
use crate::wire::codec::Format;

/// Looks at a request and its credential, and says who the client is.
pub(crate) type Authenticate =
    Box<dyn for<'a> Fn(&'a HttpRequest, Option<&'a str>) -> Verdict<'a> + Send + Sync>;

/// Who a client is, once that is known. On the request's own thread.
type Verdict<'a> = Pin<Box<dyn Future<Output = Result<Claims, Refusal>> + 'a>>;

/// Who may come in.
#[derive(Default)]
pub(crate) struct Door {
    pub(crate) origins: Vec<String>,
    pub(crate) proxies: TrustedProxies,
    pub(crate) authenticate: Option<Authenticate>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

/// The query of the protocol's opening.
#[derive(Debug, Deserialize)]
struct Query {
    format: Option<String>,
    resume: Option<String>,
    received: Option<String>,
    attempt: Option<String>,
    restore: Option<String>,
    end: Option<String>,
    access_token: Option<String>,
}

impl Query {
    /// How the client asks for an earlier session, if it does. The error says what is wrong.
    fn resume(&self) -> Result<Option<Resume>, &'static str> {
        let received = self.received.as_deref().map(str::parse).transpose();
        let received = received.map_err(|_| "`received` is a count")?;
        let attempt = match self.attempt.as_deref().map(str::parse) {
            None => None,
            Some(Ok(attempt @ 1..)) => Some(attempt),
            Some(_) => return Err("`attempt` is a count that begins at 1"),
        };
        let restores = flag(self.restore.as_deref()).ok_or("`restore` is `true` or `false`")?;
        let ends = flag(self.end.as_deref()).ok_or("`end` is `true` or `false`")?;
        // Who ends what it does not name has ended it.
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

/// Where proxies write whom they have heard. `http` knows no name for it.
const FORWARDED_FOR: header::HeaderName = header::HeaderName::from_static("x-forwarded-for");

fn flag(value: Option<&str>) -> Option<bool> {
    match value {
        None | Some("false") => Some(false),
        Some("true") => Some(true),
        Some(_) => None,
    }
}

type Refused = (StatusCode, Refusal);

impl Door {
    /// Answers a request for a connection.
    pub(crate) async fn answer(
        &self,
        hub: &Rc<Hub>,
        request: &HttpRequest,
        payload: web::Payload,
    ) -> HttpResponse {
        match self.open(hub, request, payload).await {
            Ok(response) => response,
            Err((status, refusal)) => {
                tracing::debug!(%status, %refusal, "refused");
                let mut response = HttpResponse::build(status);
                if status == StatusCode::SERVICE_UNAVAILABLE {
                    response.insert_header((header::RETRY_AFTER, "5"));
                }
                if status == StatusCode::UPGRADE_REQUIRED {
                    response.insert_header((header::UPGRADE, "websocket"));
                }
                if matches!(refusal.code(), "upgrade_required" | "bad_handshake") {
                    response.insert_header((header::SEC_WEBSOCKET_VERSION, "13"));
                }
                response.json(json!({ "code": refusal.code(), "message": refusal.message() }))
            }
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
        // A server that stood still finds the attempts that its clients have given up meanwhile. They must take no session
        // from those that came after them.
        let ends = |resume: &Resume| resume.intent == Intent::End;
        let incoming = match opening.resume.as_ref().is_some_and(ends) {
            // Its wish is a matter of its token, not of its connection.
            true => Some(incoming),
            false => unless_ended(incoming).await,
        };
        let Some(incoming) = incoming else {
            let gone = Refusal::new("gone", "the client has closed this connection already");
            return Err((StatusCode::BAD_REQUEST, gone));
        };
        place.keep();
        let (mut response, writer) = connection::open(hub, &handshake, opening, incoming, cut);
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
    ) -> Result<(Handshake, Opening, Place<'a>), Refused> {
        let handshake = Handshake::read(request)?;
        self.check_origin(request)?;
        let bad_query =
            |message: &'static str| (StatusCode::BAD_REQUEST, Refusal::new("bad_query", message));
        let query = web::Query::<Query>::from_query(request.query_string())
            .map_err(|_| bad_query("the query cannot be read"))?
            .into_inner();
        let asked = match query.format.as_deref() {
            None => Format::default(),
            Some(name) => Format::from_name(name)
                .ok_or_else(|| bad_query("`format` is `json` or `msgpack`"))?,
        };
        let resume = query.resume().map_err(bad_query)?;
        // Before anybody is asked: who asks is bounded, too.
        let place = Place::take(&hub.shared)?;
        let claims = match &self.authenticate {
            None => Claims::default(),
            Some(authenticate) => {
                let credential = bearer(request).or(query.access_token.as_deref());
                let verdict = authenticate(request, credential);
                let claims = match timeout(hub.shared.config.authentication, verdict).await {
                    Ok(verdict) => {
                        verdict.map_err(|refusal| (StatusCode::UNAUTHORIZED, refusal))?
                    }
                    Err(_) => {
                        tracing::warn!(
                            "an authentication took longer than `Config::authentication` allows"
                        );
                        return unavailable(
                            "authentication_timeout",
                            "it took too long to find out who you are",
                        );
                    }
                };
                // It may have begun to go away meanwhile.
                refuse_if_draining(&hub.shared)?;
                claims
            }
        };
        let opening = Opening {
            format: handshake.format.unwrap_or(asked),
            visitor: Visitor {
                claims,
                address: self.address_of(request),
            },
            resume,
        };
        Ok((handshake, opening, place))
    }

    /// From where the client connects, as far as that is known.
    fn address_of(&self, request: &HttpRequest) -> Option<ClientAddress> {
        let headers: Vec<&str> = request
            .headers()
            .get_all(FORWARDED_FOR)
            .map(|value| value.to_str().unwrap_or_default())
            .collect();
        let peer = request.peer_addr()?.ip();
        Some(self.proxies.client(peer, headers.into_iter()))
    }

    /// Browsers tell which page a script came from, and let any page open a socket to any server; so the server must look.
    fn check_origin(&self, request: &HttpRequest) -> Result<(), Refused> {
        let Some(origin) = request.headers().get(header::ORIGIN) else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or_default();
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let is_own = origin
            .split_once("://")
            .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
        let is_listed = self
            .origins
            .iter()
            .any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin));
        if is_own || is_listed {
            return Ok(());
        }
        tracing::warn!(
            origin,
            host,
            "a page of another origin was refused; to allow it: `Server::builder().allow_origin({origin:?})`"
        );
        Err((
            StatusCode::FORBIDDEN,
            Refusal::new(
                "origin_not_allowed",
                "pages of this origin may not connect here",
            ),
        ))
    }
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, credential) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| credential.trim())
}

fn unavailable<T>(code: &'static str, message: &'static str) -> Result<T, Refused> {
    Err((StatusCode::SERVICE_UNAVAILABLE, Refusal::new(code, message)))
}

fn refuse_if_draining(shared: &Shared) -> Result<(), Refused> {
    if shared.is_draining.load(Ordering::Relaxed) {
        return unavailable("draining", "this server is going away");
    }
    Ok(())
}

/// One of the connections that the server may have. Given back when it is dropped.
struct Place<'a>(&'a Shared);

impl<'a> Place<'a> {
    fn take(shared: &'a Shared) -> Result<Self, Refused> {
        refuse_if_draining(shared)?;
        let taken = shared.connections.fetch_add(1, Ordering::Relaxed);
        let place = Self(shared);
        if taken >= shared.config.limits.connections {
            return unavailable("full", "this server has as many connections as it can");
        }
        Ok(place)
    }

    /// The connection keeps it: the hub counts it down when its writer is dropped.
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
