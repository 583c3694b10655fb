//! The one user and the password, which is kept as its Argon2 hash.

use std::sync::OnceLock;

use argon2::{Algorithm, Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::receiver::random::random;
use crate::wire::digest::sha256;

/// Shortest password that cannot be guessed, in characters.
const SHORTEST_PASSWORD: usize = 12;

/// The password is shorter than 12 characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password has {SHORTEST_PASSWORD} characters or more")]
pub struct PasswordTooShort;

/// The text is not the Argon2id hash of a password in the PHC format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the Argon2id hash of a password, which begins with $argon2id$")]
pub struct UnusablePasswordHash;

/// User and password as they are given.
pub(super) struct Credentials {
    pub(super) user: Vec<u8>,
    pub(super) password: SecretSlice<u8>,
}

/// What is given is compared with this.
pub(super) struct Password {
    /// SHA-256 of the user's name: what is compared has one length.
    user: [u8; 32],
    hash: PasswordHash,
    /// Random, of this process.
    key: [u8; 32],
    /// Digest of the right credentials with that key, once they were given: from then on, a comparison costs no Argon2.
    remembered: OnceLock<[u8; 32]>,
}

/// The hash of a password, to be kept.
pub(super) fn hash(password: &SecretString) -> Result<PasswordHash, PasswordTooShort> {
    let password = password.expose_secret();
    if password.chars().count() < SHORTEST_PASSWORD {
        return Err(PasswordTooShort);
    }
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &random::<16>());
    Ok(hash.expect("there is memory, and the salt and the password are as Argon2 takes them"))
}

impl Password {
    pub(super) fn new(user: &str, hash: PasswordHash) -> Self {
        Self { user: sha256(user), hash, key: random(), remembered: OnceLock::new() }
    }

    /// Reads a hash in the PHC format.
    pub(super) fn parse(user: &str, hash: &str) -> Result<Self, UnusablePasswordHash> {
        let hash = PasswordHash::new(hash).map_err(|_| UnusablePasswordHash)?;
        let is_argon2id = hash.algorithm.as_str() == Algorithm::Argon2id.as_str();
        let is_whole = argon2::Params::try_from(&hash).is_ok() && hash.salt.is_some() && hash.hash.is_some();
        if !is_argon2id || !is_whole {
            return Err(UnusablePasswordHash);
        }
        Ok(Self::new(user, hash))
    }

    /// Whether these are the right credentials; `None` as long as the right ones were not given yet. Fast.
    pub(super) fn is_remembered(&self, given: &Credentials) -> Option<bool> {
        Some(self.remembered.get()?.ct_eq(&self.digest(given)).into())
    }

    /// Whether these are the right credentials. Takes tens of milliseconds of a processor, and 19 MiB.
    pub(super) fn verify(&self, given: &Credentials) -> bool {
        let is_user = self.user.ct_eq(&sha256(&given.user));
        let is_password =
            Argon2::default().verify_password(given.password.expose_secret(), &self.hash).is_ok();
        let is_right = bool::from(is_user) & is_password;
        if is_right {
            self.remembered.get_or_init(|| self.digest(given));
        }
        is_right
    }

    fn digest(&self, given: &Credentials) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(&sha256(&given.user));
        mac.update(given.password.expose_secret());
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(user: &str, password: &str) -> Credentials {
        Credentials { user: user.into(), password: password.as_bytes().to_vec().into() }
    }

    #[test]
    fn the_right_credentials_are_remembered() {
        let password = Password::new("fleet", hash(&"a long password".into()).unwrap());
        let right = given("fleet", "a long password");
        for wrong in [given("fleet", "a long Password"), given("Fleet", "a long password"), given("", "")] {
            assert!(!password.verify(&wrong));
        }
        assert_eq!(password.is_remembered(&right), None);
        assert!(password.verify(&right) && password.verify(&right));
        assert_eq!(password.is_remembered(&right), Some(true));
        for wrong in [given("fleet", "a long passwor"), given("fleeta", " long password"), given("", "")] {
            assert_eq!(password.is_remembered(&wrong), Some(false));
            assert!(!password.verify(&wrong));
        }
    }

    #[test]
    fn a_hash_is_kept_as_text() {
        let kept = hash(&"a long password".into()).unwrap().to_string();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        let password = Password::parse("fleet", &kept).unwrap();
        assert!(password.verify(&given("fleet", "a long password")));
        assert_ne!(kept, hash(&"a long password".into()).unwrap().to_string(), "the salt is random");
        let usable = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA";
        assert!(Password::parse("fleet", usable).is_ok());
        for text in [
            "",
            &usable.replace("$argon2id$", "$argon2i$"),
            &usable.replace("$argon2id$", "$argon2d$"),
            "a long password",
            "$argon2id$v=19$m=19456,t=2,p=1",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0",
            "$scrypt$ln=16,r=8,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA",
            "$argon2id$v=19$m=1,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA",
        ] {
            assert!(Password::parse("fleet", text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_short_password_is_refused() {
        assert_eq!(hash(&"11 letters.".into()).err(), Some(PasswordTooShort));
        assert!(hash(&"žluťoučký kůň".into()).is_ok());
    }
}
