//! The driver: the task that moves bytes between a connection and the rules, and opens the next connection.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, sleep_until, timeout};

use crate::client::connect::{Connect, Path};
use crate::client::ending;
use crate::client::error::ConnectError;
use crate::client::handshake::{Request, shake};
use crate::client::heard::{self, Farewell};
use crate::client::rules::{Claim, Effect, Rules, violation};
use crate::client::shared::{Shared, Wish};
use crate::client::socket::{ClientSocket, SocketEvent};
use crate::close::CloseCode;
use crate::wire::codec::RawData;

/// Opens a client's connections.
pub(crate) struct Dialer {
    pub(crate) connect: Box<dyn Connect>,
    pub(crate) authority: String,
    pub(crate) path: Path,
}

impl Dialer {
    /// One attempt: a stream and a handshake on it. `ends`: to end the session instead of going on with it.
    pub(crate) async fn dial(
        &self,
        shared: &Shared,
        ends: bool,
    ) -> Result<ClientSocket, ConnectError> {
        let options = &shared.options;
        let mut headers = options.headers.clone();
        if let Some(token) = &options.access_token
            && let Some(token) = token.get().await
        {
            headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
        }
        let mut io = self.connect.connect().await?;
        // Not before there is somebody to send it to: what never left cannot arrive late.
        let claim = shared.rules_mut(Rules::claim);
        let request = Request {
            path: self.path(shared, claim.as_ref(), ends),
            authority: self.authority.clone(),
            headers,
        };
        let mut random = shared.random(|random| random.clone());
        shared.random(|random| random.next());
        let accepted = shake(&mut io, &request, &mut random).await;
        if matches!(accepted, Err(ConnectError::Refused { .. })) {
            shared.rules_mut(Rules::attempt_answered);
        }
        Ok(ClientSocket::new(io, accepted?.rest, options.message_bytes).await)
    }

    fn path(&self, shared: &Shared, claim: Option<&Claim>, ends: bool) -> String {
        let format = shared.options.format.name();
        let Some(claim) = claim else {
            return self.path.with(&[("format", &format)]);
        };
        let last: (&str, &dyn std::fmt::Display) = match ends {
            true => ("end", &true),
            false => ("received", &claim.received),
        };
        let mut parameters: Vec<(&str, &dyn std::fmt::Display)> = vec![
            ("format", &format),
            ("resume", &claim.token),
            ("attempt", &claim.attempt),
            last,
        ];
        if shared.rules(Rules::is_restoring) && !ends {
            parameters.push(("restore", &true));
        }
        self.path.with(&parameters)
    }
}

/// Runs a client until it is closed.
pub(crate) async fn run(shared: Rc<Shared>, dialer: Dialer) {
    let mut pause = Duration::ZERO;
    let mut open_socket = None;
    while let Some(mut socket) = open(&shared, &dialer, pause).await {
        let Some(farewell) = attend(&shared, &mut socket).await else {
            open_socket = Some(socket);
            break;
        };
        match shared.ended(farewell) {
            Some(next) => pause = next,
            None => break,
        }
    }
    if shared.wished() == Wish::Close && !shared.has_failed() {
        ending::end(&shared, &dialer, open_socket).await;
    }
    shared.finish();
}

/// Opens the next connection, by as many attempts as it takes. `None` if there is no point in any.
async fn open(shared: &Shared, dialer: &Dialer, mut pause: Duration) -> Option<ClientSocket> {
    loop {
        let waited = async {
            tokio::select! {
                () = sleep(pause) => {}
                () = shared.hurry.notified() => {}
            }
        };
        tokio::select! {
            biased;
            () = shared.until_closing() => return None,
            () = waited => {}
        }
        let error = match attempt(shared, dialer).await? {
            Ok(socket) => return Some(socket),
            Err(error) => error,
        };
        tracing::debug!(%error, "a connection could not be opened");
        if let ConnectError::Refused {
            status: 401,
            refusal,
            ..
        } = error
        {
            pause = shared.unauthorized(refusal)?;
            continue;
        }
        if !shared.was_welcomed() {
            shared.failed(error);
            return None;
        }
        if !error.is_transient() {
            shared.closed(error.to_string());
            return None;
        }
        let least = match &error {
            ConnectError::Refused { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        pause = shared.ended(lost(&error.to_string()))?.max(least);
    }
}

/// One attempt. `None` if the application closes the client before there is a connection, which is waited for if that is soon:
/// a session that begins meanwhile is then ended, and not left behind.
async fn attempt(shared: &Shared, dialer: &Dialer) -> Option<Result<ClientSocket, ConnectError>> {
    let options = &shared.options;
    let most = shared.rules(|rules| rules.attempt_time(shared.now(), options.connect_timeout));
    let dialed = async {
        let dialed = timeout(most, dialer.dial(shared, false)).await;
        dialed.unwrap_or(Err(ConnectError::TimedOut))
    };
    tokio::pin!(dialed);
    tokio::select! {
        biased;
        dialed = &mut dialed => return Some(dialed),
        () = shared.until_closing() => {}
    }
    if shared.wished() == Wish::Suspend {
        return None;
    }
    let socket = timeout(options.close_timeout, dialed).await.ok()?.ok()?;
    Some(Ok(socket))
}

/// Serves one connection until it ends. `None` if the application closes the client while the connection is open.
async fn attend(shared: &Shared, socket: &mut ClientSocket) -> Option<Farewell> {
    let begun = shared.now();
    let welcome_time = shared.rules_mut(|rules| {
        rules.connected();
        rules.attempt_time(begun, shared.options.connect_timeout)
    });
    let welcome_by = begun.saturating_add(welcome_time);
    loop {
        match shared.wished() {
            Wish::Nothing => {}
            Wish::Cut | Wish::Suspend => return Some(lost("cut by the application")),
            Wish::Close => return None,
        }
        let reads = shared.wants_more();
        let now = shared.now();
        let (is_dead, deadline) = shared.rules_mut(|rules| {
            if !reads {
                rules.heard();
            }
            let is_dead = rules.is_dead(now);
            write(rules, socket, now);
            (is_dead, rules.deadline())
        });
        if is_dead {
            return Some(lost("the server has been silent for too long"));
        }
        let is_greeted = shared.rules(Rules::is_online);
        if !is_greeted && now >= welcome_by {
            return Some(lost("the server did not welcome the client in time"));
        }
        let deadline = if is_greeted { deadline } else { welcome_by };
        tokio::select! {
            biased;
            () = shared.driver.notified() => {}
            event = socket.next(reads) => match event {
                SocketEvent::Flushed => {}
                SocketEvent::Activity => shared.rules_mut(Rules::heard),
                SocketEvent::Message(frame) => take(shared, socket, frame),
                SocketEvent::Closed(farewell) => return Some(farewell),
            },
            () = sleep_until(shared.moment(deadline)) => {}
        }
    }
}

pub(crate) fn write(rules: &mut Rules, socket: &mut ClientSocket, now: Duration) {
    while socket.has_room() {
        match rules.next_to_write(now) {
            Some(frame) => socket.send(frame),
            None => return,
        }
    }
}

fn take(shared: &Shared, socket: &mut ClientSocket, frame: RawData) {
    if let Some(Effect::Break(code, reason)) = shared.apply(receive(shared, &frame)) {
        socket.refuse(code, &reason);
    }
}

/// What the rules make of a frame.
pub(crate) fn receive(shared: &Shared, frame: &RawData) -> Vec<Effect> {
    let now = shared.now();
    match heard::read(frame) {
        Ok(heard) => shared.rules_mut(|rules| rules.receive(now, heard)),
        Err(what) => violation("bad_event", CloseCode::PROTOCOL_ERROR, what),
    }
}

fn lost(reason: &str) -> Farewell {
    Farewell {
        code: None,
        reason: reason.to_owned(),
    }
}
