//! Event streams: `GET …/events`, a connection for clients that cannot open a WebSocket, or need none.
//!
//! With `channel`, it is a whole client for `new EventSource(…)`: the server subscribes for it, and `Last-Event-ID` continues where
//! an earlier stream has stopped. Without, it is a session's connection like a WebSocket, whose actions come by
//! [requests](super::actions). It is admitted like a WebSocket; but a refusal is an HTTP answer, which programs can read here.

use std::rc::Rc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::admission::{Admission, Query, Refused, refusal};
use super::cors::LAST_EVENT_ID;
use super::socket::{cut_of, has_gone_of};
use crate::error::Refusal;
use crate::runtime::connection::event_stream::EventStream;
use crate::runtime::connection::handle::ConnectionHandle;
use crate::runtime::messages::SessionMessage;
use crate::runtime::worker::hub::Hub;
use crate::runtime::worker::opening::Opening;
use crate::session::info::Transport;
use crate::wire::action;
use crate::wire::codec::{Format, RawData};
use crate::wire::positions::Positions;

/// What a request for a stream asks for.
struct Asked {
    query: Query,
    /// For a client that only listens.
    positions: Option<Positions>,
}

impl Asked {
    fn read(request: &HttpRequest, most_channels: usize) -> Result<Self, String> {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
        let pairs = pairs.map_err(|_| "the query cannot be read")?.into_inner();
        let (mut channels, mut last_event_id, mut query) = (Vec::new(), None, Query::default());
        for (name, value) in pairs {
            let field = match name.as_str() {
                "channel" => {
                    channels.push(value);
                    continue;
                }
                "last_event_id" => Some(&mut last_event_id),
                name => query.field_mut(name),
            };
            if field.is_some_and(|field| field.replace(value).is_some()) {
                return Err(format!("`{name}` is there twice"));
            }
        }
        if channels.is_empty() {
            let positions = None;
            return Ok(Self { query, positions });
        }
        if channels.len() > most_channels {
            return Err(format!("a stream may have {most_channels} channels"));
        }
        let mut sorted: Vec<_> = channels.iter().collect();
        sorted.sort_unstable();
        if sorted.windows(2).any(|two| two[0] == two[1]) {
            return Err("each `channel` may be there once".to_owned());
        }
        if query.resume.is_some() || query.end.is_some() {
            return Err("a stream with `channel` is a new session and resumes none".to_owned());
        }
        if query.format()? != Format::Json {
            return Err("a stream with `channel` is in JSON".to_owned());
        }
        let header = request.headers().get(LAST_EVENT_ID);
        let header = header.and_then(|id| id.to_str().ok());
        // A browser sends the header when it opens the stream again; the address is still the first one then.
        let last = header.or(last_event_id.as_deref()).unwrap_or_default();
        let positions = Some(Positions::new(channels, last));
        Ok(Self { query, positions })
    }
}

/// Answers a request for an event stream.
pub(crate) async fn answer(
    admission: &Admission,
    hub: &Rc<Hub>,
    request: &HttpRequest,
) -> HttpResponse {
    let opened = open(admission, hub, request).await;
    let mut response = opened.unwrap_or_else(|refused| refusal(&refused));
    admission.share(request, &mut response);
    response
}

async fn open(
    admission: &Admission,
    hub: &Rc<Hub>,
    request: &HttpRequest,
) -> Result<HttpResponse, Refused> {
    admission.check_page(hub, request)?;
    let address = admission.address_of(request);
    let place = admission.place(hub, request, address)?;
    let bad_query = |message| {
        let refusal = Refusal::new("bad_query", message);
        (StatusCode::BAD_REQUEST, refusal)
    };
    let asked = Asked::read(request, hub.shared.config.limits.subscriptions);
    let Asked {
        mut query,
        positions,
    } = asked.map_err(bad_query)?;
    let format = query.format().map_err(|m| bad_query(m.to_owned()))?;
    let resume = query.resume().map_err(|m| bad_query(m.to_owned()))?;
    let token = query.access_token.take();
    let visitor = admission.visitor(hub, request, token, address).await?;
    let visitor = visitor.map_err(|refusal| (StatusCode::UNAUTHORIZED, refusal))?;
    place.keep();
    let opening = Opening {
        transport: match positions {
            Some(_) => Transport::Listening,
            None => Transport::Events,
        },
        format,
        visitor,
        resume,
    };
    let connection = hub.open(opening, cut_of(request));
    if let Some(positions) = &positions {
        let subscribing = subscribe(hub.clone(), connection.clone(), subscriptions(positions));
        actix_web::rt::spawn(subscribing);
    }
    let stream = EventStream::new(connection, hub.clone(), positions, has_gone_of(request));
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store, no-transform"))
        // nginx would collect the events otherwise, and the compression of actix-web, too.
        .insert_header(("X-Accel-Buffering", "no"))
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .streaming(stream))
}

/// The actions that a client of a stream's channels would send. The id of each is the number of its channel in the address.
fn subscriptions(positions: &Positions) -> Vec<String> {
    let action = |(n, (channel, since)): (usize, (&str, Option<&action::Since>))| {
        let since = since.map(|since| json!({"epoch": since.epoch, "offset": since.offset}));
        json!({"action": "subscribe", "id": n + 1, "channel": channel, "since": since}).to_string()
    };
    positions.channels().enumerate().map(action).collect()
}

/// Subscribes for a client, as soon as it has a session.
async fn subscribe(hub: Rc<Hub>, connection: Rc<ConnectionHandle>, actions: Vec<String>) {
    connection.clone().until_attached_or_ending().await;
    let Some(session) = connection.session() else {
        return;
    };
    for action in actions {
        let bytes = action.len();
        let nesting = hub.shared.config.limits.nesting;
        let mut inbound = action::read(&RawData::Json(action.into()), nesting);
        // The client has not sent it, so it does not count it either.
        inbound.counts = false;
        let Some(permit) = session.permits.clone().take(bytes).await else {
            return;
        };
        session.router.note_mailed();
        session.address.do_send(SessionMessage::Received {
            connection: connection.id,
            inbound,
            permit,
        });
    }
}
