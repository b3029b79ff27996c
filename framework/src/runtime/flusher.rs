//! A thread's turn: what its actors cause while they run is gathered, and done when all of them have had their say.
//!
//! An event loop that writes to each client as soon as there is something to write, writes often and little: a burst of
//! publications goes out in as many writes. Here a broadcast only notes whose writers have something to do. At the end of the
//! turn, behind everything else that was ready to run, a slice of them is let write, each with all that waits for it by then;
//! what came in and what fell due meanwhile is done before the next slice. So the busier a thread is, the more frames leave in
//! one write, and no room's step waits for thousands of them.
//!
//! Messages to rooms, channels, the lobby and hubs wait for the end of the turn, too: one wake-up of a sleeping thread is enough
//! for all of them. They leave in the order in which they were sent, whomever they are for, so that no effect overtakes its
//! cause. Where rooms live on this thread, they are heard before anybody writes. A hub of this thread is told without its
//! mailbox, unless that holds something which came before.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::sync::Semaphore;
use tokio::task::{coop, yield_now};
use tokio::time::Instant;

use crate::ids::ChannelName;
use crate::runtime::connection::send_queue::Waiting;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::messages::{
    ChannelMessage, HubItems, HubMessage, LobbyMessage, RoomAddress, RoomMessage,
};
use crate::runtime::outbound::{Outbound, last_items};
use crate::runtime::server_inner::ServerInner;
use crate::runtime::worker::hub::Hub;

/// How many writers write before anything else is thought of. More, and a room's step that is due has to wait, about 9 µs for each
/// of them, and a burst to a few hundred is written in more pieces; fewer, and looking for input costs more than that saves.
const SLICE: usize = 16;

/// The same while all that waits was said to one client each: what comes in would seldom join it in one write, as broadcasts do.
/// A room's step that is due may have to wait for as many.
const SLICE_OF_ANSWERS: usize = 64;

/// How many tasks that write are woken in one slice: as many as the runtime runs before it looks for input.
const WAKES: usize = 61;

/// How many times as long as the writers all others may take, where both have too much to do. More, and those who wait wait longer
/// for the sake of those who speak; less, and a moment in which the thread stood still is followed by one in which it only writes.
const OTHERS: u32 = 4;

/// How many turns in a row may end with nothing but messages to rooms and channels of this thread, who are heard before anybody
/// writes: a client speaks to a room, and that publishes.
const HEARINGS: usize = 2;

/// How many messages the memory may hold that is kept for the next turn.
const SPARE: usize = 256;

thread_local! {
    static OF_THIS_THREAD: RefCell<Weak<Flusher>> = const { RefCell::new(Weak::new()) };
}

/// What the actors of one thread have caused since its last turn ended.
#[derive(Default)]
pub(crate) struct Flusher {
    outward: RefCell<Vec<Outbound>>,
    /// The memory for the next list of what leaves, and for the next items for one hub.
    spare: Cell<Vec<Outbound>>,
    spare_items: Cell<HubItems>,
    /// The hubs that live on this thread. It is one, except in tests.
    hubs: RefCell<Vec<Weak<Hub>>>,
    /// Writers with something to write, the one that has waited longest first.
    writers: RefCell<VecDeque<Waiting>>,
    /// How many of the writers that wait, counted from the first, may have something that was said to many.
    broadcast_to: Cell<usize>,
    /// Rooms and channels live here, too.
    has_rooms: Cell<bool>,
    /// How many turns in a row have ended without a write.
    hearings: Cell<usize>,
    /// When the last slice was written, if more were waiting then.
    written: Cell<Option<Instant>>,
    /// The task that ends the turn, while it sleeps.
    task: Cell<Option<Waker>>,
    /// The task has gone with its runtime. A thread may get another, as tests do.
    is_over: Cell<bool>,
}

impl fmt::Debug for Flusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flusher")
            .field("outward", &self.outward.borrow().len())
            .field("writers", &self.writers.borrow().len())
            .finish_non_exhaustive()
    }
}

impl Flusher {
    /// The one of this thread, begun if need be. It must be an arbiter's.
    pub(crate) fn of_this_thread() -> Rc<Self> {
        OF_THIS_THREAD.with_borrow_mut(|known| {
            if let Some(flusher) = known.upgrade().filter(|flusher| !flusher.is_over.get()) {
                return flusher;
            }
            let flusher = Rc::new(Self::default());
            let task = Task(flusher.clone());
            // It bounds by itself what it does at a time.
            actix_rt::spawn(coop::unconstrained(poll_fn(move |cx| task.0.end(cx))));
            *known = Rc::downgrade(&flusher);
            flusher
        })
    }

    /// A hub begins on this thread.
    pub(crate) fn serve(&self, hub: &Rc<Hub>) {
        let mut hubs = self.hubs.borrow_mut();
        hubs.retain(|hub| hub.strong_count() > 0);
        hubs.push(Rc::downgrade(hub));
        self.has_rooms.set(hub.shared.config.room_threads == 0);
    }

    /// The hub that can be told at once, without its mailbox, if it is one of this thread.
    fn hub_at(&self, address: &HubAddress) -> Option<Rc<Hub>> {
        let hubs = self.hubs.borrow();
        let mut hubs = hubs.iter().filter_map(Weak::upgrade);
        hubs.find(|hub| hub.hears_next(address))
    }

    pub(crate) fn to_room(&self, room: &RoomAddress, message: RoomMessage) {
        self.outward(Outbound::Room(room.clone(), message));
    }

    pub(crate) fn to_lobby(&self, shared: &Arc<ServerInner>, message: LobbyMessage) {
        self.outward(Outbound::Lobby(shared.clone(), message));
    }

    pub(crate) fn to_channel(
        &self,
        shared: &Arc<ServerInner>,
        channel: &ChannelName,
        message: ChannelMessage,
    ) {
        self.outward(Outbound::Channel(shared.clone(), channel.clone(), message));
    }

    pub(crate) fn to_hub(&self, hub: &HubAddress, message: HubMessage) {
        self.outward(Outbound::Hub(hub.clone(), message));
    }

    /// Sends what a room or a channel has for the receivers on a worker. If the worker is too far behind, returns what to
    /// wait for before sending more.
    pub(crate) fn items_to_hub(
        &self,
        hub: &HubAddress,
        mut items: HubItems,
    ) -> Option<Arc<Semaphore>> {
        hub.count(&items);
        if let Some(waiting) = last_items(&mut self.outward.borrow_mut(), hub, &items) {
            if !waiting.spilled() {
                let few = std::mem::replace(waiting, self.spare_items.take());
                waiting.extend(few);
            }
            waiting.append(&mut items);
        }
        if !items.is_empty() {
            self.outward(Outbound::Items(hub.clone(), items));
        }
        hub.backlog_if_full()
    }

    #[cfg(test)]
    pub(crate) fn see_outward(&self, see: impl FnOnce(&[Outbound])) {
        see(&self.outward.borrow());
    }

    fn outward(&self, message: Outbound) {
        self.outward.borrow_mut().push(message);
        self.wake();
    }

    /// Lets a writer write at the end of the turn.
    pub(crate) fn write(&self, writer: Waiting) {
        self.writers.borrow_mut().push_back(writer);
        self.wake();
    }

    /// Something was said to many, and there may soon be more of it.
    pub(crate) fn note_broadcast(&self) {
        // Also those who will be queued because of it.
        self.broadcast_to.set(usize::MAX);
    }

    fn wake(&self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    fn send(&self, message: Outbound) {
        match message {
            Outbound::Room(room, message) => room.do_send(message),
            Outbound::Lobby(shared, message) => shared.send_to_lobby(message),
            Outbound::Channel(shared, channel, message) => {
                shared.send_to_channel(&channel, message);
            }
            Outbound::Hub(address, message) => match self.hub_at(&address) {
                Some(hub) => hub.hear(message),
                None => address.send(message),
            },
            Outbound::Items(address, mut items) => match self.hub_at(&address) {
                Some(hub) => {
                    hub.apply_all(items.drain(..));
                    if items.spilled() && items.capacity() <= SPARE {
                        self.spare_items.set(items);
                    }
                }
                None => address.send_batch(items),
            },
        }
    }

    /// Sends at once what waits for the end of the turn. Only rooms and channels may: a hub of this thread is told
    /// directly, which must not happen while it does something.
    pub(crate) fn flush(&self) {
        let _has_told = self.send_outward();
    }

    /// Sends what waits for the end of the turn. True if a room or channel of this thread has something to do now.
    fn send_outward(&self) -> bool {
        let mut outward = self.outward.replace(self.spare.take());
        let is_for_them = |o: &Outbound| matches!(o, Outbound::Room(..) | Outbound::Channel(..));
        let has_told = self.has_rooms.get() && outward.iter().any(is_for_them);
        for message in outward.drain(..) {
            let _ok = contain(|| self.send(message));
        }
        if outward.capacity() <= SPARE {
            self.spare.set(outward);
        }
        has_told
    }

    /// Lets a slice of those who wait write; more of them, if all else has taken long since the last slice.
    fn write_slice(&self) {
        let begins = self.written.take().map(|last| (last, Instant::now()));
        let broadcast_to = &self.broadcast_to;
        broadcast_to.set(broadcast_to.get().min(self.writers.borrow().len()));
        let slice = if broadcast_to.get() > 0 {
            SLICE
        } else {
            SLICE_OF_ANSWERS
        };
        let (mut writes, mut wakes) = (0, 0);
        loop {
            // Not borrowed while it writes, which may end somebody who has something to say to that.
            let writer = self.writers.borrow_mut().pop_front();
            broadcast_to.set(broadcast_to.get().saturating_sub(1));
            match writer {
                Some(Waiting::DirectWriter(direct_writer)) => {
                    if let Some(direct_writer) = direct_writer.upgrade()
                        && !contain(|| direct_writer.clone().write())
                    {
                        let _cut = contain(|| direct_writer.cut());
                    }
                    writes += 1;
                }
                Some(Waiting::Task(task)) => {
                    task.wake();
                    wakes += 1;
                }
                None => return,
            }
            if writes == slice || wakes == WAKES {
                let now = Instant::now();
                let has_had_its_share = |(last, begins)| (now - begins) * OTHERS >= begins - last;
                // What tasks write takes its time later, among all else.
                if wakes > 0 || begins.is_none_or(has_had_its_share) {
                    self.written.set(Some(now));
                    return;
                }
                writes = 0;
            }
        }
    }

    fn end(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Who was told something now may have to tell others, of whom some write: one write for all of it is enough.
        let hearings = self.hearings.get();
        if self.send_outward() && hearings < HEARINGS {
            self.hearings.set(hearings + 1);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.hearings.set(0);
        self.write_slice();
        let mut writers = self.writers.borrow_mut();
        if !writers.is_empty() {
            // After the runtime has looked for new input and all have heard it.
            let _goes_on = pin!(yield_now()).poll(cx);
            return Poll::Pending;
        }
        self.written.set(None);
        if !self.outward.borrow().is_empty() {
            cx.waker().wake_by_ref();
        } else {
            if writers.capacity() > 4 * SLICE {
                *writers = VecDeque::new();
            }
            self.task.set(Some(cx.waker().clone()));
        }
        Poll::Pending
    }
}

/// Keeps a panic, which could only be a mistake of the framework's own, from what else the thread has to do. False if it panicked.
fn contain(act: impl FnOnce()) -> bool {
    let outcome = catch_unwind(AssertUnwindSafe(act));
    if outcome.is_err() {
        tracing::error!("Courtside panicked at the end of a flusher: please report it");
    }
    outcome.is_ok()
}

/// Ends the turns of a thread until its runtime ends.
struct Task(Rc<Flusher>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.is_over.set(true);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::BytesMut;
    use smallvec::smallvec;

    use super::*;
    use crate::config::Config;
    use crate::ids::{RoomId, SessionId};
    use crate::runtime::connection::send_queue::DirectWriter;
    use crate::runtime::messages::{Broadcast, HubItem, Topic};
    use crate::runtime::worker::opening::Visitor;
    use crate::session::outbox::{Delivery, ReplaceKey};
    use crate::wire::codec::Format;
    use crate::wire::frame::Encoded;

    struct Counting(Cell<usize>);

    impl DirectWriter for Counting {
        fn write(self: Rc<Self>) {
            self.0.set(self.0.get() + 1);
        }

        fn cut(&self) {}
    }

    /// Where rooms and channels have threads of their own, nobody of this thread is about to answer.
    #[test]
    fn a_write_waits_only_for_rooms_of_its_thread() {
        for room_threads in [0, 1] {
            actix::System::new().block_on(async {
                let config = Config {
                    room_threads,
                    ..Config::default()
                };
                let server = crate::Server::builder().config(config).build().unwrap();
                let hub = Hub::start(server.shared.clone());
                let channel = ChannelName::from("news");
                let unsubscribe = ChannelMessage::Unsubscribe {
                    session: SessionId::random(),
                    channel: channel.clone(),
                    attempt: 0,
                    answer: None,
                    _permit: None,
                };
                hub.to_channel(&channel, unsubscribe);
                let direct_writer = Rc::new(Counting(Cell::new(0)));
                let waiting: Weak<Counting> = Rc::downgrade(&direct_writer);
                hub.flusher.write(Waiting::DirectWriter(waiting));
                let cx = &mut Context::from_waker(Waker::noop());
                assert!(hub.flusher.end(cx).is_pending());
                assert_eq!(direct_writer.0.get(), room_threads);
                assert!(hub.flusher.end(cx).is_pending());
                assert_eq!(direct_writer.0.get(), 1);
            });
        }
    }

    struct Panicking(Cell<bool>);

    impl DirectWriter for Panicking {
        fn write(self: Rc<Self>) {
            panic!("a mistake");
        }

        fn cut(&self) {
            self.0.set(true);
        }
    }

    #[test]
    fn a_write_that_panics_cuts_its_connection_and_no_other() {
        actix::System::new().block_on(async {
            let flusher = Flusher::default();
            let mistake = Rc::new(Panicking(Cell::new(false)));
            let direct_writer = Rc::new(Counting(Cell::new(0)));
            let (first, second): (Weak<Panicking>, Weak<Counting>) =
                (Rc::downgrade(&mistake), Rc::downgrade(&direct_writer));
            flusher.write(Waiting::DirectWriter(first));
            flusher.write(Waiting::DirectWriter(second));
            let cx = &mut Context::from_waker(Waker::noop());
            assert!(flusher.end(cx).is_pending());
            assert_eq!(direct_writer.0.get(), 1);
            assert!(mistake.0.get());
        });
    }

    /// Small slices, as soon as somebody broadcasts and until those who waited by then have written.
    #[test]
    fn many_are_answered_in_one_slice_until_somebody_broadcasts() {
        actix::System::new().block_on(async {
            let server = crate::Server::builder().build().unwrap();
            let hub = Hub::start(server.shared.clone());
            let direct_writer = Rc::new(Counting(Cell::new(0)));
            let waiting: Weak<Counting> = Rc::downgrade(&direct_writer);
            let cx = &mut Context::from_waker(Waker::noop());
            let mut written_of = |count: usize| {
                for _ in 0..count {
                    hub.flusher.write(Waiting::DirectWriter(waiting.clone()));
                }
                hub.flusher.written.set(None);
                assert!(hub.flusher.end(cx).is_pending());
                direct_writer.0.take()
            };
            let room = RoomId::from("here");
            let frame = Encoded::of_bytes(Format::Json, "said".into());
            let broadcast = Broadcast {
                frame: frame.clone(),
                delivery: Delivery::Sequenced,
                except: None,
            };
            // What one member sees of the state is told to it alone, and to others at the same time.
            let slot = ReplaceKey {
                room: room.clone(),
                key: None,
            };
            let view = HubItem::Direct {
                session: SessionId::random(),
                frame,
                delivery: Delivery::Latest(Arc::new(slot)),
            };
            assert_eq!(written_of(2 * SLICE_OF_ANSWERS), SLICE_OF_ANSWERS);
            for item in [HubItem::Publish(Topic::Room(room), broadcast), view] {
                hub.apply_all([item]);
                for _ in 0..=SLICE_OF_ANSWERS / SLICE {
                    assert_eq!(written_of(SLICE), SLICE);
                }
                assert_eq!(written_of(SLICE_OF_ANSWERS), SLICE_OF_ANSWERS);
            }
        });
    }

    /// The clock stands still, but for what the test lets pass between the slices.
    #[tokio::test(start_paused = true)]
    async fn who_waits_long_writes_more() {
        let flusher = Flusher::default();
        flusher.note_broadcast();
        let direct_writer = Rc::new(Counting(Cell::new(0)));
        let waiting: Weak<Counting> = Rc::downgrade(&direct_writer);
        for _ in 0..4 * SLICE {
            flusher.write(Waiting::DirectWriter(waiting.clone()));
        }
        let cx = &mut Context::from_waker(Waker::noop());
        for slices in 1..=2 {
            assert!(flusher.end(cx).is_pending());
            assert_eq!(direct_writer.0.get(), slices * SLICE);
        }
        tokio::time::advance(std::time::Duration::from_millis(20)).await;
        assert!(flusher.end(cx).is_pending());
        assert_eq!(direct_writer.0.get(), 4 * SLICE);
    }

    #[test]
    fn what_waits_for_a_session_that_is_on_its_way_keeps_nobody_awake() {
        actix::System::new().block_on(async {
            let server = crate::Server::builder().build().unwrap();
            let hub = Hub::start(server.shared.clone());
            let session = SessionId::random();
            let visitor = Visitor::default();
            let worker = hub.address.worker;
            assert!(
                hub.shared
                    .begin_session(session, worker, &visitor)
                    .full
                    .is_none()
            );
            let frame = Encoded::of_bytes(Format::Json, "said".into());
            hub.direct(session, frame, Delivery::Sequenced);
            let cx = &mut Context::from_waker(Waker::noop());
            for _ in 0..3 {
                assert!(hub.flusher.end(cx).is_pending());
                assert!(hub.flusher.outward.borrow().is_empty());
            }
        });
    }

    /// A hub hears its own thread without its mailbox, but not before what another thread has sent there.
    #[test]
    fn what_waits_in_a_hubs_mailbox_is_not_overtaken() {
        actix::System::new().block_on(async {
            let config = Config {
                room_threads: 0,
                ..Config::default()
            };
            let server = crate::Server::builder().config(config).build().unwrap();
            let hub = Hub::start(server.shared.clone());
            let session = SessionId::random();
            let (worker, nobody) = (hub.address.worker, Visitor::default());
            let begun = hub.shared.begin_session(session, worker, &nobody);
            assert!(begun.full.is_none());
            hub.apply_all([HubItem::Adopt {
                session,
                format: Format::Json,
                topic: Topic::Room(RoomId::random()),
            }]);
            let send_queue = hub.arrivals.borrow().pipe_of(session).unwrap();
            send_queue.connect(1);
            let said = |word: &'static str| -> HubItems {
                smallvec![HubItem::Direct {
                    session,
                    frame: Encoded::of_bytes(Format::Json, word.into()),
                    delivery: Delivery::Sequenced,
                }]
            };
            let _behind = hub.flusher.items_to_hub(&hub.address, said("at once, "));
            let mut heard = BytesMut::new();
            while !send_queue.take(&mut heard, 100) {
                tokio::task::yield_now().await;
            }
            // What is said in a turn leaves at its end; by then the mailbox holds something.
            let _behind = hub.flusher.items_to_hub(&hub.address, said("from here"));
            hub.address.send_batch(said("from elsewhere, "));
            while heard.len() < "at once, from elsewhere, from here".len() {
                tokio::task::yield_now().await;
                send_queue.take(&mut heard, 100);
            }
            assert_eq!(heard, "at once, from elsewhere, from here");
        });
    }
}
