//! Answers the requests of an API.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::http::{Method, StatusCode, header};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Api;
use super::endpoint::{Call, Operation, RawInput};
use super::failure::{Failure, IN_PROGRESS};
use super::health;
use super::idempotency::{Answer, Begun, Slot, Store, StoreBounds, key_of, slot_of};
use super::input::{check_type, read_body};
use super::key::{ApiError, ApiKey, ApiScope, Keys};
use crate::server_handle::ServerHandle;
use crate::session::quota::LogQuota;

/// How long a request waits for its answer, and counts as in progress. It is carried out all the same.
const PATIENCE: Duration = Duration::from_secs(30);

/// An API, shared by all workers.
#[derive(Debug)]
pub(super) struct Service {
    server: ServerHandle,
    keys: Keys,
    routes: Vec<ApiRoute>,
    body_bytes: usize,
    /// The requests that may be in progress.
    requests: Arc<Semaphore>,
    /// The requests that may be overdue: not finished at the end of their time. There may be as many as in progress.
    overdue: Semaphore,
    store: Mutex<Store>,
    /// Limits the log lines that strangers can cause.
    refused: LogQuota,
}

/// What the router needs of an operation.
pub(super) struct ApiRoute {
    pub(super) method: Method,
    pub(super) path: &'static str,
    id: &'static str,
    scope: Option<ApiScope>,
    run: super::endpoint::Run,
}

impl std::fmt::Debug for ApiRoute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ApiRoute").field(&self.id).finish()
    }
}

impl Service {
    pub(super) fn new(
        server: ServerHandle,
        api: Api,
        operations: Vec<Operation>,
    ) -> Result<Self, ApiError> {
        let routes = operations.into_iter().map(|operation| ApiRoute {
            method: operation.method,
            path: operation.path,
            id: operation.id,
            scope: operation.scope,
            run: operation.run,
        });
        let requests = api.requests.min(Semaphore::MAX_PERMITS);
        Ok(Self {
            server,
            keys: Keys::new(api.keys)?,
            routes: routes.collect(),
            body_bytes: api.body_bytes,
            requests: Arc::new(Semaphore::new(requests)),
            overdue: Semaphore::new(requests),
            store: Mutex::new(Store::new(StoreBounds {
                number: api.idempotency_keys,
                bytes: api.idempotency_bytes,
                age: api.idempotency_age,
            })),
            refused: LogQuota::default(),
        })
    }

    pub(super) fn routes(&self) -> &[ApiRoute] {
        &self.routes
    }

    pub(super) fn health(&self) -> HttpResponse {
        health::answer(&self.server)
    }

    /// Answers a request for the route of this number.
    pub(super) async fn answer(
        self: &Arc<Self>,
        number: usize,
        request: &HttpRequest,
        payload: Payload,
    ) -> HttpResponse {
        let mut response = match self.take(number, request, payload).await {
            Ok((answer, is_repeat)) => {
                let mut response = HttpResponse::build(answer.status);
                response.insert_header(header::ContentType::json());
                if is_repeat {
                    response.insert_header(("Idempotency-Replayed", "true"));
                }
                response.body(answer.body)
            }
            Err(failure) => failure.into_response(),
        };
        let no_store = header::HeaderValue::from_static("no-store");
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, no_store);
        response
    }

    /// Takes a request, and waits for its answer. Returns whether it was a repeat.
    async fn take(
        self: &Arc<Self>,
        number: usize,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<(Answer, bool), Failure> {
        let route = self.routes.get(number).ok_or_else(Failure::internal)?;
        let key = self.authorize(route, request)?;
        let requests = self.requests.clone();
        let permit = requests.try_acquire_owned().map_err(|_| {
            Failure::busy("as many requests are in progress as the API takes: try again")
        })?;
        if route.method == Method::GET {
            let input = RawInput::Query(request.query_string().to_owned());
            let answer = self.run(route, key, None, input, permit).await?;
            return Ok((answer, false));
        }
        check_type(request.headers())?;
        let slot = key_of(request.headers())?;
        let slot: Option<Slot> = slot.map(|slot| slot_of(key.name(), slot));
        let body = read_body(payload, self.body_bytes).await?;
        if let Some(slot) = &slot {
            let now = self.server.shared.now();
            let begun = self.store().begin(now, slot, (route.id, &body));
            if let Some(answer) = repeated(begun)? {
                return Ok((answer, true));
            }
        }
        let input = RawInput::Body(body);
        let answer = self.run(route, key, slot, input, permit).await?;
        Ok((answer, false))
    }

    /// Checks the key of a request.
    fn authorize(&self, route: &ApiRoute, request: &HttpRequest) -> Result<&ApiKey, Failure> {
        let found = self.keys.of(request.headers());
        let key = found.inspect_err(|_| {
            if let Some(left_out) = self.refused.take(self.server.shared.now()) {
                let peer = request.peer_addr();
                tracing::warn!(
                    operation = route.id,
                    ?peer,
                    left_out,
                    "a request to the API was refused because it has no key, or a wrong one"
                );
            }
        })?;
        match route.scope {
            Some(scope) if !key.allows(scope) => Err(Failure::missing_scope(scope)),
            _ => Ok(key),
        }
    }

    /// Carries out a request, also if its client goes away, and waits for the answer.
    async fn run(
        self: &Arc<Self>,
        route: &ApiRoute,
        key: &ApiKey,
        slot: Option<Slot>,
        input: RawInput,
        permit: OwnedSemaphorePermit,
    ) -> Result<Answer, Failure> {
        let call = Call {
            server: self.server.clone(),
            key: key.clone(),
            slot: slot.clone(),
        };
        let (id, run) = (route.id, route.run);
        // If the endpoint panics, the request is no longer in progress.
        let place = slot.map(|slot| InProgress {
            service: self.clone(),
            slot: Some(slot),
        });
        let service = self.clone();
        let task = actix_rt::spawn(async move {
            let name = call.key.name().to_owned();
            let outcome = run(call, input);
            let outcome = carried_out(outcome, permit, &service.overdue).await;
            let outcome = outcome.unwrap_or_else(|| Err(Failure::not_finished()));
            match &outcome {
                Ok(_) => tracing::debug!(key = name, operation = id, "carried out"),
                Err(failure) => tracing::debug!(key = name, operation = id, ?failure, "refused"),
            }
            if let Some(place) = place {
                place.finish(&outcome);
            }
            outcome
        });
        match timeout(PATIENCE, task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                tracing::error!(operation = id, %error, "a request to the API panicked");
                Err(Failure::internal())
            }
            Err(_) => Err(Failure::not_finished()),
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // A panic cannot leave it half changed.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for what a request does, which is in progress until its time is over: what waits for a room that does not answer keeps no other
/// request out. `None`: then too many were overdue, and nobody waits for this one any more.
async fn carried_out<T>(
    run: impl Future<Output = T>,
    permit: OwnedSemaphorePermit,
    overdue: &Semaphore,
) -> Option<T> {
    let mut run = pin!(run);
    if let Ok(outcome) = timeout(PATIENCE, run.as_mut()).await {
        return Some(outcome);
    }
    drop(permit);
    let _place = overdue.try_acquire().ok()?;
    Some(run.await)
}

/// The answer to a repeat. `None` for a first request.
fn repeated(begun: Begun) -> Result<Option<Answer>, Failure> {
    match begun {
        Begun::First => Ok(None),
        Begun::Repeat(answer) => Ok(Some(answer)),
        Begun::InProgress => Err(Failure::new(
            StatusCode::CONFLICT,
            IN_PROGRESS,
            "a request with this idempotency key is in progress: ask again for its answer",
        )),
        Begun::Other => Err(Failure::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "another request had this idempotency key: take a new key for each request",
        )),
        Begun::Full => Err(Failure::busy(
            "as many requests with idempotency keys are in progress as the API remembers: try again",
        )),
    }
}

/// A request with an idempotency key that is in progress.
struct InProgress {
    service: Arc<Service>,
    slot: Option<Slot>,
}

impl InProgress {
    /// Keeps the answer for repeats, unless nothing was done.
    fn finish(mut self, outcome: &Result<Answer, Failure>) {
        let Some(slot) = self.slot.take() else {
            return;
        };
        let now = self.service.server.shared.now();
        let mut store = self.service.store();
        match outcome {
            Ok(answer) => store.finish(now, &slot, answer.clone()),
            Err(failure) => match failure.lasting() {
                Some(answer) => store.finish(now, &slot, answer),
                None => store.give_up(&slot),
            },
        }
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.service.store().give_up(&slot);
        }
    }
}

pub(super) async fn not_allowed(allowed: Method) -> HttpResponse {
    Failure::method_not_allowed(&allowed).into_response()
}

pub(super) async fn unknown_route() -> HttpResponse {
    let message = "there is no such route: `docs` shows those that there are";
    Failure::new(StatusCode::NOT_FOUND, "unknown_route", message).into_response()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_does_not_finish_is_in_progress_until_its_time_is_over() {
        let (requests, overdue) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
        let begin = |run: oneshot::Receiver<u8>| {
            let permit = requests.clone().try_acquire_owned().unwrap();
            let overdue = overdue.clone();
            tokio::spawn(async move { carried_out(run, permit, &overdue).await })
        };
        let (finish, run) = oneshot::channel();
        let late = begin(run);
        sleep(PATIENCE - Duration::from_millis(1)).await;
        assert!(requests.clone().try_acquire_owned().is_err());
        sleep(Duration::from_millis(2)).await;
        // Nobody waits for a second one that is overdue.
        let (_never, run) = oneshot::channel();
        assert_eq!(begin(run).await.unwrap(), None);
        finish.send(7).unwrap();
        assert_eq!(late.await.unwrap(), Some(Ok(7)));
        assert_eq!(
            (requests.available_permits(), overdue.available_permits()),
            (1, 1)
        );
        // One that is in time gives back its place when it has finished.
        let permit = requests.clone().try_acquire_owned().unwrap();
        assert_eq!(carried_out(async { 8 }, permit, &overdue).await, Some(8));
        assert_eq!(requests.available_permits(), 1);
    }
}
