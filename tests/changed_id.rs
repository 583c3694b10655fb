//! An instance id that is changed in the database while the host runs, over real sockets.

mod host;

use deployment_telemetry::{Outcome, StateStore};
use host::{INSTANCE_ID, MemoryStore, SOON, block_on, custom, on, wait_for_attempts};
use test_support::{Behaviour, FakeDestination};

const OTHER: &str = "7229a017-ba4e-4d2c-8f6e-0123456789ab";

#[test]
fn the_old_instance_ends_and_the_new_one_begins_in_the_same_run() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let store = MemoryStore::new();
    let telemetry = on(store.clone()).config(custom(&destination.url())).start().unwrap();
    wait_for_attempts(&telemetry, 1);
    // As a person pastes it.
    let (old, new) = (format!("\"{INSTANCE_ID}\""), format!("\" {{{}}}\\n\"", OTHER.to_uppercase()));
    assert!(block_on(store.replace("instance_id", Some(&old), &new)).unwrap());
    let delivered = block_on(telemetry.send_now()).unwrap();
    assert_eq!(delivered[0].outcome, Outcome::Status(200));
    block_on(telemetry.stop());
    assert_eq!(block_on(store.read("instance_id")).unwrap(), Some(new), "the row is left as it is");

    let mut runs = Vec::new();
    let events: Vec<(String, String, String)> = destination
        .wait_for_requests(5, SOON)
        .iter()
        .map(|request| {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let (run, number) = request.header("webhook-id").unwrap().split_once('.').unwrap();
            runs.push(run.to_owned());
            let text = |key: &str| body[key].as_str().unwrap().to_owned();
            (number.to_owned(), text("reason"), text("instance_id"))
        })
        .collect();
    let expected = [
        ("1", "begin", INSTANCE_ID),
        ("2", "end", INSTANCE_ID),
        ("3", "begin", OTHER),
        ("4", "update", OTHER),
        ("5", "end", OTHER),
    ];
    assert_eq!(
        events,
        expected.map(|(number, reason, id)| (number.to_owned(), reason.to_owned(), id.to_owned()))
    );
    runs.dedup();
    assert_eq!(runs.len(), 1, "the run goes on");
}
