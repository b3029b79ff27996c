//! Opening many connections: a bounded number at a time, so that no server's queue of new connections overflows.

use std::io;
use std::time::{Duration, Instant};

use crate::progress::Progress;
use crate::swarm::{Crowd, Loss, Swarm};
use crate::talk::Talk;

/// How many connections may be opening at once.
const AT_ONCE: usize = 128;

/// How long the run may make no progress.
const PATIENCE: Duration = Duration::from_secs(10);

struct Arriving<'a> {
    talk: &'a mut Talk,
    ready: usize,
    lost: Option<(usize, Loss)>,
}

impl Crowd for Arriving<'_> {
    fn opened(&mut self, n: usize, _: &mut Vec<u8>) {
        self.talk.opened(n);
        self.ready += usize::from(self.talk.seats[n].is_ready);
    }

    fn message(&mut self, n: usize, payload: &[u8], _: Instant, out: &mut Vec<u8>) {
        let was_ready = self.talk.seats[n].is_ready;
        // Publications of an earlier run may still be in flight.
        if self.talk.number(n, payload, out).is_none() {
            self.talk.aside(n, payload, out);
        }
        self.ready += usize::from(!was_ready && self.talk.seats[n].is_ready);
    }

    fn closed(&mut self, n: usize, why: Loss) {
        self.lost.get_or_insert((n, why));
    }
}

/// Opens the connections of `range`, and waits until each has joined or subscribed.
pub(crate) fn gather(
    swarm: &mut Swarm,
    talk: &mut Talk,
    count: usize,
    progress: &mut Progress,
) -> io::Result<Duration> {
    let began = Instant::now();
    let mut arriving = Arriving {
        talk,
        ready: 0,
        lost: None,
    };
    let (mut opened, mut was_ready, mut moved) = (0, 0, began);
    while arriving.ready < count {
        // The first one joins alone, because the others need the id of the room that it creates.
        let most = if arriving.ready == 0 { 1 } else { AT_ONCE };
        while opened < count && opened - arriving.ready < most {
            let path = arriving.talk.path(opened, false);
            swarm
                .open(opened, &path)
                .map_err(|error| too_many(error, opened))?;
            opened += 1;
        }
        swarm.turn(Some(Duration::from_millis(20)), &mut arriving)?;
        if let Some(refusal) = arriving.talk.refusal.take() {
            return Err(io::Error::other(format!("the server refused: {refusal}")));
        }
        if let Some((n, why)) = arriving.lost.take() {
            return Err(io::Error::other(format!(
                "connection {n} of {count}: {}",
                why.text()
            )));
        }
        if arriving.ready > was_ready {
            (was_ready, moved) = (arriving.ready, Instant::now());
        } else if moved.elapsed() > PATIENCE {
            return Err(io::Error::other(format!(
                "only {was_ready} of {count} connections got in, and none for {} s; does the server speak this `--protocol`?",
                PATIENCE.as_secs()
            )));
        }
        progress.show(|| format!("{was_ready} of {count} connections are in"));
    }
    Ok(began.elapsed())
}

fn too_many(error: io::Error, opened: usize) -> io::Error {
    io::Error::new(
        error.kind(),
        format!(
            "connection {opened} cannot be opened: {error}; if it is the limit of open files, raise it with `ulimit -n`"
        ),
    )
}
