//! The [`Transport`] that really sends: a fresh connection for each request, no redirect, no retry,
//! no cookie, no compression, and the response's body never read (spec §4).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connect::Dial;
use super::exchange::{Connecting, Wire, exchange};
use super::explain::Phase;
use super::failure::{Cause, Failure};
use super::proxy::Proxy;
use super::target::Target;
use super::{Answering, Request, Transport, explain, tls};

pub(crate) struct HttpTransport {
    proxy: Result<Option<Rc<Proxy>>, Failure>,
    extra_roots: Vec<CertificateDer<'static>>,
    /// Built when the first request to an `https` destination leaves.
    tls: Rc<RefCell<Option<Reading>>>,
}

/// The configuration of TLS, as soon as it is there.
type Reading = Shared<LocalBoxFuture<'static, Result<Arc<ClientConfig>, Failure>>>;

impl HttpTransport {
    /// Carries requests to `target`.
    pub(crate) fn to(target: &Target) -> Rc<dyn Transport> {
        Rc::new(Self {
            proxy: target.proxy.clone().map(|proxy| proxy.map(Rc::new)),
            extra_roots: target.extra_roots.clone(),
            tls: Rc::default(),
        })
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: Request, limit: Duration) -> Answering {
        let proxy = match self.proxy.clone() {
            Ok(proxy) => proxy,
            Err(failure) => return Box::pin(std::future::ready(Err(failure))),
        };
        let phase = Rc::new(Cell::new(Phase::Resolving));
        let connecting = self.connect(&request, proxy.clone(), phase.clone());
        Box::pin(async move {
            match tokio::time::timeout(limit, exchange(&request, connecting)).await {
                Ok(answer) => answer.map_err(|failure| explain::through(proxy.as_deref(), failure)),
                Err(_) => {
                    let authority = request.endpoint.authority();
                    Err(explain::timed_out(limit, phase.get(), &authority, proxy.as_deref()))
                }
            }
        })
    }
}

impl HttpTransport {
    /// A connection for `request`, ready for HTTP.
    fn connect(&self, request: &Request, proxy: Option<Rc<Proxy>>, phase: Rc<Cell<Phase>>) -> Connecting {
        let (host, is_https) = (request.endpoint.host(), request.endpoint.is_https());
        let dial =
            Dial { host: host.as_str().into(), port: request.endpoint.port(), proxy, phase: phase.clone() };
        let (tls, extra_roots) = (self.tls.clone(), self.extra_roots.clone());
        let has_ca_file = !extra_roots.is_empty();
        Box::pin(async move {
            if !is_https {
                let stream = dial.connect().await?;
                phase.set(Phase::Talking);
                return Ok(Box::new(stream) as Box<dyn Wire>);
            }
            phase.set(Phase::ReadingRoots);
            let config = client_config(&tls, extra_roots).await?;
            let stream = dial.connect().await?;
            phase.set(Phase::Securing);
            let stream = secured(stream, host, config, has_ca_file).await?;
            phase.set(Phase::Talking);
            Ok(Box::new(stream) as Box<dyn Wire>)
        })
    }
}

/// The roots are read once, by whoever comes first; one that fails is tried again.
async fn client_config(
    cache: &RefCell<Option<Reading>>,
    extra_roots: Vec<CertificateDer<'static>>,
) -> Result<Arc<ClientConfig>, Failure> {
    let reading = cache.borrow_mut().get_or_insert_with(|| read_roots(extra_roots)).clone();
    let config = reading.await;
    if config.is_err() {
        cache.replace(None);
    }
    config
}

/// On a thread of its own: the disk may not answer, and a stuck call on the blocking pool would hold
/// up the end of the runtime.
fn read_roots(extra_roots: Vec<CertificateDer<'static>>) -> Reading {
    let (answer, answered) = oneshot::channel();
    let read = move || _ = answer.send(tls::client_config(&extra_roots));
    let thread = std::thread::Builder::new().name("telemetry-roots".to_owned()).spawn(read);
    let failed =
        |why: &dyn std::fmt::Display| Failure::new(Cause::Tls, format!("TLS cannot be set up: {why}"));
    let config = async move {
        thread.map_err(|error| failed(&format!("no thread can be started ({error})")))?;
        let read = answered
            .await
            .map_err(|_| failed(&"reading the CA certificates of this machine panicked; please report it"))?;
        read.map_err(|error| failed(&error))
    };
    config.boxed_local().shared()
}

async fn secured(
    stream: TcpStream,
    host: String,
    config: Arc<ClientConfig>,
    has_ca_file: bool,
) -> Result<TlsStream<TcpStream>, Failure> {
    let name = ServerName::try_from(host).map_err(|error| {
        Failure::new(
            Cause::Tls,
            format!("the host in the URL is not a name that a certificate can have ({error})"),
        )
    })?;
    TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| explain::handshake_error(&error, has_ca_file))
}
