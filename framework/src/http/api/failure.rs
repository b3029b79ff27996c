//! The answers to requests that fail: one shape for all of them.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::idempotency::Answer;
use super::key::ApiScope;
use crate::channel::error::ChannelError;
use crate::channel::publish::PublishError;
use crate::error::Refusal;
use crate::presence::member::PresenceError;
use crate::room::create::CreateError;
use crate::room::tell::{BroadcastError, RoomGone, TellError};
use crate::session::sending::UserError;

/// When to try again if the server has too much to do, in seconds.
const RETRY_AFTER: &str = "1";

/// The code of a repeat that has come too early.
pub(super) const IN_PROGRESS: &str = "in_progress";

/// Why a request failed, or one item of a request that has several.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// For programs: stable, in `snake_case`.
    #[schema(example = "unknown_channel")]
    code: Cow<'static, str>,
    /// For people.
    message: Cow<'static, str>,
    /// The field of the request that is wrong, such as `channel` or `commands[2].publish.channel`.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

/// The answer to a request that failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct ErrorAnswer {
    error: ErrorBody,
}

/// A request that fails, with the status of its answer.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) error: ErrorBody,
    /// What a key would need.
    scope: Option<ApiScope>,
    /// What may be done at this address.
    allows: Option<&'static str>,
}

impl Failure {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            error: ErrorBody {
                code: code.into(),
                message: message.into(),
                field: None,
            },
            scope: None,
            allows: None,
        }
    }

    /// A fault in the request, at a field.
    pub(super) fn bad(
        code: &'static str,
        field: impl Into<String>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let mut failure = Self::new(StatusCode::BAD_REQUEST, code, message);
        failure.error.field = Some(field.into()).filter(|field| !field.is_empty());
        failure
    }

    pub(super) fn unauthorized(message: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    pub(super) fn missing_scope(scope: ApiScope) -> Self {
        let message = format!("the key does not have the scope `{scope}`, which this needs");
        Self {
            scope: Some(scope),
            ..Self::new(StatusCode::FORBIDDEN, "missing_scope", message)
        }
    }

    pub(super) fn method_not_allowed(allowed: &Method) -> Self {
        let (allows, message) = match *allowed {
            Method::GET => ("GET", "this address is read with GET"),
            _ => ("POST", "this address takes POST"),
        };
        Self {
            allows: Some(allows),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                message,
            )
        }
    }

    pub(super) fn busy(message: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    }

    /// Something in the server has failed. The log has the cause.
    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server failed to do this; its log says why",
        )
    }

    /// The request's time is over.
    pub(super) fn not_finished() -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "the server has not finished this yet; it may have an effect later",
        )
    }

    pub(super) fn ended() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ended",
            "the server has ended",
        )
    }

    fn unknown_channel() -> Self {
        Self {
            error: ErrorBody {
                code: "unknown_channel".into(),
                message: "the server offers no channel of this name".into(),
                field: Some("channel".to_owned()),
            },
            ..Self::new(StatusCode::NOT_FOUND, "", "")
        }
    }

    /// The answer that repeats get, too, because something may have been done. `None`: nothing was, so that the request may be
    /// made again.
    pub(super) fn lasting(&self) -> Option<Answer> {
        let may_be_done = matches!(
            self.status,
            StatusCode::GATEWAY_TIMEOUT | StatusCode::INTERNAL_SERVER_ERROR
        );
        let error = self.error.clone();
        let body = may_be_done.then(|| serde_json::to_vec(&ErrorAnswer { error }))?;
        Some(Answer {
            status: self.status,
            body: body.ok()?.into(),
        })
    }

    pub(super) fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        match self.status {
            _ if self.error.code == IN_PROGRESS => {
                response.insert_header((header::RETRY_AFTER, RETRY_AFTER));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response.insert_header((header::RETRY_AFTER, RETRY_AFTER));
            }
            StatusCode::UNAUTHORIZED => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"courtside\""));
            }
            _ => {}
        }
        if let Some(allows) = self.allows {
            response.insert_header((header::ALLOW, allows));
        }
        let challenge = self.scope.and_then(|scope| {
            let text = format!(
                "Bearer realm=\"courtside\", error=\"insufficient_scope\", scope=\"{scope}\""
            );
            HeaderValue::from_str(&text).ok()
        });
        if let Some(challenge) = challenge {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        response.json(ErrorAnswer { error: self.error })
    }
}

impl Failure {
    fn unknown_room() -> Self {
        let mut failure = Self::new(
            StatusCode::NOT_FOUND,
            "unknown_room",
            "the room has ended, or there never was one with this id",
        );
        failure.error.field = Some("room".to_owned());
        failure
    }

    /// A room's own refusal.
    fn refused(refusal: &Refusal) -> Self {
        let mut failure = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "", "");
        failure.error.code = refusal.code().to_owned().into();
        failure.error.message = refusal.message().to_owned().into();
        failure
    }

    fn crashed() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "crashed",
            "the room has crashed while it handled this; the server's log says why",
        )
    }
}

impl Failure {
    fn unknown_kind() -> Self {
        let message = "the server has no rooms of this kind";
        let mut failure = Self::new(StatusCode::NOT_FOUND, "unknown_kind", message);
        failure.error.field = Some("kind".to_owned());
        failure
    }
}

impl From<BroadcastError> for Failure {
    fn from(error: BroadcastError) -> Self {
        match error {
            BroadcastError::UnknownKind(_) => Self::unknown_kind(),
            BroadcastError::NotEncodable(_) => Self::bad("bad_data", "data", error.to_string()),
            BroadcastError::Ended => Self::ended(),
        }
    }
}

impl From<TellError> for Failure {
    fn from(error: TellError) -> Self {
        match error {
            TellError::RoomGone => Self::unknown_room(),
            TellError::Busy => Self::busy("too much is on its way to the room: try again"),
            TellError::Ended => Self::ended(),
            TellError::NotEncodable(_) => Self::bad("bad_data", "data", error.to_string()),
            TellError::Refused(refusal) => Self::refused(&refusal),
            TellError::Crashed => Self::crashed(),
        }
    }
}

impl From<RoomGone> for Failure {
    fn from(_: RoomGone) -> Self {
        Self::unknown_room()
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::UnknownKind(_) => Self::unknown_kind(),
            CreateError::BadId => Self::bad("bad_field", "id", error.to_string()),
            CreateError::Taken => {
                let mut failure = Self::new(StatusCode::CONFLICT, "taken", error.to_string());
                failure.error.field = Some("id".to_owned());
                failure
            }
            CreateError::NotEncodable(_) => Self::bad("bad_data", "options", error.to_string()),
            CreateError::Refused(refusal) => Self::refused(&refusal),
            CreateError::Crashed => Self::crashed(),
            CreateError::TooManyRooms => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_rooms",
                "the server has as many rooms as it can, each with members",
            ),
            CreateError::Ended => Self::ended(),
        }
    }
}

impl From<UserError> for Failure {
    fn from(error: UserError) -> Self {
        match error {
            UserError::NotEncodable(_) => Self::bad("bad_data", "data", error.to_string()),
            UserError::BadCode(_) => {
                let text = error.to_string();
                let mut failure = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_code", text);
                failure.error.field = Some("code".to_owned());
                failure
            }
            UserError::Busy => Self::busy("too much is on its way to sessions: try again"),
            UserError::Ended => Self::ended(),
        }
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::UnknownChannel => Self::unknown_channel(),
            PublishError::NotEncodable(_) => Self::bad("bad_data", "data", error.to_string()),
            PublishError::BadKey => Self::bad("bad_field", "key", error.to_string()),
            PublishError::Busy => Self::busy("too many publications are on their way: try again"),
            PublishError::TooManyChannels => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_channels",
                "the server has as many channels as it can, each with subscribers",
            ),
            PublishError::Ended => Self::ended(),
        }
    }
}

impl From<ChannelError> for Failure {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::UnknownChannel => Self::unknown_channel(),
            ChannelError::Ended => Self::ended(),
        }
    }
}

impl From<PresenceError> for Failure {
    fn from(error: PresenceError) -> Self {
        match error {
            PresenceError::UnknownChannel => Self::unknown_channel(),
            PresenceError::NoPresence => Self::new(
                StatusCode::NOT_FOUND,
                "no_presence",
                "the channel does not show who is present",
            ),
            PresenceError::Unavailable => Self::ended(),
        }
    }
}
