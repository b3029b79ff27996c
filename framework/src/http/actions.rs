//! Actions by request: `POST …/actions`, for a session whose connection is an [event stream](super::events).
//!
//! The body is a list of actions, `first` in the address is the number of the first of them that the client counts, and the token
//! of the last `welcome` is in a header. The answer says how many actions the session has counted; what the actions cause comes as
//! events.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::admission::{Admission, Refused, refusal};
use super::cors::SESSION;
use crate::error::Refusal;
use crate::runtime::posts::PostDenied;
use crate::runtime::worker::hub::Hub;
use crate::session::resume::ResumeToken;
use crate::wire::action;
use crate::wire::codec::{Format, RawData};

/// How long a body may take to arrive. The same as the HTTP layer's time for a head would be, if it were generous.
const BODY_TIME: Duration = Duration::from_secs(10);

/// How long the answer waits for the rate and for permits; the client then repeats the request.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a body may have besides the bytes of one message: the brackets of the list.
const BRACKETS: usize = 16;

#[derive(Deserialize)]
struct Query {
    first: u64,
}

/// Answers a request that brings actions.
pub(crate) async fn answer(
    admission: &Admission,
    hub: &Rc<Hub>,
    request: &HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let taken = take(admission, hub, request, payload).await;
    let mut response = taken.unwrap_or_else(|refused| refusal(&refused));
    let no_store = header::HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    admission.share(request, &mut response);
    response
}

async fn take(
    admission: &Admission,
    hub: &Rc<Hub>,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refused> {
    admission.check_page(hub, request)?;
    let format = format_of(request).ok_or((
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refusal::new(
            "bad_content_type",
            "actions are application/json, or application/msgpack",
        ),
    ))?;
    let query = web::Query::<Query>::from_query(request.query_string()).ok();
    let first = query.map(|query| query.first).filter(|first| *first > 0);
    let first = first.ok_or((
        StatusCode::BAD_REQUEST,
        Refusal::new("bad_query", "`first` is a count that begins at 1"),
    ))?;
    let token = request.headers().get(SESSION);
    let token = token.and_then(|token| ResumeToken::parse(token.to_str().ok()?));
    let place = hub.ask_to_post(token.ok_or_else(not_connected)?).await;
    // Only now is anything kept for this client.
    let place = place.map_err(|denied| match denied {
        PostDenied::NotConnected => not_connected(),
        PostDenied::TooMany => (
            StatusCode::TOO_MANY_REQUESTS,
            Refusal::new(
                "too_many_requests",
                "other actions of this session are on their way: send one request after the other",
            ),
        ),
    })?;
    let body = read(payload, hub.shared.config.limits.message_bytes + BRACKETS).await?;
    let bad_body = |flaw: &dyn fmt::Display| {
        let message = format!("the body is not a list of actions: it {flaw}");
        (StatusCode::BAD_REQUEST, Refusal::new("bad_body", message))
    };
    let body = RawData::new(format, body).map_err(|_| bad_body(&"is not UTF-8"))?;
    let actions = action::list(&body).map_err(|flaw| bad_body(&flaw))?;
    drop(body);
    let nesting = hub.shared.config.limits.nesting;
    let counted = actions
        .iter()
        .filter(|action| action::read(action, nesting).counts)
        .count();
    let answer = timeout(PATIENCE, hub.post(place, first, actions)).await;
    let Ok(received) = answer else {
        return Err((
            StatusCode::SERVICE_UNAVAILABLE,
            Refusal::new(
                "busy",
                "the session takes no more actions at the moment: send them again",
            ),
        ));
    };
    let received = received.ok_or_else(not_connected)?;
    if received + 1 < first.saturating_add(counted as u64) {
        let gap = json!({
            "code": "gap",
            "message": "an action before these is missing",
            "received": received,
        });
        return Ok(HttpResponse::Conflict().json(gap));
    }
    Ok(HttpResponse::Ok().json(json!({ "received": received })))
}

fn not_connected() -> Refused {
    (
        StatusCode::CONFLICT,
        Refusal::new(
            "not_connected",
            "this is not the newest token of a session that has a connection",
        ),
    )
}

/// The format of the actions. Other types are refused, also because a page of another site may send some of them without asking.
fn format_of(request: &HttpRequest) -> Option<Format> {
    let value = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next()?.trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/json" => Some(Format::Json),
        "application/msgpack" | "application/vnd.msgpack" => Some(Format::MsgPack),
        _ => None,
    }
}

async fn read(payload: web::Payload, limit: usize) -> Result<Bytes, Refused> {
    let Ok(read) = timeout(BODY_TIME, payload.to_bytes_limited(limit)).await else {
        let refusal = Refusal::new("too_slow", "the body took too long to arrive");
        return Err((StatusCode::REQUEST_TIMEOUT, refusal));
    };
    match read {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => {
            let refusal = Refusal::new("bad_body", "the body cannot be read");
            Err((StatusCode::BAD_REQUEST, refusal))
        }
        Err(_) => {
            let message = format!("the actions of one request may have {limit} bytes together");
            Err((
                StatusCode::PAYLOAD_TOO_LARGE,
                Refusal::new("too_big", message),
            ))
        }
    }
}
