//! Events over HTTP, and every status they are answered with.

use deployment_telemetry::Reason;
use test_support::TestDatabase;

use crate::host::{Event, Host, INSTANCE, RUN};

#[test]
fn an_event_is_durable_when_it_is_answered() {
    let database = TestDatabase::new();
    let host = Host::on_postgres(&database);
    let begin = Event::new(INSTANCE, RUN, 1, Reason::Begin);
    assert_eq!(host.send(&begin).status, 200);
    let answer = host.send(&Event::new(INSTANCE, RUN, 2, Reason::Update));
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let stored = "select string_agg(format('%s %s %s %s %s', reason, sequence, kind, type, persistent), ', ' order by sequence) from telemetry_event";
    assert_eq!(
        database.query_one_text(stored).as_deref(),
        Some("begin 1 usr telemetry.custom t, update 2 usr telemetry.custom t")
    );
    let data = database.query_one_text("select data::text from telemetry_event where sequence = 1").unwrap();
    assert_eq!(data.as_bytes(), begin.body);
    futures_executor::block_on(host.receiver.judge()).unwrap();
    assert_eq!(
        database.query_one_text("select state_rank::text from telemetry_instance").as_deref(),
        Some("2")
    );
}
