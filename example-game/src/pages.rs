//! The files of the page, built into the program: one binary is the whole game.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpResponse, web};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Path, content and type of each file.
const FILES: [(&str, &str, &str); 23] = [
    ("/", HTML, include_str!("../page/index.html")),
    ("/style.css", CSS, include_str!("../page/style.css")),
    ("/favicon.svg", SVG, include_str!("../page/favicon.svg")),
    ("/arenas.js", SCRIPT, include_str!("../page/arenas.js")),
    ("/backdrop.js", SCRIPT, include_str!("../page/backdrop.js")),
    ("/chat.js", SCRIPT, include_str!("../page/chat.js")),
    ("/effects.js", SCRIPT, include_str!("../page/effects.js")),
    ("/flight.js", SCRIPT, include_str!("../page/flight.js")),
    ("/hud.js", SCRIPT, include_str!("../page/hud.js")),
    ("/input.js", SCRIPT, include_str!("../page/input.js")),
    ("/main.js", SCRIPT, include_str!("../page/main.js")),
    ("/map.js", SCRIPT, include_str!("../page/map.js")),
    ("/net.js", SCRIPT, include_str!("../page/net.js")),
    ("/own.js", SCRIPT, include_str!("../page/own.js")),
    ("/palette.js", SCRIPT, include_str!("../page/palette.js")),
    ("/pass.js", SCRIPT, include_str!("../page/pass.js")),
    ("/radar.js", SCRIPT, include_str!("../page/radar.js")),
    ("/scene.js", SCRIPT, include_str!("../page/scene.js")),
    ("/ships.js", SCRIPT, include_str!("../page/ships.js")),
    ("/sound.js", SCRIPT, include_str!("../page/sound.js")),
    ("/start.js", SCRIPT, include_str!("../page/start.js")),
    ("/timeline.js", SCRIPT, include_str!("../page/timeline.js")),
    ("/watch.js", SCRIPT, include_str!("../page/watch.js")),
];

/// The page loads nothing from other hosts; this policy enforces it.
/// Some browsers do not treat a WebSocket as `'self'`, so its schemes are listed.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Serves the page.
pub fn configure(app: &mut web::ServiceConfig) {
    for (path, kind, content) in FILES {
        let file = move || async move {
            HttpResponse::Ok()
                .insert_header((CONTENT_TYPE, kind))
                .insert_header((CONTENT_SECURITY_POLICY, POLICY))
                .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
                // The names have no version, and a page must not mix files of two versions.
                .insert_header((CACHE_CONTROL, "no-cache"))
                .body(content)
        };
        // The HTTP layer omits the body of a response to `HEAD`.
        app.route(path, web::get().to(file))
            .route(path, web::head().to(file));
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::Method;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn every_script_that_is_imported_is_served() {
        for (path, _, content) in FILES {
            for line in content.lines().filter(|line| line.starts_with("import ")) {
                let name = line.split('\'').nth(1).expect("an import names its file");
                let served =
                    name == "/courtside.js" || FILES.iter().any(|(known, ..)| *known == name);
                assert!(served, "{path} imports {name}");
            }
        }
    }

    #[test]
    fn the_page_needs_nothing_from_anywhere_else() {
        for (path, _, content) in FILES {
            let foreign = content.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !foreign.contains("http://") && !foreign.contains("https://"),
                "{path}"
            );
        }
    }

    #[actix_web::test]
    async fn every_page_answers_to_head_as_to_get() {
        let app = actix_web::App::new().configure(configure);
        let app = actix_web::test::init_service(app).await;
        for (path, kind, _) in FILES {
            for method in [Method::GET, Method::HEAD] {
                let request = TestRequest::with_uri(path).method(method.clone());
                let answer = actix_web::test::call_service(&app, request.to_request()).await;
                assert_eq!(answer.status(), 200, "{method} {path}");
                assert_eq!(
                    answer.headers().get(CONTENT_TYPE).map(|k| k == kind),
                    Some(true)
                );
            }
        }
    }
}
