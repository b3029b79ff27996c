//! A server at the paths of an actix-web `App`, together with the application's own routes.

use std::fmt;
use std::future::ready;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::Request;
use actix_service::{IntoServiceFactory, ServiceFactory};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Service, ServiceResponse};
use actix_web::http::Method;
use actix_web::{Error, HttpRequest, HttpServer, web};

use super::Server;
use crate::http::admission::Admission;
use crate::http::{actions, events, script, socket};
use crate::runtime::worker::hub::Hub;

/// Adds a [`Site`]'s routes to an actix-web `App`: pass it to `App::configure`.
pub type Routes = Box<dyn FnOnce(&mut web::ServiceConfig)>;

/// Names the types of an `App` without creating one.
type Types<I, S, B> = PhantomData<fn() -> (I, S, B)>;

type Configure = Arc<dyn Fn(&mut web::ServiceConfig) + Send + Sync>;

/// A server at a path of an actix-web application. Created by [`Server::at`].
///
/// It serves by itself ([`serve`](Self::serve)), with middleware ([`app`](Self::app)), or in your own `HttpServer`
/// ([`SiteApp::http_server`]). In all three cases, handlers of the application get the server's
/// [`ServerHandle`](crate::ServerHandle) as `web::Data`:
///
/// ```no_run
/// use actix_web::{HttpResponse, web};
/// use courtside::prelude::*;
/// use courtside::ServerHandle;
///
/// async fn announce(server: web::Data<ServerHandle>, text: String) -> HttpResponse {
///     match server.publish("updates", &text).await {
///         Ok(_) => HttpResponse::NoContent().finish(),
///         Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
///     }
/// }
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().channel("updates", Channel::open()).build()?;
/// server
///     .at("/ws")
///     .client_at("/courtside.js")
///     .configure(|app| {
///         app.route("/announce", web::post().to(announce));
///     })
///     .serve(courtside::listen("127.0.0.1:4000")?)
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a site does nothing until it is served or mounted"]
pub struct Site {
    pub(super) server: Server,
    pub(super) path: String,
    client: Option<String>,
    configure: Vec<Configure>,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("path", &self.path)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl Site {
    pub(super) fn new(server: Server, path: &str) -> Self {
        Self {
            server,
            path: path.to_owned(),
            client: None,
            configure: Vec::new(),
        }
    }

    /// Serves the browser client, an ES module, at this path: `import { connect } from '/courtside.js'`. Default: the client is
    /// not served.
    pub fn client_at(mut self, path: &str) -> Self {
        self.client = Some(path.to_owned());
        self
    }

    /// Adds the application's own routes and data. Can be called several times.
    ///
    /// The closure runs several times on each worker thread, as the factory of an `HttpServer` does, so create data that the
    /// workers share outside of it.
    pub fn configure(
        mut self,
        configure: impl Fn(&mut web::ServiceConfig) + Send + Sync + 'static,
    ) -> Self {
        self.configure.push(Arc::new(configure));
        self
    }

    /// Lets the application build the `App`, for example to add middleware. The closure receives the site's routes and returns an
    /// `App` that contains them.
    ///
    /// ```no_run
    /// # async fn run(server: courtside::Server) -> std::io::Result<()> {
    /// use actix_web::{App, middleware::Logger};
    ///
    /// server
    ///     .at("/ws")
    ///     .app(|routes| App::new().wrap(Logger::default()).configure(routes))
    ///     .serve(courtside::listen("127.0.0.1:4000")?)
    ///     .await
    /// # }
    /// ```
    ///
    /// Middleware sees the WebSocket handshakes, too. The closure runs several times on each worker thread.
    pub fn app<F, I, S, B>(self, factory: F) -> SiteApp<F, I, S, B>
    where
        F: Fn(Routes) -> I + Clone + Send + 'static,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<
                Request,
                Config = AppConfig,
                Response = ServiceResponse<B>,
                Error = Error,
            >,
        B: MessageBody,
    {
        SiteApp {
            site: self,
            factory,
            types: PhantomData,
        }
    }

    /// The site's routes, for an `App` that is built elsewhere: `App::new().configure(site.routes())` in the factory of an
    /// `HttpServer`, or within a `web::scope`.
    ///
    /// That `HttpServer` needs the settings that [`SiteApp::http_server`] lists, so use that if you can.
    #[must_use]
    pub fn routes(&self) -> Routes {
        let server = self.server.clone();
        self.routes_on(move || server.hub())
    }

    /// The site's routes, on the hub that `hub` returns.
    pub(crate) fn routes_on(&self, hub: impl Fn() -> Rc<Hub> + Clone + 'static) -> Routes {
        let site = self.clone();
        Box::new(move |config| {
            let Site {
                server,
                path,
                client,
                configure,
            } = site;
            config.app_data(web::Data::new(server.handle()));
            let admission = server.admission;
            config.configure(by_http(&path, admission.clone(), hub.clone()));
            let answer = move |request: HttpRequest, payload: web::Payload| {
                let (admission, hub) = (admission.clone(), hub());
                async move {
                    let response = admission.answer(&hub, &request, payload).await;
                    // If the request were kept, the socket's guard would be kept, too.
                    drop(request);
                    response
                }
            };
            config.route(&path, web::get().to(answer));
            if let Some(path) = client {
                config.route(&path, web::route().guard(script::reads()).to(script::serve));
            }
            for configure in configure {
                configure(config);
            }
        })
    }
}

/// A [`Site`] in an `App` that the application builds. Created by [`Site::app`].
#[must_use = "a site does nothing until it is served"]
pub struct SiteApp<F, I, S, B> {
    pub(super) site: Site,
    factory: F,
    types: Types<I, S, B>,
}

impl<F, I, S, B> fmt::Debug for SiteApp<F, I, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SiteApp").field(&self.site).finish()
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
    pub(super) fn factory(&self) -> impl Fn() -> I + Clone + Send + 'static + use<F, I, S, B> {
        let (site, factory) = (self.site.clone(), self.factory.clone());
        move || factory(site.routes())
    }

    /// Returns an actix-web `HttpServer` with this `App` and the settings that a mounted server needs. Bind and run it yourself:
    /// for TLS, several addresses, or to set the number of workers.
    ///
    /// ```no_run
    /// # async fn run(server: courtside::Server) -> std::io::Result<()> {
    /// use actix_web::App;
    ///
    /// let http = server
    ///     .at("/ws")
    ///     .app(|routes| App::new().configure(routes))
    ///     .http_server()
    ///     .workers(4)
    ///     .bind("127.0.0.1:4000")?
    ///     .run();
    /// server.serve(http).await
    /// # }
    /// ```
    ///
    /// The settings are:
    ///
    /// - `on_connect`: [`watch_socket`](crate::watch_socket), so that the server can disconnect clients that have stopped reading.
    ///   If you set your own `on_connect`, it replaces this one and must call it.
    /// - `client_disconnect_timeout`: zero. With actix-web's default of a second, browsers see `onclose` late; values between 100
    ///   and 450 ms break closing.
    /// - `shutdown_timeout`: 1 second, because no connection is left after a drain.
    /// - `disable_signals`: [`Server::serve`] or the application handles the signals and drains first.
    pub fn http_server(
        self,
    ) -> HttpServer<impl Fn() -> I + Clone + Send + 'static + use<F, I, S, B>, I, S, B> {
        HttpServer::new(self.factory())
            .on_connect(socket::watch_socket)
            .client_disconnect_timeout(Duration::ZERO)
            .shutdown_timeout(1)
            .disable_signals()
    }
}

/// The routes for clients without WebSocket, below the server's own path.
fn by_http(
    path: &str,
    admission: Arc<Admission>,
    hub: impl Fn() -> Rc<Hub> + Clone + 'static,
) -> Routes {
    let path = path.trim_end_matches('/').to_owned();
    Box::new(move |config| {
        let preflight = |method: Method| {
            let (admission, hub) = (admission.clone(), hub.clone());
            web::route()
                .method(Method::OPTIONS)
                .to(move |request: HttpRequest| {
                    ready(admission.preflight(&hub(), &request, &method))
                })
        };
        let may_read = preflight(Method::GET);
        let may_send = preflight(Method::POST);
        let (of_events, of_actions) = ((admission.clone(), hub.clone()), (admission, hub));
        let read = move |request: HttpRequest| {
            let (admission, hub) = of_events.clone();
            async move {
                let response = events::answer(&admission, &hub(), &request).await;
                // If the request were kept, the socket's guard would be kept, too.
                drop(request);
                response
            }
        };
        let send = move |request: HttpRequest, payload: web::Payload| {
            let (admission, hub) = of_actions.clone();
            async move { actions::answer(&admission, &hub(), &request, payload).await }
        };
        let stream = web::resource(format!("{path}/events"));
        config.service(stream.route(web::get().to(read)).route(may_read));
        let inbox = web::resource(format!("{path}/actions"));
        config.service(inbox.route(web::post().to(send)).route(may_send));
    })
}
