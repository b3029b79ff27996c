//! The socket of a connection: sets it up, and shuts it down from outside.
//!
//! A peer that stops reading freezes everything above its socket, including its actor, and a normal close would wait for ever.
//! Shutting the socket down from outside works: the HTTP layer sees an error and releases the connection.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockaddrStorage};
use socket2::SockRef;

use crate::runtime::connection::event_stream::HasGone;
use crate::runtime::connection::handle::Cut;

/// How many bytes the kernel may hold for a client that does not read. The kernel's default is up to 4 MB.
const SEND_BUFFER: usize = 64 << 10;

/// After how long without a TCP acknowledgement the kernel drops a connection: the last resort.
const USER_TIMEOUT: Duration = Duration::from_secs(20);

/// Shuts down one connection. Kept in the connection's extensions, so that it is dropped before the socket is closed.
pub(crate) struct SocketGuard {
    cut: Cut,
    /// Set to `None` when the connection ends, because the descriptor may then belong to another one.
    socket: Rc<Cell<Option<RawFd>>>,
}

impl fmt::Debug for SocketGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SocketGuard({:?})", self.socket.get())
    }
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        self.socket.set(None);
    }
}

impl SocketGuard {
    fn new(socket: RawFd) -> Self {
        let socket = Rc::new(Cell::new(Some(socket)));
        let watched = socket.clone();
        let cut = Rc::new(move || {
            if let Some(socket) = watched.take() {
                // An error means that the connection has already failed.
                let _broken = nix::sys::socket::shutdown(socket, nix::sys::socket::Shutdown::Both);
            }
        });
        Self { cut, socket }
    }

    /// Whether the client used an address that only this machine itself can reach. Only pages need it, so the kernel is not asked
    /// for other clients.
    fn is_local(&self) -> bool {
        let own = |socket| nix::sys::socket::getsockname::<SockaddrStorage>(socket).ok();
        self.socket.get().and_then(own).is_some_and(|own| {
            let v4 = own.as_sockaddr_in().map(|own| IpAddr::V4(own.ip()));
            let v6 = || own.as_sockaddr_in6().map(|own| IpAddr::V6(own.ip()));
            v4.or_else(v6).is_some_and(is_loopback)
        })
    }
}

/// Prepares a connection's socket and remembers it, so that the server can disconnect a client that has stopped reading.
///
/// Servers that serve by themselves do this, and so does the `HttpServer` of [`SiteApp::http_server`](crate::SiteApp::http_server).
/// Pass it to `on_connect` of any other `HttpServer`, before `bind`:
///
/// ```no_run
/// # use actix_web::{App, HttpServer};
/// # async fn run(server: courtside::Server) -> std::io::Result<()> {
/// let site = server.at("/ws");
/// HttpServer::new(move || App::new().configure(site.routes()))
///     .on_connect(courtside::watch_socket)
///     .client_disconnect_timeout(std::time::Duration::ZERO)
///     .bind("127.0.0.1:4000")?
///     .run()
///     .await
/// # }
/// ```
///
/// Without it, a client that stops reading keeps its socket until the kernel drops it, which takes minutes.
/// It does nothing for connections that are not plain TCP.
pub fn watch_socket(io: &dyn Any, extensions: &mut Extensions) {
    let Some(stream) = io.downcast_ref::<TcpStream>() else {
        return;
    };
    let socket = SockRef::from(stream);
    let prepared = socket
        .set_tcp_nodelay(true)
        .and_then(|()| socket.set_send_buffer_size(SEND_BUFFER));
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
    let prepared = prepared.and_then(|()| socket.set_tcp_user_timeout(Some(USER_TIMEOUT)));
    if let Err(error) = prepared {
        tracing::debug!(%error, "a socket could not be prepared");
    }
    extensions.insert(SocketGuard::new(stream.as_raw_fd()));
}

/// Cuts a connection of the testing kit, which has no socket, and says whether its client has closed it.
#[cfg(feature = "testing")]
pub(crate) struct CutHandle {
    pub(crate) cut: Cut,
    pub(crate) has_gone: HasGone,
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether the connection of this request came to a loopback address, which only this machine's own programs can reach.
pub(crate) fn is_local(request: &HttpRequest) -> bool {
    #[cfg(feature = "testing")]
    if request.conn_data::<CutHandle>().is_some() {
        return false;
    }
    match request.conn_data::<SocketGuard>() {
        Some(guard) => guard.is_local(),
        None => is_loopback(request.app_config().local_addr().ip()),
    }
}

/// The handle that shuts down the connection of this request, if it is known.
pub(crate) fn cut_of(request: &HttpRequest) -> Option<Cut> {
    #[cfg(feature = "testing")]
    if let Some(cut) = request.conn_data::<CutHandle>() {
        return Some(cut.cut.clone());
    }
    request
        .conn_data::<SocketGuard>()
        .map(|guard| guard.cut.clone())
}

/// Whether the client of this request has closed its end, if that can be seen.
///
/// The HTTP layer continues to serve a client that has only closed its end, in case that it still reads. A client of an event
/// stream that has closed its end has gone.
pub(crate) fn has_gone_of(request: &HttpRequest) -> Option<HasGone> {
    #[cfg(feature = "testing")]
    if let Some(cut) = request.conn_data::<CutHandle>() {
        return Some(cut.has_gone.clone());
    }
    let socket = request.conn_data::<SocketGuard>()?.socket.clone();
    Some(Rc::new(move || {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        let peek = |socket| nix::sys::socket::recv(socket, &mut [0], flags);
        match socket.get().map(peek) {
            Some(Ok(bytes)) => bytes == 0,
            Some(Err(error)) => error != Errno::EAGAIN && error != Errno::EINTR,
            None => true,
        }
    }))
}
