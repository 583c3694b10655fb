//! What a destination may do, over real sockets: an outcome in the status, never an error in the host.

#![expect(clippy::disallowed_methods, reason = "the clock is the real one")]

mod host;

use std::time::{Duration, Instant};

use deployment_telemetry::{Cause, Outcome, Telemetry, Vendor};
use host::{MemoryStore, SOON, STOP_LIMIT, block_on, both, custom, on, wait_for, wait_for_attempts};
use test_support::environment::ran_in_a_clean_one;
use test_support::{Behaviour, FakeDestination, refused_url};

fn start(url: &str) -> Telemetry {
    on(MemoryStore::new()).config(custom(url)).start().unwrap()
}

/// What became of `begin` at a destination that behaves like this.
fn begin_at(behaviour: Behaviour) -> (Outcome, Duration) {
    let destination = FakeDestination::start(behaviour);
    let telemetry = start(&destination.url());
    let attempt = wait_for_attempts(&telemetry, 1).attempts[0].clone();
    // The end is none of this test's business: it may have to hang.
    drop(telemetry);
    (attempt.outcome, attempt.duration)
}

#[track_caller]
fn assert_cause(behaviour: Behaviour, cause: Cause, words: &str) {
    let (outcome, _) = begin_at(behaviour.clone());
    let Outcome::Failed(failure) = outcome else { panic!("{behaviour:?}: {outcome:?}") };
    assert_eq!(failure.cause, cause, "{behaviour:?}: {failure}");
    assert!(failure.message.contains(words), "{behaviour:?}: {failure}");
}

#[test]
fn every_status_is_an_outcome() {
    for code in [200, 201, 204, 301, 400, 401, 404, 500, 503] {
        assert_eq!(begin_at(Behaviour::Status(code)).0, Outcome::Status(code));
    }
}

#[test]
fn a_redirect_is_an_outcome_and_is_not_followed() {
    let elsewhere = FakeDestination::start(Behaviour::Ok);
    let (outcome, _) = begin_at(Behaviour::Redirect(elsewhere.url()));
    assert_eq!(outcome, Outcome::Status(307));
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn a_body_is_not_read_however_long_or_slow() {
    for behaviour in [Behaviour::EndlessBody, Behaviour::HangAfterHead] {
        let (outcome, duration) = begin_at(behaviour.clone());
        assert_eq!(outcome, Outcome::Status(200), "{behaviour:?}");
        assert!(duration < Duration::from_secs(5), "{behaviour:?} took {duration:?}");
    }
}

#[test]
fn a_slow_answer_within_the_limit_is_waited_for() {
    let (outcome, duration) = begin_at(Behaviour::Slow(Duration::from_millis(1500)));
    assert_eq!(outcome, Outcome::Status(200));
    assert!(duration >= Duration::from_millis(1500));
}

#[test]
fn no_answer_is_given_up_after_five_seconds() {
    let (outcome, duration) = begin_at(Behaviour::HangBeforeHead);
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.cause, Cause::TimedOut);
    assert!(failure.message.contains("timed out after 5.0 s while waiting for its answer"), "{failure}");
    assert!(duration >= Duration::from_secs(5), "{duration:?}");
}

#[test]
fn broken_connections_and_answers_have_their_causes() {
    assert_cause(Behaviour::Reset, Cause::Disconnected, "closed before an answer came");
    assert_cause(Behaviour::EarlyClose, Cause::Disconnected, "closed before an answer came");
    assert_cause(
        Behaviour::Garbage(b"\x00\xff not HTTP\r\n\r\n".to_vec()),
        Cause::InvalidResponse,
        "not HTTP",
    );
    assert_cause(Behaviour::Garbage(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), Cause::InvalidResponse, "not HTTP");
    assert_cause(Behaviour::BrokenTls, Cause::Tls, "does not speak TLS");
}

#[test]
fn nobody_there_is_told_as_that() {
    let telemetry = start(&refused_url());
    let attempt = wait_for_attempts(&telemetry, 1).attempts[0].clone();
    let Outcome::Failed(failure) = attempt.outcome else { panic!("{attempt:?}") };
    assert_eq!(failure.cause, Cause::Refused);
    assert!(failure.message.contains("no program listens there"), "{failure}");
    block_on(telemetry.stop());
}

#[test]
fn a_name_that_does_not_exist_is_told_as_that() {
    let telemetry = start("http://no-such-host.invalid/events");
    let attempt = wait_for_attempts(&telemetry, 1).attempts[0].clone();
    let Outcome::Failed(failure) = attempt.outcome else { panic!("{attempt:?}") };
    assert_eq!(failure.cause, Cause::Dns, "{failure}");
    assert!(failure.message.contains("no-such-host.invalid"), "{failure}");
    block_on(telemetry.stop());
}

#[test]
fn a_destination_that_recovers_is_sent_to_again() {
    let destination = FakeDestination::start(Behaviour::Reset);
    let telemetry = start(&destination.url());
    wait_for_attempts(&telemetry, 1);
    destination.set_behaviour(Behaviour::Ok);
    let delivered = block_on(telemetry.send_now()).unwrap();
    assert_eq!(delivered[0].outcome, Outcome::Status(200));
    let status = telemetry.status();
    assert_eq!((status.destinations[0].sent, status.destinations[0].failed), (1, 1));
    block_on(telemetry.stop());
}

#[test]
fn one_destination_never_delays_the_other() {
    if ran_in_a_clean_one("one_destination_never_delays_the_other") {
        return;
    }
    let (hanging, well) =
        (FakeDestination::start(Behaviour::HangBeforeHead), FakeDestination::start(Behaviour::Ok));
    let telemetry =
        on(MemoryStore::new()).config(both(&hanging.url())).vendor(Vendor::new(well.url())).start().unwrap();
    let status =
        wait_for(&telemetry, "begin at the one that is well", |status| status.destinations[1].sent == 1);
    assert_eq!(status.destinations[0].attempts.len(), 0, "the other one still hangs");
    drop(telemetry);
}

#[test]
fn a_stop_with_both_destinations_well_tells_both_of_the_end() {
    if ran_in_a_clean_one("a_stop_with_both_destinations_well_tells_both_of_the_end") {
        return;
    }
    let (operator, vendor) = (FakeDestination::start(Behaviour::Ok), FakeDestination::start(Behaviour::Ok));
    let telemetry = on(MemoryStore::new())
        .config(both(&operator.url()))
        .vendor(Vendor::new(vendor.url()))
        .start()
        .unwrap();
    wait_for_attempts(&telemetry, 1);
    let report = block_on(telemetry.stop());
    assert!(report.was_running);
    assert_eq!(report.ends.len(), 2, "{report}");
    assert!(report.ends.iter().all(|end| end.outcome == Outcome::Status(200)), "{report}");
    for destination in [&operator, &vendor] {
        let requests = destination.wait_for_requests(2, SOON);
        assert!(String::from_utf8_lossy(&requests[1].body).contains(r#""reason":"end""#));
    }
}

#[test]
fn a_stop_is_over_in_five_seconds_whatever_the_network_does() {
    if ran_in_a_clean_one("a_stop_is_over_in_five_seconds_whatever_the_network_does") {
        return;
    }
    for behaviour in [Behaviour::HangBeforeHead, Behaviour::Slow(Duration::from_secs(60))] {
        let destination = FakeDestination::start(behaviour.clone());
        let telemetry = on(MemoryStore::new())
            .config(both(&destination.url()))
            .vendor(Vendor::new(destination.url()))
            .start()
            .unwrap();
        destination.wait_for_requests(2, SOON);
        let began = Instant::now();
        let report = block_on(telemetry.stop());
        assert!(began.elapsed() < STOP_LIMIT, "{behaviour:?}: {:?}", began.elapsed());
        assert_eq!(report.ends.len(), 2, "{report}");
        assert!(
            report
                .ends
                .iter()
                .all(|end| matches!(&end.outcome, Outcome::Failed(f) if f.cause == Cause::TimedOut))
        );
        let status = telemetry.status();
        let begin = &status.destinations[0].attempts[1].outcome;
        assert!(matches!(begin, Outcome::Failed(f) if f.cause == Cause::Abandoned), "{begin:?}");
    }
}
