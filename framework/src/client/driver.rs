//! The driver: a task that opens connections and moves frames between a connection and the rules.

use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, sleep_until, timeout};

use crate::client::connect::{Connect, Path};
use crate::client::credential::AccessToken;
use crate::client::ending;
use crate::client::error::ConnectError;
use crate::client::handshake::{Request, upgrade};
use crate::client::inner::{ClientInner, Instruction};
use crate::client::rules::{Output, ResumeAttempt, Rules, violation};
use crate::client::server_frame::{self, Disconnection};
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
    /// Opens a stream and does the handshake. With `ends`, the connection only ends the session.
    pub(crate) async fn dial(
        &self,
        inner: &ClientInner,
        ends: bool,
    ) -> Result<ClientSocket, ConnectError> {
        let options = &inner.options;
        let mut headers = options.headers.clone();
        if let Some(token) = &options.access_token
            && let Some(token) = token.get().await
        {
            headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
        }
        let mut io = self.connect.connect().await?;
        // The attempt is numbered after the stream is open: an attempt that was never sent cannot arrive late.
        let attempt = inner.rules_mut(Rules::begin_attempt);
        let request = Request {
            path: self.path(inner, attempt.as_ref(), ends),
            authority: self.authority.clone(),
            headers,
        };
        let mut random = inner.random(|random| random.clone());
        inner.random(|random| random.next());
        let accepted = upgrade(&mut io, &request, &mut random).await;
        if matches!(accepted, Err(ConnectError::Refused { .. })) {
            inner.rules_mut(Rules::attempt_answered);
        }
        Ok(ClientSocket::new(io, accepted?.rest, options.message_bytes).await)
    }

    fn path(&self, inner: &ClientInner, attempt: Option<&ResumeAttempt>, ends: bool) -> String {
        let format = inner.options.format.name();
        let Some(attempt) = attempt else {
            return self.path.with(&[("format", &format)]);
        };
        let last: (&str, &dyn std::fmt::Display) = match ends {
            true => ("end", &true),
            false => ("received", &attempt.received),
        };
        let mut parameters: Vec<(&str, &dyn std::fmt::Display)> = vec![
            ("format", &format),
            ("resume", &attempt.token),
            ("attempt", &attempt.attempt),
            last,
        ];
        if inner.rules(Rules::is_restoring) && !ends {
            parameters.push(("restore", &true));
        }
        self.path.with(&parameters)
    }
}

/// Runs a client until it ends.
pub(crate) async fn run(inner: Rc<ClientInner>, dialer: Dialer) {
    let mut pause = Duration::ZERO;
    let mut open_socket = None;
    while let Some(mut socket) = open(&inner, &dialer, pause).await {
        let Some(disconnection) = serve(&inner, &mut socket).await else {
            open_socket = Some(socket);
            break;
        };
        match inner.ended(disconnection) {
            Some(next) => pause = next,
            None => break,
        }
    }
    if inner.take_instruction() == Instruction::Close && !inner.has_failed() {
        ending::end(&inner, &dialer, open_socket).await;
    }
    inner.finish();
}

/// Opens the next connection, in as many attempts as necessary. `None` if the client ends instead.
async fn open(inner: &ClientInner, dialer: &Dialer, mut pause: Duration) -> Option<ClientSocket> {
    loop {
        let waited = async {
            tokio::select! {
                () = sleep(pause) => {}
                () = inner.retry_now.notified() => {}
            }
        };
        tokio::select! {
            biased;
            () = inner.until_closing() => return None,
            () = waited => {}
        }
        let error = match attempt(inner, dialer).await? {
            Ok(socket) => return Some(socket),
            Err(error) => error,
        };
        tracing::debug!(%error, "could not open a connection");
        if let ConnectError::Refused {
            status: 401,
            refusal,
            ..
        } = error
        {
            pause = inner.unauthorized(refusal)?;
            continue;
        }
        if !inner.was_welcomed() {
            inner.failed(error);
            return None;
        }
        if !error.is_transient() {
            inner.closed(error.to_string());
            return None;
        }
        let least = match &error {
            ConnectError::Refused { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        pause = inner.ended(lost(&error.to_string()))?.max(least);
    }
}

/// Makes one attempt to connect. `None` if the application closes the client meanwhile and the connection does not open within
/// `close_timeout`.
///
/// If the connection does open in that time, it is returned, so that the session that it may have begun can be ended.
async fn attempt(
    inner: &ClientInner,
    dialer: &Dialer,
) -> Option<Result<ClientSocket, ConnectError>> {
    let options = &inner.options;
    let most = inner.rules(|rules| rules.attempt_time(inner.now(), options.connect_timeout));
    let dialed = async {
        let dialed = timeout(most, dialer.dial(inner, false)).await;
        dialed.unwrap_or(Err(ConnectError::TimedOut))
    };
    tokio::pin!(dialed);
    tokio::select! {
        biased;
        dialed = &mut dialed => return Some(dialed),
        () = inner.until_closing() => {}
    }
    if inner.take_instruction() == Instruction::Suspend {
        return None;
    }
    let socket = timeout(options.close_timeout, dialed).await.ok()?.ok()?;
    Some(Ok(socket))
}

/// Serves one connection until it ends. `None` if the application closes the client while the connection is open.
async fn serve(inner: &ClientInner, socket: &mut ClientSocket) -> Option<Disconnection> {
    let begun = inner.now();
    let welcome_time = inner.rules_mut(|rules| {
        rules.connected();
        rules.attempt_time(begun, inner.options.connect_timeout)
    });
    let welcome_by = begun.saturating_add(welcome_time);
    // The next connection begins with a credential of its own.
    let _earlier = inner.take_wish_for_credential();
    let mut renewal = Renewal::default();
    loop {
        match inner.take_instruction() {
            Instruction::Nothing => {}
            Instruction::Cut | Instruction::Suspend => {
                return Some(lost("the application dropped the connection"));
            }
            Instruction::Close => return None,
        }
        let now = inner.now();
        if inner.take_wish_for_credential() || inner.rules_mut(|rules| rules.renews(now)) {
            renewal.begin(inner);
        }
        let reads = inner.wants_more();
        let (is_dead, deadline) = inner.rules_mut(|rules| {
            if !reads {
                rules.server_is_alive();
            }
            let is_dead = rules.is_dead(now);
            write(rules, socket, now);
            (is_dead, rules.deadline())
        });
        if is_dead {
            return Some(lost("the server did not answer a ping in time"));
        }
        let is_welcomed = inner.rules(Rules::is_online);
        if !is_welcomed && now >= welcome_by {
            return Some(lost("the server did not welcome the client in time"));
        }
        let deadline = if is_welcomed { deadline } else { welcome_by };
        tokio::select! {
            biased;
            () = inner.driver_wakeup.notified() => {}
            token = renewal.token() => {
                if let Some(token) = token {
                    inner.rules_mut(|rules| rules.refresh(&token));
                }
            }
            event = socket.next(reads) => match event {
                SocketEvent::Flushed => {}
                SocketEvent::Activity => inner.rules_mut(Rules::server_is_alive),
                SocketEvent::Message(frame) => take(inner, socket, frame),
                SocketEvent::Closed(disconnection) => return Some(disconnection),
            },
            () = sleep_until(inner.moment(deadline)) => {}
        }
    }
}

/// Gets a fresh credential while a connection goes on.
#[derive(Default)]
struct Renewal(Option<Pin<Box<dyn Future<Output = Option<String>>>>>);

impl Renewal {
    /// Asks for another credential, if the application has given a function for it. A question that is open is dropped.
    fn begin(&mut self, inner: &ClientInner) {
        let token = inner.options.access_token.clone();
        if let Some(token) = token.filter(AccessToken::can_change) {
            self.0 = Some(Box::pin(async move { token.get().await }));
        }
    }

    /// Resolves with the credential, if one was asked for; `None` for a guest.
    async fn token(&mut self) -> Option<String> {
        let Some(asked) = &mut self.0 else {
            return std::future::pending().await;
        };
        let token = asked.await;
        self.0 = None;
        token
    }
}

/// Writes queued actions while the socket has room.
pub(crate) fn write(rules: &mut Rules, socket: &mut ClientSocket, now: Duration) {
    while socket.has_room() {
        match rules.next_to_write(now) {
            Some(frame) => socket.send(frame),
            None => return,
        }
    }
}

fn take(inner: &ClientInner, socket: &mut ClientSocket, frame: RawData) {
    if let Some(Output::Disconnect(code, reason)) = inner.apply(receive(inner, &frame)) {
        socket.refuse(code, &reason);
    }
}

/// Decodes a frame and gives it to the rules.
pub(crate) fn receive(inner: &ClientInner, frame: &RawData) -> Vec<Output> {
    let now = inner.now();
    match server_frame::read(frame) {
        Ok(frame) => inner.rules_mut(|rules| rules.receive(now, frame)),
        Err(what) => violation("bad_event", CloseCode::PROTOCOL_ERROR, what),
    }
}

fn lost(reason: &str) -> Disconnection {
    Disconnection {
        code: None,
        reason: reason.to_owned(),
    }
}
