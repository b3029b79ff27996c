//! Signing in: a page shows a name and gets a pass, with which its connections are a player's.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use actix_web::error::JsonPayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use courtside::{ClientAddress, Identity, Refusal, SignIn};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::time::Instant;

use crate::chat::Rejection;
use crate::player::{Passes, Player, Token};
use crate::throttle::Throttle;

/// How often one address may sign in: a household or an office at once, and then one after each pause.
const BURST: u32 = 100;
const PAUSE: Duration = Duration::from_secs(1);
/// How many addresses are remembered.
const ADDRESSES: usize = 10_000;

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
    #[error("Too many have signed in from your network: wait {} s.", .0.as_secs().max(1))]
    TooFast(Duration),
}

/// How often each address has signed in. A clone is the same table.
#[derive(Clone, Debug)]
pub struct Visits {
    begun: Instant,
    throttle: Arc<Mutex<Throttle<ClientAddress>>>,
}

impl Default for Visits {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            throttle: Arc::new(Mutex::new(Throttle::new(BURST, PAUSE, ADDRESSES))),
        }
    }
}

impl Visits {
    /// A client without an address is one of tests.
    fn spend(&self, address: Option<SocketAddr>) -> Result<(), Refused> {
        let Some(address) = address.map(|address| ClientAddress::new(address.ip())) else {
            return Ok(());
        };
        let now = self.begun.elapsed();
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.spend(&address, now).map_err(Refused::TooFast)
    }
}

/// The code and the message of a refusal, as in the `error` events of a connection.
#[derive(Serialize)]
struct Told {
    code: &'static str,
    message: String,
}

/// Serves `POST /sign-in`. All threads share the passes and the visits.
pub fn configure(app: &mut web::ServiceConfig, passes: Passes, visits: Visits) {
    let json = web::JsonConfig::default()
        .limit(LONGEST_REQUEST)
        .error_handler(|error, _| Refused::Unreadable(error).into());
    let resource = web::resource("/sign-in")
        .app_data(json)
        .app_data(web::Data::new(passes))
        .app_data(web::Data::new(visits))
        .route(web::post().to(sign_in));
    app.service(resource);
}

async fn sign_in(
    head: HttpRequest,
    request: web::Json<Request>,
    passes: web::Data<Passes>,
    visits: web::Data<Visits>,
) -> Result<HttpResponse, Refused> {
    visits.spend(head.peer_addr())?;
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
            Self::TooFast(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let code = match self {
            Self::Unreadable(_) => "bad_request",
            Self::Name(_) => "bad_name",
            Self::TooFast(_) => "too_fast",
        };
        let message = self.to_string();
        let mut answer = HttpResponse::build(self.status_code());
        if let Self::TooFast(wait) = self {
            answer.insert_header((RETRY_AFTER, wait.as_secs().max(1)));
        }
        secret(answer.json(Told { code, message }))
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
        let (passes, visits) = (passes.clone(), Visits::default());
        let app = init_service(App::new().configure(|app| configure(app, passes, visits))).await;
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
    async fn an_address_that_signs_in_too_often_has_to_wait_and_others_do_not() {
        let (passes, visits) = (Passes::default(), Visits::default());
        let app = App::new().configure(|app| configure(app, passes, visits));
        let app = init_service(app).await;
        let sign_in = async |address: &str| {
            let request = TestRequest::post().uri("/sign-in").set_json(json!({}));
            let address = address.parse().expect("an address");
            call_service(&app, request.peer_addr(address).to_request()).await
        };
        for n in 0..BURST {
            assert_eq!(
                sign_in(&format!("192.0.2.1:{}", 4000 + n)).await.status(),
                200
            );
        }
        let refused = sign_in("192.0.2.1:80").await;
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers().get(RETRY_AFTER).expect("a header"), "1");
        let told: Value = read_body_json(refused).await;
        assert_eq!(told["code"], "too_fast");
        assert_eq!(sign_in("192.0.2.2:80").await.status(), 200);
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
