//! What a client's handles and its driver share: the rules, the queue of events, and what each wants of the other.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::client::action::Outgoing;
use crate::client::error::{CallError, ConnectError, SendError};
use crate::client::event::{Answer, Event};
use crate::client::heard::Farewell;
use crate::client::options::Options;
use crate::client::random::Random;
use crate::client::rules::{Effect, Next, Rules};
use crate::client::ticket::Ticket;
use crate::error::Refusal;

type Answered = Result<Answer, CallError>;

/// What the application wants of the driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wish {
    Nothing,
    /// Drop the connection now.
    Cut,
    /// Say what is queued, close, and do not come back.
    Close,
    /// Drop the connection now, do not come back, and leave the session to another client.
    Suspend,
}

impl Wish {
    /// Whether nothing else can be wished for any more.
    fn is_last(self) -> bool {
        matches!(self, Self::Close | Self::Suspend)
    }
}

/// Shared by handles and driver on one thread. Nothing is borrowed across an await.
pub(crate) struct Shared {
    pub(crate) options: Options,
    rules: RefCell<Rules>,
    random: RefCell<Random>,
    events: RefCell<VecDeque<Event>>,
    asked: RefCell<HashMap<u64, oneshot::Sender<Answered>>>,
    /// Why the first attempt failed, for [`Client::connect`](crate::client::Client::connect).
    failure: RefCell<Option<ConnectError>>,
    started: Instant,
    wish: Cell<Wish>,
    reads: Cell<bool>,
    was_welcomed: Cell<bool>,
    has_ended: Cell<bool>,
    /// Wakes the driver: something is to be written, read, or ended.
    pub(crate) driver: Notify,
    /// Wakes the handles: there is an event, or none will come any more.
    pub(crate) handles: Notify,
    /// Ends the wait before the next attempt.
    pub(crate) hurry: Notify,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = self.rules(|rules| rules.session());
        f.debug_struct("Client")
            .field("session", &session)
            .field("is_connected", &self.rules(|rules| rules.is_online()))
            .field("has_ended", &self.has_ended.get())
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(options: Options, ticket: Option<Ticket>) -> Self {
        let rules = match ticket {
            Some(ticket) => Rules::restored(&options, ticket),
            None => Rules::new(&options),
        };
        Self {
            rules: RefCell::new(rules),
            random: RefCell::new(Random::new(options.seed)),
            options,
            events: RefCell::default(),
            asked: RefCell::default(),
            failure: RefCell::default(),
            started: Instant::now(),
            wish: Cell::new(Wish::Nothing),
            reads: Cell::new(true),
            was_welcomed: Cell::new(false),
            has_ended: Cell::new(false),
            driver: Notify::new(),
            handles: Notify::new(),
            hurry: Notify::new(),
        }
    }

    /// The time since the client began, by tokio's clock.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The moment of a time since the client began; far away for one that never comes.
    pub(crate) fn moment(&self, time: Duration) -> Instant {
        const FAR: Duration = Duration::from_secs(3600);
        self.started + time.min(self.now() + FAR)
    }

    pub(crate) fn rules<R>(&self, ask: impl FnOnce(&Rules) -> R) -> R {
        ask(&self.rules.borrow())
    }

    pub(crate) fn rules_mut<R>(&self, ask: impl FnOnce(&mut Rules) -> R) -> R {
        ask(&mut self.rules.borrow_mut())
    }

    pub(crate) fn random<R>(&self, ask: impl FnOnce(&mut Random) -> R) -> R {
        ask(&mut self.random.borrow_mut())
    }

    // What handles do.

    /// Queues an action that nobody waits for.
    pub(crate) fn act<T: Serialize + ?Sized>(
        &self,
        action: Outgoing<'_, T>,
    ) -> Result<(), SendError> {
        if self.is_closing() {
            return Err(SendError::Closed);
        }
        self.rules_mut(|rules| rules.act(action, false))?;
        self.driver.notify_one();
        Ok(())
    }

    /// Queues an action and waits for its answer. Dropped before, it takes the action back or undoes what it led to.
    pub(crate) async fn ask<T: Serialize + ?Sized>(&self, action: Outgoing<'_, T>) -> Answered {
        if self.is_closing() {
            return Err(SendError::Closed.into());
        }
        let id = self.rules_mut(|rules| rules.act(action, true))?;
        let (answer, answered) = oneshot::channel();
        self.asked.borrow_mut().extend(id.map(|id| (id, answer)));
        self.driver.notify_one();
        let mut question = Question {
            shared: self,
            id,
            answered,
        };
        let answer = (&mut question.answered).await;
        question.id = None;
        answer.unwrap_or(Err(CallError::Closed))
    }

    /// Whoever asked does not wait any more. `answer` is what came and was not taken.
    fn give_up_on(&self, id: u64, answer: Option<Answered>) {
        self.asked.borrow_mut().remove(&id);
        self.rules_mut(|rules| match answer {
            Some(Ok(Answer::Joined(room, _))) => rules.leave_quietly(&room),
            _ => rules.give_up_on(id),
        });
        self.driver.notify_one();
    }

    /// The next event; `None` once the client has ended and all were taken.
    pub(crate) async fn next(&self) -> Option<Event> {
        loop {
            let woken = self.handles.notified();
            if let Some(event) = self.take() {
                return Some(event);
            }
            if self.has_ended.get() {
                return None;
            }
            woken.await;
        }
    }

    /// The next event, if there is one now.
    pub(crate) fn take(&self) -> Option<Event> {
        let (event, was_full) = {
            let mut events = self.events.borrow_mut();
            let was_full = events.len() >= self.most_events();
            (events.pop_front()?, was_full)
        };
        if was_full {
            self.driver.notify_one();
        }
        Some(event)
    }

    pub(crate) fn wish(&self, wish: Wish) {
        // A client that is to close stays so.
        if !self.wish.get().is_last() {
            self.wish.set(wish);
        }
        self.driver.notify_one();
    }

    pub(crate) fn set_reads(&self, reads: bool) {
        self.reads.set(reads);
        self.driver.notify_one();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.wish.get().is_last() || self.has_ended.get()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    /// Waits until `is_so` says yes, which is asked after each event and at the end.
    pub(crate) async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        loop {
            let woken = self.handles.notified();
            if is_so(self) {
                return;
            }
            woken.await;
        }
    }

    pub(crate) fn was_welcomed(&self) -> bool {
        self.was_welcomed.get()
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    pub(crate) fn take_failure(&self) -> Option<ConnectError> {
        self.failure.borrow_mut().take()
    }

    // What the driver does.

    /// Takes what the application wants; a wish to close stays.
    pub(crate) fn wished(&self) -> Wish {
        let wish = self.wish.get();
        if wish == Wish::Cut {
            self.wish.set(Wish::Nothing);
        }
        wish
    }

    /// Waits until the application wants the client to close.
    pub(crate) async fn until_closing(&self) {
        while !self.wish.get().is_last() {
            self.driver.notified().await;
        }
    }

    /// Whether the application wants, and has room for, more.
    pub(crate) fn wants_more(&self) -> bool {
        self.reads.get() && self.events.borrow().len() < self.most_events()
    }

    fn most_events(&self) -> usize {
        self.options.events.max(1)
    }

    /// Applies what the rules decided; the break, if there is one.
    pub(crate) fn apply(&self, effects: Vec<Effect>) -> Option<Effect> {
        let mut broken = None;
        for effect in effects {
            match effect {
                Effect::Tell(event) => {
                    if matches!(event, Event::Connected { .. }) {
                        self.was_welcomed.set(true);
                    }
                    self.events.borrow_mut().push_back(event);
                }
                Effect::Answer(id, answer) => {
                    let waiting = self.asked.borrow_mut().remove(&id);
                    // Whoever asked may have given up since.
                    let _sent = waiting.map(|waiting| waiting.send(answer));
                }
                Effect::Break(..) => broken = Some(effect),
            }
        }
        self.handles.notify_waiters();
        broken
    }

    /// What becomes of the client after a connection, or an attempt at one, has ended: how long to wait, or `None`.
    pub(crate) fn ended(&self, farewell: Farewell) -> Option<Duration> {
        if self.wish.get().is_last() {
            return None;
        }
        let was_online = self.rules(|rules| rules.is_online());
        let random = self.random(Random::fraction);
        let next = self.rules_mut(|rules| rules.disconnected(self.now(), farewell.clone(), random));
        self.decide(next, farewell, was_online)
    }

    /// The server refused the credential by an answer in HTTP.
    pub(crate) fn unauthorized(&self, refusal: Refusal) -> Option<Duration> {
        let farewell = Farewell {
            code: None,
            reason: refusal.to_string(),
        };
        let next = self.rules_mut(|rules| rules.unauthorized(refusal));
        self.decide(next, farewell, false)
    }

    /// Does what the rules decided after the end of a connection: how long to wait, or `None` for the end.
    fn decide(&self, next: Next, farewell: Farewell, was_online: bool) -> Option<Duration> {
        let Farewell { code, reason } = farewell.clone();
        match next {
            Next::Unauthorized {
                refusal,
                asks_again: true,
            } => {
                self.tell(Event::Unauthorized { refusal });
                Some(Duration::ZERO)
            }
            Next::Unauthorized { refusal, .. } if !self.was_welcomed() => {
                self.failed(ConnectError::Unauthorized(refusal));
                None
            }
            _ if !self.was_welcomed() => {
                self.failed(ConnectError::Closed { code, reason });
                None
            }
            Next::Unauthorized { refusal, .. } => {
                self.tell(Event::Unauthorized { refusal });
                self.tell(Event::Closed { code, reason });
                None
            }
            Next::ComeBack(retry_in) => {
                if was_online {
                    self.tell(Event::Disconnected {
                        code,
                        reason,
                        retry_in,
                    });
                }
                Some(retry_in)
            }
            Next::StayAway(Farewell { code, reason }) => {
                self.tell(Event::Closed { code, reason });
                None
            }
        }
    }

    fn tell(&self, event: Event) {
        self.apply(vec![Effect::Tell(event)]);
    }

    /// There is no point in another attempt.
    pub(crate) fn closed(&self, reason: String) {
        self.tell(Event::Closed { code: None, reason });
    }

    /// The first attempt failed.
    pub(crate) fn failed(&self, error: ConnectError) {
        *self.failure.borrow_mut() = Some(error);
    }

    /// The driver ends: nobody will be answered any more.
    pub(crate) fn finish(&self) {
        self.has_ended.set(true);
        self.rules_mut(Rules::give_up);
        self.asked.borrow_mut().clear();
        self.handles.notify_waiters();
    }
}

/// A request whose answer somebody waits for.
struct Question<'a> {
    shared: &'a Shared,
    /// `None` once it is answered.
    id: Option<u64>,
    answered: oneshot::Receiver<Answered>,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.give_up_on(id, self.answered.try_recv().ok());
        }
    }
}
