//! Signatures of requests by Standard Webhooks (standardwebhooks.com, symmetric scheme `v1`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

/// The key behind a `whsec_…` secret.
#[derive(Clone, Debug)]
pub(crate) struct SigningSecret(SecretSlice<u8>);

impl SigningSecret {
    /// `whsec_` and base64 of 24 to 64 bytes, as the standard has it. `Err` says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let encoded = text.trim().strip_prefix("whsec_").ok_or("a value without whsec_ at its start")?;
        let key = STANDARD.decode(encoded).map_err(|_| "a value that is not base64 after whsec_")?;
        if !(24..=64).contains(&key.len()) {
            return Err("a key of fewer than 24 or more than 64 bytes");
        }
        Ok(Self(key.into()))
    }

    /// The value of `webhook-signature`.
    pub(crate) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mac = self.mac(&format!("{id}.{timestamp}."), body).finalize();
        format!("v1,{}", STANDARD.encode(mac.into_bytes()))
    }

    /// Whether one of the signatures in a `webhook-signature` header is by this secret. Takes the same time wherever
    /// they differ.
    #[cfg(feature = "receiver")]
    pub(crate) fn verifies(&self, id: &str, timestamp: i64, body: &[u8], signatures: &str) -> bool {
        let mac = self.mac(&format!("{id}.{timestamp}."), body);
        signatures
            .split(' ')
            .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
            .any(|signature| mac.clone().verify_slice(&signature).is_ok())
    }

    /// The code over what the standard signs: `<id>.<timestamp>.<body>`.
    fn mac(&self, prefix: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("HMAC takes a key of any length");
        mac.update(prefix.as_bytes());
        mac.update(body);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification and its libraries.
    #[test]
    fn the_example_of_the_standard_is_signed_alike() {
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_signing_secret_is_refused() {
        for text in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_!!!"] {
            assert!(SigningSecret::parse(text).is_err(), "{text:?}");
        }
    }
}
