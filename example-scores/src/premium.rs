//! The premium ticker: a channel for those who hold a pass, and the route that issues passes.

use std::time::{Duration, SystemTime};

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use courtside::{Access, prelude::*};
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    chances::Chances,
    passes::Passes,
    publisher::{Outlet, unix_ms},
    scoreboard::Scoreboard,
};

/// The only topic so far.
const CHANCES: &str = "chances";

/// How often the chances are calculated.
const PERIOD: Duration = Duration::from_millis(500);

/// What the server knows of a client.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Visitor {
    /// Whether its session began, or goes on, with a pass.
    has_pass: bool,
}

/// Admits everybody: those with a pass until it expires, those without a token as guests.
pub(crate) async fn authenticate(sign_in: &SignIn) -> Result<Identity<Visitor>, Refusal> {
    let Some(token) = sign_in.token() else {
        return Ok(Identity::new(Visitor { has_pass: false }));
    };
    let passes = sign_in.data::<Passes>();
    let until = passes.good_until(token, SystemTime::now());
    let until = until.ok_or_else(|| Refusal::new("bad_pass", "get a new pass"))?;
    Ok(Identity::new(Visitor { has_pass: true }).expires_at(until))
}

/// The channels `premium/{topic}`.
pub(crate) fn channel() -> Channel {
    let channel = Channel::authorize(async |subscriber| {
        if !subscriber.claims::<Visitor>().has_pass {
            return Err(Refusal::new(
                "no_pass",
                "this ticker is for holders of a pass",
            ));
        }
        if subscriber.param("topic") != CHANCES {
            return Err(Refusal::new("unknown_topic", "there is only `chances`"));
        }
        Ok(Access::granted())
    });
    channel.history(1).delta(true)
}

/// Publishes the chances whenever they have changed, until the outlet fails.
pub(crate) async fn run<O: Outlet>(outlet: &O, scoreboard: &Scoreboard) -> Result<(), O::Error> {
    let mut shown = Chances::default();
    let mut beat = interval(PERIOD);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let chances = scoreboard.chances(unix_ms());
        if chances != shown {
            outlet
                .publish(&format!("premium/{CHANCES}"), &chances)
                .await?;
            shown = chances;
        }
    }
}

/// Mounts `POST /pass`.
pub(crate) fn configure(app: &mut web::ServiceConfig, passes: &Passes) {
    app.app_data(web::Data::new(passes.clone()))
        .route("/pass", web::post().to(issue));
}

/// Issues a pass. A visitor that has one sends it, as `Authorization: Bearer`, and gets the new one in exchange.
async fn issue(request: HttpRequest, passes: web::Data<Passes>) -> HttpResponse {
    let earlier = request.headers().get(header::AUTHORIZATION);
    let earlier = earlier.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match passes.issue(earlier, SystemTime::now()) {
        Some(pass) => HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .json(pass),
        None => HttpResponse::ServiceUnavailable()
            .insert_header((header::RETRY_AFTER, "5"))
            .body("Too many passes at the moment."),
    }
}
