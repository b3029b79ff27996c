//! What each route of the API is made of: what it takes and answers, what a key needs for it, and what it does.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::http::{Method, StatusCode};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::failure::Failure;
use super::idempotency::Answer;
use super::input::{decode_body, decode_query};
use super::key::{ApiKey, ApiScope};
use crate::server_handle::ServerHandle;

/// A request with a key, on its way to an endpoint.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) server: ServerHandle,
    pub(super) key: ApiKey,
    /// The request's `Idempotency-Key`, with the name of the API's key before it.
    pub(super) slot: Option<Arc<str>>,
}

/// One route of the API.
///
/// `GET` takes its input from the query and changes nothing. `POST` takes it from the body, which is JSON.
pub(super) trait Endpoint: 'static {
    type Input: DeserializeOwned + ToSchema;
    type Output: Serialize + ToSchema;

    const METHOD: Method;
    const PATH: &'static str;
    /// Its name in the document.
    const ID: &'static str;
    /// What a key needs. `None`: any key may ask.
    const SCOPE: Option<ApiScope>;
    const SUMMARY: &'static str;
    /// More about it.
    const ABOUT: &'static str = "";
    /// What can go wrong besides what can go wrong at each route.
    const FAILURES: &'static [(StatusCode, &'static str)] = &[];

    /// An input, for the document.
    fn example() -> Value;

    fn run(call: &Call, input: Self::Input) -> impl Future<Output = Result<Self::Output, Failure>>;
}

/// The answer of an endpoint that has nothing to say but that it is done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done {}

/// What a request has for its endpoint.
pub(super) enum RawInput {
    Query(String),
    Body(Bytes),
}

/// Begins to carry out a request.
pub(super) type Run = fn(Call, RawInput) -> Running;

pub(super) type Running = Pin<Box<dyn Future<Output = Result<Answer, Failure>>>>;

/// An endpoint without its types: what the router and the document need of it.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) scope: Option<ApiScope>,
    pub(super) summary: &'static str,
    pub(super) about: &'static str,
    pub(super) failures: &'static [(StatusCode, &'static str)],
    pub(super) example: Value,
    pub(super) input: Described,
    pub(super) output: Described,
    pub(super) run: Run,
}

/// A type in the document.
pub(super) struct Described {
    pub(super) name: String,
    pub(super) schema: RefOr<Schema>,
    /// The types that it is made of.
    pub(super) parts: Vec<(String, RefOr<Schema>)>,
}

impl Described {
    pub(super) fn of<T: ToSchema>() -> Self {
        let mut parts = Vec::new();
        T::schemas(&mut parts);
        Self {
            name: T::name().into_owned(),
            schema: T::schema(),
            parts,
        }
    }
}

impl Operation {
    pub(super) fn of<E: Endpoint>() -> Self {
        Self {
            method: E::METHOD,
            path: E::PATH,
            id: E::ID,
            scope: E::SCOPE,
            summary: E::SUMMARY,
            about: E::ABOUT,
            failures: E::FAILURES,
            example: E::example(),
            input: Described::of::<E::Input>(),
            output: Described::of::<E::Output>(),
            run: |call, input| Box::pin(run::<E>(call, input)),
        }
    }

    /// Whether it takes a body.
    pub(super) fn has_body(&self) -> bool {
        self.method == Method::POST
    }
}

async fn run<E: Endpoint>(call: Call, input: RawInput) -> Result<Answer, Failure> {
    let input = match input {
        RawInput::Query(query) => decode_query(&query)?,
        RawInput::Body(body) => decode_body(&body)?,
    };
    let output = E::run(&call, input).await?;
    let body = serde_json::to_vec(&output).map_err(|error| {
        tracing::error!(operation = E::ID, %error, "an answer of the API cannot be encoded");
        Failure::internal()
    })?;
    Ok(Answer {
        status: StatusCode::OK,
        body: body.into(),
    })
}
