//! The TypeScript client, bundled, for pages that have no build step.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use actix_web::guard::{self, Guard};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};

/// Made by `npm run build` in `client/`, and kept equal to it by the tests.
const SCRIPT: &str = include_str!("../../assets/courtside.js");

/// Tells one version of it from another.
static HASH: LazyLock<u64> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    SCRIPT.hash(&mut hasher);
    hasher.finish()
});

/// Requests that read: to `HEAD` the HTTP layer answers as to `GET`, without the body.
pub(crate) fn reads() -> impl Guard {
    guard::Any(guard::Get()).or(guard::Head())
}

/// Answers with the script, or with 304 if the browser has this version.
pub(crate) async fn serve(request: HttpRequest) -> HttpResponse {
    let tag = format!("\"{:x}\"", *HASH);
    let is_known = request
        .headers()
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known == tag.as_str());
    let mut response = if is_known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header((header::ETAG, tag))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .content_type("text/javascript; charset=utf-8");
    if is_known {
        response.finish()
    } else {
        response.body(SCRIPT)
    }
}
