//! What the application wants of a session, wherever the session lives.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::channel::backlog::PublishPlace;
use crate::ids::{ChannelName, SessionId};
use crate::session::farewell::Disconnect;
use crate::session::info::SessionInfo;
use crate::wire::frame::Encoded;

/// How many calls that wait for sessions are in progress at most: [`ServerHandle::unsubscribe`](crate::ServerHandle::unsubscribe)
/// and [`UserHandle::sessions`](crate::UserHandle::sessions).
pub(crate) const SESSION_CALLS: usize = 1024;

/// What a session is to do. It travels to the worker on which the session lives, and after the session if that moves.
#[derive(Debug)]
pub(crate) struct Instruction {
    pub(crate) session: SessionId,
    /// Its place among those that the session carries out in the order in which they were given.
    pub(crate) number: Option<u64>,
    pub(crate) task: Task,
}

#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// To subscribe to a channel.
    Subscribe(ChannelName, Arc<SubscriptionTicket>),
    /// To end its subscription to a channel.
    Unsubscribe(ChannelName, Arc<SubscriptionTicket>),
    /// To send its client an event outside of rooms.
    Send(Encoded, Arc<SendTicket>),
    /// To end, and to tell its client why.
    Disconnect(Arc<Disconnect>, Arc<SendTicket>),
    /// To say how it is.
    Describe(Arc<Ticket<SessionInfo, CallPermit>>),
}

pub(crate) type CallPermit = Option<OwnedSemaphorePermit>;

pub(crate) type SubscriptionTicket = Ticket<(), CallPermit>;

pub(crate) type SendTicket = Ticket<(), PublishPlace>;

/// What all instructions of one call hold, with the place of the call among those in progress. When the last one is done, the call
/// is.
#[derive(Debug)]
pub(crate) struct Ticket<T, P> {
    answers: UnboundedSender<T>,
    _place: P,
}

impl<T, P> Ticket<T, P> {
    pub(crate) fn new(place: P) -> (Arc<Self>, UnboundedReceiver<T>) {
        let (answers, answered) = mpsc::unbounded_channel();
        let ticket = Self {
            answers,
            _place: place,
        };
        (Arc::new(ticket), answered)
    }

    /// A session has done it.
    pub(crate) fn answer(&self, answer: T) {
        let _nobody_waits = self.answers.send(answer);
    }
}

/// Waits until all tickets are dropped, and returns what was answered.
pub(crate) async fn all<T>(mut answered: UnboundedReceiver<T>) -> Vec<T> {
    let mut answers = Vec::new();
    while let Some(answer) = answered.recv().await {
        answers.push(answer);
    }
    answers
}
