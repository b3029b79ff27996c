use courtside::prelude::*;

struct Arena {
    size: u32,
}

#[courtside::room]
impl Arena {
    fn state(&self) -> u32 {
        self.size
    }
}

fn main() {
    let _ = Server::builder().room_with::<Arena>(|size: u32, _| Ok(Arena { size }));
}
