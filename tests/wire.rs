//! The request as it is on the wire (spec §4), against golden files, over real sockets.

mod host;

use std::time::{Duration, UNIX_EPOCH};

use deployment_telemetry::{License, Vendor};
use host::{MemoryStore, SOON, block_on, both, custom, on};
use test_support::environment::ran_in_a_clean_one;
use test_support::{Behaviour, FakeDestination, ReceivedRequest, webhook};

const SIGNING_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The request with everything replaced that differs from run to run and from machine to machine. Its headers are
/// sorted, for their order is the HTTP client's and no part of the contract; names, values and spelling are.
fn normalized(destination: &FakeDestination, request: &ReceivedRequest) -> String {
    let run = request.header("webhook-id").unwrap().split('.').next().unwrap();
    let mut headers: Vec<String> = request
        .headers
        .iter()
        .map(|(name, value)| {
            let value = match name.as_str() {
                "host" => value.replace(&destination.address().to_string(), "<address>"),
                "webhook-id" => value.replace(run, "<run>"),
                "webhook-timestamp" => "<unix seconds>".to_owned(),
                "webhook-signature" => "<signature>".to_owned(),
                "content-length" => "<length>".to_owned(),
                "date" => "<date>".to_owned(),
                _ => value.clone(),
            };
            format!("{name}: {value}\n")
        })
        .collect();
    headers.sort_unstable();
    let mut body = String::from_utf8(request.body.clone()).unwrap();
    for field in ["build_os", "build_arch", "checksum"] {
        let start = body.find(&format!("\"{field}\":\"")).unwrap() + field.len() + 4;
        let end = start + body[start..].find('"').unwrap();
        body.replace_range(start..end, &format!("<{field}>"));
    }
    format!("{}\n{}\n{body}", request.request_line(), headers.concat())
}

/// The bytes are those of the golden file, and what it leaves open is as it has to be.
#[track_caller]
fn assert_golden(destination: &FakeDestination, request: &ReceivedRequest, golden: &str) {
    assert_eq!(normalized(destination, request), golden.trim_end_matches('\n'));
    let head = request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let head = format!("{}\r\n{}\r\n", request.request_line(), head.collect::<String>());
    assert_eq!(request.raw, [head.as_bytes(), &request.body].concat(), "no byte beside these");
    let length: usize = request.header("content-length").unwrap().parse().unwrap();
    assert_eq!(length, request.body.len());
    let seconds: u64 = request.header("webhook-timestamp").unwrap().parse().unwrap();
    let date = httpdate::parse_http_date(request.header("date").unwrap()).unwrap();
    assert_eq!(date, UNIX_EPOCH + Duration::from_secs(seconds));
    if let Some(signature) = request.header("webhook-signature") {
        let id = request.header("webhook-id").unwrap();
        let expected = webhook::signature(SIGNING_SECRET, id, &seconds.to_string(), &request.body);
        assert_eq!(signature, expected);
    }
}

#[test]
fn the_bytes_of_begin_are_these() {
    if ran_in_a_clean_one("the_bytes_of_begin_are_these") {
        return;
    }
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
    assert_golden(&operator, &to_operator, include_str!("golden/begin-custom.http"));
    assert_golden(&vendor, &to_vendor, include_str!("golden/begin-default.http"));
    block_on(telemetry.stop());
}

#[test]
fn a_minimal_request_is_this() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let telemetry = on(MemoryStore::new()).config(custom(&destination.url())).start().unwrap();
    let begin = destination.wait_for_requests(1, SOON).remove(0);
    assert_golden(&destination, &begin, include_str!("golden/begin-minimal.http"));
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
