//! Events over HTTP, and every status they are answered with.

use std::io::{Read, Write};
use std::net::TcpStream;

use deployment_telemetry::Reason;
use deployment_telemetry::receiver::{Keys, NewKey};
use futures_executor::block_on;
use secrecy::ExposeSecret;
use serde_json::json;
use tempfile::TempDir;
use test_support::{TestCluster, TestDatabase, refused_url, wait_until};
use uuid::Uuid;

use crate::host::{Event, Host, INSTANCE, LIMIT, RUN, Response, postgres, sqlite};

fn begin() -> Event {
    Event::new(INSTANCE, RUN, 1, Reason::Begin)
}

#[track_caller]
fn assert_problem(answer: &Response, status: u16, named: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.head.contains("content-type: application/problem+json"), "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{answer:?}");
    assert!(
        problem["title"].is_string() && problem["type"].as_str().unwrap().starts_with("urn:"),
        "{answer:?}"
    );
    let (field, detail) =
        (problem["field"].as_str().unwrap_or_default(), problem["detail"].as_str().unwrap());
    assert!(field == named || detail.contains(named), "{named} is not in {answer:?}");
}

fn events_of(host: &Host) -> Vec<serde_json::Value> {
    let mut answer = None;
    wait_until("the store answers", LIMIT, || {
        answer = Some(host.request("GET", "/api/events", &[], b"")).filter(|answer| answer.status == 200);
        answer.is_some()
    });
    answer.unwrap().json()["events"].as_array().unwrap().clone()
}

#[test]
fn an_event_is_durable_when_it_is_answered_on_postgresql() {
    let database = TestDatabase::new();
    let host = Host::start(postgres(&database), |builder| builder);
    assert_eq!(host.send(&begin()).status, 200);
    let answer = host.send(&Event::new(INSTANCE, RUN, 2, Reason::Update));
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let stored = "select string_agg(format('%s %s %s %s %s', reason, sequence, kind, type, persistent), ', '
                      order by sequence) from telemetry_event";
    assert_eq!(
        database.query_one_text(stored).as_deref(),
        Some("begin 1 usr telemetry.custom t, update 2 usr telemetry.custom t")
    );
    let data = database.query_one_text("select data::text from telemetry_event where sequence = 1").unwrap();
    assert_eq!(data.as_bytes(), begin().body);
    block_on(host.receiver.judge()).unwrap();
    let instance = host.request("GET", &format!("/api/instances/{INSTANCE}"), &[], b"").json();
    assert_eq!((&instance["state"], &instance["custom_id"]), (&json!("up"), &json!("mine")));
}

#[test]
fn the_same_event_is_stored_once() {
    let directory = TempDir::new().unwrap();
    let host = Host::on_sqlite(directory.path());
    for _ in 0..3 {
        assert_eq!(host.send(&begin()).status, 200);
    }
    let other = Event::new(Uuid::from_u128(8), RUN, 1, Reason::Begin);
    assert_eq!(host.send(&other).status, 200, "the same number of another instance is another event");
    assert_eq!(events_of(&host).len(), 2);
    for _ in 0..2 {
        assert_eq!(host.send(&begin().without("webhook-id")).status, 200);
    }
    assert_eq!(events_of(&host).len(), 4, "without a number none can be told from another");
    let metrics = host.request("GET", "/metrics", &[], b"").body;
    assert!(metrics.contains("telemetry_receiver_repeated_events_total 2"), "{metrics}");
}

#[test]
fn what_a_newer_sender_says_besides_is_kept() {
    let directory = TempDir::new().unwrap();
    let host = Host::on_sqlite(directory.path());
    let newer = begin().with_body(|fields| {
        fields.insert(
            "build_channel".to_owned(),
            json!({"name": "beta", "numbers": [1, 2.5, -3e10, null, true]}),
        );
        fields.insert("reason".to_owned(), json!("moved-house"));
    });
    assert_eq!(host.send(&newer).status, 200);
    let event = &events_of(&host)[0];
    assert_eq!(event["data"]["build_channel"]["name"], "beta");
    assert_eq!(event["reason"], "moved-house");
}

#[test]
fn a_body_that_is_not_what_it_must_be_is_refused_and_the_field_is_named() {
    let directory = TempDir::new().unwrap();
    let host = Host::on_sqlite(directory.path());
    for field in [
        "build_version",
        "build_commit",
        "build_time",
        "build_mode",
        "build_os",
        "build_arch",
        "instance_id",
        "license_key_hash",
        "license_valid",
        "reason",
        "checksum",
    ] {
        let missing = begin().with_body(|fields| _ = fields.remove(field));
        assert_problem(&host.send(&missing), 400, field);
        let mut wrong: serde_json::Map<_, _> = serde_json::from_slice(&begin().body).unwrap();
        wrong.insert(field.to_owned(), json!(["s3cret"]));
        let wrong = Event { body: serde_json::to_vec(&wrong).unwrap(), ..begin() };
        let answer = host.send(&wrong);
        assert_problem(&answer, 400, field);
        assert!(!answer.body.contains("s3cret"), "{answer:?}");
    }
    let custom_id = begin().with_body(|fields| _ = fields.insert("custom_id".to_owned(), json!(7)));
    assert_problem(&host.send(&custom_id), 400, "custom_id");
    for id in ["", "mine", "00000000-0000-0000-0000-000000000000"] {
        let event = begin().with_body(|fields| _ = fields.insert("instance_id".to_owned(), json!(id)));
        assert_problem(&host.send(&event), 400, "instance_id");
    }
    let text = String::from_utf8(begin().body).unwrap();
    for (body, named) in [
        (String::new(), "JSON"),
        ("{".to_owned(), "JSON"),
        ("reason=begin".to_owned(), "JSON"),
        (format!("{text} {{}}"), "JSON"),
        ("[]".to_owned(), "object"),
        ("[".repeat(10_000), "nested"),
        (text.replacen('{', "{\"reason\":\"end\",", 1), "twice"),
        (text.replacen('{', "{\"x\":{\"y\":1,\"y\":2},", 1), "twice"),
        (text.replacen('{', "{\"x\":\"\\u0000\",", 1), "U+0000"),
        (text.replacen('{', "{\"x\\u0000\":1,", 1), "U+0000"),
        (text.replacen('{', "{\"x\":\"\\ud800\",", 1), "JSON"),
        (text.replacen('{', "{\"x\":1e999,", 1), "JSON"),
    ] {
        assert_problem(&host.send(&Event { body: body.into_bytes(), ..begin() }), 400, named);
    }
    assert_problem(&host.send(&Event { body: b"{\"\xff\":1}".to_vec(), ..begin() }), 400, "UTF-8");
    assert_eq!(events_of(&host).len(), 0);
}

#[test]
fn a_header_that_cannot_be_used_is_named() {
    let directory = TempDir::new().unwrap();
    let host = Host::on_sqlite(directory.path());
    for (name, value) in [
        ("telemetry-frequency", "0"),
        ("telemetry-frequency", "-1"),
        ("telemetry-frequency", "8h"),
        ("telemetry-frequency", "2678401"),
        ("webhook-timestamp", "yesterday"),
        ("webhook-id", ""),
    ] {
        assert_problem(&host.send(&begin().with(name, value)), 400, name);
    }
    assert_problem(&host.send(&begin().with("webhook-id", &"x".repeat(257))), 400, "webhook-id");
    let mut twice = begin();
    twice.headers.push(("webhook-id", "another".to_owned()));
    assert_problem(&host.send(&twice), 400, "webhook-id");
    assert_eq!(host.send(&begin().with("webhook-id", "msg_of_another_sender")).status, 200);
    assert_eq!(host.send(&begin().without("webhook-timestamp").without("telemetry-frequency")).status, 200);
}

#[test]
fn a_checksum_that_is_wrong_is_told_apart() {
    let directory = TempDir::new().unwrap();
    let host = Host::on_sqlite(directory.path());
    let text = String::from_utf8(begin().body).unwrap();
    let tampered = text.replace("\"license_valid\":true", "\"license_valid\":false");
    assert_problem(&host.send(&Event { body: tampered.into_bytes(), ..begin() }), 422, "checksum");
    assert_eq!(events_of(&host).len(), 0);
}

#[test]
fn only_json_by_post_and_of_16_kib_at_the_most_is_taken() {
    let directory = TempDir::new().unwrap();
    let host = Host::on_sqlite(directory.path());
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        assert_problem(&host.send(&begin().with("content-type", content_type)), 415, "application/json");
    }
    assert_problem(&host.send(&begin().without("content-type")), 415, "application/json");
    assert_problem(&host.send(&begin().with("content-encoding", "gzip")), 415, "compressed");
    assert_eq!(host.send(&begin().with("content-type", "Application/JSON; charset=utf-8")).status, 200);

    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = host.request(method, &host.webhook(), &begin().headers(), b"");
        assert_problem(&answer, 405, "POST");
        assert!(answer.head.contains("allow: post"), "{answer:?}");
    }

    let padded = |length: usize| {
        let event = begin().with_body(|fields| _ = fields.insert("pad".to_owned(), json!("")));
        let pad = length - event.body.len();
        event.with_body(|fields| _ = fields.insert("pad".to_owned(), json!("x".repeat(pad))))
    };
    assert_eq!(padded(16 * 1024).body.len(), 16 * 1024);
    assert_eq!(host.send(&padded(16 * 1024).with("webhook-id", "long")).status, 200);
    assert_problem(&host.send(&padded(16 * 1024 + 1)), 413, "16384");
    // What is declared need not be sent to be refused.
    let declared = begin().with("content-length", "10737418240");
    assert_problem(&host.request("POST", &host.webhook(), &declared.headers(), b"{"), 413, "16384");
    // Nor need it be declared.
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000)).into_bytes();
    let chunked = begin().with("transfer-encoding", "chunked");
    assert_problem(&host.request("POST", &host.webhook(), &chunked.headers(), &chunk), 413, "16384");
}

#[test]
fn a_key_that_is_unknown_or_revoked_is_not_found_without_a_hint_which() {
    let directory = TempDir::new().unwrap();
    let host = Host::on_sqlite(directory.path());
    let keys = host.receiver.keys();
    let created = block_on(keys.create(NewKey::named("mine"))).unwrap();
    let path = format!("/webhooks/{}", created.key.expose());
    let send = |path: &str| host.request("POST", path, &begin().headers(), &begin().body);
    assert_eq!(send(&path).status, 200);
    assert!(block_on(keys.revoke(created.id)).unwrap());
    let (revoked, unknown) = (send(&path), send("/webhooks/unknown"));
    assert_problem(&revoked, 404, "no webhook");
    assert_eq!(revoked.body, unknown.body);
    assert!(!block_on(keys.revoke(created.id)).unwrap());
}

#[test]
fn a_key_that_another_process_makes_is_taken_at_once() {
    let directory = TempDir::new().unwrap();
    let host = Host::on_sqlite(directory.path());
    assert_eq!(host.send(&begin()).status, 200);
    let keys = Keys::of(sqlite(directory.path()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let created = runtime.block_on(keys.create(NewKey::named("mine"))).unwrap();
    let path = format!("/webhooks/{}", created.key.expose());
    let send = |event: Event| host.request("POST", &path, &event.headers(), &event.body);
    assert_problem(&send(begin()), 403, "belongs to the key");
    assert_eq!(send(Event::new(Uuid::from_u128(9), RUN, 1, Reason::Begin)).status, 200);
}

#[test]
fn a_token_and_a_signature_are_asked_for_where_the_key_has_them() {
    let directory = TempDir::new().unwrap();
    let host = Host::on_sqlite(directory.path());
    let mut new = NewKey::named("strict");
    (new.signed, new.token) = (true, true);
    let created = block_on(host.receiver.keys().create(new)).unwrap();
    let path = format!("/webhooks/{}", created.key.expose());
    let token = format!("Bearer {}", created.token.as_ref().unwrap().expose_secret());
    let old = created.secret.unwrap();
    let now = jiff::Timestamp::now().as_second();
    let signed = |secret: &str, seconds: i64, body: &[u8]| {
        let event = begin().with("authorization", &token).with("webhook-timestamp", &seconds.to_string());
        let id = format!("{RUN}.1");
        let signature = test_support::webhook::signature(secret, &id, &seconds.to_string(), body);
        event.with("webhook-signature", &format!("v1,AAAA {signature}"))
    };
    let send = |event: &Event| host.request("POST", &path, &event.headers(), &event.body);
    let right = signed(old.expose_secret(), now, &begin().body);
    assert_eq!(send(&right).status, 200);
    assert_problem(&send(&right.clone().without("authorization")), 401, "token");
    assert_problem(&send(&right.clone().with("authorization", "Bearer wrong")), 401, "token");
    for header in ["webhook-signature", "webhook-timestamp", "webhook-id"] {
        assert_problem(&send(&right.clone().without(header)), 401, "signature");
    }
    assert_problem(&send(&signed(old.expose_secret(), now, b"{}")), 401, "signature");
    assert_problem(&send(&signed(old.expose_secret(), now - 301, &begin().body)), 401, "signature");
    assert_problem(&send(&signed(old.expose_secret(), now + 302, &begin().body)), 401, "signature");

    let new = block_on(host.receiver.keys().add_secret(created.id)).unwrap().unwrap();
    for secret in [&old, &new] {
        assert_eq!(send(&signed(secret.expose_secret(), now, &begin().body)).status, 200);
    }
    assert!(block_on(host.receiver.keys().finish_rotation(created.id)).unwrap());
    assert_problem(&send(&signed(old.expose_secret(), now, &begin().body)), 401, "signature");
    assert_eq!(send(&signed(new.expose_secret(), now, &begin().body)).status, 200);
}

#[test]
fn whoever_may_not_send_uses_up_nothing_of_a_keys_rate() {
    let directory = TempDir::new().unwrap();
    let host = Host::on_sqlite(directory.path());
    let mut new = NewKey::named("slow");
    (new.rate, new.token) = (Some(1), true);
    let created = block_on(host.receiver.keys().create(new)).unwrap();
    let path = format!("/webhooks/{}", created.key.expose());
    for _ in 0..5 {
        assert_problem(&host.request("POST", &path, &begin().headers(), &begin().body), 401, "token");
    }
    let token = format!("Bearer {}", created.token.unwrap().expose_secret());
    let right = begin().with("authorization", &token);
    assert_eq!(host.request("POST", &path, &right.headers(), &right.body).status, 200);
}

#[test]
fn a_key_over_its_rate_is_told_to_wait() {
    let directory = TempDir::new().unwrap();
    let host = Host::on_sqlite(directory.path());
    let mut new = NewKey::named("slow");
    new.rate = Some(1);
    let created = block_on(host.receiver.keys().create(new)).unwrap();
    let path = format!("/webhooks/{}", created.key.expose());
    let answers: Vec<Response> =
        (0..20).map(|_| host.request("POST", &path, &begin().headers(), &begin().body)).collect();
    let refused =
        answers.iter().find(|answer| answer.status == 429).expect("20 requests take less than 19 seconds");
    assert_problem(refused, 429, "more events");
    assert!(refused.head.contains("retry-after: 1"), "{refused:?}");
    assert_eq!(answers[0].status, 200);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it is about real time")]
fn without_its_store_the_receiver_says_503_in_the_time_a_sender_has() {
    let url = refused_url().replace("http://", "postgresql://user:s3cret@") + "fleet";
    let host =
        Host::start(deployment_telemetry::receiver::PostgresFleetStore::from_url(url).unwrap(), |builder| {
            builder
        });
    let began = std::time::Instant::now();
    let answer = host.send(&begin());
    assert_problem(&answer, 503, "in time");
    assert!(answer.head.contains("retry-after: 5"), "{answer:?}");
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(!answer.body.contains("s3cret"), "{answer:?}");
    assert_problem(&host.request("GET", "/api/fleet", &[], b""), 503, "store");
}

#[test]
fn a_store_that_was_away_for_a_moment_costs_no_event() {
    let mut cluster = TestCluster::start();
    let store =
        deployment_telemetry::receiver::PostgresFleetStore::from_url(cluster.url("postgres")).unwrap();
    let host = Host::start(store, |builder| builder);
    assert_eq!(host.send(&begin()).status, 200);
    cluster.stop();
    let answer = std::thread::scope(|scope| {
        let sending = scope.spawn(|| host.send(&Event::new(INSTANCE, RUN, 2, Reason::Update)));
        cluster.start_again();
        sending.join().unwrap()
    });
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(events_of(&host).len(), 2);
}

#[test]
fn a_body_that_comes_too_slowly_is_not_waited_for() {
    let directory = TempDir::new().unwrap();
    let host = Host::on_sqlite(directory.path());
    let mut stream = TcpStream::connect(host.address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let head = begin().with("content-length", "700").headers().join("\r\n");
    write!(stream, "POST {} HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n{{", host.webhook()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}
