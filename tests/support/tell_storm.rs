//! Many threads tell many rooms, which begin and end meanwhile.
//!
//! Each message has a number of its own. A room notes each that it handles, and that those of one thread come in order. At the end,
//! the outcome that each thread was told must be what the rooms have noted: a message was handled once, or its sender has an error.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use courtside::prelude::*;
use courtside::{RoomHandle, ServerHandle, TellAck, TellError};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::Random;

/// For everything that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many threads end and begin rooms.
const KEEPERS: u64 = 4;

/// How many messages a thread sends before it waits for their outcomes.
const BURST: u64 = 64;

/// How large the storm is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// The threads that send.
    pub senders: u64,
    /// The rooms at any time.
    pub rooms: u64,
    /// The messages, all together.
    pub messages: u64,
    /// The messages after which a room crashes, one in so many.
    pub crash_in: u64,
}

/// What has happened.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Messages that a room has handled.
    pub handled: u64,
    /// Messages that a room has refused.
    pub refused: u64,
    /// Messages on which a room has crashed.
    pub crashed: u64,
    /// Messages to rooms that had ended.
    pub gone: u64,
    /// Messages that were not sent, because too many were on their way to the room.
    pub busy: u64,
    /// Rooms that have begun.
    pub rooms: u64,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.handled += other.handled;
        self.refused += other.refused;
        self.crashed += other.crashed;
        self.gone += other.gone;
        self.busy += other.busy;
        self.rooms += other.rooms;
    }
}

/// What a thread tells a room.
#[derive(Serialize, Deserialize, Message)]
struct Drop {
    /// The thread.
    sender: u64,
    /// The number of the message among all.
    number: u64,
    deed: Deed,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
enum Deed {
    Handle,
    Refuse,
    Crash,
}

/// What all rooms note.
struct Notes {
    /// How many times each message was handled.
    handled: Vec<AtomicU8>,
    faults: Mutex<Vec<String>>,
}

/// A room that notes what it is told.
struct Bucket {
    /// The newest message of each sender.
    newest: Vec<Option<u64>>,
}

#[courtside::room]
impl Bucket {
    fn config() -> RoomConfig {
        RoomConfig::default().empty_grace(Duration::MAX).inbox(8)
    }

    fn create(senders: usize) -> Self {
        Self {
            newest: vec![None; senders],
        }
    }

    #[receive]
    fn drop(&mut self, drop: Drop, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
        let notes = ctx.data::<Arc<Notes>>();
        let newest = self.newest[drop.sender as usize].replace(drop.number);
        if newest.is_some_and(|newest| newest >= drop.number) {
            let fault = format!("{}: {} after {newest:?}", ctx.id(), drop.number);
            notes.faults.lock().unwrap().push(fault);
        }
        match drop.deed {
            Deed::Handle => {
                notes.handled[drop.number as usize].fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Deed::Refuse => Err(Refusal::new("spilled", "as the message asks")),
            Deed::Crash => panic!("as the message asks"),
        }
    }
}

/// The rooms at the moment: how many rooms each place has had before.
type Places = Arc<Vec<AtomicU64>>;

fn id(place: u64, generation: u64) -> RoomId {
    format!("{place}-{generation}").into()
}

/// Starts the server on threads of its own; it ends with the process.
fn start(notes: Arc<Notes>) -> Result<ServerHandle, String> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        actix::System::new().block_on(async move {
            let config = Config::default().room_threads(2);
            let builder = Server::builder().config(config).data(notes);
            let server = builder.room::<Bucket>().build().unwrap();
            tell.send(server.handle()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    told.recv_timeout(PATIENCE)
        .map_err(|error| error.to_string())
}

/// Runs a future on a thread of its own.
fn spawn<T, F>(begin: impl FnOnce() -> F + Send + 'static) -> thread::JoinHandle<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(begin())
    })
}

async fn create(server: &ServerHandle, size: Size, id: RoomId) -> Result<RoomHandle, String> {
    let created = server.create::<Bucket>(&size.senders).id(id).into_future();
    let created = timeout(PATIENCE, created).await;
    let created = created.map_err(|_| "a room does not begin")?;
    created.map_err(|error| error.to_string())
}

/// Ends one room after the other and begins another in its place, until all messages are sent. Each keeper has places of its own.
/// Returns how many have begun.
async fn keep(
    server: ServerHandle,
    keeper: u64,
    size: Size,
    places: Places,
    over: Arc<AtomicU64>,
) -> Result<u64, String> {
    let mut random = Random::new(keeper);
    let mut begun = 0;
    while over.load(Ordering::Relaxed) < size.senders {
        let place = keeper + KEEPERS * random.below(size.rooms / KEEPERS);
        let generation = places[place as usize].load(Ordering::Relaxed);
        let room = server.room(id(place, generation));
        // It may have crashed before.
        let _gone = timeout(PATIENCE, room.dispose())
            .await
            .map_err(|_| "a room does not end")?;
        create(&server, size, id(place, generation + 1)).await?;
        places[place as usize].store(generation + 1, Ordering::Relaxed);
        begun += 1;
    }
    Ok(begun)
}

/// Tells rooms its share of the messages, and compares each outcome with what the rooms have noted.
async fn sender(
    server: ServerHandle,
    sender: u64,
    size: Size,
    places: Places,
    notes: Arc<Notes>,
) -> Result<Seen, String> {
    let mut random = Random::new(sender + 1000);
    let mut seen = Seen::default();
    let share = size.messages / size.senders;
    let mut waiting: Vec<(u64, Deed, TellAck)> = Vec::new();
    for number in sender * share..(sender + 1) * share {
        let deed = match random.below(size.crash_in) {
            0 => Deed::Crash,
            1..10 => Deed::Refuse,
            _ => Deed::Handle,
        };
        let message = Drop {
            sender,
            number,
            deed,
        };
        let place = random.below(size.rooms);
        let generation = places[place as usize].load(Ordering::Relaxed);
        let room = server.room(id(place, generation));
        waiting.push((number, deed, room.tell(&message)));
        if waiting.len() as u64 == BURST || number + 1 == (sender + 1) * share {
            for (number, deed, ack) in waiting.drain(..) {
                let outcome = timeout(PATIENCE, ack).await;
                let outcome = outcome.map_err(|_| format!("{number} has no outcome"))?;
                check(&mut seen, &notes, number, deed, &outcome)?;
            }
        }
    }
    Ok(seen)
}

/// Compares what a sender was told of a message with what has become of it.
fn check(
    seen: &mut Seen,
    notes: &Notes,
    number: u64,
    deed: Deed,
    outcome: &Result<(), TellError>,
) -> Result<(), String> {
    let handled = notes.handled[number as usize].load(Ordering::Relaxed);
    let fits = match (outcome, deed) {
        (Ok(()), Deed::Handle) => {
            seen.handled += 1;
            handled == 1
        }
        (Err(TellError::Refused(_)), Deed::Refuse) => {
            seen.refused += 1;
            handled == 0
        }
        (Err(TellError::Crashed), Deed::Crash) => {
            seen.crashed += 1;
            handled == 0
        }
        (Err(TellError::RoomGone), _) => {
            seen.gone += 1;
            handled == 0
        }
        (Err(TellError::Busy), _) => {
            seen.busy += 1;
            handled == 0
        }
        _ => false,
    };
    match fits {
        true => Ok(()),
        false => Err(format!(
            "{number}: {outcome:?}, and handled {handled} times"
        )),
    }
}

/// Runs a storm. Returns what has happened, if nothing was wrong.
///
/// # Errors
///
/// What was handled twice or out of order, or has another outcome than its sender was told.
///
/// # Panics
///
/// If there are no threads.
pub fn run(size: Size) -> Result<Seen, String> {
    let notes = Arc::new(Notes {
        handled: (0..size.messages).map(|_| AtomicU8::new(0)).collect(),
        faults: Mutex::default(),
    });
    let server = start(notes.clone())?;
    let places: Places = Arc::new((0..size.rooms).map(|_| AtomicU64::new(0)).collect());
    let (beginner, count) = (server.clone(), size.rooms);
    let begun = spawn(move || async move {
        for place in 0..count {
            create(&beginner, size, id(place, 0)).await?;
        }
        Ok::<_, String>(())
    });
    begun
        .join()
        .map_err(|_| "the first rooms have not begun")??;
    let over = Arc::new(AtomicU64::new(0));
    let keepers: Vec<_> = (0..KEEPERS)
        .map(|keeper| {
            let (server, places, over) = (server.clone(), places.clone(), over.clone());
            spawn(move || keep(server, keeper, size, places, over))
        })
        .collect();
    let senders: Vec<_> = (0..size.senders)
        .map(|number| {
            let (server, places) = (server.clone(), places.clone());
            let (notes, over) = (notes.clone(), over.clone());
            spawn(move || async move {
                let seen = sender(server, number, size, places, notes).await;
                over.fetch_add(1, Ordering::Relaxed);
                seen
            })
        })
        .collect();
    let mut seen = Seen::default();
    for sender in senders {
        seen.add(sender.join().map_err(|_| "a sender panicked")??);
    }
    seen.rooms = size.rooms;
    for keeper in keepers {
        seen.rooms += keeper.join().map_err(|_| "a keeper of rooms panicked")??;
    }
    let faults = notes.faults.lock().unwrap();
    if let Some(fault) = faults.first() {
        return Err(format!("{} faults: {fault}", faults.len()));
    }
    let handled = notes
        .handled
        .iter()
        .map(|handled| handled.load(Ordering::Relaxed));
    let handled: u64 = handled.map(u64::from).sum();
    match handled == seen.handled && server.memory().actions == 0 {
        true => Ok(seen),
        false => Err(format!(
            "{handled} were handled; {seen:?}; {:?}",
            server.memory()
        )),
    }
}
