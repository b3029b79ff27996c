//! Several requests in one.

use std::borrow::Cow;

use actix_web::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, ObjectBuilder, OneOfBuilder, Ref, Schema, Type,
};
use utoipa::{PartialSchema, ToSchema};

use super::endpoint::{Call, Endpoint};
use super::failure::{ErrorBody, Failure};
use super::idempotency::command_slot;
use super::input::{List, Object};
use super::key::ApiScope;
use super::publishing::{Broadcast, Publish};
use super::rooms::{CreateRoom, DisposeRoom};
use super::subscriptions::{Subscribe, Unsubscribe};
use super::telling::{AskRoom, TellRoom, TellRooms};
use super::users::{DisconnectUser, KeepOut, SendToUser};

/// The most commands of one batch.
pub(super) const COMMANDS: usize = 100;

/// Declares the commands of a batch: endpoints that take a body.
macro_rules! commands {
    ($($variant:ident: $endpoint:ty,)*) => {
        /// One command of a batch: an object with one field, which is the name of an operation, with the body of that as its value.
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum Command {
            $($variant(Object<<$endpoint as Endpoint>::Input>),)*
        }

        /// What became of one command: an object with one field, which is the name of the operation, or `error`.
        #[derive(Debug, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum Outcome {
            $($variant(<$endpoint as Endpoint>::Output),)*
            Error(ErrorBody),
        }

        impl Command {
            fn scope(&self) -> Option<ApiScope> {
                match self {
                    $(Self::$variant(_) => <$endpoint>::SCOPE,)*
                }
            }

            async fn run(self, call: &Call) -> Result<Outcome, Failure> {
                match self {
                    $(Self::$variant(Object(input)) => {
                        <$endpoint>::run(call, input).await.map(Outcome::$variant)
                    })*
                }
            }
        }

        impl PartialSchema for Command {
            fn schema() -> RefOr<Schema> {
                let schema = OneOfBuilder::new()
                    $(.item(one_field(
                        <$endpoint>::ID,
                        <<$endpoint as Endpoint>::Input as ToSchema>::name(),
                    )))*;
                schema.into()
            }
        }

        impl ToSchema for Command {
            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                $(collect::<<$endpoint as Endpoint>::Input>(schemas);)*
            }
        }

        impl PartialSchema for Outcome {
            fn schema() -> RefOr<Schema> {
                let schema = OneOfBuilder::new()
                    $(.item(one_field(
                        <$endpoint>::ID,
                        <<$endpoint as Endpoint>::Output as ToSchema>::name(),
                    )))*
                    .item(one_field("error", ErrorBody::name()));
                schema.into()
            }
        }

        impl ToSchema for Outcome {
            fn name() -> Cow<'static, str> {
                "CommandOutcome".into()
            }

            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                $(collect::<<$endpoint as Endpoint>::Output>(schemas);)*
                collect::<ErrorBody>(schemas);
            }
        }
    };
}

commands! {
    Publish: Publish,
    Broadcast: Broadcast,
    Subscribe: Subscribe,
    Unsubscribe: Unsubscribe,
    CreateRoom: CreateRoom,
    TellRoom: TellRoom,
    TellRooms: TellRooms,
    AskRoom: AskRoom,
    DisposeRoom: DisposeRoom,
    SendToUser: SendToUser,
    DisconnectUser: DisconnectUser,
    KeepOut: KeepOut,
}

/// An object with this one field.
fn one_field(name: &str, schema: Cow<'_, str>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property(name, Ref::from_schema_name(schema))
        .required(name)
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
}

fn collect<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Commands {
    /// The commands.
    #[schema(value_type = Vec<Command>, min_items = 1, max_items = 100)]
    commands: List<Command, COMMANDS>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Outcomes {
    /// What became of them, in the order of the commands.
    results: Vec<Outcome>,
}

/// Carries out several commands.
pub(super) struct Batch;

impl Endpoint for Batch {
    type Input = Commands;
    type Output = Outcomes;

    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/batch";
    const ID: &'static str = "batch";
    const SCOPE: Option<ApiScope> = None;
    const SUMMARY: &'static str = "Carry out several commands";
    const ABOUT: &'static str = "One after the other, whatever becomes of each: \
        the status is 200, and each result is an answer or an error. \
        If the key lacks the scope of one of the commands, none is carried out.";
    const FAILURES: &'static [(StatusCode, &'static str)] = &[];

    fn example() -> Value {
        json!({ "commands": [
            { "publish": { "channel": "news", "data": { "title": "One to nil" } } },
            { "unsubscribe": { "subject": "ann", "channel": "match/7" } },
        ] })
    }

    async fn run(call: &Call, input: Commands) -> Result<Outcomes, Failure> {
        let commands = input.commands.0;
        let mut needed = commands.iter().filter_map(Command::scope);
        if let Some(missing) = needed.find(|scope| !call.key.allows(*scope)) {
            return Err(Failure::missing_scope(missing));
        }
        let mut results = Vec::with_capacity(commands.len());
        for (number, command) in commands.into_iter().enumerate() {
            let call = Call {
                slot: call.slot.as_ref().map(|slot| command_slot(slot, number)),
                ..call.clone()
            };
            let outcome = command.run(&call).await;
            results.push(outcome.unwrap_or_else(|failure| Outcome::Error(failure.error)));
        }
        Ok(Outcomes { results })
    }
}
