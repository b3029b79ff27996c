//! Users who sign in, for suites about subjects.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // Everything here is part of a test, whose failure is a panic.

use courtside::testing::TestServer;
use courtside::{Format, Identity, ServerBuilder};

use crate::wire_tools::Wire;

/// A server that tells its users by their credentials.
pub fn sign_in(builder: ServerBuilder) -> ServerBuilder {
    builder.authenticate(async |sign_in| {
        Ok(match sign_in.token() {
            Some(user) => Identity::new(()).subject(user),
            None => Identity::new(()),
        })
    })
}

/// A new session of a user.
pub async fn open(server: &TestServer, worker: usize, format: Format, user: &str) -> Wire {
    let path = format!("/ws?format={}&access_token={user}", format.name());
    Wire::open_at(server, worker, format, &path).await
}

/// The path with which a user's client comes back for its session.
#[must_use]
pub fn way_back(wire: &Wire, user: &str) -> String {
    let way = wire.way_back(&wire.token(), wire.received);
    format!("{way}&access_token={user}")
}

/// A user's client comes back with its session.
pub async fn back(wire: &Wire, server: &TestServer, worker: usize, user: &str) -> Wire {
    let path = way_back(wire, user);
    let mut back = Wire::open_at(server, worker, wire.format, &path).await;
    back.take_over(wire, wire.received);
    assert!(back.resumed(), "{}", back.welcome);
    back
}
