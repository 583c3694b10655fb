//! The names by which a server without a password may be called.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether this is `localhost` or an IP address, with or without a port.
pub(super) fn is_own_name(authority: Option<&str>) -> bool {
    let Some(authority) = authority else { return false };
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    };
    if let Some(bracketed) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return bracketed.parse::<Ipv6Addr>().is_ok();
    }
    name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_are_localhost_and_addresses() {
        for own in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "192.0.2.7", "[::1]:8080", "[::1]"] {
            assert!(is_own_name(Some(own)), "{own}");
        }
        for foreign in [
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost.",
            "[evil.example]",
            "[::1].evil.example",
            "[::1]:8080.evil.example",
            "localhost:evil.example",
            "::1",
            "",
        ] {
            assert!(!is_own_name(Some(foreign)), "{foreign}");
        }
        assert!(!is_own_name(None));
    }
}
