//! The pages, built into the program, so that it runs from any directory without a build step.

use actix_web::{HttpResponse, http::header, web};

/// Address, content type and content of every file.
const FILES: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("../assets/index.html")),
    ("/plain", HTML, include_str!("../assets/plain.html")),
    ("/events", HTML, include_str!("../assets/events.html")),
    ("/plain.css", STYLE, include_str!("../assets/plain.css")),
    ("/scores.css", STYLE, include_str!("../assets/scores.css")),
    (
        "/icon.svg",
        "image/svg+xml",
        include_str!("../assets/icon.svg"),
    ),
    ("/app.js", SCRIPT, include_str!("../assets/app.js")),
    ("/away.js", SCRIPT, include_str!("../assets/away.js")),
    ("/board.js", SCRIPT, include_str!("../assets/board.js")),
    (
        "/elements.js",
        SCRIPT,
        include_str!("../assets/elements.js"),
    ),
    ("/flags.js", SCRIPT, include_str!("../assets/flags.js")),
    ("/groups.js", SCRIPT, include_str!("../assets/groups.js")),
    ("/match.js", SCRIPT, include_str!("../assets/match.js")),
    ("/minutes.js", SCRIPT, include_str!("../assets/minutes.js")),
    ("/picture.js", SCRIPT, include_str!("../assets/picture.js")),
    ("/premium.js", SCRIPT, include_str!("../assets/premium.js")),
    ("/rounds.js", SCRIPT, include_str!("../assets/rounds.js")),
    ("/stage.js", SCRIPT, include_str!("../assets/stage.js")),
    ("/team.js", SCRIPT, include_str!("../assets/team.js")),
    ("/ticker.js", SCRIPT, include_str!("../assets/ticker.js")),
];

const STYLE: &str = "text/css; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Mounts the pages into an app.
pub(crate) fn configure(app: &mut web::ServiceConfig) {
    for (path, kind, content) in FILES.iter().copied() {
        let answer = move || async move {
            HttpResponse::Ok()
                .insert_header((header::CONTENT_TYPE, kind))
                // After an update of the server, the page and its modules must have the same version.
                .insert_header((header::CACHE_CONTROL, "no-cache"))
                .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .body(content)
        };
        app.route(path, web::get().to(answer))
            .route(path, web::head().to(answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_that_a_page_asks_for_is_served() {
        let served = |path: &str| FILES.iter().any(|(name, ..)| *name == path);
        for (name, _, content) in FILES {
            let imports = content
                .lines()
                .filter_map(|line| line.split_once(" from './"));
            for (_, rest) in imports {
                let module = rest.split('\'').next().unwrap();
                assert!(served(&format!("/{module}")), "{name} imports {module}");
            }
            for attribute in ["src=\"", "href=\""] {
                for rest in content.split(attribute).skip(1) {
                    let path = rest.split('"').next().unwrap();
                    assert!(served(path), "{name} asks for {path}");
                }
            }
        }
    }

    #[test]
    fn the_small_pages_keep_the_promise_of_their_titles() {
        for (path, lines, subscription) in [
            ("/plain", 10, "{ action: 'subscribe', channel: 'updates' }"),
            ("/events", 9, "'/ws/events?channel=updates'"),
        ] {
            let (_, _, page) = FILES.iter().find(|(name, ..)| *name == path).unwrap();
            let script = page.split("<script id=\"script\">").nth(1).unwrap();
            let script = script.split("</script>").next().unwrap().trim();
            assert_eq!(script.lines().count(), lines, "{script}");
            assert!(script.contains(subscription));
            // The readme shows the same lines.
            assert!(include_str!("../README.md").contains(script), "{path}");
        }
    }
}
