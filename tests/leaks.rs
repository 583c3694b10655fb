//! What is left after runs of every kind: nothing. One test, because it looks at the whole process.

mod host;

use std::time::Duration;

use deployment_telemetry::{Config, Health, SqliteStateStore, Vendor};
use host::{MemoryStore, SOON, block_on, both, on, wait_for, wait_for_attempts};
use test_support::environment::ran_in_a_clean_one;
use test_support::{Behaviour, FakeDestination, assert_no_thread_named, open_sockets, wait_until};

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs /proc, which tells of threads and sockets")]
fn no_thread_and_no_socket_is_left_by_a_run_however_it_ends() {
    if ran_in_a_clean_one("no_thread_and_no_socket_is_left_by_a_run_however_it_ends") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // The first runtime of a process opens sockets that stay.
    sockets_of_an_idle_runtime();
    let sockets_before = open_sockets();

    for behaviour in [Behaviour::Ok, Behaviour::HangBeforeHead, Behaviour::EndlessBody, Behaviour::Reset] {
        let destination = FakeDestination::start(behaviour.clone());
        let telemetry = on(SqliteStateStore::new(folder.path().join("state.sqlite")))
            .config(both(&destination.url()))
            .vendor(Vendor::new(destination.url()))
            .start()
            .unwrap();
        destination.wait_for_requests(2, SOON);
        if behaviour == Behaviour::Ok {
            wait_for_attempts(&telemetry, 1);
            wait_until("every delivery's connection is closed", SOON, || destination.open_connections() == 0);
        }
        block_on(telemetry.stop());
        assert_eq!(telemetry.status().health, Health::Stopped);
        assert_no_thread_named("telemetry", SOON);
        wait_until("the destination sees every connection closed", SOON, || {
            destination.open_connections() == 0
        });
    }

    let disabled = on(MemoryStore::new()).config(Config::default()).start().unwrap();
    wait_for(&disabled, "the id is read", |status| status.instance_id.is_some());
    assert_eq!(open_sockets(), sockets_before + sockets_of_an_idle_runtime(), "disabled opens no socket");
    drop(disabled);
    assert_no_thread_named("telemetry", SOON);
    wait_until("every socket is closed", Duration::from_secs(5), || open_sockets() == sockets_before);
}

/// What tokio opens for itself, for signals of child processes.
fn sockets_of_an_idle_runtime() -> usize {
    let before = open_sockets();
    let during = actix_rt::System::new().block_on(async { open_sockets() });
    during - before
}
