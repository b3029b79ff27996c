//! A server that runs, and goes away when its process is told to.

use std::future::ready;
use std::io;
use std::net::{Shutdown, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Extensions};
use actix_web::rt::net::TcpStream;
use actix_web::{App, web};

use super::Server;
use super::drain::drain;
use crate::actor::shared::Shared;
use crate::http::entrance::{Rewound, entrance};
use crate::http::{lean, socket};

impl Server {
    /// Runs an `HttpServer` in which this server is mounted until SIGINT or SIGTERM; then [drains](Server::drain) this server and
    /// stops that one. A second signal ends the process at once.
    ///
    /// Tell the other to leave the signals alone, and not to wait for long, since nobody is left to wait for:
    ///
    /// ```no_run
    /// # use actix_web::{App, HttpServer};
    /// # use std::time::Duration;
    /// # async fn run(server: courtside::Server) -> std::io::Result<()> {
    /// let mounted = server.clone();
    /// let http = HttpServer::new(move || App::new().configure(mounted.routes("/ws")))
    ///     .on_connect(courtside::watch_socket)
    ///     .client_disconnect_timeout(Duration::ZERO)
    ///     .shutdown_timeout(1)
    ///     .disable_signals()
    ///     .bind("127.0.0.1:4000")?
    ///     .run();
    /// server.serve(http).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the `HttpServer`.
    pub async fn serve(&self, http: actix_web::dev::Server) -> io::Result<()> {
        self.serve_on(http, None).await
    }

    /// Runs the server by itself until SIGINT or SIGTERM, then [drains](Self::drain) it. A second signal ends the process at
    /// once. `configure` adds the application's own routes.
    ///
    /// # Errors
    ///
    /// If the listener cannot be used.
    pub async fn run(
        &self,
        listener: TcpListener,
        path: &str,
        configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    ) -> io::Result<()> {
        let (server, path) = (self.clone(), path.to_owned());
        let own_path = path.clone();
        let app = move || {
            App::new()
                .configure(server.routes(&path))
                .configure(configure.clone())
        };
        // Others may listen there, too, and get those who come when this server goes away.
        let shared_port = match socket2::SockRef::from(&listener).reuse_port() {
            Ok(true) => Some(listener.try_clone()?),
            _ => None,
        };
        let address = listener.local_addr()?;
        let builder = actix_server::Server::build()
            .shutdown_timeout(1)
            .disable_signals();
        let ending = builder.graceful_shutdown_signal();
        let http = builder
            .listen("courtside", listener, move || {
                let watch = |io: &Rewound<TcpStream>, extensions: &mut Extensions| {
                    socket::watch_socket(io.get_ref(), extensions);
                };
                let lean = HttpService::build()
                    // The close handshake is done by then, and waiting would make browsers see it late.
                    .client_disconnect_timeout(Duration::ZERO)
                    .local_addr(address)
                    .on_connect_ext(watch)
                    .upgrade(lean::upgrades(app.clone()))
                    .h1(map_config(app().into_factory(), |()| AppConfig::default()));
                let ending = ending.clone();
                let plain = HttpService::build()
                    // All as in an `HttpServer`.
                    .client_disconnect_timeout(Duration::from_secs(1))
                    .graceful_shutdown_signal(move || {
                        let ending = ending.clone();
                        async move { ending.notified().await }
                    })
                    .local_addr(address)
                    .on_connect_ext(watch)
                    .h1(map_config(app().into_factory(), |()| AppConfig::default()));
                let peer = |io: TcpStream| {
                    let peer = io.peer_addr().ok();
                    ready(Ok::<_, DispatchError>((io, peer)))
                };
                fn_service(peer).and_then(entrance(&own_path, lean, plain))
            })?
            .run();
        self.serve_on(http, shared_port).await
    }

    async fn serve_on(
        &self,
        http: actix_web::dev::Server,
        shared_port: Option<TcpListener>,
    ) -> io::Result<()> {
        self.shared.heeds_signals.store(true, Ordering::Relaxed);
        let (server, handle) = (self.clone(), http.handle());
        let signals = actix_rt::spawn(async move {
            until_signal().await;
            actix_rt::spawn(async {
                until_signal().await;
                std::process::exit(130);
            });
            tracing::info!("going away: a second signal ends at once");
            if let Some(port) = shared_port {
                handle.pause().await;
                // What the kernel has not handed over yet is lost; what comes from now on is the other's.
                let _ended = socket2::SockRef::from(&port).shutdown(Shutdown::Read);
            }
            server.drain().await;
            handle.stop(true).await;
        });
        let outcome = http.await;
        signals.abort();
        outcome
    }
}

/// Drains a mounted server at SIGTERM, also where its application does not: an `HttpServer` that stops waits half a minute for
/// WebSockets and then cuts them. Called on each worker's thread, as an idle one ends at once.
///
/// Only if something handles the signal already, so that the process ends as it would have.
pub(super) fn drain_at_sigterm(shared: &Arc<Shared>) {
    if !shared.config.drain.at_sigterm || !handles_sigterm() {
        return;
    }
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let server = Arc::downgrade(shared);
        actix_rt::spawn(async move {
            let Ok(mut terminate) = signal(SignalKind::terminate()) else {
                return;
            };
            if terminate.recv().await.is_some()
                && let Some(server) = server.upgrade()
                && !server.heeds_signals.load(Ordering::Relaxed)
            {
                drain(&server).await;
            }
        });
    }
}

/// Whether the process lives on at SIGTERM, until it has ended by itself. Known on Linux only.
fn handles_sigterm() -> bool {
    /// The signal's bit in the mask of those that are caught.
    const SIGTERM: u64 = 1 << 14;
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return false;
    };
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & SIGTERM != 0)
}

/// Resolves at SIGINT or SIGTERM.
async fn until_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        // Without signals there is nothing to wait for, and a server must not end because of that.
        std::future::pending::<()>().await;
    }
}
