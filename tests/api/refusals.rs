//! What is wrong with a request, and what it is answered with.

use courtside::testing::run;
use courtside::{Api, ApiError, ApiKey, ApiScope};
use serde_json::json;

use super::site::{ALL, READER, Site, api, builder};

fn told(status: u16, code: &str, field: &str) -> (u16, String, Option<String>) {
    let field = Some(field.to_owned()).filter(|field| !field.is_empty());
    (status, code.to_owned(), field)
}

#[test]
fn a_request_needs_a_key_with_the_right_scope() {
    run(async {
        let site = Site::usual().await;
        let news = json!({ "channel": "news", "data": 1 });
        for wrong in [
            String::new(),
            "wrong".to_owned(),
            ALL[1..].to_owned(),
            format!("{ALL}x"),
        ] {
            let request = Site::request("POST", "/publish", &wrong).set_json(&news);
            let answer = site.ask(request).await;
            assert_eq!(answer.error(), told(401, "unauthorized", ""), "{wrong}");
            let challenge = answer.header("www-authenticate").unwrap();
            assert_eq!(challenge, "Bearer realm=\"courtside\"");
        }
        let basic = Site::request("GET", "/history?channel=news", "");
        let basic = basic.insert_header(("authorization", format!("Basic {ALL}")));
        assert_eq!(site.ask(basic).await.error(), told(401, "unauthorized", ""));

        let request = Site::request("POST", "/publish", READER).set_json(&news);
        let answer = site.ask(request).await;
        assert_eq!(answer.error(), told(403, "missing_scope", ""));
        assert!(
            answer.json()["error"]["message"]
                .as_str()
                .unwrap()
                .contains("`publish`")
        );
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.ends_with("error=\"insufficient_scope\", scope=\"publish\""));

        let request = Site::request("GET", "/history?channel=news", READER);
        site.ask(request).await.done();
        assert!(site.kept("news").await.is_empty());
    });
}

#[test]
fn a_batch_needs_the_scopes_of_all_its_commands_before_any_is_carried_out() {
    run(async {
        let key = ApiKey::new("feed", &ALL[4..]).scopes([ApiScope::Publish]);
        let site = Site::open(builder(), Api::default().key(key)).await;
        let commands = json!({ "commands": [
            { "publish": { "channel": "news", "data": 1 } },
            { "unsubscribe": { "channel": "news", "subject": "ann" } },
        ] });
        let request = Site::request("POST", "/batch", &ALL[4..]).set_json(commands);
        let answer = site.ask(request).await;
        assert_eq!(answer.error(), told(403, "missing_scope", ""));
        assert!(
            answer.json()["error"]["message"]
                .as_str()
                .unwrap()
                .contains("`subscriptions`")
        );
        assert!(site.kept("news").await.is_empty());
    });
}

#[test]
fn what_is_wrong_with_a_body_is_named() {
    run(async {
        let site = Site::usual().await;
        for (path, body, status, code, field) in [
            (
                "/publish",
                json!({ "channel": "news", "dat": 1 }),
                400,
                "unknown_field",
                "dat",
            ),
            (
                "/publish",
                json!({ "channel": "news" }),
                400,
                "missing_field",
                "data",
            ),
            (
                "/publish",
                json!({ "channel": 7, "data": 1 }),
                400,
                "bad_field",
                "channel",
            ),
            (
                "/publish",
                json!({ "channel": "", "data": 1 }),
                400,
                "bad_field",
                "channel",
            ),
            (
                "/publish",
                json!({ "channel": "news", "data": 1, "key": "a b" }),
                400,
                "bad_field",
                "key",
            ),
            ("/publish", json!(["news", 1]), 400, "bad_field", ""),
            (
                "/publish",
                json!({ "channel": "weather", "data": 1 }),
                404,
                "unknown_channel",
                "channel",
            ),
            (
                "/broadcast",
                json!({ "channels": [], "data": 1 }),
                400,
                "bad_field",
                "channels",
            ),
            (
                "/broadcast",
                json!({ "channels": vec!["news"; 1001], "data": 1 }),
                400,
                "bad_field",
                "channels",
            ),
            (
                "/broadcast",
                json!({ "channels": ["news", 7], "data": 1 }),
                400,
                "bad_field",
                "channels[1]",
            ),
            (
                "/batch",
                json!({ "commands": [{ "fly": {} }] }),
                400,
                "bad_field",
                "commands[0]",
            ),
            (
                "/batch",
                json!({ "commands": [{ "publish": { "channel": "news", "data": 1, "x": 1 } }] }),
                400,
                "unknown_field",
                "commands[0].publish.x",
            ),
            (
                "/batch",
                json!({ "commands": vec![json!({ "publish": { "channel": "news", "data": 1 } }); 101] }),
                400,
                "bad_field",
                "commands",
            ),
            (
                "/unsubscribe",
                json!({ "subject": "ann" }),
                400,
                "missing_field",
                "channel",
            ),
        ] {
            let answer = site.post(path, body.clone()).await;
            let error = answer.error();
            let told = told(status, code, field);
            assert_eq!(
                (error.0, &error.1),
                (told.0, &told.1),
                "{path} {body} {answer:?}"
            );
            assert_eq!(error.2, told.2, "{path} {body} {answer:?}");
        }
        for (body, code) in [
            ("", "bad_body"),
            ("{", "bad_body"),
            (r#"{"channel":"news","data":1e999}"#, "bad_data"),
            (
                r#"{"channel":"news","channel":"news","data":1}"#,
                "bad_field",
            ),
            ("\u{feff}{}", "bad_body"),
        ] {
            let request = Site::request("POST", "/publish", ALL).set_payload(body);
            let request = request.insert_header(("content-type", "application/json"));
            let (status, given, _) = site.ask(request).await.error();
            assert_eq!((status, given.as_str()), (400, code), "{body}");
        }
        let deep = format!(
            r#"{{"channel":"news","data":{}{}}}"#,
            "[".repeat(125),
            "]".repeat(125)
        );
        let request = Site::request("POST", "/publish", ALL).set_payload(deep);
        let request = request.insert_header(("content-type", "application/json"));
        assert_eq!(
            site.ask(request).await.error(),
            told(400, "bad_data", "data")
        );
        assert!(site.kept("news").await.is_empty());
    });
}

#[test]
fn what_is_wrong_with_a_query_is_named() {
    run(async {
        let site = Site::usual().await;
        for (path, status, code, field) in [
            ("/history", 400, "missing_field", "channel"),
            ("/history?channel=news&limit=0", 400, "bad_field", "limit"),
            ("/history?channel=news&lim=1", 400, "unknown_field", "lim"),
            ("/history?channel=news&since=e", 400, "bad_field", "since"),
            ("/history?channel=news&since=:1", 400, "bad_field", "since"),
            (
                "/history?channel=news&since=e:-1",
                400,
                "bad_field",
                "since",
            ),
            ("/history?channel=news&before=x", 400, "bad_field", "before"),
            (
                "/history?channel=weather",
                404,
                "unknown_channel",
                "channel",
            ),
            (
                "/presence?channel=weather",
                404,
                "unknown_channel",
                "channel",
            ),
            ("/presence?channel=news", 404, "no_presence", ""),
            ("/rooms?limit=1001", 400, "bad_field", "limit"),
        ] {
            assert_eq!(
                site.get(path).await.error(),
                told(status, code, field),
                "{path}"
            );
        }
    });
}

#[test]
fn a_body_is_json_and_not_too_long() {
    run(async {
        let site = Site::open(builder(), api().body_bytes(100)).await;
        for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
            let request = Site::request("POST", "/publish", ALL);
            let request = request.set_payload(r#"{"channel":"news","data":1}"#);
            let request = match kind {
                "" => request,
                kind => request.insert_header(("content-type", kind)),
            };
            let error = site.ask(request).await.error();
            assert_eq!(error, told(415, "bad_content_type", ""), "{kind}");
        }
        let answer = site.publish("news", json!("x".repeat(100))).await;
        assert_eq!(answer.error(), told(413, "too_big", ""));
        assert!(
            answer.json()["error"]["message"]
                .as_str()
                .unwrap()
                .contains("100 bytes")
        );
        let request = Site::request("POST", "/publish", ALL);
        let request = request.set_payload(r#"{"channel":"news","data":1}"#);
        let request = request.insert_header(("content-type", "Application/JSON; charset=utf-8"));
        site.ask(request).await.done();
    });
}

#[test]
fn other_methods_and_addresses_are_refused_in_the_same_shape() {
    run(async {
        let site = Site::usual().await;
        for (path, allowed) in [
            ("/publish", "POST"),
            ("/history", "GET"),
            ("/health", "GET"),
            ("/docs", "GET"),
        ] {
            for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
                if method != allowed {
                    let answer = site.ask(Site::request(method, path, ALL)).await;
                    assert_eq!(
                        answer.error(),
                        told(405, "method_not_allowed", ""),
                        "{method} {path}"
                    );
                    assert_eq!(answer.header("allow"), Some(allowed));
                }
            }
        }
        for path in ["", "/", "/publish/", "/no/such/route", "/openapi.yaml"] {
            let answer = site.get(path).await;
            assert_eq!(answer.error(), told(404, "unknown_route", ""), "{path}");
        }
    });
}

#[test]
fn a_server_with_too_much_to_do_says_when_to_come_back() {
    run(async {
        let site = Site::open(builder(), api().requests(1)).await;
        let (first, second) = futures_util::future::join(
            site.get("/history?channel=news"),
            site.get("/history?channel=news"),
        )
        .await;
        first.done();
        assert_eq!(second.error(), told(503, "busy", ""));
        assert_eq!(second.header("retry-after"), Some("1"));

        let mut config = courtside_tests::wire_tools::calm();
        config.publish_backlog = 1;
        let site = Site::open(builder().config(config), api()).await;
        let both = json!({ "channels": ["news", "match/7"], "data": 1 });
        let results = site.post("/broadcast", both).await.done()["results"].clone();
        assert_eq!(results[0], json!({ "channel": "news", "offset": 1 }));
        assert_eq!(results[1]["error"]["code"], "busy");
    });
}

#[test]
fn pages_of_other_origins_are_told_nothing() {
    run(async {
        let site = Site::usual().await;
        let origin = ("origin", "https://elsewhere.example");
        let preflight = Site::request("OPTIONS", "/publish", "").insert_header(origin);
        let preflight = preflight.insert_header(("access-control-request-method", "POST"));
        let read = Site::request("GET", "/history?channel=news", ALL).insert_header(origin);
        for request in [preflight, read] {
            let answer = site.ask(request).await;
            let shares = |name: &str| name.starts_with("access-control");
            assert!(!answer.headers.keys().any(|name| shares(name.as_str())));
        }
    });
}

#[test]
fn mistakes_in_an_api_are_found_when_it_is_made() {
    run(async {
        let site = Site::usual().await;
        let server = site.server.server();
        assert_eq!(server.api(Api::default()).unwrap_err(), ApiError::NoKey);
        let short = ApiKey::new("feed", "secret").scopes([ApiScope::Publish]);
        let error = server.api(api().key(short)).unwrap_err();
        assert!(error.to_string().contains("needs at least 32"), "{error}");
        let error = server.api(api().requests(0)).unwrap_err();
        assert_eq!(error, ApiError::ZeroBound("Api::requests"));
    });
}
