use courtside::prelude::*;

struct Arena {
    size: u32,
}

#[courtside::room]
impl Arena {
    fn dropped(&mut self, member: &Member) {
        let _ = (member, self.size);
    }
}

fn main() {
    let _ = Server::builder().room::<Arena>();
}
