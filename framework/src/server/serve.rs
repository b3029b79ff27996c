//! Runs a server until its process or its application ends it.

use std::fmt;
use std::future::ready;
use std::io;
use std::net::{Shutdown, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Request};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config,
};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Extensions, Service, ServiceResponse};
use actix_web::rt::net::TcpStream;
use actix_web::{App, Error};
use futures_util::future::{Either, select};

use super::Server;
use super::drain::drain;
use super::signals::until_told_to_end;
use super::site::{Routes, Site, SiteApp};
use crate::http::entrance::{Rewound, entrance};
use crate::http::{lean, socket};
use crate::runtime::server_inner::ServerInner;

impl Server {
    /// Runs an `HttpServer` in which this server is mounted until SIGINT or SIGTERM; then [drains](Server::drain) this server and
    /// stops the `HttpServer`. A second signal ends the process at once, as does any signal after this has returned.
    ///
    /// [`SiteApp::http_server`] creates an `HttpServer` that handles no signals and stops without a long wait.
    ///
    /// # Errors
    ///
    /// Those of the `HttpServer`.
    pub async fn serve(&self, http: actix_web::dev::Server) -> io::Result<()> {
        self.serve_until(http, until_told_to_end()).await
    }

    /// As [`serve`](Self::serve), but until `shutdown` resolves. The server listens to no signal: those are the application's.
    ///
    /// # Errors
    ///
    /// Those of the `HttpServer`.
    pub async fn serve_until(
        &self,
        http: actix_web::dev::Server,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        self.serve_on(http, None, shutdown).await
    }

    async fn serve_on(
        &self,
        http: actix_web::dev::Server,
        shared_port: Option<TcpListener>,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        self.shared.heeds_signals.store(true, Ordering::Relaxed);
        let handle = http.handle();
        let going_away = async {
            shutdown.await;
            if let Some(port) = shared_port {
                handle.pause().await;
                // Connections that the kernel has not passed on yet are lost; later ones go to the other process.
                let _ended = socket2::SockRef::from(&port).shutdown(Shutdown::Read);
            }
            self.drain().await;
            handle.stop(true).await;
        };
        match select(http, pin!(going_away)).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(((), http)) => http.await,
        }
    }
}

impl Site {
    /// Serves until SIGINT or SIGTERM, then [drains](Server::drain) the server. A second signal ends the process at once, as does
    /// any signal after this has returned.
    ///
    /// # Errors
    ///
    /// If the listener cannot be used.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        self.serve_until(listener, until_told_to_end()).await
    }

    /// As [`serve`](Self::serve), but until `shutdown` resolves. The server listens to no signal: those are the application's.
    ///
    /// ```no_run
    /// # async fn run(server: courtside::Server) -> std::io::Result<()> {
    /// let (close, closing) = tokio::sync::oneshot::channel::<()>();
    /// // … pass `close` to the code that decides when to shut down …
    /// # drop(close);
    /// let listener = courtside::listen("127.0.0.1:4000")?;
    /// server
    ///     .at("/ws")
    ///     .serve_until(listener, async {
    ///         let _closed = closing.await;
    ///     })
    ///     .await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the listener cannot be used.
    pub async fn serve_until(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let app = self.app(|routes: Routes| App::new().configure(routes));
        app.serve_until(listener, shutdown).await
    }
}

impl<F, I, S, B> SiteApp<F, I, S, B>
where
    F: Fn(Routes) -> I + Clone + Send + 'static,
    I: IntoServiceFactory<S, Request> + 'static,
    S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>, Error = Error>
        + 'static,
    S::InitError: fmt::Debug,
    S::Service: 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    /// As [`Site::serve`].
    ///
    /// # Errors
    ///
    /// If the listener cannot be used.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        self.serve_until(listener, until_told_to_end()).await
    }

    /// As [`Site::serve_until`].
    ///
    /// # Errors
    ///
    /// If the listener cannot be used.
    pub async fn serve_until(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        // Other processes may listen on this port, too, and get the connections that arrive after this server has stopped.
        let shared_port = match socket2::SockRef::from(&listener).reuse_port() {
            Ok(true) => Some(listener.try_clone()?),
            _ => None,
        };
        let address = listener.local_addr()?;
        let (app, path) = (self.factory(), self.site.path.clone());
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
                    // The close handshake is done by then, and browsers would see the close late if this waited.
                    .client_disconnect_timeout(Duration::ZERO)
                    .local_addr(address)
                    .on_connect_ext(watch)
                    .upgrade(lean::upgrades(app.clone()))
                    .h1(map_config(app().into_factory(), |()| AppConfig::default()));
                let ending = ending.clone();
                let plain = HttpService::build()
                    // The same as in an `HttpServer`.
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
                fn_service(peer).and_then(entrance(&path, lean, plain))
            })?
            .run();
        let server = self.site.server;
        server.serve_on(http, shared_port, shutdown).await
    }
}

/// Drains a mounted server at SIGTERM, even if its application does not: an `HttpServer` that stops waits half a minute for
/// WebSockets and then cuts them. Called on each worker's thread, because an idle worker ends at once.
///
/// Only if something handles the signal already, so that the process still ends in the same way.
pub(super) fn drain_at_sigterm(shared: &Arc<ServerInner>) {
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

/// Whether the process handles SIGTERM instead of being killed by it. Known on Linux only.
fn handles_sigterm() -> bool {
    /// The signal's bit in the mask of caught signals.
    const SIGTERM: u64 = 1 << 14;
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return false;
    };
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & SIGTERM != 0)
}
