//! Many threads publish to many channels, and many subscribers come, go, are cut and come back.
//!
//! Each subscriber and one follower of the application check that they receive each publication of a channel once and in order,
//! except where they receive a gap.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use actix_web::App;
use courtside::client::{Client, Event, Options, Position};
use courtside::prelude::*;
use courtside::{Followed, Follower, Format, PublishError, ServerHandle};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::Random;

/// For everything that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a session stays without its client.
const WINDOW: Duration = Duration::from_secs(5);

/// How many publications a publisher sends before it waits for the offset of one.
const BURST: u64 = 16;

/// How large the storm is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// The threads that publish.
    pub publishers: u64,
    /// The channels.
    pub channels: u64,
    /// The subscribers, each of two channels.
    pub subscribers: u64,
    /// The publications, all together.
    pub publications: u64,
    /// The publications of one second, all together, if the machine is fast enough.
    pub rate: u64,
}

/// What has happened.
#[derive(Clone, Copy, Default, Debug)]
pub struct Seen {
    /// Publications that subscribers have received.
    pub received: u64,
    /// Sessions of subscribers.
    pub sessions: u64,
    /// Connections that continued their session.
    pub resumes: u64,
    /// Subscriptions that were ended and begun again within a session.
    pub again: u64,
    /// Subscriptions that continued after a position without a gap.
    pub recovered: u64,
    /// Gaps that subscribers received.
    pub gaps: u64,
    /// Publications that the follower has received.
    pub followed: u64,
    /// Publications that are in the gaps of the follower.
    pub missed: u64,
    /// Publications that were refused as `Busy` and made again.
    pub busy: u64,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.received += other.received;
        self.sessions += other.sessions;
        self.resumes += other.resumes;
        self.again += other.again;
        self.recovered += other.recovered;
        self.gaps += other.gaps;
        self.followed += other.followed;
        self.missed += other.missed;
        self.busy += other.busy;
    }
}

/// One channel, as a subscriber or the follower receives it.
#[derive(Default)]
struct Stream {
    name: String,
    epoch: String,
    last: Option<u64>,
    /// A gap was reported before the next publication.
    has_gap: bool,
    /// How many gaps there were.
    gaps: u64,
    /// The newest number of each publisher, and after how many gaps it came.
    publishers: HashMap<u64, (u64, u64)>,
    is_over: bool,
}

impl Stream {
    fn named(name: String) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    fn position(&self) -> Option<Position> {
        let (epoch, offset) = (self.epoch.clone(), self.last?);
        Some(Position { epoch, offset })
    }

    /// The publications of these offsets are missing.
    fn miss(&mut self, first: u64, last: u64) -> Result<(), String> {
        self.gaps += 1;
        let before = self.last.replace(last).unwrap_or(0);
        match std::mem::take(&mut self.has_gap) || first == before + 1 {
            true => Ok(()),
            false => Err(format!("{}: a gap at {first} after {before}", self.name)),
        }
    }

    fn take(&mut self, offset: u64, data: &Value) -> Result<(), String> {
        let had_gap = std::mem::take(&mut self.has_gap) || self.last.is_none();
        self.gaps += u64::from(had_gap);
        let last = self.last.replace(offset).unwrap_or(0);
        let fits = match had_gap {
            true => offset > last,
            false => offset == last + 1,
        };
        if !fits {
            return Err(format!("{}: {offset} after {last}", self.name));
        }
        if data == "end" {
            self.is_over = true;
            return Ok(());
        }
        let number = |at: usize| data[at].as_u64().ok_or("data of nobody");
        let (publisher, count) = (number(0)?, number(1)?);
        match self.publishers.insert(publisher, (count, self.gaps)) {
            Some((last, gaps)) if count <= last || (gaps == self.gaps && count > last + 1) => {
                let name = &self.name;
                Err(format!(
                    "{name}: {count} of publisher {publisher} after {last}"
                ))
            }
            _ => Ok(()),
        }
    }
}

fn channel(number: u64) -> String {
    format!("storm/{number}")
}

/// Starts the server on threads of its own; it ends with the process.
fn start(size: Size) -> Result<(SocketAddr, ServerHandle), String> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        actix::System::new().block_on(async move {
            // Half of the subscribers that leave do not say so. Their sessions need not stay for long.
            let config = Config::default().room_threads(2).window(WINDOW);
            let mut builder = Server::builder().config(config);
            for number in 0..size.channels {
                builder = builder.channel(&channel(number), Channel::open());
            }
            let server = builder.build().unwrap();
            let http = server
                .at("/ws")
                .app(|routes| App::new().configure(routes))
                .http_server()
                .workers(2)
                .bind("127.0.0.1:0")
                .unwrap();
            tell.send((http.addrs()[0], server.handle())).unwrap();
            http.run().await.unwrap();
        });
    });
    told.recv_timeout(PATIENCE)
        .map_err(|error| error.to_string())
}

/// A subscriber that comes and goes until both of its channels are over.
async fn subscriber(url: String, number: u64, size: Size) -> Result<Seen, String> {
    let mut random = Random::new(number);
    let first = random.below(size.channels);
    let second = (first + 1 + random.below(size.channels - 1)) % size.channels;
    let mut streams = [first, second].map(|number| Stream::named(channel(number)));
    let mut seen = Seen::default();
    while streams.iter().any(|stream| !stream.is_over) {
        sleep(Duration::from_millis(random.below(100))).await;
        let mut options = Options::default()
            .format(Format::ALL[(number % 2) as usize])
            .seed(random.below(u64::MAX));
        // This is about coming back, not about waiting for it.
        options.backoff_base = Duration::from_millis(10);
        options.backoff_cap = Duration::from_millis(100);
        let client = Client::connect(&url, options).await;
        let client = client.map_err(|error| error.to_string())?;
        visit(&client, &mut streams, &mut random, &mut seen).await?;
        // Otherwise its session lives until the end of its window.
        if random.below(2) == 0 {
            client.close().await;
        }
    }
    Ok(seen)
}

/// Subscribes to a channel, from where it was left if it was subscribed to before. False if the session was lost meanwhile.
async fn begin(client: &Client, stream: &mut Stream, seen: &mut Seen) -> bool {
    let position = stream.position();
    let name = stream.name.as_str();
    let Ok(subscribed) = client.subscribe_since(name, position.as_ref()).await else {
        return false;
    };
    stream.epoch = subscribed.position.epoch;
    if subscribed.recovered {
        seen.recovered += 1;
    } else {
        seen.gaps += u64::from(position.is_some());
        stream.has_gap = true;
    }
    true
}

/// What a subscriber receives of one client, until it leaves or everything is over.
async fn visit(
    client: &Client,
    streams: &mut [Stream; 2],
    random: &mut Random,
    seen: &mut Seen,
) -> Result<(), String> {
    for stream in &mut *streams {
        if !begin(client, stream, seen).await {
            return Ok(());
        }
    }
    while streams.iter().any(|stream| !stream.is_over) {
        let event = timeout(PATIENCE, client.next()).await;
        let event = event.map_err(|_| "nothing came any more")?;
        take(event.ok_or("the client ended")?, streams, seen)?;
        match random.below(200) {
            0 => client.cut(),
            1 => return Ok(()),
            2 => {
                let which = random.below(2) as usize;
                let name = streams[which].name.clone();
                if client.unsubscribe(name.as_str()).await.is_err() {
                    return Ok(());
                }
                while let Some(event) = client.try_next() {
                    take(event, streams, seen)?;
                }
                if !begin(client, &mut streams[which], seen).await {
                    return Ok(());
                }
                seen.again += 1;
            }
            _ => {}
        }
    }
    Ok(())
}

fn take(event: Event, streams: &mut [Stream; 2], seen: &mut Seen) -> Result<(), String> {
    let of = |channel: &str| usize::from(streams[1].name == channel);
    match event {
        Event::Publication {
            channel,
            offset,
            data,
        } => {
            seen.received += 1;
            streams[of(channel.as_str())].take(offset, &data)?;
        }
        Event::Resubscribed {
            channel, recovered, ..
        } => match recovered {
            true => seen.recovered += 1,
            false => {
                seen.gaps += 1;
                streams[of(channel.as_str())].has_gap = true;
            }
        },
        Event::Connected { resumed: true, .. } => seen.resumes += 1,
        Event::Connected { .. } => seen.sessions += 1,
        Event::Closed { reason, .. } | Event::Unsubscribed { reason, .. } => return Err(reason),
        Event::Error { refusal, .. } => return Err(refusal.to_string()),
        _ => {}
    }
    Ok(())
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
        tokio::task::LocalSet::new().block_on(&runtime, begin())
    })
}

/// Publishes a share of all publications. Returns how many times the server was busy.
async fn publisher(server: ServerHandle, number: u64, size: Size) -> Result<u64, PublishError> {
    let mut random = Random::new(1_000_000 + number);
    let mut counts = vec![0_u64; size.channels as usize];
    let mut busy = 0;
    let (began, share) = (Instant::now(), size.publications / size.publishers);
    for n in 1..=share {
        let to = random.below(size.channels);
        let count = &mut counts[to as usize];
        *count += 1;
        let data = (number, *count);
        loop {
            let ack = server.publish(channel(to), &data);
            let outcome = match n % BURST {
                0 => ack.await.map(drop),
                _ => ack.sent(),
            };
            match outcome {
                Err(PublishError::Busy) => busy += 1,
                outcome => break outcome?,
            }
            sleep(Duration::from_millis(1)).await;
        }
        if n % BURST == 0 {
            let due =
                Duration::from_secs(1).mul_f64((n * size.publishers) as f64 / size.rate as f64);
            sleep_until(began + due).await;
        }
    }
    Ok(busy)
}

fn stream<'a>(streams: &'a mut HashMap<String, Stream>, name: &str) -> &'a mut Stream {
    let begin = || Stream::named(name.to_owned());
    streams.entry(name.to_owned()).or_insert_with(begin)
}

/// Follows all channels until each has reached its end.
async fn follow(
    mut follower: Follower,
    mut ends: watch::Receiver<Option<Vec<u64>>>,
) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut streams: HashMap<String, Stream> = HashMap::new();
    let mut known = None;
    loop {
        let reached = |(number, end): (usize, &u64)| {
            let stream = streams.get(&channel(number as u64));
            stream.is_some_and(|stream| stream.has_gap || stream.last == Some(*end))
        };
        let is_over = |ends: &Vec<u64>| ends.iter().enumerate().all(reached);
        if known.as_ref().is_some_and(is_over) {
            return Ok(seen);
        }
        let next = tokio::select! {
            next = timeout(PATIENCE, follower.next()) => next,
            changed = ends.changed(), if known.is_none() => {
                changed.map_err(|error| error.to_string())?;
                known.clone_from(&ends.borrow());
                continue;
            }
        };
        let next = next.map_err(|_| "nothing came any more")?;
        match next.ok_or("the server ended")? {
            Followed::Publication(publication) => {
                seen.followed += 1;
                let data = publication.data().map_err(|error| error.to_string())?;
                let stream = stream(&mut streams, publication.channel().as_str());
                stream.has_gap |= stream.last.is_none() && seen.missed > 0;
                match (stream.last, publication.offset()) {
                    (None, offset) if offset > 1 && !stream.has_gap => {
                        return Err(format!("{}: {offset} is the first", stream.name));
                    }
                    (_, offset) => stream.take(offset, &data)?,
                }
            }
            Followed::Gap(gap) => {
                seen.missed += gap.missed;
                for missed in &gap.channels {
                    let stream = stream(&mut streams, missed.channel.as_str());
                    stream.miss(missed.first, missed.last)?;
                }
                if !gap.is_complete {
                    for stream in streams.values_mut() {
                        stream.has_gap = true;
                    }
                }
            }
            _ => {}
        }
    }
}

/// Runs a storm. Returns what has happened, if nothing was wrong.
///
/// # Errors
///
/// What somebody should not have received, or has not received.
///
/// # Panics
///
/// If there are no threads or sockets.
pub fn run(size: Size) -> Result<Seen, String> {
    let (address, server) = start(size)?;
    let mut seen = Seen::default();
    let follower = server.follow("{*any}").map_err(|error| error.to_string())?;
    let (tell_ends, ends) = watch::channel(None);
    let following = spawn(move || follow(follower, ends));
    let halves: Vec<_> = (0..2)
        .map(|half| {
            spawn(move || async move {
                let all = (half..size.subscribers).step_by(2).map(|number| {
                    let url = format!("ws://{address}/ws");
                    tokio::task::spawn_local(subscriber(url, number, size))
                });
                let mut seen = Seen::default();
                for subscriber in all.collect::<Vec<_>>() {
                    let outcome = subscriber.await.map_err(|error| error.to_string());
                    seen.add(outcome.flatten()?);
                }
                Ok::<_, String>(seen)
            })
        })
        .collect();
    let publishers: Vec<_> = (0..size.publishers)
        .map(|number| {
            let server = server.clone();
            spawn(move || publisher(server, number, size))
        })
        .collect();
    for publisher in publishers {
        let busy = publisher.join().map_err(|_| "a publisher panicked")?;
        seen.busy += busy.map_err(|error| error.to_string())?;
    }
    let ending = spawn(move || async move {
        let mut ends = Vec::new();
        for number in 0..size.channels {
            ends.push(server.publish(channel(number), "end").await);
        }
        ends.into_iter().collect::<Result<Vec<_>, _>>()
    });
    let ends = ending.join().map_err(|_| "the last publisher panicked")?;
    let ends = ends.map_err(|error| error.to_string())?;
    let published: u64 = ends.iter().sum();
    if published != size.publications + size.channels {
        return Err(format!("{published} offsets were given"));
    }
    let _gone = tell_ends.send(Some(ends));
    for half in halves {
        seen.add(half.join().map_err(|_| "a subscriber panicked")??);
    }
    seen.add(following.join().map_err(|_| "the follower panicked")??);
    Ok(seen)
}
