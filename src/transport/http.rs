//! The [`Transport`] that really sends, by awc: a fresh connection for each request, no redirect,
//! no retry, no cookie, no compression, and the response's body never read (spec §4).

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::net::ActixStream;
use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::http::Uri;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use super::dial::{Dial, Phase};
use super::{Answer, Proxy, Request, TIME_LIMIT, Transport, explain, tls};
use crate::config::DestinationSettings;
use crate::outcome::{Cause, Failure};

pub(crate) struct HttpTransport {
    proxy: Option<Rc<Proxy>>,
    extra_roots: Vec<CertificateDer<'static>>,
    /// Built when the first request to an `https` destination leaves.
    tls: Rc<RefCell<Option<Arc<ClientConfig>>>>,
}

impl HttpTransport {
    /// The way to one destination.
    pub(crate) fn to(destination: &DestinationSettings) -> Rc<dyn Transport> {
        Rc::new(Self {
            proxy: destination.proxy.clone().map(Rc::new),
            extra_roots: destination.extra_roots.clone(),
            tls: Rc::default(),
        })
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: Request, limit: Duration) -> Answer {
        let phase = Rc::new(Cell::new(Phase::Resolving));
        let dial = Dial {
            host: request.endpoint.host().into(),
            port: request.endpoint.port(),
            proxy: self.proxy.clone(),
            phase: phase.clone(),
        };
        let (tls, extra_roots, proxy) = (self.tls.clone(), self.extra_roots.clone(), self.proxy.clone());
        Box::pin(async move {
            let authority = request.endpoint.authority();
            let talk = async {
                let tls = match request.endpoint.is_https() {
                    true => Some(client_config(&tls, extra_roots).await?),
                    false => None,
                };
                talk(request, dial, tls).await
            };
            match tokio::time::timeout(limit, talk).await {
                Ok(answer) => answer.map_err(|failure| explain::through(proxy.as_deref(), failure)),
                Err(_) => Err(explain::timed_out(limit, phase.get(), &authority, proxy.as_deref())),
            }
        })
    }
}

async fn client_config(
    cache: &RefCell<Option<Arc<ClientConfig>>>,
    extra_roots: Vec<CertificateDer<'static>>,
) -> Result<Arc<ClientConfig>, Failure> {
    if let Some(config) = &*cache.borrow() {
        return Ok(config.clone());
    }
    let config = tokio::task::spawn_blocking(move || tls::client_config(&extra_roots))
        .await
        .map_err(|error| Failure::new(Cause::Internal, error.to_string()))?
        .map_err(|error| Failure::new(Cause::Tls, error.to_string()))?;
    *cache.borrow_mut() = Some(config.clone());
    Ok(config)
}

pub(crate) async fn talk<D, Io>(
    request: Request,
    dial: D,
    tls: Option<Arc<ClientConfig>>,
) -> Result<u16, Failure>
where
    D: Service<ConnectInfo<Uri>, Response = Connection<Uri, Io>, Error = ConnectError> + Clone + 'static,
    Io: ActixStream + fmt::Debug + 'static,
{
    // The one limit is ours, which knows more to say.
    let no_limit = 2 * TIME_LIMIT;
    let mut connector = awc::Connector::new()
        .connector(dial)
        .timeout(no_limit)
        .handshake_timeout(no_limit)
        .disconnect_timeout(Duration::ZERO);
    if let Some(tls) = tls {
        connector = connector.rustls_0_23(tls);
    }
    let client = awc::Client::builder()
        .connector(connector)
        .disable_timeout()
        .disable_redirects()
        .no_default_headers()
        .finish();
    let mut message = client.post(request.endpoint.expose()).force_close().no_decompress();
    for header in &request.headers {
        message = message.insert_header((header.name, header.expose()));
    }
    let response = message.send_body(request.body).await.map_err(|error| explain::explain(&error))?;
    Ok(response.status().as_u16())
}
