//! The OpenAPI document and the routes say the same.

use courtside::testing::run;
use serde_json::{Value, json};

use super::site::{ALL, READER, Site};

const METHODS: [&str; 6] = ["get", "post", "put", "patch", "delete", "head"];

/// Each address and method that the document has, with what it says of it.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap();
        let described = item
            .iter()
            .filter(|(method, _)| METHODS.contains(&method.as_str()));
        described.map(|(method, operation)| (path.clone(), method.clone(), operation.clone()))
    });
    each.collect()
}

#[test]
fn each_documented_operation_is_routed_and_nothing_else_is() {
    run(async {
        let site = Site::usual().await;
        let document = site.ask(Site::request("GET", "/openapi.json", "")).await;
        let document = document.done();
        let operations = operations(&document);
        assert!(operations.len() > 7);
        for (path, method, operation) in &operations {
            for other in METHODS {
                let request = Site::request(&other.to_uppercase(), path, ALL);
                let answer = site.ask(request).await;
                let is_routed = answer.status != 405;
                assert_eq!(is_routed, other == method, "{other} {path} {answer:?}");
                assert_ne!(answer.status, 404, "{other} {path}");
                if is_routed {
                    let status = answer.status.to_string();
                    assert!(
                        operation["responses"][status].is_object(),
                        "{path} {answer:?}"
                    );
                }
            }
            let needs_key = operation["security"].is_array();
            let without = site
                .ask(Site::request(&method.to_uppercase(), path, ""))
                .await;
            assert_eq!(without.status == 401, needs_key, "{method} {path}");
        }
    });
}

#[test]
fn the_scopes_of_the_document_are_those_that_are_asked_for() {
    run(async {
        let site = Site::usual().await;
        let document = site.get("/openapi.json").await.done();
        for (path, method, operation) in operations(&document) {
            let scopes = operation["security"][0]["key"].as_array();
            let Some(scope) = scopes.and_then(|scopes| scopes.first()) else {
                continue;
            };
            let request = Site::request(&method.to_uppercase(), &path, READER);
            let answer = site.ask(request).await;
            match scope.as_str().unwrap() {
                "history" => assert_ne!(answer.status, 403),
                scope => {
                    assert_eq!(answer.status, 403, "{path}");
                    let challenge = answer.header("www-authenticate").unwrap();
                    assert!(challenge.contains(&format!("scope=\"{scope}\"")), "{path}");
                }
            }
        }
    });
}

#[test]
fn the_examples_of_the_document_work() {
    run(async {
        let site = Site::usual().await;
        let document = site.get("/openapi.json").await.done();
        let mut operations = operations(&document);
        // A room has to be there before something is done to it.
        let order = |path: &str| match path {
            "/rooms/create" => 0,
            "/rooms/dispose" => 2,
            _ => 1,
        };
        operations.sort_by_key(|(path, ..)| order(path));
        for (path, method, operation) in operations {
            let answer = match method.as_str() {
                "post" => {
                    let body = &operation["requestBody"]["content"]["application/json"];
                    site.post(&path, body["example"].clone()).await
                }
                _ => {
                    let parameters = operation["parameters"].as_array().into_iter().flatten();
                    let query: Vec<_> = parameters
                        .filter(|parameter| !parameter["example"].is_null())
                        .map(|parameter| {
                            let value = parameter["example"].to_string().replace('"', "");
                            format!("{}={value}", parameter["name"].as_str().unwrap())
                        })
                        .collect();
                    site.get(&format!("{path}?{}", query.join("&"))).await
                }
            };
            let answer = answer.done();
            for result in answer["results"].as_array().into_iter().flatten() {
                assert!(result.get("error").is_none(), "{path} {result}");
            }
        }
    });
}

#[test]
fn the_document_and_its_page_need_no_key() {
    run(async {
        let site = Site::usual().await;
        let page = site.ask(Site::request("GET", "/docs", "")).await;
        assert_eq!(page.status, 200);
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"));
        let document = site.get("/openapi.json").await.done();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["servers"], json!([{ "url": "." }]));
        let bodies = document["components"]["schemas"].as_object().unwrap();
        assert_eq!(bodies["Publication"]["additionalProperties"], false);
    });
}

#[test]
fn the_health_is_told_without_a_key() {
    run(async {
        let site = Site::usual().await;
        let ask = || site.ask(Site::request("GET", "/health", ""));
        assert_eq!(ask().await.done(), json!({ "status": "ok" }));
        site.server.server().drain().await;
        let answer = ask().await;
        assert_eq!(answer.error(), (503, "draining".to_owned(), None));
        assert!(answer.header("retry-after").is_some());
    });
}
