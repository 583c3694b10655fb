//! The [`Transport`] that really sends, by awc: a fresh connection for each request, no redirect,
//! no retry, no cookie, no compression, and the response's body never read (spec §4).

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use actix_http::error::ParseError;
use actix_rt::net::ActixStream;
use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::error::SendRequestError;
use awc::http::Uri;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use super::dial::{Dial, Phase};
use super::{Answer, Proxy, Request, Transport, tls};
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
        let (tls, extra_roots) = (self.tls.clone(), self.extra_roots.clone());
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
                Ok(answer) => answer,
                Err(_) => Err(timed_out(limit, phase.get(), &authority)),
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
    let no_limit = Duration::ZERO;
    let mut connector = awc::Connector::new().connector(dial).disconnect_timeout(no_limit);
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
    let response = message.send_body(request.body).await.map_err(|error| explain(&error))?;
    Ok(response.status().as_u16())
}

fn timed_out(limit: Duration, phase: Phase, authority: &str) -> Failure {
    let during = match phase {
        Phase::Resolving => "while its name was resolved; check the DNS of this machine",
        Phase::Connecting => "while connecting; is a firewall between?",
        Phase::Tunnelling => "while the proxy was to open a tunnel",
        Phase::Talking => "while waiting for its answer",
    };
    Failure::new(
        Cause::TimedOut,
        format!("{authority} timed out after {:.1} s {during}", limit.as_secs_f64()),
    )
}

/// The cause of awc's error, found along its chain of sources.
fn explain(error: &SendRequestError) -> Failure {
    use awc::error::ConnectError;
    match error {
        SendRequestError::Connect(ConnectError::Io(error)) | SendRequestError::Send(error) => {
            explain_io(error)
        }
        SendRequestError::Connect(ConnectError::Disconnected) => disconnected(),
        SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => {
            Failure::new(Cause::TimedOut, "timed out")
        }
        SendRequestError::Response(error) => match error {
            ParseError::Incomplete => disconnected(),
            ParseError::Io(error) => explain_io(error),
            _ => Failure::new(Cause::InvalidResponse, format!("the answer is not HTTP: {error}")),
        },
        other => Failure::new(Cause::Internal, other.to_string()),
    }
}

fn disconnected() -> Failure {
    Failure::new(Cause::Disconnected, "the connection was closed before an answer came")
}

fn explain_io(error: &io::Error) -> Failure {
    let mut source: Option<&(dyn Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(inner) = source {
        if let Some(failure) = inner.downcast_ref::<Failure>() {
            return failure.clone();
        }
        if let Some(error) = inner.downcast_ref::<rustls::Error>() {
            return Failure::new(Cause::Tls, explain_tls(error));
        }
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return explain_io(error);
        }
        source = inner.source();
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => disconnected(),
        io::ErrorKind::TimedOut => Failure::new(Cause::TimedOut, "timed out"),
        _ => Failure::new(Cause::Disconnected, format!("the connection broke: {error}")),
    }
}

fn explain_tls(error: &rustls::Error) -> String {
    use rustls::{AlertDescription, CertificateError, Error};
    let hint = match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate is signed by an unknown CA; name the CA's file in the CA_FILE setting"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is for another name",
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired, or the clock of this machine is wrong"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "its certificate is not valid yet, or the clock of this machine is wrong",
        Error::InvalidMessage(_) => "it does not speak TLS; is the URL meant to be http?",
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it asks for a client certificate, which is not supported"
        }
        _ => "the TLS handshake failed",
    };
    format!("{hint} ({error})")
}
