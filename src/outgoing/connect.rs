//! A TCP connection to a destination: names resolved off the blocking pool, addresses tried a
//! quarter of a second apart (RFC 8305), and a tunnel where a proxy stands between.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_socks::TargetAddr;

use super::endpoint::Authorization;
use super::explain::Phase;
use super::failure::{Cause, Failure};
use super::head::{NoHead, StatusLine, read_head};
use super::proxy::{Login, Protocol, Proxy};
use super::socks;

/// RFC 8305 §5, "Connection Attempt Delay".
const STAGGER: Duration = Duration::from_millis(250);

/// The way of one request's connection.
pub(crate) struct Dial {
    pub(crate) host: Rc<str>,
    pub(crate) port: u16,
    pub(crate) proxy: Option<Rc<Proxy>>,
    pub(crate) phase: Rc<Cell<Phase>>,
}

impl Dial {
    /// A connection to the destination, through the proxy where there is one.
    pub(crate) async fn connect(&self) -> Result<TcpStream, Failure> {
        let Some(proxy) = &self.proxy else {
            return self.reach(&self.host, self.port).await;
        };
        self.through(proxy)
            .await
            .map_err(|failure| Failure::new(Cause::Proxy, format!("{proxy}: {}", failure.message)))
    }

    /// A connection to the destination that `proxy` opens.
    async fn through(&self, proxy: &Proxy) -> Result<TcpStream, Failure> {
        match &proxy.protocol {
            Protocol::Http { authorization } => {
                let mut stream = self.reach(&proxy.host, proxy.port).await?;
                self.phase.set(Phase::Tunnelling);
                tunnel(&mut stream, authorization.as_ref(), &self.host, self.port).await?;
                Ok(stream)
            }
            Protocol::Socks5 { resolves_names: true, login } => {
                let target = match self.host.parse::<IpAddr>() {
                    Ok(address) => TargetAddr::Ip(SocketAddr::new(address, self.port)),
                    Err(_) => TargetAddr::Domain((&*self.host).into(), self.port),
                };
                self.socks(proxy, login.as_ref(), target).await
            }
            Protocol::Socks5 { resolves_names: false, login } => {
                self.phase.set(Phase::ResolvingLocally);
                let mut failure = no_address();
                for address in by_turns(resolve(&self.host, self.port).await?) {
                    match self.socks(proxy, login.as_ref(), TargetAddr::Ip(address)).await {
                        Ok(stream) => return Ok(stream),
                        Err(this) => failure = this,
                    }
                }
                Err(failure)
            }
        }
    }

    /// A connection to `target` that a SOCKS proxy opens.
    async fn socks(
        &self,
        proxy: &Proxy,
        login: Option<&Login>,
        target: TargetAddr<'_>,
    ) -> Result<TcpStream, Failure> {
        let stream = self.reach(&proxy.host, proxy.port).await?;
        self.phase.set(Phase::Tunnelling);
        socks::connect(stream, login, target, &authority(&self.host, self.port)).await
    }

    async fn reach(&self, host: &str, port: u16) -> Result<TcpStream, Failure> {
        self.phase.set(Phase::Resolving);
        let addresses = resolve(host, port).await?;
        self.phase.set(Phase::Connecting);
        let stream = connect_staggered(by_turns(addresses)).await?;
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

/// The system's resolver, on a thread of its own: it has no time limit, and a stuck call on the
/// blocking pool would hold up the end of the runtime.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(
            Cause::Dns,
            format!("the name {host} cannot be resolved: {why}; check it, and the DNS of this machine"),
        )
    };
    let (answer, answered) = oneshot::channel();
    let name = host.to_owned();
    std::thread::Builder::new()
        .name("telemetry-dns".to_owned())
        .spawn(move || {
            let _ = answer.send((name.as_str(), port).to_socket_addrs().map(Vec::from_iter));
        })
        .map_err(|error| failed(&error))?;
    match answered.await {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(failed(&"it has no address")),
        Ok(Ok(addresses)) => without_filtered(host, addresses),
        Ok(Err(error)) => Err(failed(&error)),
        Err(_) => Err(failed(&"the resolver gave no answer")),
    }
}

/// The addresses of a name that lead to a host. A DNS filter answers with the unspecified address of a family, and
/// a connection to that would reach whatever listens on this machine.
fn without_filtered(host: &str, mut addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Failure> {
    let first = addresses.first().map(SocketAddr::ip);
    addresses.retain(|address| !address.ip().to_canonical().is_unspecified());
    match first {
        Some(first) if addresses.is_empty() => Err(Failure::new(
            Cause::Dns,
            format!(
                "the name {host} is blocked by a DNS filter (it resolves to {first}); allow it in the filter that \
                 this machine uses, such as Pi-hole or AdGuard"
            ),
        )),
        _ => Ok(addresses),
    }
}

/// The families by turns, beginning with the resolver's first (RFC 8305 §4).
fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let mut second = second.into_iter();
    let mut turns = Vec::new();
    for address in first {
        turns.push(address);
        turns.extend(second.next());
    }
    turns.extend(second);
    turns
}

/// The failure of a list of addresses that is empty, which [`resolve`] does not return.
fn no_address() -> Failure {
    Failure::new(Cause::Dns, "there is no address to connect to")
}

/// The first connection that comes about. The next address is tried when the one before fails, or
/// after a quarter of a second.
async fn connect_staggered(addresses: Vec<SocketAddr>) -> Result<TcpStream, Failure> {
    let mut waiting = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failure = no_address();
    loop {
        if let Some(address) = waiting.next() {
            attempts.push(async move {
                TcpStream::connect(address).await.map_err(|error| refused(address, &error))
            });
        } else if attempts.is_empty() {
            return Err(failure);
        }
        let pause = async {
            match waiting.len() {
                0 => std::future::pending().await,
                _ => tokio::time::sleep(STAGGER).await,
            }
        };
        tokio::select! {
            Some(attempt) = attempts.next() => match attempt {
                Ok(stream) => return Ok(stream),
                Err(this) => failure = this,
            },
            () = pause => {}
        }
    }
}

fn refused(address: SocketAddr, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::new(
            Cause::Refused,
            format!(
                "connection refused by {address}: no program listens there, or a firewall rejects the connection"
            ),
        ),
        io::ErrorKind::TimedOut => {
            Failure::new(Cause::TimedOut, format!("no answer from {address}; does a firewall block it?"))
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Failure::new(
            Cause::Unreachable,
            format!(
                "{address} cannot be reached: {error}; check the routes of this machine, and the firewalls on the way"
            ),
        ),
        _ => Failure::new(Cause::Unreachable, format!("{address} cannot be reached: {error}")),
    }
}

/// `host:port`, with brackets around an IPv6 address.
fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Asks an HTTP proxy for a tunnel to the destination (RFC 9110 §9.3.6).
pub(crate) async fn tunnel(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    authorization: Option<&Authorization>,
    host: &str,
    port: u16,
) -> Result<(), Failure> {
    let broken = |error: io::Error| {
        Failure::new(Cause::Proxy, format!("the connection broke: {error}; check the proxy's log"))
    };
    let authority = authority(host, port);
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(authorization) = authorization {
        request += &format!("Proxy-Authorization: {}\r\n", authorization.expose());
    }
    request += "\r\n";
    stream.write_all(request.as_bytes()).await.map_err(broken)?;

    match read_head(stream).await {
        Ok(StatusLine { status: 200..=299, .. }) => Ok(()),
        Ok(StatusLine { status, .. }) => {
            Err(Failure::new(Cause::Proxy, refusal(status, &authority, authorization.is_some())))
        }
        Err(NoHead::Closed) => {
            let words = "it closed the connection instead of opening a tunnel; check the proxy's log";
            Err(Failure::new(Cause::Proxy, words))
        }
        Err(NoHead::NotHttp) => {
            let words = "its answer is not HTTP; check the proxy's address and port";
            Err(Failure::new(Cause::Proxy, words))
        }
        Err(NoHead::TooLong) => {
            let words = "its answer is too long; check the proxy's address and port";
            Err(Failure::new(Cause::Proxy, words))
        }
        Err(NoHead::Io(error)) => Err(broken(error)),
    }
}

/// The statuses as Squid, tinyproxy and mitmproxy use them.
fn refusal(code: u16, authority: &str, has_login: bool) -> String {
    match code {
        // tinyproxy's for a wrong password is 401.
        401 | 407 if has_login => {
            format!("it does not accept the user and password of its URL (status {code})")
        }
        401 | 407 => {
            format!("it asks for a password (status {code}); put user:password@ into the proxy's URL")
        }
        403 | 405 => format!(
            "its rules forbid a tunnel to {authority} (status {code}); they must allow CONNECT to that port"
        ),
        500..=599 => format!("it could not reach {authority} (status {code})"),
        _ => format!("it refused the tunnel to {authority} with status {code}"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use test_support::BlackHole;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_beginning_with_the_first() {
        let mixed = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        assert_eq!(by_turns(mixed), addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]));
        let four_first = addresses(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]);
        assert_eq!(by_turns(four_first), addresses(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]));
        assert_eq!(by_turns(Vec::new()), []);
    }

    #[test]
    fn an_answer_of_a_dns_filter_is_no_address() {
        for filtered in [&["0.0.0.0:1"][..], &["[::]:1"], &["0.0.0.0:1", "[::]:1"], &["[::ffff:0.0.0.0]:1"]] {
            let failure = without_filtered("e.com", addresses(filtered)).unwrap_err();
            assert_eq!(failure.cause, Cause::Dns);
            let first = addresses(filtered)[0].ip();
            let words = format!("the name e.com is blocked by a DNS filter (it resolves to {first})");
            assert!(failure.message.starts_with(&words), "{failure}");
        }
        let mixed = addresses(&["0.0.0.0:1", "[::1]:1", "[::]:1", "127.0.0.1:1"]);
        assert_eq!(without_filtered("e.com", mixed).unwrap(), addresses(&["[::1]:1", "127.0.0.1:1"]));
    }

    #[actix_rt::test]
    async fn an_address_that_swallows_packets_costs_a_quarter_of_a_second() {
        let swallowing = BlackHole::new();
        let well = TcpListener::bind("127.0.0.1:0").unwrap();
        let began = crate::running::clock::Clock::system().monotonic();
        let stream = connect_staggered(vec![swallowing.address, well.local_addr().unwrap()]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), well.local_addr().unwrap());
        let took = began.elapsed();
        // Waiting for the first address would take the kernel more than a minute.
        assert!(took >= STAGGER && took < Duration::from_secs(30), "{took:?}");
    }

    #[actix_rt::test]
    async fn an_address_that_refuses_is_followed_at_once_and_the_last_cause_is_told() {
        let nobody = url::Url::parse(&test_support::refused_url()).unwrap().socket_addrs(|| None).unwrap()[0];
        let well = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(connect_staggered(vec![nobody, well.local_addr().unwrap()]).await.is_ok());
        assert_eq!(connect_staggered(vec![nobody, nobody]).await.unwrap_err().cause, Cause::Refused);
        assert_eq!(connect_staggered(Vec::new()).await.unwrap_err().cause, Cause::Dns);
    }
}
