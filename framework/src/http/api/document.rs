//! The OpenAPI document, made of the table of endpoints.

use std::collections::BTreeMap;

use actix_web::http::{Method, StatusCode};
use serde_json::Value;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, Ref, Schema, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, InfoBuilder, OpenApi, PathsBuilder, RefOr, Required, Response, ResponseBuilder,
    ServerBuilder,
};

use super::endpoint::{Described, Operation};
use super::failure::ErrorAnswer;
use super::health::Health;
use super::idempotency::KEY_BYTES;
use super::key::ApiScope;

/// The name of the keys in the document.
const KEY: &str = "key";

/// What can go wrong at each route that needs a key.
const ALWAYS: &[(StatusCode, &str)] = &[
    (
        StatusCode::BAD_REQUEST,
        "the request is wrong: `field` says where, if it is a field",
    ),
    (
        StatusCode::UNAUTHORIZED,
        "`unauthorized`: there is no key, or a wrong one",
    ),
    (
        StatusCode::FORBIDDEN,
        "`missing_scope`: the key does not have the scope that this needs",
    ),
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        "`internal`: the server failed to do this",
    ),
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "`busy`: nothing was done; try again after `Retry-After` seconds. Or `ended`: the server has ended",
    ),
    (
        StatusCode::GATEWAY_TIMEOUT,
        "`timeout`: this takes longer than 30 seconds, and may have an effect later",
    ),
];

/// What can go wrong besides at each route that takes a body.
const WITH_BODY: &[(StatusCode, &str)] = &[
    (
        StatusCode::REQUEST_TIMEOUT,
        "`too_slow`: the body took longer than 10 seconds to arrive",
    ),
    (
        StatusCode::CONFLICT,
        "`in_progress`: a request with this `Idempotency-Key` is in progress; ask again after `Retry-After` seconds for its answer",
    ),
    (
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "`bad_content_type`: the body is not `application/json`",
    ),
    (
        StatusCode::UNPROCESSABLE_ENTITY,
        "`idempotency_key_reused`: another request had this `Idempotency-Key`",
    ),
];

const ABOUT: &str = "Publish to channels, read their histories, and act on users and rooms.\n\n\
    Send the secret of a key in each request: `Authorization: Bearer SECRET`.\n\
    `GET` reads, and takes its parameters from the address. `POST` acts, and takes JSON.\n\
    Every error has the shape `{ \"error\": { \"code\", \"message\", \"field\" } }`; `field` is there if a field is wrong.";

/// The document, for bodies of at most so many bytes.
pub(super) fn document(operations: &[Operation], body_bytes: usize) -> Value {
    let mut schemas: BTreeMap<String, RefOr<Schema>> = BTreeMap::new();
    let mut paths = PathsBuilder::new();
    for operation in operations {
        let method = match operation.method {
            Method::GET => HttpMethod::Get,
            _ => HttpMethod::Post,
        };
        if operation.has_body() {
            note(&mut schemas, &operation.input);
        } else {
            // Its fields are parameters.
            schemas.extend(operation.input.parts.iter().cloned());
        }
        note(&mut schemas, &operation.output);
        let described = describe(operation, body_bytes);
        paths = paths.path(operation.path, PathItem::new(method, described));
    }
    let (health, error) = (Described::of::<Health>(), Described::of::<ErrorAnswer>());
    note(&mut schemas, &health);
    note(&mut schemas, &error);
    paths = paths.path("/health", PathItem::new(HttpMethod::Get, describe_health()));
    let scopes = ApiScope::ALL.map(|scope| format!("`{scope}`: {}", scope.summary()));
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.description = Some(format!(
        "The secret of a key. Each key has scopes:\n\n- {}",
        scopes.join("\n- ")
    ));
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(KEY, SecurityScheme::Http(scheme));
    let info = InfoBuilder::new()
        .title("Courtside")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT));
    let mut document = OpenApi::new(info.build(), paths);
    document.components = Some(components.build());
    // Relative to the document's own address.
    document.servers = Some(vec![ServerBuilder::new().url(".").build()]);
    // Types of the document always become JSON.
    serde_json::to_value(document).unwrap_or_default()
}

fn note(schemas: &mut BTreeMap<String, RefOr<Schema>>, described: &Described) {
    schemas.insert(described.name.clone(), described.schema.clone());
    schemas.extend(described.parts.iter().cloned());
}

fn describe(operation: &Operation, body_bytes: usize) -> OperationBuilder {
    let mut about = operation.about.to_owned();
    let scope = match operation.scope {
        Some(scope) => format!("Needs the scope `{scope}`."),
        None => "Needs the scopes of its commands.".to_owned(),
    };
    if !about.is_empty() {
        about.push_str("\n\n");
    }
    about.push_str(&scope);
    let scopes = operation.scope.map(ApiScope::name);
    let mut described = OperationBuilder::new()
        .operation_id(Some(operation.id))
        .summary(Some(operation.summary))
        .description(Some(about))
        .security(SecurityRequirement::new(KEY, scopes))
        .response("200", answer("done", &operation.output.name));
    let mut failures: BTreeMap<u16, String> = BTreeMap::new();
    let mut fail = |status: StatusCode, text: &str| {
        let known = failures.entry(status.as_u16()).or_default();
        if !known.is_empty() {
            known.push_str("; ");
        }
        known.push_str(text);
    };
    ALWAYS.iter().for_each(|(status, text)| fail(*status, text));
    if operation.has_body() {
        WITH_BODY
            .iter()
            .for_each(|(status, text)| fail(*status, text));
        let text = format!("`too_big`: the body has more than {body_bytes} bytes");
        fail(StatusCode::PAYLOAD_TOO_LARGE, &text);
        let content = Content::builder()
            .schema(Some(Ref::from_schema_name(&operation.input.name)))
            .example(Some(operation.example.clone()));
        let body = RequestBodyBuilder::new()
            .content("application/json", content.build())
            .required(Some(Required::True));
        described = described
            .request_body(Some(body.build()))
            .parameter(idempotency_key());
    } else {
        described = query(described, operation);
    }
    operation
        .failures
        .iter()
        .for_each(|(status, text)| fail(*status, text));
    for (status, text) in failures {
        described = described.response(status.to_string(), failed(&text));
    }
    described
}

fn describe_health() -> OperationBuilder {
    OperationBuilder::new()
        .operation_id(Some("health"))
        .summary(Some("Ask whether the server takes requests"))
        .description(Some("Needs no key."))
        .response("200", answer("it does", &Described::of::<Health>().name))
        .response(
            "503",
            failed("`draining`: the server is shutting down; or `ended`"),
        )
}

fn answer(text: &str, schema: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name(schema)));
    ResponseBuilder::new()
        .description(text)
        .content("application/json", content)
        .build()
}

fn failed(text: &str) -> Response {
    answer(text, "Error")
}

fn idempotency_key() -> ParameterBuilder {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(KEY_BYTES))
        .pattern(Some(format!("^[!-~]{{1,{KEY_BYTES}}}$")));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "Makes the request take effect once: a repeat with the same key and the same body has no effect, and gets the answer of the first.",
        ))
        .schema(Some(text))
}

/// The fields of the input, as parameters.
fn query(mut described: OperationBuilder, operation: &Operation) -> OperationBuilder {
    let RefOr::T(Schema::Object(input)) = &operation.input.schema else {
        return described;
    };
    for (name, schema) in &input.properties {
        let is_required = input.required.contains(name);
        let required = match is_required {
            true => Required::True,
            false => Required::False,
        };
        let text = match schema {
            RefOr::T(Schema::Object(schema)) => schema.description.clone(),
            RefOr::Ref(schema) => Some(schema.description.clone()),
            RefOr::T(_) => None,
        };
        let mut parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(required)
            .description(text)
            .schema(Some(schema.clone()));
        parameter = parameter.example(operation.example.get(name).cloned());
        described = described.parameter(parameter);
    }
    described
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::operations;
    use super::*;

    /// Every reference in the document leads to something in it.
    #[test]
    fn nothing_is_referred_to_that_is_not_there() {
        fn visit(value: &Value, document: &Value) {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(to)) = fields.get("$ref") {
                        assert!(document.pointer(&to[1..]).is_some(), "{to}");
                    }
                    fields.values().for_each(|value| visit(value, document));
                }
                Value::Array(items) => items.iter().for_each(|value| visit(value, document)),
                _ => {}
            }
        }
        let document = document(&operations(), 1 << 20);
        assert_eq!(document["openapi"], "3.1.0");
        visit(&document, &document);
    }

    #[test]
    fn each_operation_has_its_own_name_and_address_and_an_example_that_it_takes() {
        let operations = operations();
        for (at, operation) in operations.iter().enumerate() {
            let rest = &operations[at + 1..];
            let is_same =
                |other: &Operation| other.id == operation.id || other.path == operation.path;
            assert!(!rest.iter().any(is_same), "{}", operation.id);
            assert!(operation.example.is_object(), "{}", operation.id);
        }
    }
}
