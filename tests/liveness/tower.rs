//! A room that sends without end, and writes down what becomes of its members.

use std::sync::{Arc, Mutex};

use courtside::prelude::*;
use courtside_tests::raw_tools::soon;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What the rooms of a server send, and what they received.
#[derive(Default)]
pub(crate) struct Diary {
    /// The size of each message; without one nothing is sent.
    bytes: usize,
    entries: Mutex<Vec<(Instant, String)>>,
    written: Notify,
}

impl Diary {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            ..Self::default()
        })
    }

    fn write(&self, entry: String) {
        self.entries.lock().unwrap().push((Instant::now(), entry));
        self.written.notify_waiters();
    }

    pub(crate) fn has(&self, entry: &str) -> bool {
        let entries = self.entries.lock().unwrap();
        entries.iter().any(|(_, known)| known == entry)
    }

    /// When this was received; waits for it.
    pub(crate) async fn told(&self, entry: &str) -> Instant {
        soon(async {
            loop {
                let written = self.written.notified();
                let entries = self.entries.lock().unwrap().clone();
                if let Some((when, _)) = entries.iter().find(|(_, known)| known == entry) {
                    return *when;
                }
                written.await;
            }
        })
        .await
    }
}

#[derive(Serialize, Message)]
struct Beat {
    n: u64,
    pad: String,
}

/// Sends numbered messages, 20 each second, and writes down what becomes of its members.
pub(crate) struct Tower(Arc<Diary>, u64);

#[courtside::room]
impl Tower {
    fn config() -> RoomConfig {
        RoomConfig::default().tick_hz(20.0)
    }

    fn create(ctx: &mut RoomContext<Self>) -> Self {
        Self(Arc::clone(&ctx.data::<Arc<Diary>>()), 0)
    }

    fn dropped(&mut self, member: &Member) {
        self.0.write(format!("dropped {}", member.id()));
    }

    fn resumed(&mut self, member: &Member) {
        self.0.write(format!("resumed {}", member.id()));
    }

    fn left(&mut self, member: &Member, reason: LeaveReason) {
        self.0.write(format!("left {} {reason}", member.id()));
    }

    fn tick(&mut self, ctx: &mut RoomContext<Self>) {
        if self.0.bytes > 0 {
            let pad = "x".repeat(self.0.bytes);
            ctx.broadcast(&Beat { n: self.1, pad });
            self.1 += 1;
        }
    }
}
