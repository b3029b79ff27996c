//! The port that a server listens on.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use crate::config::setters;

/// Binds a port. If that fails, the error says what to do.
///
/// # Errors
///
/// If the address is in use, does not belong to this machine, or needs privileges.
pub fn listen(address: &str) -> io::Result<TcpListener> {
    listen_with(address, ListenOptions::default())
}

/// Options for binding a port.
///
/// As in [`Config`](crate::Config), each setting is a public field, and a method of the same name sets it in a chain.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ListenOptions {
    /// Whether other processes of the same user may listen on the same port, if they set it, too (`SO_REUSEPORT`).
    ///
    /// Default: false.
    /// A new version can then start to listen before the old one has stopped. The kernel gives each new connection to one of the
    /// two; [`Site::serve`](crate::Site::serve) stops listening when it begins to shut down, and all later connections go to the
    /// other.
    pub reuse_port: bool,
}

setters!(ListenOptions { reuse_port: bool });

/// Like [`listen`], with options.
///
/// ```no_run
/// use courtside::ListenOptions;
///
/// let listener = courtside::listen_with("0.0.0.0:4000", ListenOptions::default().reuse_port(true))?;
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
///
/// Those of [`listen`].
pub fn listen_with(address: &str, options: ListenOptions) -> io::Result<TcpListener> {
    bind(address, options).map_err(|error| {
        let what_to_do = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another program uses this port; stop it, or choose another port"
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need privileges; choose a higher one"
            }
            io::ErrorKind::AddrNotAvailable => "this machine does not have that address",
            _ => "an address looks like 127.0.0.1:4000",
        };
        io::Error::new(
            error.kind(),
            format!("cannot listen on {address}: {error} ({what_to_do})"),
        )
    })
}

fn bind(address: &str, options: ListenOptions) -> io::Result<TcpListener> {
    let mut failure = None;
    for address in address.to_socket_addrs()? {
        match bind_one(address, options) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

fn bind_one(address: SocketAddr, options: ListenOptions) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    // A restarted server must not have to wait until its old connections have timed out.
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(options.reuse_port)?;
    #[cfg(not(unix))]
    if options.reuse_port {
        return Err(io::ErrorKind::Unsupported.into());
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// How many connections may wait to be accepted: enough for all clients to reconnect at once.
const BACKLOG: i32 = 4096;
