//! Why a request got no status code, in words an operator can act on (spec §9).

use std::error::Error;
use std::io;
use std::time::Duration;

use super::failure::{Cause, Failure};
use super::proxy::Proxy;

/// How far a request came, for the words of a time-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    ReadingRoots,
    Resolving,
    Connecting,
    Tunnelling,
    /// TLS.
    Securing,
    /// The request and its response head.
    Talking,
}

/// Nothing came of a request within `limit`.
pub(super) fn timed_out(limit: Duration, phase: Phase, authority: &str, proxy: Option<&Proxy>) -> Failure {
    let during = match phase {
        Phase::ReadingRoots => "while the CA certificates of this machine were read; does their disk answer?",
        Phase::Resolving => "while its name was resolved; check the DNS of this machine",
        Phase::Connecting => "while connecting; is a firewall between?",
        Phase::Tunnelling => "while it was to open a tunnel",
        Phase::Securing => "during the TLS handshake",
        Phase::Talking => "while waiting for its answer",
    };
    let is_connected = matches!(phase, Phase::Securing | Phase::Talking);
    let who = match proxy {
        Some(proxy) if !is_connected && phase != Phase::ReadingRoots => proxy.to_string(),
        _ => authority.to_owned(),
    };
    let failure =
        Failure::new(Cause::TimedOut, format!("{who} timed out after {:.1} s {during}", limit.as_secs_f64()));
    if is_connected { through(proxy, failure) } else { failure }
}

/// `failure`, with the proxy that the connection went through where it may have a part in it.
pub(super) fn through(proxy: Option<&Proxy>, mut failure: Failure) -> Failure {
    if let (Some(proxy), Cause::Disconnected | Cause::TimedOut) = (proxy, failure.cause) {
        failure.message += &format!(", through {proxy}");
    }
    failure
}

/// The connection ended where an answer was due.
pub(super) fn disconnected() -> Failure {
    Failure::new(Cause::Disconnected, "the connection was closed before an answer came")
}

/// The cause of `error`, found along its chain of sources.
pub(super) fn io_error(error: &io::Error) -> Failure {
    let mut source: Option<&(dyn Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<rustls::Error>() {
            return Failure::new(Cause::Tls, explain_tls(error));
        }
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return io_error(error);
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
    use rustls::{AlertDescription, CertificateError as Certificate, Error};
    let hint = match error {
        Error::InvalidCertificate(certificate) => match certificate {
            Certificate::UnknownIssuer
            | Certificate::UnsupportedSignatureAlgorithmContext { .. }
            | Certificate::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                "its certificate is signed by an unknown CA; name the CA's file in the CA_FILE setting"
            }
            Certificate::BadSignature => {
                "its certificate is not signed by the CA of that name that is trusted here; is CA_FILE older than the CA?"
            }
            Certificate::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                "its certificate names no host: it has no subjectAltName, and a common name does not count"
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "its certificate has expired, or the clock of this machine is wrong"
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "its certificate is not valid yet, or the clock of this machine is wrong"
            }
            Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
                "its certificate is not made for a server"
            }
            // Known by its words alone: rustls has no variant for it.
            Certificate::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                "its certificate is a CA's own; make it with basicConstraints=CA:FALSE, or have a CA sign one"
            }
            _ => "its certificate cannot be used",
        },
        Error::InvalidMessage(_) => "it does not speak TLS; is the URL meant to be http?",
        Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => {
                "it asks for a client certificate, which is not supported"
            }
            AlertDescription::ProtocolVersion => "it speaks no TLS newer than 1.1; 1.2 or 1.3 is needed",
            AlertDescription::HandshakeFailure => {
                "it has no cipher in common with this server, or asks for a client certificate"
            }
            AlertDescription::UnrecognisedName => "it serves no site of that name",
            _ => "it ended the TLS handshake",
        },
        _ => "the TLS handshake failed",
    };
    format!("{hint} ({error})")
}
