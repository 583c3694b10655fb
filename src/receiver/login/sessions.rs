//! The sessions of browsers that are logged in. They are in memory alone: they end when the process does.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::time::Instant;

use crate::receiver::random::random;
use crate::wire::digest::{lower_hex, sha256};

/// Maximum number of sessions. The one that was not used for longest ends when there is another one.
const MOST_SESSIONS: usize = 1000;

/// The secret of a session: 256 random bits. Only the browser has it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token([u8; 32]);

impl Token {
    pub(super) fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    pub(super) fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The token of the forms of this session. Nothing is learned from it of that of the session.
    pub(super) fn form_token(&self) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(b"form");
        lower_hex(&mac.finalize().into_bytes())
    }

    fn hash(&self) -> [u8; 32] {
        sha256(self.0)
    }
}

/// How long a session lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionLimits {
    /// Without a request.
    pub(super) idle: Duration,
    /// At all.
    pub(super) total: Duration,
}

struct Session {
    began: Instant,
    used: Instant,
}

/// All sessions, by the SHA-256 of their tokens.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

impl Sessions {
    pub(super) fn begin(&self, now: Instant, limits: SessionLimits) -> Token {
        let token = Token(random());
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.lasts(now, limits));
        if sessions.len() >= MOST_SESSIONS
            && let Some(oldest) = sessions.iter().min_by_key(|(_, session)| session.used)
        {
            let oldest = *oldest.0;
            sessions.remove(&oldest);
        }
        sessions.insert(token.hash(), Session { began: now, used: now });
        token
    }

    /// Whether there is such a session. It was used now, if so.
    pub(super) fn resume(&self, token: &Token, now: Instant, limits: SessionLimits) -> bool {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = token.hash();
        let Some(session) = sessions.get_mut(&hash) else { return false };
        if !session.lasts(now, limits) {
            sessions.remove(&hash);
            return false;
        }
        session.used = now;
        true
    }

    /// Whether there is such a session. It is not used by the question.
    pub(super) fn lasts(&self, token: &Token, now: Instant, limits: SessionLimits) -> bool {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(&token.hash()).is_some_and(|session| session.lasts(now, limits))
    }

    pub(super) fn end(&self, token: &Token) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&token.hash());
    }
}

impl Session {
    fn lasts(&self, now: Instant, limits: SessionLimits) -> bool {
        now.duration_since(self.used) < limits.idle && now.duration_since(self.began) < limits.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::running::clock::Clock;

    const LIMITS: SessionLimits =
        SessionLimits { idle: Duration::from_secs(100), total: Duration::from_secs(250) };

    fn now() -> Instant {
        Clock::system().monotonic()
    }

    #[test]
    fn a_session_ends_when_it_is_not_used_and_when_it_is_old() {
        let (sessions, start) = (Sessions::default(), now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let token = sessions.begin(start, LIMITS);
        assert!(sessions.resume(&token, at(99), LIMITS) && sessions.resume(&token, at(198), LIMITS));
        assert!(!sessions.resume(&token, at(250), LIMITS), "it is too old");
        let token = sessions.begin(start, LIMITS);
        assert!(sessions.lasts(&token, at(99), LIMITS) && !sessions.lasts(&token, at(100), LIMITS));
        assert!(!sessions.resume(&token, at(100), LIMITS), "it was not used");
        assert!(!sessions.resume(&token, at(1), LIMITS), "what has ended does not begin again");
        let token = sessions.begin(start, LIMITS);
        sessions.end(&token);
        assert!(!sessions.resume(&token, start, LIMITS));
        assert!(!sessions.resume(&Token(random()), start, LIMITS));
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let (sessions, start) = (Sessions::default(), now());
        let first = sessions.begin(start, LIMITS);
        let second = sessions.begin(start, LIMITS);
        let later = start + Duration::from_secs(1);
        assert!(sessions.resume(&first, later, LIMITS));
        let others: Vec<_> = (1..MOST_SESSIONS).map(|_| sessions.begin(later, LIMITS)).collect();
        assert_eq!(sessions.0.lock().unwrap().len(), MOST_SESSIONS);
        assert!(!sessions.resume(&second, later, LIMITS), "it was not used for longest");
        assert!(others.iter().chain([&first]).all(|token| sessions.resume(token, later, LIMITS)));
        // Those that have ended make room first.
        sessions.begin(later + LIMITS.idle, LIMITS);
        assert_eq!(sessions.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_token_is_read_as_it_is_written_and_kept_as_its_hash() {
        let (sessions, start) = (Sessions::default(), now());
        let token = sessions.begin(start, LIMITS);
        let text = token.expose();
        assert_eq!(text.len(), 43);
        assert!(Token::parse(&text).is_some_and(|read| read == token));
        for other in ["", "a", &text[1..], &format!("{text}A"), &format!("{}=", &text[..42]), "ä"] {
            assert!(Token::parse(other).is_none(), "{other}");
        }
        assert!(!sessions.0.lock().unwrap().contains_key(&token.0));
        assert_ne!(token.form_token(), Token(random()).form_token());
        assert_eq!(token.form_token().len(), 64);
    }
}
