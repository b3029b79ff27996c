//! Ends the turns of a thread: sends the messages that its actors have sent meanwhile, then lets connections write.
//!
//! [`Mail`] keeps the messages, [`Writes`] decides which connections write and how many of them at a time. The flusher joins
//! both, and owns the task that runs behind everything else that is ready to run. Messages to rooms and channels of this thread
//! are processed before any connection writes, since their answers then leave in the same writes.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::sync::Semaphore;
use tokio::task::{coop, yield_now};
use tokio::time::Instant;

use crate::ids::ChannelName;
use crate::runtime::contain::contain;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::mail::{LocalHub, Mail, Outbound};
use crate::runtime::messages::{
    ChannelMessage, HubItems, HubMessage, LobbyMessage, MatchMessage, RoomAddress, RoomMessage,
};
use crate::runtime::server_inner::ServerInner;
use crate::runtime::writes::{WaitingWriter, Writes};

/// How many turns in a row may end with nothing but messages to rooms and channels of this thread before connections write: a
/// client sends an action to a room, and the room publishes.
const MAIL_ROUNDS: usize = 2;

thread_local! {
    static OF_THIS_THREAD: RefCell<Weak<Flusher>> = const { RefCell::new(Weak::new()) };
}

/// The mail of one thread and its connections that have something to write.
pub(crate) struct Flusher {
    mail: Mail,
    writes: RefCell<Writes<WaitingWriter>>,
    /// How many turns in a row have ended without a write.
    mail_rounds: Cell<usize>,
    /// The time of writes counts from here.
    began: Instant,
    /// The task that ends the turn, while it sleeps.
    task: Cell<Option<Waker>>,
    /// The task has ended with its runtime. A thread may get another runtime, as in tests.
    is_over: Cell<bool>,
}

impl Default for Flusher {
    fn default() -> Self {
        Self {
            mail: Mail::default(),
            writes: RefCell::default(),
            mail_rounds: Cell::new(0),
            began: Instant::now(),
            task: Cell::new(None),
            is_over: Cell::new(false),
        }
    }
}

impl fmt::Debug for Flusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flusher")
            .field("writes", &self.writes.borrow().len())
            .finish_non_exhaustive()
    }
}

impl Flusher {
    /// The flusher of this thread, started if there is none. The thread must belong to an arbiter.
    pub(crate) fn of_this_thread() -> Rc<Self> {
        OF_THIS_THREAD.with_borrow_mut(|known| {
            if let Some(flusher) = known.upgrade().filter(|flusher| !flusher.is_over.get()) {
                return flusher;
            }
            let flusher = Rc::new(Self::default());
            let task = Task(flusher.clone());
            // The task bounds by itself how much it does at a time.
            actix_rt::spawn(coop::unconstrained(poll_fn(move |cx| task.0.end_turn(cx))));
            *known = Rc::downgrade(&flusher);
            flusher
        })
    }

    /// A hub begins on this thread. `has_rooms`: rooms and channels live here, too.
    pub(crate) fn serve(&self, hub: Weak<dyn LocalHub>, has_rooms: bool) {
        self.mail.serve(hub, has_rooms);
    }

    pub(crate) fn to_room(&self, room: &RoomAddress, message: RoomMessage) {
        self.post(Outbound::Room(room.clone(), message));
    }

    pub(crate) fn to_lobby(&self, shared: &Arc<ServerInner>, message: LobbyMessage) {
        self.post(Outbound::Lobby(shared.clone(), message));
    }

    pub(crate) fn to_matchmaker(&self, shared: &Arc<ServerInner>, message: MatchMessage) {
        self.post(Outbound::Matchmaker(shared.clone(), message));
    }

    pub(crate) fn to_channel(
        &self,
        shared: &Arc<ServerInner>,
        channel: &ChannelName,
        message: ChannelMessage,
    ) {
        self.post(Outbound::Channel(shared.clone(), channel.clone(), message));
    }

    pub(crate) fn to_hub(&self, hub: &HubAddress, message: HubMessage) {
        self.post(Outbound::Hub(hub.clone(), message));
    }

    /// Sends the items of a room or a channel for the receivers on a worker. If too many items are on their way to that worker,
    /// returns the semaphore to wait for before sending more.
    pub(crate) fn items_to_hub(&self, hub: &HubAddress, items: HubItems) -> Option<Arc<Semaphore>> {
        let behind = self.mail.push_items(hub, items);
        self.wake();
        behind
    }

    fn post(&self, message: Outbound) {
        self.mail.push(message);
        self.wake();
    }

    #[cfg(test)]
    pub(crate) fn see_outward(&self, see: impl FnOnce(&[Outbound])) {
        self.mail.see(see);
    }

    /// Lets a connection write at the end of the turn.
    pub(crate) fn write(&self, writer: WaitingWriter) {
        self.writes.borrow_mut().push(writer);
        self.wake();
    }

    /// A broadcast was queued for some connections of this thread, and more broadcasts may soon follow.
    pub(crate) fn note_broadcast(&self) {
        self.writes.borrow_mut().note_broadcast();
    }

    fn wake(&self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    /// Sends the mail before the turn ends. Only rooms and channels may do this: a hub of this thread is called directly, which
    /// must not happen while that hub is at work.
    pub(crate) fn flush(&self) {
        let _reached_rooms = self.mail.send_all();
    }

    /// Lets a slice of the waiting connections write.
    fn write_slice(&self) {
        let now = || self.began.elapsed();
        let mut slice = self.writes.borrow_mut().begin_slice(now);
        loop {
            // Not borrowed during a write: a write may end a session, which queues its goodbye.
            let next = self.writes.borrow_mut().next_writer();
            match next {
                Some(WaitingWriter::Direct(writer)) => {
                    if let Some(writer) = writer.upgrade()
                        && !contain(|| writer.clone().write())
                    {
                        let _cut = contain(|| writer.cut());
                    }
                    slice.wrote();
                }
                Some(WaitingWriter::Task(task)) => {
                    task.wake();
                    slice.woke();
                }
                None => return,
            }
            if slice.is_full() && !self.writes.borrow_mut().extend(&mut slice, now()) {
                return;
            }
        }
    }

    fn end_turn(&self, cx: &mut Context<'_>) -> Poll<()> {
        // A room or channel that has got a message may send to clients because of it: one write for all of that is enough.
        let rounds = self.mail_rounds.get();
        if self.mail.send_all() && rounds < MAIL_ROUNDS {
            self.mail_rounds.set(rounds + 1);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.mail_rounds.set(0);
        self.write_slice();
        let mut writes = self.writes.borrow_mut();
        if !writes.is_empty() {
            // The next slice follows when the runtime has looked for new input and its receivers have processed it.
            let _goes_on = pin!(yield_now()).poll(cx);
            return Poll::Pending;
        }
        if self.mail.is_empty() {
            writes.shrink();
            self.task.set(Some(cx.waker().clone()));
        } else {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
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
    use crate::channel::input::UnsubscribeReason;
    use crate::config::Config;
    use crate::ids::{RoomId, SessionId};
    use crate::runtime::messages::{Broadcast, HubItem, Topic};
    use crate::runtime::visitor::Visitor;
    use crate::runtime::worker::hub::Hub;
    use crate::runtime::writes::{DirectWriter, SLICE, SLICE_OF_ANSWERS};
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

    /// If rooms and channels have threads of their own, no actor of this thread is about to answer.
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
                    reason: UnsubscribeReason::Left,
                    permit: None,
                    ticket: None,
                };
                hub.to_channel(&channel, unsubscribe);
                let direct_writer = Rc::new(Counting(Cell::new(0)));
                let waiting: Weak<Counting> = Rc::downgrade(&direct_writer);
                hub.flusher.write(WaitingWriter::Direct(waiting));
                let cx = &mut Context::from_waker(Waker::noop());
                assert!(hub.flusher.end_turn(cx).is_pending());
                assert_eq!(direct_writer.0.get(), room_threads);
                assert!(hub.flusher.end_turn(cx).is_pending());
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
            flusher.write(WaitingWriter::Direct(first));
            flusher.write(WaitingWriter::Direct(second));
            let cx = &mut Context::from_waker(Waker::noop());
            assert!(flusher.end_turn(cx).is_pending());
            assert_eq!(direct_writer.0.get(), 1);
            assert!(mistake.0.get());
        });
    }

    /// A member's own view of a state is sent to that member alone, and at the same time as the views of the others.
    #[test]
    fn a_publication_and_a_view_of_a_state_are_broadcasts() {
        actix::System::new().block_on(async {
            let server = crate::Server::builder().build().unwrap();
            let hub = Hub::start(server.shared.clone());
            let slice_size = || {
                let mut writes = hub.flusher.writes.borrow_mut();
                writes.push(WaitingWriter::Task(Waker::noop().clone()));
                let slice = writes.begin_slice(|| std::time::Duration::ZERO);
                while writes.next_writer().is_some() {}
                slice.size()
            };
            let room = RoomId::from("here");
            let frame = Encoded::of_bytes(Format::Json, "sent".into());
            let broadcast = Broadcast {
                frame: frame.clone(),
                delivery: Delivery::Sequenced,
                except: None,
            };
            let replaces = ReplaceKey::State(room.clone());
            let view = HubItem::Direct {
                session: SessionId::random(),
                frame,
                delivery: Delivery::Latest(Arc::new(replaces)),
            };
            assert_eq!(slice_size(), SLICE_OF_ANSWERS);
            for item in [HubItem::Publish(Topic::Room(room), broadcast), view] {
                hub.apply_all([item]);
                assert_eq!(slice_size(), SLICE);
                assert_eq!(slice_size(), SLICE_OF_ANSWERS);
            }
        });
    }

    /// The clock stands still, except for what the test advances between the slices.
    #[tokio::test(start_paused = true)]
    async fn a_slice_is_extended_after_other_work_has_taken_long() {
        let flusher = Flusher::default();
        flusher.note_broadcast();
        let direct_writer = Rc::new(Counting(Cell::new(0)));
        let waiting: Weak<Counting> = Rc::downgrade(&direct_writer);
        for _ in 0..4 * SLICE {
            flusher.write(WaitingWriter::Direct(waiting.clone()));
        }
        let cx = &mut Context::from_waker(Waker::noop());
        for slices in 1..=2 {
            assert!(flusher.end_turn(cx).is_pending());
            assert_eq!(direct_writer.0.get(), slices * SLICE);
        }
        tokio::time::advance(std::time::Duration::from_millis(20)).await;
        assert!(flusher.end_turn(cx).is_pending());
        assert_eq!(direct_writer.0.get(), 4 * SLICE);
    }

    #[test]
    fn an_item_for_a_session_that_is_on_its_way_does_not_keep_the_task_awake() {
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
            let frame = Encoded::of_bytes(Format::Json, "sent".into());
            hub.direct(session, frame, Delivery::Sequenced);
            let cx = &mut Context::from_waker(Waker::noop());
            for _ in 0..3 {
                assert!(hub.flusher.end_turn(cx).is_pending());
                assert!(hub.flusher.mail.is_empty());
            }
        });
    }

    /// A hub takes the messages of its own thread without its mailbox, but not before the messages that wait there.
    #[test]
    fn a_message_in_a_hubs_mailbox_is_not_overtaken() {
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
                watches: false,
            }]);
            let send_queue = hub.arrivals.borrow().queue_of(session).unwrap();
            send_queue.connect(1);
            let items = |word: &'static str| -> HubItems {
                smallvec![HubItem::Direct {
                    session,
                    frame: Encoded::of_bytes(Format::Json, word.into()),
                    delivery: Delivery::Sequenced,
                }]
            };
            let _behind = hub.flusher.items_to_hub(&hub.address, items("at once, "));
            let mut written = BytesMut::new();
            while !send_queue.take(&mut written, 100) {
                tokio::task::yield_now().await;
            }
            hub.address.send_batch(items("from elsewhere, "));
            let _behind = hub.flusher.items_to_hub(&hub.address, items("from here"));
            while written.len() < "at once, from elsewhere, from here".len() {
                tokio::task::yield_now().await;
                send_queue.take(&mut written, 100);
            }
            assert_eq!(written, "at once, from elsewhere, from here");
        });
    }
}
