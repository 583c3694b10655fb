//! The JSON API of the server itself: the license. The status of the telemetry is in the API of the receiver, at
//! `api/server`.

use std::time::SystemTime;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, JsonConfig, ServiceConfig, put, resource};
use actix_web::{HttpResponse, Responder, error::JsonPayloadError};
use deployment_telemetry::{License, LicenseKey, LicenseState, Telemetry};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// Maximum length of a body, in bytes.
const MAX_BODY: usize = 16 * 1024;

pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .app_data(json_bodies())
        .service(resource("/api/license").get(license).route(put().to(change_license)));
}

/// Reads every body as JSON, whatever its Content-Type: `curl --data` sends another one.
fn json_bodies() -> JsonConfig {
    JsonConfig::default().limit(MAX_BODY).content_type_required(false).content_type(|_| true).error_handler(
        |error, _| {
            let refusal = match error {
                JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => {
                    Refusal::new(
                        StatusCode::PAYLOAD_TOO_LARGE,
                        format!("the body has more than {MAX_BODY} bytes"),
                    )
                }
                JsonPayloadError::Deserialize(error) => {
                    Refusal::bad_request(format!("the body is not JSON: {error}"))
                }
                error => Refusal::bad_request(format!("the body cannot be read: {error}")),
            };
            refusal.into()
        },
    )
}

/// The license as it is reported, with the hash of the key.
async fn license(telemetry: Data<Telemetry>) -> Json<LicenseState> {
    Json(telemetry.status().license)
}

/// Changes the license. A host calls `license_changed` wherever it learns of a change; this server does so here.
async fn change_license(telemetry: Data<Telemetry>, body: Json<Value>) -> Result<impl Responder, Refusal> {
    telemetry.license_changed(parse_license(body.into_inner()).map_err(Refusal::bad_request)?);
    Ok(HttpResponse::NoContent())
}

/// Reads `{"key": …, "valid": …, "valid_until": …}`. A message of serde would repeat values, and a value in the wrong
/// place may be the key.
fn parse_license(body: Value) -> Result<License, String> {
    let Value::Object(mut fields) = body else {
        return Err("the body must be an object with key, valid and valid_until".to_owned());
    };
    let key = match take(&mut fields, "key")? {
        Value::Null => None,
        Value::String(key) if !key.is_empty() => Some(LicenseKey::new(key)),
        _ => return Err("key must be a non-empty string, or null".to_owned()),
    };
    let Value::Bool(valid) = take(&mut fields, "valid")? else {
        return Err("valid must be true or false".to_owned());
    };
    let valid_until = match take(&mut fields, "valid_until").unwrap_or_default() {
        Value::Null => None,
        Value::String(text) => Some(parse_moment(&text).ok_or(MOMENT_REQUIRED)?),
        _ => return Err(MOMENT_REQUIRED.to_owned()),
    };
    match fields.keys().next() {
        None => Ok(valid_until.into_iter().fold(License::new(key, valid), License::until)),
        Some(unknown) => Err(format!("unknown field {unknown:?}; the fields are key, valid and valid_until")),
    }
}

const MOMENT_REQUIRED: &str = "valid_until must be a time in RFC 3339, such as 2027-01-31T00:00:00Z, or null";

fn take(fields: &mut Map<String, Value>, name: &str) -> Result<Value, String> {
    fields.remove(name).ok_or_else(|| format!("{name} is missing"))
}

fn parse_moment(text: &str) -> Option<SystemTime> {
    text.parse::<Timestamp>().ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_license_is_read() {
        let license =
            parse_license(json!({"key": "k", "valid": true, "valid_until": "1970-01-01T02:00:01+02:00"}))
                .unwrap();
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        assert_eq!(license, License::valid("k").until(until));
        let none = parse_license(json!({"key": null, "valid": false})).unwrap();
        assert_eq!(none, License::none());
    }

    #[test]
    fn a_message_names_the_field_and_repeats_no_value() {
        for (body, named) in [
            (json!("s3cret"), "object"),
            (json!({"valid": true}), "key"),
            (json!({"key": "s3cret"}), "valid"),
            (json!({"key": "", "valid": true}), "key"),
            (json!({"key": ["s3cret"], "valid": true}), "key"),
            (json!({"key": null, "valid": "s3cret"}), "valid"),
            (json!({"key": null, "valid": true, "valid_until": "s3cret"}), "valid_until"),
            (json!({"key": null, "valid": true, "valid_until": "2027-01-31"}), "valid_until"),
            (json!({"key": null, "valid": true, "valid_until": 7}), "valid_until"),
            (json!({"key": null, "valid": true, "vaild": "s3cret"}), "vaild"),
        ] {
            let message = parse_license(body.clone()).unwrap_err();
            assert!(message.contains(named), "{body}: {message}");
            assert!(!message.contains("s3cret"), "{body}: {message}");
        }
    }
}
