//! Sends a session's actions to its channels: at once, or when the outbox has space for the history that one asks for.
//!
//! Each subscription is granted a part of the outbox, so that no number of histories can fill it. The hub ends the grant
//! when the answer is in the outbox, and the connection reports when enough of that was written.

use crate::channel::input::UnsubscribeReason;
use crate::channel::log::PageAt;
use crate::ids::ChannelName;
use crate::runtime::messages::{
    Asks, ChannelAction, ChannelMessage, PublishSource, Receiver, Subscription,
};
use crate::runtime::worker::session::SessionActor;
use crate::session::accounts::Accounts;
use crate::session::history_queue::{Needs, Next};
use crate::session::outbox::Outbox;

impl ChannelAction {
    /// Whether the action may create the channel on the client's account. Channels that are registered by their full name
    /// belong to the application.
    fn may_begin_it(&self) -> bool {
        match &self.asks {
            Asks::Subscribe { kind, .. } => !kind.is_exact,
            Asks::Publish { by_pattern, .. } => *by_pattern,
            Asks::History { .. } | Asks::Presence { .. } | Asks::Unsubscribe { .. } => false,
        }
    }

    /// How much memory it takes while it waits.
    fn kept_bytes(&self, channel: &ChannelName) -> usize {
        let since = match &self.asks {
            Asks::Subscribe { start, .. } => start.since.as_ref(),
            Asks::History { page, .. } => match &page.at {
                PageAt::Since(since) => Some(since),
                PageAt::End | PageAt::Before(_) => None,
            },
            Asks::Presence { .. } | Asks::Unsubscribe { .. } | Asks::Publish { .. } => None,
        };
        let epoch = since.map_or(0, |since| since.epoch.len());
        let shown = match &self.asks {
            Asks::Subscribe { appearance, .. } => {
                appearance.as_ref().and_then(|shown| shown.data.as_ref())
            }
            _ => None,
        };
        let shown = shown.map_or(0, |data| data.bytes().len());
        let data = match &self.asks {
            Asks::Subscribe {
                data: Some(data), ..
            } => size_of_val(&**data) + data.bytes().len(),
            _ => 0,
        };
        size_of::<Self>() + channel.as_str().len() + epoch + shown + data
    }

    /// The message to the channel's shard. The answer to a subscription may have `budget` bytes.
    fn into_message(
        self,
        receiver: Receiver,
        channel: ChannelName,
        accounts: Option<Accounts>,
        budget: usize,
    ) -> ChannelMessage {
        let (id, permit) = (self.id, self.permit);
        match self.asks {
            Asks::Subscribe {
                kind,
                start,
                delta,
                attempt,
                appearance,
                data: _,
                grant,
                ticket,
            } => ChannelMessage::Subscribe(Box::new(Subscription {
                receiver,
                channel,
                kind,
                start,
                delta,
                grant,
                budget,
                id,
                attempt,
                accounts,
                appearance,
                permit,
                ticket,
            })),
            Asks::History { page, id } => ChannelMessage::ReadHistory {
                receiver,
                channel,
                page,
                budget,
                id,
                permit,
            },
            Asks::Presence { data } => ChannelMessage::Presence {
                receiver,
                channel,
                data,
                id,
                permit: Some(permit),
            },
            Asks::Unsubscribe { attempt, reason } => ChannelMessage::Unsubscribe {
                session: receiver.session,
                channel,
                attempt,
                answer: Some((receiver, id)),
                reason,
                permit: Some(permit),
                ticket: None,
            },
            Asks::Publish { data, .. } => ChannelMessage::Publish {
                channel,
                data,
                source: PublishSource::Client(receiver, id, permit),
                accounts,
            },
        }
    }
}

impl SessionActor {
    /// Sends an action to its channel: at once, unless an earlier action waits or it has to wait itself.
    pub(crate) fn enqueue_for_channel(&mut self, channel: &ChannelName, mut action: ChannelAction) {
        let needs = match &action.asks {
            Asks::Subscribe { data, .. } => {
                let needs = match data {
                    Some(_) => Needs::Hook,
                    None => Needs::History,
                };
                // It may wait for long, and the other fields of its message are not kept.
                let kept = action.kept_bytes(channel);
                action.permit.shrink(kept);
                needs
            }
            Asks::Publish { hook: Some(_), .. } => Needs::Hook,
            Asks::History { .. } => {
                let kept = action.kept_bytes(channel);
                action.permit.shrink(kept);
                Needs::History
            }
            Asks::Presence { .. } | Asks::Unsubscribe { .. } | Asks::Publish { .. } => {
                Needs::Nothing
            }
        };
        match self.admission.enter(channel, needs, action) {
            Some(action) => self.send_to_channel(channel.clone(), action, 0),
            None => self.send_waiting(),
        }
    }

    /// Sends the waiting actions that there is space for. While the session moves, they wait: they move with it.
    pub(crate) fn send_waiting(&mut self) {
        if self.moving.is_some() || self.awaits_grant {
            return;
        }
        let (hub, handle) = (self.hub.clone(), self.handle.clone());
        let (ledger, history) = (&hub.shared.ledger, hub.shared.config.outbox.history());
        let mut awaits_grant = false;
        loop {
            let grant = || {
                awaits_grant = !ledger.grant(history);
                let granted =
                    (!awaits_grant).then(|| handle.send_queue.with_outbox(Outbox::grant))?;
                if granted.is_none() {
                    ledger.use_grant(history);
                }
                granted
            };
            match self.admission.next(grant) {
                Some(Next::Ask) => self.ask_hook(),
                Some(Next::Send(channel, action, budget)) => {
                    self.send_to_channel(channel, action, budget.unwrap_or_default());
                }
                None => break,
            }
        }
        if awaits_grant {
            self.awaits_grant = true;
            hub.await_grant(self.id);
        }
    }

    /// The channels whose subscriber the session still is only because its unsubscribe waits.
    pub(crate) fn waiting_unsubscribes(&self) -> impl Iterator<Item = &ChannelName> {
        let waiting = self.admission.waiting();
        waiting
            .filter(|(_, action)| matches!(action.asks, Asks::Unsubscribe { .. }))
            .map(|(channel, _)| channel)
    }

    /// The session ends with actions waiting, which the client cannot send again. Publications are sent without an answer,
    /// and unsubscribes, too; what would be answered with a history is dropped, and so is what a hook has not allowed.
    pub(crate) fn drop_waiting(&mut self) {
        self.give_up_hook();
        let waiting = self.admission.take();
        for (channel, needs, mut action) in waiting {
            if matches!(needs, Needs::Hook | Needs::Answer) {
                continue;
            }
            match action.asks {
                Asks::Subscribe { .. } | Asks::History { .. } | Asks::Presence { .. } => continue,
                Asks::Unsubscribe { .. } => self.unsubscribe_unanswered(&channel),
                Asks::Publish { .. } => {
                    action.id = None;
                    self.send_to_channel(channel, action, 0);
                }
            }
        }
    }

    /// Ends a subscription without an answer.
    pub(crate) fn unsubscribe_unanswered(&self, channel: &ChannelName) {
        let message = ChannelMessage::Unsubscribe {
            session: self.id,
            channel: channel.clone(),
            attempt: self.subscribes,
            answer: None,
            reason: UnsubscribeReason::Left,
            permit: None,
            ticket: None,
        };
        self.hub.to_channel(channel, message);
    }

    /// The client has resumed the session, and its lists of who is present may be out of date.
    pub(crate) fn renew_presence(&self) {
        let subscriptions = self.handle.router.subscriptions.borrow();
        for channel in subscriptions.watched() {
            let message = ChannelMessage::Presence {
                receiver: self.receiver(),
                channel: channel.clone(),
                data: None,
                id: None,
                permit: None,
            };
            self.hub.to_channel(channel, message);
        }
    }

    /// The server may hold another history.
    pub(crate) fn grant_offered(&mut self) {
        self.awaits_grant = false;
        self.send_waiting();
    }

    pub(crate) fn send_to_channel(
        &mut self,
        channel: ChannelName,
        action: ChannelAction,
        budget: usize,
    ) {
        if let Asks::Unsubscribe { attempt, .. } = action.asks {
            self.unsubscribing.push(channel.clone());
            self.forget_limit(&channel, attempt);
        }
        let accounts = action.may_begin_it().then(|| self.accounts());
        let message = action.into_message(self.receiver(), channel.clone(), accounts, budget);
        self.hub.to_channel(&channel, message);
    }
}
