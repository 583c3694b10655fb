//! The webhook as senders with several keys see it.

use actix_web::App;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use serde_json::Value;
use uuid::Uuid;

use crate::receiver::fixture::Fixture;
use crate::receiver::keys::settings::valid_keep;
use crate::receiver::{KeyLimits, NewKey, Operator, Receiver, WebhookKey};
use crate::wire::build::BuildInfo;
use crate::wire::license::LicenseState;
use crate::wire::payload::{Payload, Reason};

/// An event of an instance.
struct Sent {
    instance: u128,
    number: u64,
    reason: Reason,
    version: String,
    frequency: Option<&'static str>,
}

impl Sent {
    fn begin(instance: u128) -> Self {
        Self { instance, number: 1, reason: Reason::Begin, version: "0.1.0".to_owned(), frequency: None }
    }
}

/// Status and body of the answer.
async fn send(receiver: &Receiver, key: &WebhookKey, sent: Sent) -> (u16, Value) {
    let app = init_service(App::new().configure(receiver.webhooks())).await;
    let id = Uuid::from_u128(sent.instance);
    let payload =
        Payload::new(&BuildInfo::new(sent.version), id, &LicenseState::default(), sent.reason, None);
    let request = TestRequest::post()
        .uri(&format!("/webhooks/{}", key.expose()))
        .insert_header(("content-type", "application/json"))
        .insert_header(("user-agent", "example-server/0.1.0 (a test)"))
        .insert_header(("webhook-id", format!("{}.{}", Uuid::from_u128(sent.instance + 1_000), sent.number)))
        .insert_header(("telemetry-frequency", sent.frequency.unwrap_or("3600")))
        .set_payload(payload.to_json());
    let answer = call_service(&app, request.to_request()).await;
    let status = answer.status().as_u16();
    let body = read_body(answer).await;
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

async fn new_key(receiver: &Receiver, name: &str, limits: KeyLimits) -> (Uuid, WebhookKey) {
    let created = receiver.keys().create(NewKey { limits, ..NewKey::named(name) }).await.unwrap();
    (created.id, created.key)
}

fn word(problem: &Value) -> &str {
    problem["type"].as_str().unwrap_or_default().rsplit(':').next().unwrap_or_default()
}

#[actix_web::test]
async fn two_keys_do_not_fight_over_an_instance() {
    let fixture = Fixture::with(0).await;
    let receiver = &fixture.receiver;
    let (_, one) = new_key(receiver, "one", KeyLimits::default()).await;
    let (two_id, two) = new_key(receiver, "two", KeyLimits::default()).await;
    assert_eq!(send(receiver, &one, Sent::begin(1)).await.0, 200);
    let (status, problem) = send(receiver, &two, Sent { reason: Reason::End, ..Sent::begin(1) }).await;
    assert_eq!((status, word(&problem), problem["field"].as_str()), (403, "other-key", Some("instance_id")));

    let instance = fixture.get(&format!("/fleet/api/instances/{}", Uuid::from_u128(1))).await.json();
    assert_eq!(
        (instance["key_name"].as_str(), instance["product"].as_str()),
        (Some("one"), Some("example-server"))
    );
    let refused = fixture.get("/fleet/api/refused").await.json();
    let refused = &refused["refused"][0];
    assert_eq!(refused["key_name"], "two");
    assert_eq!(refused["cause"], "other-key");
    assert_eq!(refused["status"], 403);
    assert_eq!(refused["instance_id"], Uuid::from_u128(1).to_string());
    assert_eq!(refused["build_version"], "0.1.0");

    let operator = Operator::of(fixture.storage());
    assert!(operator.move_instance(Uuid::from_u128(1), two_id).await.unwrap());
    assert_eq!(send(receiver, &one, Sent { number: 2, ..Sent::begin(1) }).await.0, 403);
    assert_eq!(send(receiver, &two, Sent { number: 2, ..Sent::begin(1) }).await.0, 200);
}

#[actix_web::test]
async fn a_leaked_key_cannot_fill_the_fleet() {
    let fixture = Fixture::with(0).await;
    let receiver = &fixture.receiver;
    let mut limits = KeyLimits { new_per_hour: Some(2), ..KeyLimits::default() };
    let (id, key) = new_key(receiver, "few", limits).await;
    for instance in [1, 2] {
        assert_eq!(send(receiver, &key, Sent::begin(instance)).await.0, 200);
    }
    let (status, problem) = send(receiver, &key, Sent::begin(3)).await;
    assert_eq!((status, word(&problem)), (429, "too-many-new"));
    assert_eq!(send(receiver, &key, Sent { number: 2, ..Sent::begin(2) }).await.0, 200, "it is known");
    limits.new_per_hour = None;
    assert!(receiver.keys().set_limits(id, limits).await.unwrap());
    assert_eq!(send(receiver, &key, Sent::begin(3)).await.0, 200);
}

#[actix_web::test]
async fn a_key_is_replaced_and_stays_the_owner() {
    let fixture = Fixture::with(0).await;
    let receiver = &fixture.receiver;
    let (id, old) = new_key(receiver, "mine", KeyLimits::default()).await;
    assert_eq!(send(receiver, &old, Sent::begin(1)).await.0, 200);
    let week = valid_keep(168).unwrap();
    let new = receiver.keys().replace(id, week).await.unwrap().unwrap();
    assert_eq!(send(receiver, &old, Sent { number: 2, ..Sent::begin(1) }).await.0, 200, "for a week");
    assert_eq!(send(receiver, &new, Sent { number: 3, ..Sent::begin(1) }).await.0, 200, "the same owner");
    let keys = receiver.keys().list().await.unwrap();
    assert!(keys[0].old_until.is_some());
    assert!(receiver.keys().finish_replacement(id).await.unwrap());
    assert_eq!(send(receiver, &old, Sent { number: 4, ..Sent::begin(1) }).await.0, 404);
    let newest = receiver.keys().replace(id, valid_keep(0).unwrap()).await.unwrap().unwrap();
    assert_eq!(send(receiver, &new, Sent { number: 5, ..Sent::begin(1) }).await.0, 404, "not for a moment");
    assert_eq!(send(receiver, &newest, Sent { number: 5, ..Sent::begin(1) }).await.0, 200);
    assert!(receiver.keys().replace(Uuid::from_u128(7), week).await.unwrap().is_none());
}

#[actix_web::test]
async fn a_key_of_the_host_stays_the_same_owner_when_its_secret_changes() {
    let fixture = Fixture::with(0).await;
    let (_, stranger) = new_key(&fixture.receiver, "stranger", KeyLimits::default()).await;
    let mut last = None;
    for number in 1..=2 {
        let secret = WebhookKey::generate();
        // Another receiver on the same store, as after a restart.
        let receiver = Receiver::builder(fixture.storage()).key(&secret).start().unwrap();
        let sent = Sent { number, frequency: Some("1"), ..Sent::begin(1) };
        assert_eq!(send(&receiver, &secret, sent).await.0, 200);
        last = Some(receiver);
    }
    let receiver = last.unwrap();
    assert_eq!(send(&receiver, &stranger, Sent { number: 3, ..Sent::begin(1) }).await.0, 403);
}

#[actix_web::test]
async fn a_frequency_beyond_that_of_a_sender_needs_a_key_for_it() {
    let fixture = Fixture::with(0).await;
    let receiver = &fixture.receiver;
    let (_, usual) = new_key(receiver, "usual", KeyLimits::default()).await;
    let (_, any) = new_key(receiver, "any", KeyLimits { any_frequency: true, ..KeyLimits::default() }).await;
    let often = |instance| Sent { frequency: Some("60"), ..Sent::begin(instance) };
    let (status, problem) = send(receiver, &usual, often(1)).await;
    assert_eq!((status, problem["field"].as_str()), (400, Some("telemetry-frequency")));
    assert_eq!(send(receiver, &any, often(2)).await.0, 200);
}

#[actix_web::test]
async fn the_same_request_is_stored_once_and_another_one_under_its_number_too() {
    let fixture = Fixture::with(0).await;
    let receiver = &fixture.receiver;
    let (_, key) = new_key(receiver, "mine", KeyLimits::default()).await;
    for _ in 0..3 {
        assert_eq!(send(receiver, &key, Sent::begin(1)).await.0, 200);
    }
    let restored = Sent { version: "0.2.0".to_owned(), ..Sent::begin(1) };
    assert_eq!(send(receiver, &key, restored).await.0, 200);
    receiver.judge().await.unwrap();
    let events = fixture.get("/fleet/api/events").await.json();
    assert_eq!(events["events"].as_array().unwrap().len(), 2);
    let instance = fixture.get(&format!("/fleet/api/instances/{}", Uuid::from_u128(1))).await.json();
    assert_eq!(instance["flags"]["cloned"], true);
    assert_ne!(instance["runs"][0]["forked_at"], Value::Null);
    assert_eq!(instance["build_version"], "0.2.0");
}
