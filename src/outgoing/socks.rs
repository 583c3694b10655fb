//! A connection through a SOCKS 5 proxy (RFC 1928).

use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_socks::tcp::Socks5Stream;
use tokio_socks::{Error, TargetAddr};

use super::failure::{Cause, Failure};
use super::proxy::Login;

/// Asks a SOCKS proxy for a connection to `target`, which is `authority` in a message.
pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    login: Option<&Login>,
    target: TargetAddr<'_>,
    authority: &str,
) -> Result<S, Failure> {
    let connected = match login {
        None => Socks5Stream::connect_with_socket(stream, target).await,
        Some(Login { user, password }) => {
            let (user, password) = (user.expose_secret(), password.expose_secret());
            Socks5Stream::connect_with_password_and_socket(stream, target, user, password).await
        }
    };
    connected
        .map(Socks5Stream::into_inner)
        .map_err(|error| Failure::new(Cause::Proxy, explain(&error, login.is_some(), authority)))
}

fn explain(error: &Error, has_login: bool, authority: &str) -> String {
    match error {
        Error::NoAcceptableAuthMethods | Error::AuthorizationRequired if has_login => {
            "it requires a login method other than user and password".to_owned()
        }
        Error::NoAcceptableAuthMethods | Error::AuthorizationRequired => {
            "it asks for a password; put user:password@ into the proxy's URL".to_owned()
        }
        Error::PasswordAuthFailure(_) => "it does not accept the user and password of its URL".to_owned(),
        Error::ConnectionNotAllowedByRuleset => {
            format!("its rules forbid a connection to {authority}; they must allow it")
        }
        Error::GeneralSocksServerFailure
        | Error::NetworkUnreachable
        | Error::HostUnreachable
        | Error::ConnectionRefused
        | Error::TtlExpired => {
            format!("it could not reach {authority} ({})", error.to_string().to_lowercase())
        }
        Error::AddressTypeNotSupported => format!("it does not support the kind of address of {authority}"),
        Error::CommandNotSupported => "it does not open connections (SOCKS command CONNECT)".to_owned(),
        Error::InvalidResponseVersion
        | Error::UnknownAuthMethod
        | Error::InvalidReservedByte
        | Error::UnknownAddressType => {
            "its answer is not SOCKS 5; if it is an HTTP proxy, its URL begins with http://".to_owned()
        }
        Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "it closed the connection instead of opening one; check the proxy's log".to_owned()
        }
        Error::Io(error) => format!("the connection broke: {error}; check the proxy's log"),
        other => other.to_string().to_lowercase(),
    }
}
