//! SHA-256, and digests as text.

use sha2::{Digest, Sha256};

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Text of `bytes` in lower-case hexadecimal digits.
pub(crate) fn lower_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Checksum of a payload: the first 16 hex digits of SHA-256 over `canonical`, the RFC 8785
/// canonical JSON of the payload without its checksum (spec §5).
pub(crate) fn checksum(canonical: &[u8]) -> String {
    lower_hex(&sha256(canonical)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_fips_180_has_the_digest_of_the_standard() {
        assert_eq!(
            lower_hex(&sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(checksum(b"abc"), "ba7816bf8f01cfea");
    }
}
