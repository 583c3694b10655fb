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
    /// The name of the destination, where the proxy does not resolve it.
    ResolvingLocally,
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
        Phase::Resolving | Phase::ResolvingLocally => {
            "while its name was resolved; check the DNS of this machine"
        }
        Phase::Connecting => "while connecting; is a firewall between?",
        Phase::Tunnelling => {
            "while opening a tunnel; check the proxy's log, and whether it reaches the destination"
        }
        Phase::Securing => "during the TLS handshake; does the port of the URL speak TLS?",
        Phase::Talking => "while waiting for its answer; the destination's log may say why",
    };
    let is_connected = matches!(phase, Phase::Securing | Phase::Talking);
    let who = match proxy {
        Some(proxy) if matches!(phase, Phase::Resolving | Phase::Connecting | Phase::Tunnelling) => {
            proxy.to_string()
        }
        _ => authority.to_owned(),
    };
    let failure =
        Failure::new(Cause::TimedOut, format!("{who} timed out after {:.1} s {during}", limit.as_secs_f64()));
    if is_connected { through(proxy, failure) } else { failure }
}

/// `failure`, with the proxy that the connection went through where it may have a part in it. The advice stays last.
pub(super) fn through(proxy: Option<&Proxy>, mut failure: Failure) -> Failure {
    if let (Some(proxy), Cause::Disconnected | Cause::TimedOut) = (proxy, failure.cause) {
        let end = failure.message.find("; ").unwrap_or(failure.message.len());
        failure.message.insert_str(end, &format!(", through {proxy}"));
    }
    failure
}

/// Where more is said of a connection that ended.
const WHERE_TO_LOOK: &str = "the log of the destination, or of a load balancer in between, may say why";

/// The connection ended where an answer was due.
pub(super) fn disconnected() -> Failure {
    Failure::new(
        Cause::Disconnected,
        format!("the connection was closed before an answer came; {WHERE_TO_LOOK}"),
    )
}

/// The failure of a TLS handshake. `has_ca_file` says whether the setting CA_FILE is set.
pub(super) fn handshake_error(error: &io::Error, has_ca_file: bool) -> Failure {
    match tls_error(error) {
        Some(error) => Failure::new(Cause::Tls, explain_tls(error, has_ca_file)),
        None => io_error(error),
    }
}

/// The error of rustls along the chain of sources of `error`.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    let mut source: Option<&(dyn Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<rustls::Error>() {
            return Some(error);
        }
        // The source of an I/O error leaves out what the error itself wraps.
        source = match inner.downcast_ref::<io::Error>() {
            Some(error) => error.get_ref().map(|inner| inner as _),
            None => inner.source(),
        };
    }
    None
}

/// The cause of `error`, found along its chain of sources. The connection is established.
pub(super) fn io_error(error: &io::Error) -> Failure {
    if let Some(error) = tls_error(error) {
        return Failure::new(Cause::Tls, explain_tls(error, false));
    }
    if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()) {
        return io_error(inner);
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => disconnected(),
        io::ErrorKind::TimedOut => Failure::new(Cause::TimedOut, "the connection timed out"),
        _ => Failure::new(Cause::Disconnected, format!("the connection broke: {error}; {WHERE_TO_LOOK}")),
    }
}

/// Object identifier of the curve P-521, in DER.
const P_521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];

fn explain_tls(error: &rustls::Error, has_ca_file: bool) -> String {
    use rustls::{AlertDescription, Error};
    let hint = match error {
        Error::InvalidCertificate(certificate) => explain_certificate(certificate, has_ca_file),
        Error::InvalidMessage(_) => "it does not speak TLS; is the URL meant to be http?",
        Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => {
                "it asks for a client certificate, which is not supported"
            }
            AlertDescription::ProtocolVersion => "it supports TLS 1.1 at most; TLS 1.2 or 1.3 is needed",
            AlertDescription::HandshakeFailure => {
                "it has no cipher in common with this server, or asks for a client certificate"
            }
            AlertDescription::UnrecognisedName => "it serves no site of that name",
            _ => "it aborted the TLS handshake; its log may say why",
        },
        _ => "the TLS handshake failed",
    };
    format!("{hint} ({error})")
}

fn explain_certificate(certificate: &rustls::CertificateError, has_ca_file: bool) -> &'static str {
    use rustls::CertificateError as Certificate;
    match certificate {
        Certificate::UnknownIssuer if has_ca_file => {
            "its certificate is signed by a CA that neither this machine nor the file in CA_FILE contains; add the \
             CA's certificate to that file; the server has to send the intermediate ones"
        }
        Certificate::UnknownIssuer => {
            "its certificate is signed by an unknown CA; name the CA's file in the CA_FILE setting"
        }
        Certificate::UnsupportedSignatureAlgorithmForPublicKeyContext { public_key_algorithm_id, .. }
            if public_key_algorithm_id.windows(P_521.len()).any(|window| window == P_521) =>
        {
            "its certificate is signed by a CA with a P-521 key, which this program cannot verify; the CA needs \
             an RSA, P-256 or P-384 key"
        }
        Certificate::UnsupportedSignatureAlgorithmContext { .. } => {
            "its certificate, or its CA's, is signed with an algorithm that this program cannot verify, such as \
             ECDSA with SHA-512 by a P-521 key, or SHA-1; it needs RSA, P-256 or P-384 with SHA-256 or SHA-384"
        }
        Certificate::BadSignature | Certificate::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "its certificate is not signed by the CA of that name that is trusted here; is CA_FILE older than the CA?"
        }
        Certificate::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "its certificate names no host: it has no subjectAltName, and a common name does not count"
        }
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
            "its certificate is for another name; the host in the URL has to be one of the certificate's names"
        }
        Certificate::Expired | Certificate::ExpiredContext { .. } => {
            "its certificate has expired, or the clock of this machine is wrong"
        }
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
            "its certificate is not valid yet, or the clock of this machine is wrong"
        }
        Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
            "its certificate lacks the extended key usage serverAuth; it has to be issued again"
        }
        // Known by its words alone: rustls has no variant for it.
        Certificate::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is a CA's own; it has to have basicConstraints=CA:FALSE, or to be signed by a CA"
        }
        // Known by its words alone as well.
        Certificate::Other(other) if other.to_string().contains("UnsupportedCertVersion") => {
            "its certificate is of the old format X.509 v1, which cannot be verified; it has to be X.509 v3, with a \
             subjectAltName"
        }
        Certificate::BadEncoding => "its certificate is malformed",
        _ => "its certificate cannot be used",
    }
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError;

    use super::*;

    fn handshake(error: rustls::Error, has_ca_file: bool) -> String {
        // As tokio-rustls wraps it, and once more.
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error));
        let failure = handshake_error(&error, has_ca_file);
        assert_eq!(failure.cause, Cause::Tls);
        failure.message
    }

    #[test]
    fn nobody_is_told_to_set_a_ca_file_that_is_set() {
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert!(handshake(unknown(), false).contains("name the CA's file in the CA_FILE setting"));
        assert!(handshake(unknown(), true).contains("add the CA's certificate to that file"));
    }

    #[test]
    fn a_kind_of_certificate_that_cannot_be_verified_is_named() {
        let by_key = |public_key_algorithm_id: &[u8]| {
            handshake(
                rustls::Error::InvalidCertificate(
                    CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                        signature_algorithm_id: Vec::new(),
                        public_key_algorithm_id: public_key_algorithm_id.to_vec(),
                    },
                ),
                true,
            )
        };
        // The identifiers of EC keys, and of the curve.
        assert!(by_key(&[&[0x06, 0x05], P_521].concat()).contains("a CA with a P-521 key"));
        assert!(
            by_key(&[0x06, 0x01, 0x2a]).contains("not signed by the CA of that name that is trusted here")
        );
        let by_algorithm =
            rustls::Error::InvalidCertificate(CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: Vec::new(),
                supported_algorithms: Vec::new(),
            });
        assert!(
            handshake(by_algorithm, true)
                .contains("is signed with an algorithm that this program cannot verify")
        );
    }
}
