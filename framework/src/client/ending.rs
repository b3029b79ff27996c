//! Ends the client's session, so that the client leaves its rooms at once: by closing its connection or, if there is none, by
//! asking the server on a new one.

use std::pin::pin;

use tokio::time::{sleep, timeout};

use crate::client::driver::{Dialer, receive, write};
use crate::client::error::ConnectError;
use crate::client::inner::ClientInner;
use crate::client::random::Random;
use crate::client::rules::Rules;
use crate::client::socket::{ClientSocket, SocketEvent};
use crate::close::CloseCode;

/// Ends the client's session.
///
/// [`Client::close`](crate::client::Client::close) waits for this for at most `close_timeout`. After that, it continues in the
/// background until the server has ended the session.
pub(crate) async fn end(inner: &ClientInner, dialer: &Dialer, socket: Option<ClientSocket>) {
    let mut ending = pin!(async {
        let is_done = match socket {
            Some(socket) => close_gracefully(inner, socket).await,
            None => false,
        };
        if !is_done {
            end_on_new_connection(inner, dialer).await;
        }
    });
    if timeout(inner.options.close_timeout, &mut ending)
        .await
        .is_err()
    {
        inner.finish();
        ending.await;
    }
}

/// Sends the queued actions and closes. Returns true if the server has confirmed it, or does not want the client back.
///
/// The application gets no more events.
async fn close_gracefully(inner: &ClientInner, mut socket: ClientSocket) -> bool {
    let closing = async {
        loop {
            inner.rules_mut(|rules| write(rules, &mut socket, inner.now()));
            if socket.is_flushed() && inner.rules(Rules::is_written) {
                socket.close(CloseCode::NORMAL, "");
            }
            match socket.next(true).await {
                // Nothing can be sent before the welcome, so the rules must process it. Other events are ignored.
                SocketEvent::Message(frame) if !inner.rules(Rules::is_online) => {
                    drop(receive(inner, &frame));
                }
                SocketEvent::Message(_) | SocketEvent::Flushed | SocketEvent::Activity => {}
                SocketEvent::Closed(disconnection) => return disconnection.code,
            }
        }
    };
    let code = timeout(inner.options.close_timeout, closing).await;
    code.ok().flatten().is_some_and(is_final)
}

/// Asks the server on new connections to end the session, until one attempt succeeds or the server's window has ended.
async fn end_on_new_connection(inner: &ClientInner, dialer: &Dialer) {
    while let Some(left) = inner.rules_mut(|rules| rules.time_left(inner.now())) {
        let most = inner.options.connect_timeout;
        let most = inner.rules(|rules| rules.attempt_time(inner.now(), most));
        if let Ok(true) = timeout(most.min(left), end_once(inner, dialer)).await {
            return;
        }
        let random = inner.random(Random::fraction);
        let pause = inner.rules_mut(|rules| rules.pause(inner.now(), random));
        sleep(pause).await;
    }
}

/// Asks the server once to end the session. Returns true if no other attempt is needed, or none can succeed.
async fn end_once(inner: &ClientInner, dialer: &Dialer) -> bool {
    let mut socket = match dialer.dial(inner, true).await {
        Ok(socket) => socket,
        Err(ConnectError::Refused { status: 401, .. }) => return true,
        Err(error) => return !error.is_transient(),
    };
    loop {
        match socket.next(true).await {
            // A server that does not know the request sends a welcome. Closing its connection ends the session, too.
            SocketEvent::Message(_) => socket.close(CloseCode::NORMAL, ""),
            SocketEvent::Flushed | SocketEvent::Activity => {}
            SocketEvent::Closed(disconnection) => return disconnection.code.is_some_and(is_final),
        }
    }
}

/// Whether the session has ended, or does not belong to this client any more.
fn is_final(code: CloseCode) -> bool {
    code == CloseCode::NORMAL || !code.comes_back()
}
