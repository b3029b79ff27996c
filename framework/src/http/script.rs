//! Serves the bundled TypeScript client, for pages without a build step.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use actix_web::guard::{self, Guard};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};

/// Written by `npm run build` in `client/`; a test checks that it is up to date.
const SCRIPT: &str = include_str!("../../assets/courtside.js");

/// Identifies the version.
static HASH: LazyLock<u64> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    SCRIPT.hash(&mut hasher);
    hasher.finish()
});

/// `GET` and `HEAD`: the HTTP layer answers `HEAD` like `GET`, without the body.
pub(crate) fn reads() -> impl Guard {
    guard::Any(guard::Get()).or(guard::Head())
}

/// Returns the script, or 304 if the browser has this version.
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
