//! A channel says who may subscribe.

use courtside::prelude::*;

fn main() {
    let _ = Server::builder().channel("news", Channel::default().history(50));
}
