//! How to send with a key: the variables of a server, and a command that tries it.

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};
use uuid::Uuid;

use crate::wire::build::BuildInfo;
use crate::wire::license::LicenseState;
use crate::wire::payload::{Payload, Reason};
use crate::wire::signature::SigningSecret;
use crate::wire::webhook;

/// What the variables of a server begin with.
const PREFIX: &str = "SIRVEO_TELEMETRY_";

/// Name of the server that the command reports.
pub(super) const TRIED: &str = "try-out";

/// The secrets that are shown once.
#[derive(Default)]
pub(super) struct NewSecrets {
    /// The whole URL of the webhook.
    pub(super) url: Option<SecretString>,
    pub(super) secret: Option<SecretString>,
    pub(super) token: Option<SecretString>,
}

impl NewSecrets {
    /// The variables of a server, one a line.
    pub(super) fn variables(&self) -> String {
        let secret = |name, secret: &Option<SecretString>| {
            secret.as_ref().map(|secret| (name, secret.expose_secret().to_owned()))
        };
        let variables = [
            self.url.as_ref().map(|_| ("MODE", "custom".to_owned())),
            secret("URL", &self.url),
            secret("SIGNING_SECRET", &self.secret),
            secret("AUTH", &self.token),
        ];
        let lines = variables.into_iter().flatten().map(|(name, value)| format!("{PREFIX}{name}={value}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Whether the URL leads nowhere from another machine.
    pub(super) fn is_for_this_machine(&self) -> bool {
        let url = self.url.as_ref().and_then(|url| Url::parse(url.expose_secret()).ok());
        url.is_some_and(|url| match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        })
    }

    /// A command that reports the end of a server that never was: it arrives, is shown, and is missed by nobody. A
    /// signature holds for five minutes from `now`, in seconds since 1970.
    pub(super) fn command(&self, now: i64) -> Option<String> {
        let url = self.url.as_ref()?.expose_secret();
        let body = Payload::new(
            &BuildInfo::new("0.0.0"),
            Uuid::new_v4(),
            &LicenseState::default(),
            Reason::End,
            Some(TRIED),
        )
        .to_json();
        let id = webhook::EventId { run: Uuid::new_v4(), number: 1 }.to_string();
        let mut headers = vec![
            "content-type: application/json".to_owned(),
            format!("{}: {id}", webhook::ID),
            format!("{}: {now}", webhook::TIMESTAMP),
        ];
        if let Some(token) = &self.token {
            headers.push(format!("authorization: Bearer {}", token.expose_secret()));
        }
        if let Some(secret) = &self.secret {
            let secret = SigningSecret::parse(secret.expose_secret()).ok()?;
            let signature = secret.sign(&id, u64::try_from(now).unwrap_or_default(), &body);
            headers.push(format!("{}: {signature}", webhook::SIGNATURE));
        }
        let headers: String = headers.iter().map(|header| format!("  -H '{header}' \\\n")).collect();
        let body = String::from_utf8(body).ok()?;
        Some(format!("curl -i '{url}' \\\n{headers}  -d '{body}'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn all() -> NewSecrets {
        NewSecrets {
            url: Some("https://fleet.example/webhooks/KEY".into()),
            secret: Some(SECRET.into()),
            token: Some("TOKEN".into()),
        }
    }

    #[test]
    fn a_server_is_set_up_by_its_variables() {
        assert_eq!(
            all().variables(),
            "SIRVEO_TELEMETRY_MODE=custom\n\
             SIRVEO_TELEMETRY_URL=https://fleet.example/webhooks/KEY\n\
             SIRVEO_TELEMETRY_SIGNING_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n\
             SIRVEO_TELEMETRY_AUTH=TOKEN"
        );
        let secret = NewSecrets { secret: Some(SECRET.into()), ..NewSecrets::default() };
        assert_eq!(secret.variables(), format!("SIRVEO_TELEMETRY_SIGNING_SECRET={SECRET}"));
        assert_eq!(secret.command(0), None);
    }

    #[test]
    fn a_url_by_which_others_do_not_reach_this_machine_is_known() {
        for (origin, is_for_this_machine) in [
            ("http://127.0.0.1:8080", true),
            ("http://localhost:8080", true),
            ("http://[::1]:8080", true),
            ("http://10.0.0.1:8080", false),
            ("https://fleet.example", false),
        ] {
            let url = Some(format!("{origin}/webhooks/KEY").into());
            let secrets = NewSecrets { url, ..NewSecrets::default() };
            assert_eq!(secrets.is_for_this_machine(), is_for_this_machine, "{origin}");
        }
    }

    #[test]
    fn a_command_is_signed_and_quoted() {
        let command = all().command(1_614_265_330).unwrap();
        let lines: Vec<&str> = command.lines().collect();
        assert_eq!(lines[0], "curl -i 'https://fleet.example/webhooks/KEY' \\");
        let value = |name: &str| {
            let line = lines.iter().find_map(|line| line.strip_prefix(&format!("  -H '{name}: "))).unwrap();
            line.strip_suffix("' \\").unwrap()
        };
        assert_eq!(value("authorization"), "Bearer TOKEN");
        let body = lines.last().unwrap().strip_prefix("  -d '").unwrap().strip_suffix('\'').unwrap();
        assert!(!body.contains('\'') && body.contains("\"reason\":\"end\""), "{body}");
        let secret = SigningSecret::parse(SECRET).unwrap();
        let timestamp = value("webhook-timestamp").parse().unwrap();
        assert!(secret.verifies(value("webhook-id"), timestamp, body.as_bytes(), value("webhook-signature")));
        let plain = NewSecrets { secret: None, token: None, ..all() }.command(5).unwrap();
        assert!(!plain.contains("authorization") && !plain.contains("webhook-signature"), "{plain}");
    }
}
