//! The state that a client's handles and its driver share: the rules, the event queue, and what each asks of the other.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::client::action::OutboundAction;
use crate::client::error::{CallError, ConnectError, SendError};
use crate::client::event::{Answer, Event};
use crate::client::options::Options;
use crate::client::random::Random;
use crate::client::rules::{AfterDisconnect, Output, Rules};
use crate::client::server_frame::Disconnection;
use crate::client::ticket::Ticket;
use crate::error::Refusal;

type Answered = Result<Answer, CallError>;

/// What the application asks the driver to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Instruction {
    Nothing,
    /// Drop the connection now and reconnect.
    Cut,
    /// Send what is queued, close, and end.
    Close,
    /// Drop the connection now and end. Keep the session for another client.
    Suspend,
}

impl Instruction {
    /// Whether the instruction ends the client, so that no other can replace it.
    fn is_last(self) -> bool {
        matches!(self, Self::Close | Self::Suspend)
    }
}

/// The state of a client, shared by its handles and its driver on one thread. No cell is borrowed across an await.
pub(crate) struct ClientInner {
    pub(crate) options: Options,
    rules: RefCell<Rules>,
    random: RefCell<Random>,
    events: RefCell<VecDeque<Event>>,
    pending: RefCell<HashMap<u64, oneshot::Sender<Answered>>>,
    /// Why the first attempt failed, for [`Client::connect`](crate::client::Client::connect).
    failure: RefCell<Option<ConnectError>>,
    started: Instant,
    instruction: Cell<Instruction>,
    reads: Cell<bool>,
    was_welcomed: Cell<bool>,
    has_ended: Cell<bool>,
    /// The server has warned that the credential expires soon.
    wants_credential: Cell<bool>,
    /// Wakes the driver: there is something to write, room to read, or an instruction.
    pub(crate) driver_wakeup: Notify,
    /// Wakes the handles: there is an event, or the client has ended.
    pub(crate) handle_wakeup: Notify,
    /// Ends the wait before the next attempt.
    pub(crate) retry_now: Notify,
}

impl fmt::Debug for ClientInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = self.rules(|rules| rules.session());
        f.debug_struct("Client")
            .field("session", &session)
            .field("is_connected", &self.rules(|rules| rules.is_online()))
            .field("has_ended", &self.has_ended.get())
            .finish_non_exhaustive()
    }
}

impl ClientInner {
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
            pending: RefCell::default(),
            failure: RefCell::default(),
            started: Instant::now(),
            instruction: Cell::new(Instruction::Nothing),
            reads: Cell::new(true),
            was_welcomed: Cell::new(false),
            has_ended: Cell::new(false),
            wants_credential: Cell::new(false),
            driver_wakeup: Notify::new(),
            handle_wakeup: Notify::new(),
            retry_now: Notify::new(),
        }
    }

    /// The time since the client was made, by tokio's clock.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The instant of a time since the client was made, at most an hour ahead: a time may be endless, an instant may not.
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

    // Called by handles.

    /// Queues an action without a reply.
    pub(crate) fn act<T: Serialize + ?Sized>(
        &self,
        action: OutboundAction<'_, T>,
    ) -> Result<(), SendError> {
        if self.is_closing() {
            return Err(SendError::Closed);
        }
        self.rules_mut(|rules| rules.act(action, false))?;
        self.driver_wakeup.notify_one();
        Ok(())
    }

    /// Queues an action and waits for its answer. If the future is dropped before, the action is cancelled or undone.
    pub(crate) async fn ask<T: Serialize + ?Sized>(
        &self,
        action: OutboundAction<'_, T>,
    ) -> Answered {
        if self.is_closing() {
            return Err(SendError::Closed.into());
        }
        let id = self.rules_mut(|rules| rules.act(action, true))?;
        let (answer, answered) = oneshot::channel();
        self.pending.borrow_mut().extend(id.map(|id| (id, answer)));
        self.driver_wakeup.notify_one();
        let mut request = PendingRequest {
            inner: self,
            id,
            answered,
        };
        let answer = (&mut request.answered).await;
        request.id = None;
        answer.unwrap_or(Err(CallError::Closed))
    }

    /// Cancels or undoes a request whose future was dropped. `answer` has arrived and was not read.
    fn abandon(&self, id: u64, answer: Option<Answered>) {
        self.pending.borrow_mut().remove(&id);
        self.rules_mut(|rules| match answer {
            Some(Ok(Answer::Joined(room, _))) => rules.leave_silently(&room),
            _ => rules.abandon(id),
        });
        self.driver_wakeup.notify_one();
    }

    /// Waits for the next event. `None` if the client has ended and all events were taken.
    pub(crate) async fn next(&self) -> Option<Event> {
        loop {
            let woken = self.handle_wakeup.notified();
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
            self.driver_wakeup.notify_one();
        }
        Some(event)
    }

    pub(crate) fn instruct(&self, instruction: Instruction) {
        // An instruction that ends the client is final.
        if !self.instruction.get().is_last() {
            self.instruction.set(instruction);
        }
        self.driver_wakeup.notify_one();
    }

    pub(crate) fn set_reads(&self, reads: bool) {
        self.reads.set(reads);
        self.driver_wakeup.notify_one();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.instruction.get().is_last() || self.has_ended.get()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    /// Waits until `is_so` returns true. It is called after each event and at the end.
    pub(crate) async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        loop {
            let woken = self.handle_wakeup.notified();
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

    // Called by the driver.

    /// Takes the instruction. One that ends the client stays.
    pub(crate) fn take_instruction(&self) -> Instruction {
        let instruction = self.instruction.get();
        if instruction == Instruction::Cut {
            self.instruction.set(Instruction::Nothing);
        }
        instruction
    }

    /// Whether the server has warned, since the last call, that the credential expires soon.
    pub(crate) fn take_wish_for_credential(&self) -> bool {
        self.wants_credential.take()
    }

    /// Waits until an instruction ends the client.
    pub(crate) async fn until_closing(&self) {
        while !self.instruction.get().is_last() {
            self.driver_wakeup.notified().await;
        }
    }

    /// Whether the driver should read: the event queue has room, and the application has not paused reading.
    pub(crate) fn wants_more(&self) -> bool {
        self.reads.get() && self.events.borrow().len() < self.most_events()
    }

    fn most_events(&self) -> usize {
        self.options.events.max(1)
    }

    /// Applies the outputs of the rules. Returns an [`Output::Disconnect`], which the driver applies.
    pub(crate) fn apply(&self, outputs: Vec<Output>) -> Option<Output> {
        let mut disconnect = None;
        for output in outputs {
            match output {
                Output::Emit(event) => {
                    if matches!(event, Event::Connected { .. }) {
                        self.was_welcomed.set(true);
                    }
                    self.events.borrow_mut().push_back(event);
                }
                Output::Complete(id, answer) => {
                    let waiting = self.pending.borrow_mut().remove(&id);
                    // The request's future may have been dropped.
                    let _sent = waiting.map(|waiting| waiting.send(answer));
                }
                Output::Renew => self.wants_credential.set(true),
                Output::Disconnect(..) => disconnect = Some(output),
            }
        }
        self.handle_wakeup.notify_waiters();
        disconnect
    }

    /// A connection, or an attempt to open one, has ended. Returns how long to wait before the next attempt; `None` to end.
    pub(crate) fn ended(&self, disconnection: Disconnection) -> Option<Duration> {
        if self.instruction.get().is_last() {
            return None;
        }
        let was_online = self.rules(|rules| rules.is_online());
        let random = self.random(Random::fraction);
        let next =
            self.rules_mut(|rules| rules.disconnected(self.now(), disconnection.clone(), random));
        self.decide(next, disconnection, was_online)
    }

    /// The server refused the credential with an HTTP status. Returns how long to wait; `None` to end.
    pub(crate) fn unauthorized(&self, refusal: Refusal) -> Option<Duration> {
        let disconnection = Disconnection {
            code: None,
            reason: refusal.to_string(),
        };
        let next = self.rules_mut(|rules| rules.unauthorized(refusal));
        self.decide(next, disconnection, false)
    }

    /// Reports what the rules decided after a connection ended. Returns how long to wait; `None` to end.
    fn decide(
        &self,
        next: AfterDisconnect,
        disconnection: Disconnection,
        was_online: bool,
    ) -> Option<Duration> {
        let Disconnection { code, reason } = disconnection.clone();
        match next {
            AfterDisconnect::Unauthorized {
                refusal,
                asks_again: true,
            } => {
                self.emit(Event::Unauthorized { refusal });
                Some(Duration::ZERO)
            }
            AfterDisconnect::Unauthorized { refusal, .. } if !self.was_welcomed() => {
                self.failed(ConnectError::Unauthorized(refusal));
                None
            }
            _ if !self.was_welcomed() => {
                self.failed(ConnectError::Closed { code, reason });
                None
            }
            AfterDisconnect::Unauthorized { refusal, .. } => {
                self.emit(Event::Unauthorized { refusal });
                self.emit(Event::Closed { code, reason });
                None
            }
            AfterDisconnect::Reconnect(retry_in) => {
                if was_online {
                    self.emit(Event::Disconnected {
                        code,
                        reason,
                        retry_in,
                    });
                }
                Some(retry_in)
            }
            AfterDisconnect::GiveUp(Disconnection { code, reason }) => {
                self.emit(Event::Closed { code, reason });
                None
            }
        }
    }

    fn emit(&self, event: Event) {
        self.apply(vec![Output::Emit(event)]);
    }

    /// No other attempt can succeed: reports the end.
    pub(crate) fn closed(&self, reason: String) {
        self.emit(Event::Closed { code: None, reason });
    }

    /// The first attempt failed: `Client::connect` returns the error.
    pub(crate) fn failed(&self, error: ConnectError) {
        *self.failure.borrow_mut() = Some(error);
    }

    /// The driver ends. Pending requests fail with [`CallError::Closed`].
    pub(crate) fn finish(&self) {
        self.has_ended.set(true);
        self.rules_mut(Rules::clear_waiters);
        self.pending.borrow_mut().clear();
        self.handle_wakeup.notify_waiters();
    }
}

/// A request that waits for its answer. Dropped before, it is cancelled or undone.
struct PendingRequest<'a> {
    inner: &'a ClientInner,
    /// `None` when it is answered.
    id: Option<u64>,
    answered: oneshot::Receiver<Answered>,
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.inner.abandon(id, self.answered.try_recv().ok());
        }
    }
}
