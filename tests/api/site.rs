//! A server under test with its API, which is asked without a socket.

use std::rc::Rc;
use std::time::Duration;

use actix_http::Request;
use actix_web::App;
use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, call_service, init_service};
use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside::{Api, ApiKey, ApiScope, Format, RoomConfig, Sender, ServerBuilder};
use courtside_tests::wire_tools::{Desk, Wire, calm};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The secret of a key that may do everything.
pub(crate) const ALL: &str = "all-0123456789abcdef0123456789abcdef";

/// The secret of a key that may read histories, and nothing else.
pub(crate) const READER: &str = "reader-0123456789abcdef0123456789abcdef";

/// Where the API is mounted.
pub(crate) const ROOT: &str = "/api/v1";

#[derive(Deserialize, Message)]
struct Notice {
    text: String,
}

#[derive(Serialize, Message)]
#[message(name = "notice")]
struct Said {
    text: String,
    from: String,
}

#[derive(Deserialize, Message)]
#[message(reply = u32)]
struct Count;

#[derive(Deserialize, Message)]
struct Crash;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    map: Option<String>,
}

/// A room that is told notices, which it hands on and counts.
#[derive(Default)]
struct Arena {
    notices: u32,
}

#[courtside::room]
impl Arena {
    fn config() -> RoomConfig {
        RoomConfig::default().capacity(4)
    }

    fn create(settings: Settings) -> Result<Self, Refusal> {
        match settings.map.as_deref() {
            Some("") => Err(Refusal::new("no_map", "name a map")),
            _ => Ok(Self::default()),
        }
    }

    #[receive]
    fn notice(
        &mut self,
        from: &Sender,
        notice: Notice,
        ctx: &mut RoomContext<Self>,
    ) -> Result<(), Refusal> {
        if notice.text.is_empty() {
            return Err(Refusal::new("empty", "say something"));
        }
        self.notices += 1;
        let (text, from) = (notice.text, from.to_string());
        ctx.broadcast(&Said { text, from });
        Ok(())
    }

    #[receive]
    fn count(&mut self, _count: Count) -> u32 {
        self.notices
    }

    #[receive]
    fn crash(&mut self, _crash: Crash) {
        panic!("on purpose");
    }
}

pub(crate) fn builder() -> ServerBuilder {
    Server::builder()
        .config(calm())
        .room::<Desk>()
        .room::<Arena>()
        .channel("news", Channel::open().history(20))
        .channel("match/{id}", Channel::open().presence(Presence::default()))
        .authenticate(async |sign_in| {
            Ok(match sign_in.token() {
                Some(user) => Identity::new(()).subject(user),
                None => Identity::new(()),
            })
        })
}

/// An API with the keys of these tests.
pub(crate) fn api() -> Api {
    let all = ApiKey::new("all", ALL).scopes(ApiScope::ALL);
    let reader = ApiKey::new("reader", READER).scopes([ApiScope::History]);
    Api::default().key(all).key(reader)
}

type Calls = dyn Fn(Request) -> LocalBoxFuture<'static, ServiceResponse<BoxBody>>;

#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) server: Rc<TestServer>,
    calls: Rc<Calls>,
}

/// What a request was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: bytes::Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The answer to a request that has succeeded.
    #[track_caller]
    pub(crate) fn done(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// The status, the code and the field of an error, which has the shape of all errors.
    #[track_caller]
    pub(crate) fn error(&self) -> (u16, String, Option<String>) {
        let body = self.json();
        assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
        let error = body["error"].as_object().unwrap();
        let text = |name: &str| {
            error
                .get(name)
                .map(|text| text.as_str().unwrap().to_owned())
        };
        let known = ["code", "message", "field"];
        assert!(
            error.keys().all(|name| known.contains(&name.as_str())),
            "{body}"
        );
        assert!(text("message").unwrap().len() > 9, "{body}");
        (self.status, text("code").unwrap(), text("field"))
    }
}

impl Site {
    pub(crate) async fn open(builder: ServerBuilder, api: Api) -> Self {
        let server = TestServer::start(builder, 2).await.unwrap();
        let routes = server.server().api(api).unwrap();
        let app = Rc::new(init_service(App::new().service(routes.at(ROOT))).await);
        let calls = move |request| {
            let app = app.clone();
            let answer = async move { call_service(&*app, request).await.map_into_boxed_body() };
            answer.boxed_local()
        };
        Self {
            server: Rc::new(server),
            calls: Rc::new(calls),
        }
    }

    pub(crate) async fn usual() -> Self {
        Self::open(builder(), api()).await
    }

    /// A request to an address below the API's.
    pub(crate) fn request(method: &str, path: &str, key: &str) -> TestRequest {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = TestRequest::with_uri(&format!("{ROOT}{path}")).method(method);
        match key {
            "" => request,
            key => request.insert_header(("authorization", format!("Bearer {key}"))),
        }
    }

    pub(crate) async fn ask(&self, request: TestRequest) -> Answer {
        let response = (self.calls)(request.to_request()).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = to_bytes(response.into_body()).await.unwrap();
        Answer {
            status,
            headers,
            body,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Self::request("GET", path, ALL)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Self::request("POST", path, ALL).set_json(body))
            .await
    }

    /// The same with an idempotency key.
    pub(crate) async fn post_once(&self, key: &str, path: &str, body: Value) -> Answer {
        let request = Self::request("POST", path, ALL).set_json(body);
        self.ask(request.insert_header(("idempotency-key", key)))
            .await
    }

    pub(crate) async fn publish(&self, channel: &str, data: Value) -> Answer {
        self.post("/publish", json!({ "channel": channel, "data": data }))
            .await
    }

    /// What a channel keeps, as the application sees it.
    pub(crate) async fn kept(&self, channel: &str) -> Vec<Value> {
        let page = self
            .server
            .server()
            .history(channel, Default::default())
            .await;
        let publications = page.unwrap().publications;
        publications.iter().map(|p| p.data().unwrap()).collect()
    }

    pub(crate) async fn client(&self, worker: usize, format: Format, user: &str) -> Wire {
        let path = format!("/ws?format={}&access_token={user}", format.name());
        Wire::open_at(&self.server, worker, format, &path).await
    }
}

/// Longer than a batch of presence, and shorter than a window.
pub(crate) const A_WHILE: Duration = Duration::from_secs(2);
