//! What a browser must be told so that pages of other origins can use plain HTTP requests: cross-origin resource sharing.
//!
//! WebSockets need none of this. For event streams and actions, the pages that may connect are told so, and others are refused as
//! on a WebSocket; a browser asks before it sends actions, because their requests have a header of ours.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};

use super::admission::Admission;
use crate::runtime::worker::hub::Hub;

/// The header that has the session's token.
pub(crate) const SESSION: HeaderName = HeaderName::from_static("courtside-session");

/// The id of the last event that the client has received. `http` has no constant for it.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How long a browser may remember the answer to a preflight, in seconds.
const MAX_AGE: &str = "600";

/// What pages of an origin may do with answers to their requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Grant {
    /// Read them, also if the request had the user's cookies.
    WithCookies,
    /// Read them if the request had no cookies.
    WithoutCookies,
}

impl Admission {
    /// Lets the page that has sent the request read the response, if it may connect.
    pub(crate) fn share(&self, request: &HttpRequest, response: &mut HttpResponse) {
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = request.headers().get(header::ORIGIN) else {
            return;
        };
        let grant = origin.to_str().ok().and_then(|o| self.origins.grant(o));
        let allowed = match grant {
            None => return,
            Some(Grant::WithoutCookies) => HeaderValue::from_static("*"),
            Some(Grant::WithCookies) => {
                set(headers, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
                origin.clone()
            }
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        set(
            headers,
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "Retry-After",
        );
    }

    /// Answers a browser that asks whether a page may send a request with this method.
    pub(crate) fn preflight(
        &self,
        hub: &Hub,
        request: &HttpRequest,
        method: &Method,
    ) -> HttpResponse {
        let mut response = match self.check_origin(hub, request) {
            Ok(()) => HttpResponse::build(StatusCode::NO_CONTENT).finish(),
            Err(refused) => super::admission::refusal(&refused),
        };
        self.share(request, &mut response);
        let headers = response.headers_mut();
        if headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
            let allowed = "authorization, content-type, courtside-session, last-event-id";
            set(
                headers,
                header::ACCESS_CONTROL_ALLOW_METHODS,
                method.as_str(),
            );
            set(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
            set(headers, header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        }
        response
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
