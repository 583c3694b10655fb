//! `--loopback`: custom telemetry that this server sends to itself, so that both halves can be seen without anything else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use deployment_telemetry::Config;
use deployment_telemetry::receiver::WebhookKey;

/// Settings for everything that the operator has not set.
pub(crate) fn defaults(address: SocketAddr, key: &WebhookKey) -> Config {
    let address = reached_at(address);
    // A proxy could not reach this address.
    Config::custom(format!("http://{address}/webhooks/{}", key.expose())).no_proxy(address.ip().to_string())
}

/// Address at which this server, listening on `address`, reaches itself.
fn reached_at(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    // Port 0 stands for any free port, known only once the server listens. Before, the URL needs some valid port.
    if address.port() == 0 {
        address.set_port(80);
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_reaches_itself_on_a_loopback_address() {
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
