//! The checks for leaks see what is there. One test, for what it counts is the whole process's.
#![cfg(target_os = "linux")]

use std::{net::TcpListener, panic::catch_unwind, sync::mpsc, thread, time::Duration};

use test_support::{Behaviour, FakeDestination, Threads, assert_no_thread_named, open_sockets, wait_until};

const MOMENT: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn threads_and_sockets_are_counted() {
    let before = open_sockets();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(open_sockets(), before + 1);
    drop(listener);

    drop(FakeDestination::start(Behaviour::Ok));
    assert_eq!(open_sockets(), before);
    assert_no_thread_named("fake-destination", LIMIT);

    let (end, ended) = mpsc::channel::<()>();
    let thread =
        thread::Builder::new().name("leaked-with-a-long-name".into()).spawn(move || ended.recv()).unwrap();
    wait_until("the thread has its name", LIMIT, || Threads::snapshot().count_named("leaked-") == 1);
    assert!(catch_unwind(|| assert_no_thread_named("leaked-with-a-long-name", MOMENT)).is_err());
    drop(end);
    assert_no_thread_named("leaked-", LIMIT);
    assert!(thread.join().unwrap().is_err());
}
