//! The request of an event, as the real sender writes it.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

use crate::delivery::Delivery;

/// A `whsec_…` secret of Standard Webhooks.
#[derive(Clone)]
pub struct SigningSecret(SecretSlice<u8>);

/// The error does not repeat the text.
impl FromStr for SigningSecret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let key = text.trim().strip_prefix("whsec_").and_then(|encoded| STANDARD.decode(encoded).ok());
        match key {
            Some(key) if !key.is_empty() => Ok(Self(key.into())),
            _ => Err("a secret is whsec_ followed by base64".to_owned()),
        }
    }
}

/// Writes the requests of a fleet.
#[derive(Clone)]
pub struct Sender {
    /// Simulated seconds per real second.
    pub speed: f64,
    /// Bearer token, if the key requires one.
    pub token: Option<SecretString>,
    /// Secret that requests are signed with. A signed request always has the right time; otherwise it would be refused.
    pub secret: Option<SigningSecret>,
}

/// A request to the webhook.
pub struct Request {
    /// All headers except those of the connection.
    pub headers: Vec<(&'static str, String)>,
    /// The payload.
    pub body: Vec<u8>,
}

impl Sender {
    /// The request of an event that arrives at the real time `now`.
    pub fn request(&self, delivery: &Delivery, now: Timestamp) -> Request {
        let body = delivery.payload().to_json();
        let id = format!("{}.{}", delivery.run_id, delivery.sequence);
        // The receiver goes by the real time.
        let frequency = (delivery.frequency.as_secs_f64() / self.speed).round().max(1.0);
        let under_way = delivery.at.saturating_sub(delivery.sent_at).div_f64(self.speed);
        let made_at = now.checked_sub(under_way).unwrap_or(now);
        let sent_at = match self.secret {
            None => made_at.saturating_add(delivery.skew).unwrap_or(made_at),
            Some(_) => made_at,
        };
        let timestamp = sent_at.as_second().max(0);
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("user-agent", "Sirveo".to_owned()),
            ("telemetry-frequency", format!("{frequency}")),
            ("webhook-timestamp", timestamp.to_string()),
        ];
        if let Some(SigningSecret(key)) = &self.secret {
            let mut mac =
                Hmac::<Sha256>::new_from_slice(key.expose_secret()).expect("HMAC takes a key of any length");
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(&body);
            let signature = STANDARD.encode(mac.finalize().into_bytes());
            headers.push(("webhook-signature", format!("v1,{signature}")));
        }
        if let Some(token) = &self.token {
            headers.push(("authorization", format!("Bearer {}", token.expose_secret())));
        }
        headers.push(("webhook-id", id));
        Request { headers, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fleet;

    fn header(request: &Request, name: &str) -> Option<String> {
        request.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn frequencies_are_announced_in_real_time() {
        let delivery = Fleet { seed: 1, instances: 1, outage: None }.plan().next().unwrap();
        let hours = delivery.frequency.as_secs();
        for (speed, announced) in [(1.0, hours), (60.0, hours / 60), (1e9, 1)] {
            let sender = Sender { speed, token: None, secret: None };
            let request = sender.request(&delivery, Timestamp::UNIX_EPOCH);
            assert_eq!(header(&request, "telemetry-frequency"), Some(announced.to_string()));
            assert_eq!(header(&request, "webhook-signature"), None);
        }
    }

    #[test]
    fn a_signed_request_has_the_right_time_although_the_clock_is_wrong() {
        let mut delivery = Fleet { seed: 1, instances: 1, outage: None }.plan().next().unwrap();
        delivery.sent_at = delivery.at;
        delivery.skew = jiff::SignedDuration::from_hours(7);
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let mut sender = Sender { speed: 1.0, token: Some("t0ken".into()), secret: None };
        let wrong = sender.request(&delivery, now);
        assert_eq!(header(&wrong, "webhook-timestamp").as_deref(), Some("1800025200"));
        assert_eq!(header(&wrong, "authorization").as_deref(), Some("Bearer t0ken"));
        sender.secret = Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap());
        let signed = sender.request(&delivery, now);
        assert_eq!(header(&signed, "webhook-timestamp").as_deref(), Some("1800000000"));
        assert!(header(&signed, "webhook-signature").unwrap().starts_with("v1,"));
    }

    #[test]
    fn a_malformed_secret_is_not_repeated() {
        let problem = "s3cret".parse::<SigningSecret>().err().unwrap();
        assert!(!problem.contains("s3cret"));
    }
}
