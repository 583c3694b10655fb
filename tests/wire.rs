//! The request as it is on the wire (spec §4), against golden files, over real sockets.

mod host;

use deployment_telemetry::{License, Vendor};
use host::{MemoryStore, SOON, block_on, both, custom, on};
use test_support::{Behaviour, FakeDestination, ReceivedRequest};

const SIGNING_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The request with everything replaced that differs from run to run and from machine to machine, and
/// its headers sorted: one that moves is no change of the contract.
fn normalized(request: &ReceivedRequest) -> String {
    let mut text = String::from_utf8(request.raw.clone()).unwrap();
    let run = request.header("webhook-id").unwrap().split('.').next().unwrap().to_owned();
    text = text.replace(&run, "<run>").replace(request.header("host").unwrap(), "<host>:<port>");
    for (header, placeholder) in [
        ("webhook-timestamp", "<unix seconds>"),
        ("webhook-signature", "<signature>"),
        ("content-length", "<length>"),
        ("date", "<date>"),
    ] {
        if let Some(value) = request.header(header) {
            text = text.replace(&format!("{header}: {value}"), &format!("{header}: {placeholder}"));
        }
    }
    for field in ["build_os", "build_arch", "checksum"] {
        let start = text.find(&format!("\"{field}\":\"")).unwrap() + field.len() + 4;
        let end = start + text[start..].find('"').unwrap();
        text.replace_range(start..end, &format!("<{field}>"));
    }
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.split("\r\n").collect();
    lines[1..].sort_unstable();
    format!("{}\n\n{body}", lines.join("\n"))
}

#[track_caller]
fn assert_golden(request: &ReceivedRequest, golden: &str) {
    assert_eq!(normalized(request), golden.trim_end_matches('\n'));
    let length: usize = request.header("content-length").unwrap().parse().unwrap();
    assert_eq!(length, request.body.len());
}

#[test]
fn the_bytes_of_begin_are_these() {
    let (operator, vendor) = (FakeDestination::start(Behaviour::Ok), FakeDestination::start(Behaviour::Ok));
    let config = both(&format!("{}?channel=1-2&a=%20b", operator.url()))
        .auth("operator-token")
        .frequency("90m")
        .identifier("my server")
        .signing_secret(SIGNING_SECRET);
    let license = License::valid("abc");
    let telemetry = on(MemoryStore::new())
        .config(config)
        .license(license)
        .vendor(Vendor::new(vendor.url()).auth("vendor-token"))
        .start()
        .unwrap();
    let to_operator = operator.wait_for_requests(1, SOON).remove(0);
    let to_vendor = vendor.wait_for_requests(1, SOON).remove(0);
    assert_golden(&to_operator, include_str!("golden/begin-custom.http"));
    assert_golden(&to_vendor, include_str!("golden/begin-default.http"));
    block_on(telemetry.stop());
}

#[test]
fn a_minimal_request_is_this() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let telemetry = on(MemoryStore::new()).config(custom(&destination.url())).start().unwrap();
    let begin = destination.wait_for_requests(1, SOON).remove(0);
    assert_golden(&begin, include_str!("golden/begin-minimal.http"));
    block_on(telemetry.stop());
}

#[test]
fn what_is_previewed_is_what_is_sent_with_secrets_redacted() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let config = custom(&format!("{}?s3cret", destination.url()))
        .auth("Splunk s3cret")
        .signing_secret(SIGNING_SECRET)
        .identifier("my server");
    let telemetry = on(MemoryStore::new()).config(config).start().unwrap();
    let sent = destination.wait_for_requests(1, SOON).remove(0);
    let preview = telemetry.preview();
    assert_eq!(preview.len(), 4, "one for each reason");
    let json = serde_json::to_value(&preview[0]).unwrap();
    let text = json.to_string();
    assert!(!text.contains("s3cret") && !text.contains("MfKQ9r8GK"), "{text}");
    assert_eq!(json["body"].to_string().len(), String::from_utf8(sent.body.clone()).unwrap().len());
    assert_eq!(serde_json::to_vec(&preview[0].body).unwrap(), sent.body);
    let names: Vec<&str> = preview[0].headers.iter().map(|(name, _)| *name).collect();
    let sent_names: Vec<String> = sent.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    let (mut sorted, mut sent_sorted) = (names.clone(), sent_names.clone());
    sorted.sort_unstable();
    sent_sorted.sort_unstable();
    assert_eq!(sorted, sent_sorted, "no header is sent that is not shown");
    for (name, value) in &preview[0].headers {
        if !["authorization", "date", "webhook-id", "webhook-timestamp", "webhook-signature"].contains(name) {
            assert_eq!(sent.header(name), Some(value.as_str()), "{name}");
        }
    }
    assert_eq!(destination.requests().len(), 1, "a preview sends nothing");
    block_on(telemetry.stop());
}

#[test]
fn every_request_has_a_fresh_connection_and_a_number_of_its_own() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let telemetry = on(MemoryStore::new()).config(custom(&destination.url())).start().unwrap();
    destination.wait_for_requests(1, SOON);
    block_on(telemetry.send_now()).unwrap();
    block_on(telemetry.stop());
    let requests = destination.wait_for_requests(3, SOON);
    let connections: Vec<u64> = requests.iter().map(|request| request.connection).collect();
    assert_eq!(connections.windows(2).filter(|pair| pair[0] == pair[1]).count(), 0, "{connections:?}");
    let ids: Vec<&str> = requests.iter().map(|request| request.header("webhook-id").unwrap()).collect();
    let run = ids[0].strip_suffix(".1").unwrap();
    assert_eq!(ids[1..], [format!("{run}.2"), format!("{run}.3")]);
}
