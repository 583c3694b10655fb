//! Request signatures according to Standard Webhooks (standardwebhooks.com, symmetric scheme `v1`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

/// Key that a `whsec_…` secret encodes.
#[derive(Clone, Debug)]
pub(crate) struct SigningSecret(SecretSlice<u8>);

impl SigningSecret {
    /// Reads `whsec_` followed by the base64 of 24 to 64 bytes, the form that the standard prescribes.
    ///
    /// # Errors
    /// A description of what was given instead; it does not repeat the text, which may be a secret.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let encoded = text.trim().strip_prefix("whsec_").ok_or("a value that does not start with whsec_")?;
        let key = STANDARD.decode(encoded).map_err(|_| "a value that is not base64 after whsec_")?;
        if !(24..=64).contains(&key.len()) {
            return Err("a key of fewer than 24 or more than 64 bytes");
        }
        Ok(Self(key.into()))
    }

    /// Value of the header `webhook-signature` for a request.
    pub(crate) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mac = self.mac(&format!("{id}.{timestamp}."), body).finalize();
        format!("v1,{}", STANDARD.encode(mac.into_bytes()))
    }

    /// Whether at least one of the signatures in a `webhook-signature` header was made with this secret. The
    /// comparison takes constant time.
    #[cfg(feature = "receiver")]
    pub(crate) fn verifies(&self, id: &str, timestamp: i64, body: &[u8], signatures: &str) -> bool {
        let mac = self.mac(&format!("{id}.{timestamp}."), body);
        signatures
            .split(' ')
            .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
            .any(|signature| mac.clone().verify_slice(&signature).is_ok())
    }

    /// Authentication code of what the standard signs: `<id>.<timestamp>.<body>`.
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

    /// Example from the Standard Webhooks specification, which its libraries test as well.
    #[test]
    fn the_example_of_the_standard_gets_the_signature_of_the_standard() {
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_text_that_is_no_signing_secret_is_refused() {
        for text in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_!!!"] {
            assert!(SigningSecret::parse(text).is_err(), "{text:?}");
        }
    }
}
