//! Whether the server takes requests: for load balancers and monitors, without a key.

use std::sync::atomic::Ordering;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::failure::Failure;
use crate::journal::settings::JournalHealth;
use crate::server_handle::ServerHandle;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

pub(super) fn answer(server: &ServerHandle) -> HttpResponse {
    let shared = &server.shared;
    let journal = server.journal_health();
    let failure = if shared.has_ended() {
        Failure::ended()
    } else if let Some(JournalHealth::Stalled { .. } | JournalHealth::Full) = &journal {
        let health = journal.map(|health| health.to_string());
        Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "journal",
            format!("the journal is {}", health.unwrap_or_default()),
        )
    } else if shared.is_draining.load(Ordering::Relaxed) {
        Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "draining",
            "this server is shutting down",
        )
    } else {
        return HttpResponse::Ok().json(Health { status: "ok" });
    };
    failure.into_response()
}
