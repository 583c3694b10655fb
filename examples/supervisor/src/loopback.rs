//! `--loopback`: custom telemetry that goes to this very server, to see it at work without anything else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use deployment_telemetry::Config;
use deployment_telemetry::receiver::WebhookKey;

/// What holds where the operator has set nothing else.
pub(crate) fn defaults(address: SocketAddr, key: &WebhookKey) -> Config {
    let address = reached_at(address);
    // No proxy finds the way back.
    Config::custom(format!("http://{address}/webhooks/{}", key.expose())).no_proxy(address.ip().to_string())
}

/// Where this server, listening on `address`, is reached by itself.
fn reached_at(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    // Before the server listens, a free port is not known yet; a URL must have one all the same.
    if address.port() == 0 {
        address.set_port(80);
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_every_address_is_reached_on_the_loopback_address() {
        for (listen, reached) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("0.0.0.0:81", "127.0.0.1:81"),
            ("[::]:81", "[::1]:81"),
            ("192.0.2.7:81", "192.0.2.7:81"),
        ] {
            assert_eq!(reached_at(listen.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
