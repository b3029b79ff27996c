//! Signing in: a page shows a name and gets a pass, with which its connections are a player's.

use std::time::SystemTime;

use actix_web::error::JsonPayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpResponse, ResponseError, web};
use courtside::{Identity, Refusal, SignIn};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::chat::Rejection;
use crate::player::{Passes, Player, Token};

/// The most bytes of a request.
const LONGEST_REQUEST: usize = 1024;

/// What a page sends.
#[derive(Debug, Deserialize)]
struct Request {
    /// Blank or absent: the player's current name or, for a new player, a generated one.
    #[serde(default)]
    name: String,
    /// The token of the pass that the page has. Absent, or no longer valid: the player is new.
    #[serde(default)]
    token: Option<String>,
}

/// What a page receives.
#[derive(Debug, Serialize)]
struct Answer {
    token: Token,
    player: String,
    name: String,
    expires_in_s: u64,
}

/// Why nobody was signed in.
#[derive(Debug, Error)]
enum Refused {
    #[error("Send a name as JSON: {{\"name\":\"Ann\"}}. {0}.")]
    Unreadable(JsonPayloadError),
    #[error("This name cannot be used. {0}")]
    Name(Rejection),
}

/// The code and the message of a refusal, as in the `error` events of a connection.
#[derive(Serialize)]
struct Told {
    code: &'static str,
    message: String,
}

/// Serves `POST /sign-in`.
pub fn configure(app: &mut web::ServiceConfig, passes: Passes) {
    let json = web::JsonConfig::default()
        .limit(LONGEST_REQUEST)
        .error_handler(|error, _| Refused::Unreadable(error).into());
    let resource = web::resource("/sign-in")
        .app_data(json)
        .app_data(web::Data::new(passes))
        .route(web::post().to(sign_in));
    app.service(resource);
}

async fn sign_in(
    request: web::Json<Request>,
    passes: web::Data<Passes>,
) -> Result<HttpResponse, Refused> {
    let time = SystemTime::now();
    let pass = passes
        .sign_in(request.token.as_deref(), &request.name, time)
        .map_err(Refused::Name)?;
    let left = pass.expires.duration_since(time).unwrap_or_default();
    Ok(secret(HttpResponse::Ok().json(Answer {
        token: pass.token,
        player: pass.player.to_string(),
        name: pass.name,
        expires_in_s: left.as_secs(),
    })))
}

/// A client without a token is a guest, whose name each arena generates. A client with the token of a pass is its player until
/// the pass expires.
///
/// # Errors
///
/// `bad_credential` if the pass is not known, for example after a restart of the server, or has expired.
pub async fn authenticate(sign_in: &SignIn) -> Result<Identity<Option<Player>>, Refusal> {
    let Some(token) = sign_in.token() else {
        return Ok(Identity::new(None));
    };
    let pass = sign_in.data::<Passes>().find(token, SystemTime::now());
    let pass = pass
        .ok_or_else(|| Refusal::new("bad_credential", "This pass is not valid: sign in again."))?;
    Ok(Identity::new(Some(Player { name: pass.name }))
        .subject(pass.player)
        .expires_at(pass.expires))
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Unreadable(error) => error.status_code(),
            Self::Name(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let code = match self {
            Self::Unreadable(_) => "bad_request",
            Self::Name(_) => "bad_name",
        };
        let message = self.to_string();
        secret(HttpResponse::build(self.status_code()).json(Told { code, message }))
    }
}

/// No cache keeps the answer.
fn secret(mut answer: HttpResponse) -> HttpResponse {
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(CACHE_CONTROL, no_store);
    answer
}

#[cfg(test)]
mod tests {
    use actix_web::App;
    use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
    use serde_json::{Value, json};

    use super::*;

    /// The status and the body of the answer to a request.
    async fn answer(passes: &Passes, request: TestRequest) -> (u16, Value) {
        let passes = passes.clone();
        let app = init_service(App::new().configure(|app| configure(app, passes))).await;
        let answer = call_service(&app, request.uri("/sign-in").to_request()).await;
        assert_eq!(answer.headers().get(CACHE_CONTROL).unwrap(), "no-store");
        (answer.status().as_u16(), read_body_json(answer).await)
    }

    async fn post(passes: &Passes, body: Value) -> (u16, Value) {
        answer(passes, TestRequest::post().set_json(body)).await
    }

    #[actix_web::test]
    async fn a_page_gets_a_pass_and_keeps_its_player() {
        let passes = Passes::default();
        let (status, ann) = post(&passes, json!({ "name": " Ann " })).await;
        assert_eq!((status, &ann["name"]), (200, &json!("Ann")));
        assert_eq!(ann["expires_in_s"], 3600);
        let (_, zoe) = post(&passes, json!({ "name": "Zoe", "token": ann["token"] })).await;
        assert_eq!(
            (&zoe["player"], &zoe["name"]),
            (&ann["player"], &json!("Zoe"))
        );
        let (status, new) = post(&passes, json!({ "token": "unknown" })).await;
        assert_eq!(status, 200, "a page whose pass is gone signs in again");
        assert_ne!(new["player"], ann["player"]);
    }

    #[actix_web::test]
    async fn a_request_that_cannot_be_granted_is_told_why() {
        let passes = Passes::default();
        let (status, told) = post(&passes, json!({ "name": "n".repeat(99) })).await;
        assert_eq!((status, &told["code"]), (422, &json!("bad_name")));
        assert!(
            told["message"].as_str().unwrap().contains("16 characters"),
            "{told}"
        );
        for request in [
            TestRequest::post(),
            TestRequest::post().set_payload("name=Ann"),
            TestRequest::post().set_json(json!({ "name": 7 })),
        ] {
            let (status, told) = answer(&passes, request).await;
            assert_eq!(
                (status, &told["code"]),
                (400, &json!("bad_request")),
                "{told}"
            );
        }
        let long = json!({ "name": "n".repeat(LONGEST_REQUEST) });
        assert_eq!(post(&passes, long).await.0, 413);
    }
}
