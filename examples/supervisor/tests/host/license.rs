//! The license changes while the server runs.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::json;
use test_support::{Behaviour, FakeDestination, wait_until};

use crate::program::{LIMIT, Server, payloads, reasons};

/// SHA-256 of `s3cret`.
const HASH: &str = "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0";

#[test]
fn a_change_is_reported_once() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let (server, _directory) = Server::reporting_to(&destination.url());
    destination.wait_for_requests(1, LIMIT);
    let license = r#"{"key": "s3cret", "valid": true, "valid_until": null}"#;
    let response = server.request("PUT", "/api/license", &[], license);
    assert_eq!((response.status, response.body.as_str()), (204, ""));
    destination.wait_for_requests(2, LIMIT);
    assert_eq!(
        server.get("/api/license").json(),
        json!({"key_hash": HASH, "valid": true, "valid_until": null})
    );

    assert_eq!(server.request("PUT", "/api/license", &[], license).status, 204);
    // If the equal license had caused an event, it would come before the next one.
    assert_eq!(server.post("/api/server/send").status, 200);
    let requests = destination.wait_for_requests(3, LIMIT);
    assert_eq!(reasons(&requests), ["begin", "license-state-change", "update"]);
    let payloads = payloads(&requests);
    assert_eq!(
        (&payloads[0]["license_key_hash"], &payloads[0]["license_valid"]),
        (&json!(null), &json!(false))
    );
    assert_eq!(
        (&payloads[1]["license_key_hash"], &payloads[1]["license_valid"]),
        (&json!(HASH), &json!(true))
    );
    assert!(!server.output().join("\n").contains("s3cret"));
}

#[test]
fn the_end_of_the_validity_is_reported() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let (server, _directory) = Server::reporting_to(&destination.url());
    destination.wait_for_requests(1, LIMIT);
    let until = Timestamp::try_from(SystemTime::now() + Duration::from_secs(2)).unwrap();
    let license = json!({"key": "s3cret", "valid": true, "valid_until": until.to_string()}).to_string();
    assert_eq!(server.request("PUT", "/api/license", &[], &license).status, 204);
    let requests = destination.wait_for_requests(3, LIMIT);
    assert_eq!(reasons(&requests), ["begin", "license-state-change", "license-state-change"]);
    let valid: Vec<_> = payloads(&requests).iter().map(|payload| payload["license_valid"].clone()).collect();
    assert_eq!(valid, [false, true, false]);
    wait_until("the page shows it", LIMIT, || server.get("/server").body.contains("not valid, ended "));
}

#[test]
fn a_license_that_cannot_be_read_is_refused_and_not_repeated() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let (server, _directory) = Server::reporting_to(&destination.url());
    for (body, named) in [
        ("", "JSON"),
        ("s3cret", "JSON"),
        (r#"["s3cret"]"#, "object"),
        (r#"{"valid": true}"#, "key is missing"),
        (r#"{"key": true, "valid": "s3cret"}"#, "key"),
        (r#"{"key": "s3cret", "valid": "s3cret"}"#, "valid"),
        (r#"{"key": "s3cret", "valid": true, "valid_until": "s3cret"}"#, "valid_until"),
        (r#"{"key": "s3cret", "valid": true, "until": null}"#, "until"),
    ] {
        let response = server.request("PUT", "/api/license", &[], body);
        assert_eq!(response.status, 400, "{body}");
        let message = response.json()["error"].as_str().unwrap().to_owned();
        assert!(message.contains(named) && !message.contains("s3cret"), "{body}: {message}");
    }
    assert_eq!(server.get("/api/license").json()["key_hash"], json!(null));
    assert!(!server.output().join("\n").contains("s3cret"));
}
