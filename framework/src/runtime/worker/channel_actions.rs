//! How a session's actions reach its channels: at once, or when the history that one asks for has room in the outbox.
//!
//! Each subscription is granted so much of the outbox that no history can fill it, however many are asked for together. The
//! hub gives the grant back when the answer is in the outbox, and the connection says when enough of that has been written.

use crate::ids::ChannelName;
use crate::runtime::messages::{
    Asks, ChannelAction, ChannelMessage, PublishSource, Receiver, Subscription,
};
use crate::runtime::worker::session::SessionActor;
use crate::session::accounts::Accounts;
use crate::session::history_queue::Needs;
use crate::session::outbox::Outbox;

impl ChannelAction {
    /// Whether the channel may begin with it on the client's account: those by their own name are the application's.
    fn may_begin_it(&self) -> bool {
        match &self.asks {
            Asks::Subscribe { offer, .. } | Asks::Publish { offer, .. } => !offer.is_exact,
            Asks::Unsubscribe { .. } => false,
        }
    }

    /// As the channel's shard hears it. A subscription may be answered with an event of so many bytes.
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
                offer,
                since,
                attempt,
            } => ChannelMessage::Subscribe(Subscription {
                receiver,
                channel,
                offer,
                since,
                budget,
                id,
                attempt,
                accounts,
                permit,
            }),
            Asks::Unsubscribe { attempt } => ChannelMessage::Unsubscribe {
                session: receiver.session,
                channel,
                attempt,
                answer: Some((receiver, id)),
                permit: Some(permit),
            },
            Asks::Publish { data, .. } => ChannelMessage::Publish {
                channel,
                data,
                source: PublishSource::Client(receiver, id),
                accounts,
                permit,
            },
        }
    }
}

impl SessionActor {
    /// Brings an action to its channel, at once if nothing that came before it waits and it need not wait itself.
    pub(crate) fn bring_to_channel(&mut self, channel: &ChannelName, mut action: ChannelAction) {
        let needs = match &action.asks {
            Asks::Subscribe { since, .. } => {
                // It may wait for long, and what its message had besides is not kept.
                let epoch = since.as_ref().map_or(0, |since| since.epoch.len());
                let kept = size_of::<ChannelAction>() + channel.as_str().len() + epoch;
                action.permit.shrink(kept);
                Needs::History
            }
            Asks::Unsubscribe { .. } | Asks::Publish { .. } => Needs::Nothing,
        };
        match self.admission.enter(channel, needs, action) {
            Some(action) => self.pass(channel.clone(), action, 0),
            None => self.admit_waiting(),
        }
    }

    /// Lets go what there is room for now. Not while the session moves: the rest moves along.
    pub(crate) fn admit_waiting(&mut self) {
        if self.moving.is_some() || self.is_short {
            return;
        }
        let (hub, handle) = (self.hub.clone(), self.handle.clone());
        let (ledger, history) = (&hub.shared.ledger, hub.shared.config.outbox.history());
        let mut is_short = false;
        loop {
            let grant = || {
                is_short = !ledger.grant(history);
                let granted = (!is_short).then(|| handle.send_queue.with_outbox(Outbox::grant))?;
                if granted.is_none() {
                    ledger.use_grant(history);
                }
                granted
            };
            let Some((channel, action, budget)) = self.admission.next(grant) else {
                break;
            };
            self.pass(channel, action, budget.unwrap_or_default());
        }
        if is_short {
            self.is_short = true;
            hub.await_grant(self.id);
        }
    }

    /// The channels of which the session is still a subscriber only because its unsubscribe waits.
    pub(crate) fn waiting_unsubscribes(&self) -> impl Iterator<Item = &ChannelName> {
        let waiting = self.admission.waiting();
        waiting
            .filter(|(_, action)| matches!(action.asks, Asks::Unsubscribe { .. }))
            .map(|(channel, _)| channel)
    }

    /// The session ends. Its client has sent what waits, and cannot send it again: publications are made, though nobody is
    /// told so, and what was to be unsubscribed from is.
    pub(crate) fn give_up_waiting(&mut self) {
        let waiting = self.admission.take();
        for (channel, mut action) in waiting {
            match action.asks {
                Asks::Subscribe { .. } => continue,
                Asks::Unsubscribe { .. } => self.unsubscribe_silently(&channel),
                Asks::Publish { .. } => {
                    action.id = None;
                    self.pass(channel, action, 0);
                }
            }
        }
    }

    /// Ends a subscription of a session that needs no answer.
    pub(crate) fn unsubscribe_silently(&self, channel: &ChannelName) {
        let message = ChannelMessage::Unsubscribe {
            session: self.id,
            channel: channel.clone(),
            attempt: self.subscribes,
            answer: None,
            permit: None,
        };
        self.hub.to_channel(channel, message);
    }

    /// The server may hold another history.
    pub(crate) fn may_grant(&mut self) {
        self.is_short = false;
        self.admit_waiting();
    }

    fn pass(&mut self, channel: ChannelName, action: ChannelAction, budget: usize) {
        if matches!(action.asks, Asks::Unsubscribe { .. }) {
            self.unsubscribing.push(channel.clone());
        }
        let accounts = action.may_begin_it().then(|| self.accounts());
        let message = action.into_message(self.receiver(), channel.clone(), accounts, budget);
        self.hub.to_channel(&channel, message);
    }
}
