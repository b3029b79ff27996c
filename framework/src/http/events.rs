//! Event streams: `GET …/events`, a connection for clients that cannot open a WebSocket, or need none.
//!
//! With `channel`, it is a whole client for `new EventSource(…)`: the server subscribes for it, and `Last-Event-ID` continues where
//! an earlier stream has stopped. Without, it is a session's connection like a WebSocket, whose actions come by
//! [requests](super::actions). It is admitted like a WebSocket; but a refusal is an HTTP answer, which programs can read here.

use std::rc::Rc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};

use super::admission::{Admission, Refused, refusal};
use super::cors::LAST_EVENT_ID;
use super::socket::{cut_of, has_gone_of};
use super::stream_query::StreamQuery;
use crate::error::Refusal;
use crate::runtime::connection::event_stream::EventStream;
use crate::runtime::connection::handle::ConnectionHandle;
use crate::runtime::messages::SessionMessage;
use crate::runtime::worker::hub::Hub;
use crate::runtime::worker::opening::Opening;
use crate::session::info::Transport;
use crate::wire::action;
use crate::wire::codec::RawData;

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
    let header = request.headers().get(LAST_EVENT_ID);
    let header = header.and_then(|id| id.to_str().ok());
    let limits = &hub.shared.config.limits;
    let asked = StreamQuery::read(request.query_string(), header, limits);
    let StreamQuery {
        handshake: mut query,
        positions,
        terms,
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
        let actions = terms.subscriptions(positions);
        let subscribing = subscribe(hub.clone(), connection.clone(), actions);
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

/// Subscribes for a client, as soon as it has a session.
async fn subscribe(
    hub: Rc<Hub>,
    connection: Rc<ConnectionHandle>,
    actions: impl Iterator<Item = serde_json::Result<String>>,
) {
    connection.clone().until_attached_or_ending().await;
    let Some(session) = connection.session() else {
        return;
    };
    for action in actions {
        let Ok(action) = action else {
            tracing::error!("a subscription of a stream cannot be encoded");
            return;
        };
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
