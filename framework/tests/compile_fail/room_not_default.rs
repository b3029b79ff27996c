use courtside::prelude::*;

struct Arena {
    size: u32,
}

#[courtside::room]
impl Arena {
    fn dropped(&mut self, client: &Client) {
        let _ = (client, self.size);
    }
}

fn main() {
    let _ = Server::builder().room::<Arena>();
}
