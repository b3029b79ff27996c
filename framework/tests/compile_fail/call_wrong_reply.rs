use courtside::prelude::*;
use serde::Deserialize;

#[derive(Deserialize, Message)]
#[message(name = "leaderboard.top", reply = Vec<String>)]
struct Top {
    limit: usize,
}

async fn top(call: Call<Top>) -> Result<usize, Refusal> {
    Ok(call.message.limit)
}

fn main() {
    let _ = Server::builder().handle(top);
}
