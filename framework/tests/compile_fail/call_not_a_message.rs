use courtside::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Top {
    limit: usize,
}

async fn top(call: Call<Top>) -> Result<(), Refusal> {
    let _ = call.message.limit;
    Ok(())
}

fn main() {
    let _ = Server::builder().handle(top);
}
