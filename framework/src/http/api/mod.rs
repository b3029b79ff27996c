//! The HTTP API: other programs publish, read histories, and act on users and rooms.
//!
//! A request goes through here in this order: the [key](key), the body's type and size ([`input`]), whether it is a repeat
//! ([`idempotency`]), its [endpoint], and its answer. The [table of endpoints](operations) is the only one: the routes are made
//! of it, and so are the [document] and the [page].

mod batch;
mod document;
mod endpoint;
mod failure;
mod health;
mod histories;
mod idempotency;
mod input;
pub(crate) mod key;
mod page;
mod presences;
mod publishing;
mod rooms;
mod service;
mod subscriptions;
mod telling;
mod users;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, Scope, web};

use self::batch::Batch;
use self::endpoint::Operation;
use self::histories::History;
use self::key::{ApiError, ApiKey};
use self::presences::Presence;
use self::publishing::{Broadcast, Publish};
use self::rooms::{CreateRoom, DisposeRoom, ListRooms, ReadRoom};
use self::service::Service;
use self::subscriptions::{Subscribe, Unsubscribe};
use self::telling::{AskRoom, TellRoom, TellRooms};
use self::users::{DisconnectUser, KeepOut, ListSessions, SendToUser};
use crate::config::setters;
use crate::server_handle::ServerHandle;

/// What the page may do: nothing but show itself.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// All routes that need a key.
fn operations() -> Vec<Operation> {
    vec![
        Operation::of::<Publish>(),
        Operation::of::<Broadcast>(),
        Operation::of::<History>(),
        Operation::of::<Presence>(),
        Operation::of::<Subscribe>(),
        Operation::of::<Unsubscribe>(),
        Operation::of::<ListRooms>(),
        Operation::of::<CreateRoom>(),
        Operation::of::<ReadRoom>(),
        Operation::of::<TellRoom>(),
        Operation::of::<TellRooms>(),
        Operation::of::<AskRoom>(),
        Operation::of::<DisposeRoom>(),
        Operation::of::<SendToUser>(),
        Operation::of::<ListSessions>(),
        Operation::of::<DisconnectUser>(),
        Operation::of::<KeepOut>(),
        Operation::of::<Batch>(),
    ]
}

/// An HTTP API for other programs: its keys, and its bounds. [`Server::api`](crate::Server::api) makes routes of it.
///
/// The repository's page `docs/http-api.md` describes each route. The API itself serves an OpenAPI document at `openapi.json`, and
/// a page that shows it at `docs`.
///
/// As in [`Config`](crate::Config), each setting is a public field, and a method of the same name sets it in a chain.
///
/// ```no_run
/// use courtside::prelude::*;
/// use courtside::{Api, ApiKey, ApiScope};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().channel("news", Channel::open()).build()?;
/// let secret = std::env::var("FEED_KEY")?;
/// let feed = ApiKey::new("feed", secret).scopes([ApiScope::Publish]);
/// let api = server.api(Api::default().key(feed))?;
/// server
///     .at("/ws")
///     .configure(move |app| {
///         app.service(api.at("/api/v1"));
///     })
///     .serve(courtside::listen("127.0.0.1:4000")?)
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Api {
    /// How many bytes the body of a request may have.
    ///
    /// Default: 1 MiB.
    /// A longer body is refused with 413. Bodies are read only of requests with a key.
    /// Zero is refused.
    pub body_bytes: usize,
    /// How many requests may be in progress at once, on all workers together.
    ///
    /// Default: 128.
    /// Further ones are refused with 503 and `Retry-After`. Together they hold at most so many bodies.
    /// Zero is refused.
    pub requests: usize,
    /// How many requests with an `Idempotency-Key` are remembered, with their answers.
    ///
    /// Default: 10,000.
    /// The oldest are forgotten first: their repeats take effect again. If all are in progress, a request with a new key is
    /// refused with 503.
    /// Zero is refused.
    pub idempotency_keys: usize,
    /// Bytes of those answers and keys.
    ///
    /// Default: 16 MiB.
    /// The oldest are forgotten first. An answer that is longer than this is kept until the next one comes.
    pub idempotency_bytes: usize,
    /// How long they are remembered.
    ///
    /// Default: 1 hour.
    /// Set it to longer than the programs try again. Zero: only while the first request is in progress. `Duration::MAX`: until
    /// newer ones replace them.
    pub idempotency_age: Duration,
    keys: Vec<ApiKey>,
}

setters!(Api {
    body_bytes: usize,
    requests: usize,
    idempotency_keys: usize,
    idempotency_bytes: usize,
    idempotency_age: Duration,
});

impl Default for Api {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            requests: 128,
            idempotency_keys: 10_000,
            idempotency_bytes: 16 << 20,
            idempotency_age: Duration::from_secs(3600),
            keys: Vec::new(),
        }
    }
}

impl Api {
    /// Adds a key. At least one is needed.
    #[must_use]
    pub fn key(mut self, key: ApiKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Makes routes of it.
    pub(crate) fn routes(self, server: ServerHandle) -> Result<ApiRoutes, ApiError> {
        for (name, bound) in [
            ("Api::body_bytes", self.body_bytes),
            ("Api::requests", self.requests),
            ("Api::idempotency_keys", self.idempotency_keys),
        ] {
            if bound == 0 {
                return Err(ApiError::ZeroBound(name));
            }
        }
        let operations = operations();
        let document = document::document(&operations, self.body_bytes);
        let page = page::page(&document);
        let service = Service::new(server, self, operations)?;
        Ok(ApiRoutes {
            service: Arc::new(service),
            document: document.to_string().into(),
            page: page.into(),
        })
    }
}

/// The routes of an [`Api`], to be mounted. Created by [`Server::api`](crate::Server::api).
///
/// A clone is the same API: with the same bounds, and the same memory of requests. So create it once, and mount a clone on each
/// worker.
#[derive(Clone)]
pub struct ApiRoutes {
    service: Arc<Service>,
    document: Arc<str>,
    page: Arc<str>,
}

impl fmt::Debug for ApiRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiRoutes")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl ApiRoutes {
    /// The API at a path, such as `/api/v1`: a service for an actix-web `App`.
    ///
    /// Pages of other origins cannot use it, because it answers no preflight and sets no headers for them: keys do not belong into
    /// pages. If you need it nevertheless, wrap the scope: `api.at("/api/v1").wrap(Cors::default()…)`, with the crate `actix-cors`.
    pub fn at(&self, path: &str) -> Scope {
        let mut scope = web::scope(path);
        for number in 0..self.service.routes().len() {
            let service = self.service.clone();
            let answer = move |request: HttpRequest, payload: web::Payload| {
                let service = service.clone();
                async move { service.answer(number, &request, payload).await }
            };
            let route = &self.service.routes()[number];
            let allowed = route.method.clone();
            let resource = web::resource(route.path)
                .route(web::method(route.method.clone()).to(answer))
                .default_service(web::to(move || service::not_allowed(allowed.clone())));
            scope = scope.service(resource);
        }
        let service = self.service.clone();
        let health = move || std::future::ready(service.health());
        scope
            .service(read("/health", health))
            .service(read(
                "/openapi.json",
                fixed(&self.document, "application/json", None),
            ))
            .service(read(
                "/docs",
                fixed(&self.page, "text/html; charset=utf-8", Some(PAGE_POLICY)),
            ))
            .default_service(web::to(service::unknown_route))
    }
}

/// A resource that is only read.
fn read<F, Out>(path: &str, answer: F) -> actix_web::Resource
where
    F: Fn() -> Out + Clone + 'static,
    Out: Future<Output = HttpResponse> + 'static,
{
    use actix_web::http::Method;
    web::resource(path)
        .route(web::get().to(answer))
        .default_service(web::to(|| service::not_allowed(Method::GET)))
}

/// Answers with the same text each time.
fn fixed(
    text: &Arc<str>,
    kind: &'static str,
    policy: Option<&'static str>,
) -> impl Fn() -> std::future::Ready<HttpResponse> + Clone + 'static {
    let text = bytes::Bytes::copy_from_slice(text.as_bytes());
    move || {
        let mut response = HttpResponse::Ok();
        response
            .insert_header((header::CONTENT_TYPE, kind))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        if let Some(policy) = policy {
            response.insert_header((header::CONTENT_SECURITY_POLICY, policy));
        }
        std::future::ready(response.body(text.clone()))
    }
}
