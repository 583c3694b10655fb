//! Connection parameters as libpq 16 has them (PostgreSQL manual, "Parameter Key Words"), which tokio-postgres supports
//! in part.

use std::borrow::Cow;

use super::error::DatabaseError;
use super::tls::SslSettings;

/// What becomes of a parameter.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// tokio-postgres reads it.
    Kept,
    /// tokio-postgres reads it under this name.
    Renamed(&'static str),
    /// tokio-postgres reads this value of it.
    Replaced(Cow<'static, str>),
    /// The value asks for nothing, or for what is done anyway.
    Dropped,
    /// The parameter cannot be used, for this reason.
    Refused(&'static str),
}

/// Reads a URL or connection string: its text for tokio-postgres, and its settings of TLS.
pub(super) fn read(text: &str) -> Result<(String, SslSettings), DatabaseError> {
    let mut ssl = SslSettings::default();
    let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
    let rest = if is_url { read_url(text, &mut ssl)? } else { read_keywords(text, &mut ssl)? };
    ssl.decide()?;
    Ok((rest, ssl))
}

fn read_url(text: &str, ssl: &mut SslSettings) -> Result<String, DatabaseError> {
    let (base, query) = text.split_once('?').unwrap_or((text, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs: Vec<(&str, &str)> = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    let has_name = pairs.iter().any(|(key, _)| *key == "application_name");
    let mut kept = Vec::new();
    for (key, raw) in pairs {
        let value = percent_encoding::percent_decode_str(raw).decode_utf8_lossy();
        match fate(key, &value, has_name, ssl)? {
            Fate::Kept => kept.push(format!("{key}={raw}")),
            Fate::Renamed(key) => kept.push(format!("{key}={raw}")),
            Fate::Replaced(value) => kept.push(format!("{key}={value}")),
            Fate::Dropped | Fate::Refused(_) => {}
        }
    }
    Ok(if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) })
}

fn read_keywords(text: &str, ssl: &mut SslSettings) -> Result<String, DatabaseError> {
    let pairs = keywords(text)?;
    let has_name = pairs.iter().any(|(key, _)| key == "application_name");
    let mut kept = Vec::new();
    for (key, value) in &pairs {
        let (key, value) = match fate(key, value, has_name, ssl)? {
            Fate::Kept => (key.as_str(), Cow::from(value)),
            Fate::Renamed(key) => (key, Cow::from(value)),
            Fate::Replaced(value) => (key.as_str(), value),
            Fate::Dropped | Fate::Refused(_) => continue,
        };
        kept.push(format!("{key}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'")));
    }
    Ok(kept.join(" "))
}

/// What becomes of a parameter. Its value is not shown: it may be a secret.
fn fate(key: &str, value: &str, has_name: bool, ssl: &mut SslSettings) -> Result<Fate, DatabaseError> {
    if ssl.takes(key, value)? {
        return Ok(Fate::Dropped);
    }
    let fate =
        if key == "fallback_application_name" && has_name { Fate::Dropped } else { translate(key, value) };
    match fate {
        Fate::Refused(why) => Err(DatabaseError::url(format!("the parameter {key:?} cannot be used: {why}"))),
        fate => Ok(fate),
    }
}

fn translate(key: &str, value: &str) -> Fate {
    use Fate::{Dropped, Kept, Refused, Renamed, Replaced};
    match (key, value) {
        (
            "user"
            | "password"
            | "dbname"
            | "host"
            | "hostaddr"
            | "port"
            | "connect_timeout"
            | "keepalives"
            | "keepalives_idle"
            | "keepalives_interval"
            | "keepalives_retries"
            | "options"
            | "application_name"
            | "channel_binding"
            | "load_balance_hosts"
            | "sslnegotiation",
            _,
        ) => Kept,
        // Milliseconds, which tokio-postgres reads as seconds.
        ("tcp_user_timeout", limit) => match limit.parse::<u64>() {
            Ok(limit) => Replaced(limit.div_ceil(1_000).to_string().into()),
            Err(_) => Refused("it is a number of milliseconds"),
        },
        ("keepalives_count", _) => Renamed("keepalives_retries"),
        ("fallback_application_name", _) => Renamed("application_name"),
        ("target_session_attrs", "any" | "read-write" | "read-only") => Kept,
        // tokio-postgres asks a server whether it takes writes, which a primary does and a standby does not.
        ("target_session_attrs", "primary") => Replaced("read-write".into()),
        ("target_session_attrs", "standby") => Replaced("read-only".into()),
        ("target_session_attrs", "prefer-standby") => Replaced("any".into()),
        ("target_session_attrs", _) => {
            Refused("it accepts any, read-write, read-only, primary, standby or prefer-standby")
        }
        ("client_encoding", encoding) => match encoding.to_ascii_lowercase().as_str() {
            "utf8" | "utf-8" | "unicode" | "auto" | "" => Dropped,
            _ => Refused("the encoding is always UTF8"),
        },
        _ => translate_unsupported(key, value),
    }
}

/// What becomes of a parameter that tokio-postgres does not have.
fn translate_unsupported(key: &str, value: &str) -> Fate {
    use Fate::{Dropped, Refused};
    match (key, value) {
        ("gssencmode", "disable" | "prefer" | "") => Dropped,
        ("gssencmode", _) => Refused("encryption by GSSAPI is not supported; use sslmode"),
        ("sslcertmode", "disable" | "allow" | "") => Dropped,
        ("sslcert" | "sslkey" | "sslpassword", "") => Dropped,
        ("sslcert" | "sslkey" | "sslpassword" | "sslcertmode", _) => {
            Refused("client certificates are not supported; use a password")
        }
        ("ssl_min_protocol_version", "" | "TLSv1" | "TLSv1.1" | "TLSv1.2") => Dropped,
        ("ssl_max_protocol_version", "" | "TLSv1.3") => Dropped,
        ("ssl_min_protocol_version" | "ssl_max_protocol_version", _) => {
            Refused("TLS 1.2 and 1.3 are spoken, and neither can be excluded")
        }
        ("sslcompression" | "sslsni" | "gssdelegation" | "gsslib" | "krbsrvname", _) => Dropped,
        ("sslcrl" | "sslcrldir", "") => Dropped,
        ("sslcrl" | "sslcrldir", _) => Refused("lists of revoked certificates are not read"),
        ("service" | "servicefile", _) => {
            Refused("service files are not read; write the parameters of the service into the URL")
        }
        ("passfile", _) => Refused("password files are not read; write the password into the URL"),
        (
            "requirepeer" | "require_auth" | "requiressl" | "replication" | "scram_client_key"
            | "scram_server_key",
            _,
        ) => Refused("it is not supported"),
        _ => Refused("it is no parameter of libpq"),
    }
}

/// Keywords and values of a connection string (PostgreSQL manual, "Keyword/Value Connection Strings").
fn keywords(text: &str) -> Result<Vec<(String, String)>, DatabaseError> {
    let malformed = |why| DatabaseError::url(format!("neither postgres:// nor key=value ({why})"));
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or_else(|| malformed("no = after a keyword"))?;
        let key = key.trim_end();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(malformed("no = after a keyword"));
        }
        let after = after.trim_start();
        let (is_quoted, after) = after.strip_prefix('\'').map_or((false, after), |after| (true, after));
        let mut value = String::new();
        let mut characters = after.char_indices();
        let mut end = if is_quoted { None } else { Some(after.len()) };
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                '\'' if is_quoted => {
                    end = Some(at + 1);
                    break;
                }
                blank if !is_quoted && blank.is_whitespace() => {
                    end = Some(at);
                    break;
                }
                other => value.push(other),
            }
        }
        let end = end.ok_or_else(|| malformed("a quote is not closed"))?;
        pairs.push((key.to_owned(), value));
        rest = after[end..].trim_start();
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::super::tls::SslMode;
    use super::*;

    #[test]
    fn sslmode_is_read_from_urls_and_connection_strings() {
        let split =
            |text| read(text).map(|(rest, s)| (rest, s.mode, s.root_file().map(str::to_owned))).unwrap();
        assert_eq!(split("postgres://h/d"), ("postgres://h/d".into(), SslMode::Prefer, None));
        assert_eq!(
            split("postgres://u:p@h/d?sslmode=verify-full&application_name=x&sslrootcert=%2Fca.pem"),
            ("postgres://u:p@h/d?application_name=x".into(), SslMode::VerifyFull, Some("/ca.pem".into()))
        );
        assert_eq!(
            split("postgres://h/d?sslmode=disable"),
            ("postgres://h/d".into(), SslMode::Disable, None)
        );
        assert_eq!(
            split("host=h password='a  b' sslmode=require"),
            ("host='h' password='a  b'".into(), SslMode::Require, None)
        );
        for text in ["host=h\tsslmode=require", "host=h\nsslmode = 'require'", "sslmode=require host=h"] {
            assert_eq!(split(text), ("host='h'".into(), SslMode::Require, None), "{text:?}");
        }
        assert_eq!(
            split(r"password='a sslmode=disable \'b\\' host=h"),
            (r"password='a sslmode=disable \'b\\' host='h'".into(), SslMode::Prefer, None)
        );
        for text in ["s3cret", "password='s3cret", "pass word=s3cret"] {
            let error = read(text).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
        assert_eq!(split("postgres://h/d?sslmode=require&sslrootcert=/c").1, SslMode::VerifyCa);
        assert!(
            read("postgres://u:s3cret@h/d?sslmode=maybe").is_err_and(|e| !e.to_string().contains("s3cret"))
        );
    }

    #[test]
    fn the_roots_of_the_system_require_the_check_of_the_name() {
        let mode = |parameters: &str| {
            let url = read(&format!("postgres://h/d?{parameters}")).map(|(_, ssl)| ssl.mode);
            let text = read(&format!("host=h {}", parameters.replace('&', " "))).map(|(_, ssl)| ssl.mode);
            assert_eq!(url.as_ref().ok(), text.as_ref().ok(), "{parameters}");
            url.map_err(|error| error.to_string())
        };
        assert_eq!(mode("sslrootcert=system"), Ok(SslMode::VerifyFull));
        assert_eq!(mode("sslrootcert=system&sslmode=verify-full"), Ok(SslMode::VerifyFull));
        for weaker in ["disable", "allow", "prefer", "require", "verify-ca"] {
            for text in [
                format!("sslrootcert=system&sslmode={weaker}"),
                format!("sslmode={weaker}&sslrootcert=system"),
            ] {
                assert!(
                    mode(&text).unwrap_err().contains("sslrootcert=system requires sslmode=verify-full"),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn every_parameter_of_libpq_is_translated_or_refused_by_its_name() {
        let rest = |parameters: &str| {
            let (url, _) = read(&format!("postgres://h/d?{parameters}")).unwrap();
            url.parse::<tokio_postgres::Config>().unwrap_or_else(|error| panic!("{url}: {error:?}"));
            url.strip_prefix("postgres://h/d").unwrap().trim_start_matches('?').to_owned()
        };
        for (given, kept) in [
            ("gssencmode=disable", ""),
            ("client_encoding=UTF8", ""),
            ("keepalives_count=3", "keepalives_retries=3"),
            ("fallback_application_name=a%20b", "application_name=a%20b"),
            ("fallback_application_name=x&application_name=y", "application_name=y"),
            ("target_session_attrs=any", "target_session_attrs=any"),
            ("target_session_attrs=read-write", "target_session_attrs=read-write"),
            ("target_session_attrs=read-only", "target_session_attrs=read-only"),
            ("target_session_attrs=primary", "target_session_attrs=read-write"),
            ("target_session_attrs=standby", "target_session_attrs=read-only"),
            ("target_session_attrs=prefer-standby", "target_session_attrs=any"),
            ("ssl_min_protocol_version=TLSv1.2&sslsni=1&sslcompression=0&krbsrvname=x", ""),
            ("connect_timeout=3&options=-c%20x%3D1", "connect_timeout=3&options=-c%20x%3D1"),
        ] {
            assert_eq!(rest(given), kept, "{given}");
        }
        for (key, value) in [
            ("sslcert", "s3cret"),
            ("sslkey", "s3cret"),
            ("service", "s3cret"),
            ("passfile", "s3cret"),
            ("gssencmode", "require"),
            ("client_encoding", "LATIN1"),
            ("target_session_attrs", "leader"),
            ("ssl_min_protocol_version", "TLSv1.3"),
            ("sslcrl", "s3cret"),
            ("require_auth", "scram-sha-256"),
            ("conect_timeout", "3"),
        ] {
            for text in [format!("postgres://u:s3cret@h/d?{key}={value}"), format!("host=h {key}={value}")] {
                let error = read(&text).unwrap_err().to_string();
                assert!(error.contains(&format!("the parameter {key:?} cannot be used: ")), "{error}");
                assert!(!error.contains("s3cret"), "{error}");
            }
        }
    }
}
