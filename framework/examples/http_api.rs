//! A server with an HTTP API: `API_KEY=$(openssl rand -hex 32) cargo run -p courtside --features api --example http_api`, then try the
//! lines of `docs/http-api.md`.
#![allow(missing_docs, clippy::print_stdout)]

use courtside::prelude::*;
use courtside::{Api, ApiKey, ApiScope};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize, Message)]
struct Notice {
    text: String,
}

#[derive(Deserialize, Message)]
#[message(reply = u32)]
struct Count;

/// A room that is told notices, which it hands on and counts.
#[derive(Default)]
struct Arena {
    notices: u32,
}

#[courtside::room]
impl Arena {
    #[receive]
    fn notice(&mut self, notice: Notice, ctx: &mut RoomContext<Self>) {
        self.notices += 1;
        ctx.broadcast(&notice);
    }

    #[receive]
    fn count(&mut self, _count: Count) -> u32 {
        self.notices
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:4000".to_owned());
    let listener = courtside::listen(&address)?;
    let server = Server::builder()
        .room::<Arena>()
        .channel("news", Channel::open().history(20))
        .channel("match/{id}", Channel::open().presence(Presence::default()))
        .build()?;
    let key = ApiKey::new("operator", std::env::var("API_KEY")?).scopes(ApiScope::ALL);
    let api = server.api(Api::default().key(key))?;
    println!("http://{address}/api/v1/docs");
    server
        .at("/ws")
        .configure(move |app| {
            app.service(api.at("/api/v1"));
        })
        .serve(listener)
        .await?;
    Ok(())
}
