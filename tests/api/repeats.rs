//! Requests that are made twice.

use std::time::Duration;

use courtside::testing::run;
use futures_util::future::join;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::site::{Site, api, builder};
use courtside::{ApiKey, ApiScope};

fn news(data: impl Into<Value>) -> Value {
    json!({ "channel": "news", "data": data.into() })
}

#[test]
fn the_same_key_twice_has_one_effect_and_the_same_answer() {
    run(async {
        let site = Site::usual().await;
        let commands = json!({ "commands": [{ "publish": news(2) }, { "publish": news(3) }] });
        let both = json!({ "channels": ["news", "weather"], "data": 4 });
        for (n, (path, body)) in [
            ("/publish", news(1)),
            ("/batch", commands),
            ("/broadcast", both),
        ]
        .into_iter()
        .enumerate()
        {
            let key = format!("request-{n}");
            let first = site.post_once(&key, path, body.clone()).await;
            assert_eq!(first.header("idempotency-replayed"), None);
            let second = site.post_once(&key, path, body).await;
            assert_eq!(second.header("idempotency-replayed"), Some("true"));
            assert_eq!((first.done(), first.body), (second.done(), second.body));
        }
        assert_eq!(site.kept("news").await, [1, 2, 3, 4].map(Value::from));
        site.post("/publish", news(1)).await.done();
        assert_eq!(site.kept("news").await.len(), 5, "without a key");
    });
}

#[test]
fn another_request_with_the_same_key_is_refused() {
    run(async {
        let site = Site::usual().await;
        site.post_once("a", "/publish", news(1)).await.done();
        let body = json!({ "channels": ["news"], "data": 1 });
        for (path, body) in [("/publish", news(2)), ("/broadcast", body)] {
            let answer = site.post_once("a", path, body).await;
            assert_eq!(answer.error().0, 422);
            assert_eq!(answer.error().1, "idempotency_key_reused");
        }
        assert_eq!(site.kept("news").await.len(), 1);
    });
}

#[test]
fn a_repeat_that_comes_too_early_is_told_to_wait() {
    run(async {
        let site = Site::usual().await;
        let (first, second) = join(
            site.post_once("a", "/publish", news(1)),
            site.post_once("a", "/publish", news(1)),
        )
        .await;
        assert_eq!(first.done(), json!({ "offset": 1 }));
        assert_eq!(second.error(), (409, "in_progress".to_owned(), None));
        assert_eq!(second.header("retry-after"), Some("1"));
        let third = site.post_once("a", "/publish", news(1)).await;
        assert_eq!(third.done(), json!({ "offset": 1 }));
        assert_eq!(site.kept("news").await.len(), 1);
    });
}

#[test]
fn no_other_key_is_that_of_a_command_of_a_batch() {
    run(async {
        let site = Site::usual().await;
        let commands = json!({ "commands": [{ "publish": news(1) }, { "publish": news(2) }] });
        site.post_once("a", "/batch", commands).await.done();
        for (number, header) in (3..).zip(["a#0", "a#1", "a:1", "a-1"]) {
            let single = site.post_once(header, "/publish", news(number)).await;
            assert_eq!(single.done(), json!({ "offset": number }), "{header}");
        }
        // A publication's own key is not that of a request either.
        for (number, key) in (7..).zip(["all:a#0", "all:a"]) {
            let own = json!({ "channel": "news", "data": number, "key": key });
            let answer = site.post("/publish", own).await;
            assert_eq!(answer.done(), json!({ "offset": number }), "{key}");
        }
    });
}

#[test]
fn a_request_whose_client_goes_away_has_its_effect_once() {
    run(async {
        let site = Site::usual().await;
        let gone = tokio::time::timeout(Duration::ZERO, site.post_once("a", "/publish", news(1)));
        assert!(gone.await.is_err());
        sleep(Duration::from_millis(1)).await;
        let again = site.post_once("a", "/publish", news(1)).await;
        assert_eq!(again.done(), json!({ "offset": 1 }));
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(site.kept("news").await.len(), 1);
    });
}

#[test]
fn a_request_that_was_refused_may_be_made_again() {
    run(async {
        let site = Site::usual().await;
        for body in [
            json!({ "channel": "weather", "data": 1 }),
            json!({ "channel": "news" }),
        ] {
            let answer = site.post_once("a", "/publish", body).await;
            assert!(matches!(answer.status, 400 | 404));
        }
        site.post_once("a", "/publish", news(1)).await.done();
        assert_eq!(site.kept("news").await.len(), 1);
    });
}

#[test]
fn each_program_has_keys_of_its_own() {
    run(async {
        const OTHER: &str = "other-0123456789abcdef0123456789abcdef";
        let other = ApiKey::new("other", OTHER).scopes([ApiScope::Publish]);
        let site = Site::open(builder(), api().key(other)).await;
        site.post_once("a", "/publish", news(1)).await.done();
        let request = Site::request("POST", "/publish", OTHER).set_json(news(2));
        let answer = site
            .ask(request.insert_header(("idempotency-key", "a")))
            .await;
        assert_eq!(answer.done(), json!({ "offset": 2 }));
    });
}

#[test]
fn a_channel_knows_a_publication_whose_request_is_forgotten() {
    run(async {
        let short = Duration::from_secs(10);
        let site = Site::open(builder(), api().idempotency_age(short)).await;
        let commands = json!({ "commands": [{ "publish": news(2) }, { "publish": news(3) }] });
        site.post_once("a", "/publish", news(1)).await.done();
        site.post_once("b", "/batch", commands.clone()).await.done();
        sleep(short).await;
        let again = site.post_once("a", "/publish", news(1)).await;
        assert_eq!(again.header("idempotency-replayed"), None);
        assert_eq!(again.done(), json!({ "offset": 1 }));
        site.post_once("b", "/batch", commands).await.done();
        assert_eq!(site.kept("news").await.len(), 3);
        let named = json!({ "channel": "news", "data": 9, "key": "goal-1" });
        for _ in 0..2 {
            let answer = site.post("/publish", named.clone()).await;
            assert_eq!(answer.done(), json!({ "offset": 4 }));
        }
    });
}

#[test]
fn a_key_that_is_none_is_refused() {
    run(async {
        let site = Site::usual().await;
        for key in ["", "a b", &"x".repeat(129)] {
            let answer = site.post_once(key, "/publish", news(1)).await;
            let (status, code, field) = answer.error();
            assert_eq!((status, code.as_str()), (400, "bad_idempotency_key"));
            assert_eq!(field.as_deref(), Some("Idempotency-Key"));
        }
        assert!(site.kept("news").await.is_empty());
    });
}
