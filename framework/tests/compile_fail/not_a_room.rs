use courtside::Server;

struct Arena;

fn main() {
    let _ = Server::builder().room::<Arena>();
}
