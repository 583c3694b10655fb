//! Each fault of the fake destination, as a plain client sees it.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

use test_support::{Behaviour, FakeDestination, refused_url, wait_until};

const LIMIT: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(200);
const REQUEST: &[u8] = b"POST /events?x=1 HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n{}";

fn send(destination: &FakeDestination) -> TcpStream {
    let mut stream = TcpStream::connect(destination.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(REQUEST).unwrap();
    stream
}

/// What it answers up to the end of the connection.
fn exchange(behaviour: Behaviour) -> Result<String, ErrorKind> {
    let destination = FakeDestination::start(behaviour);
    let mut stream = send(&destination);
    destination.wait_for_requests(1, LIMIT);
    let mut answer = String::new();
    stream.shutdown(Shutdown::Write).map_err(|error| error.kind()).ok();
    stream.read_to_string(&mut answer).map(|_| answer).map_err(|error| error.kind())
}

#[test]
fn a_request_is_recorded_byte_for_byte() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let sent_at = Instant::now();
    send(&destination);
    let [request] = destination.wait_for_requests(1, LIMIT).try_into().unwrap();
    assert_eq!(request.raw, REQUEST);
    assert_eq!(request.body, b"{}");
    assert_eq!(request.request_line(), "POST /events?x=1 HTTP/1.1");
    assert_eq!(request.headers[0], ("Host".into(), "here".into()));
    assert_eq!(request.connection, 0);
    assert!(request.received_at > sent_at);
}

#[test]
fn answers_are_what_was_asked_for() {
    let answer = |behaviour| exchange(behaviour).unwrap();
    assert!(answer(Behaviour::Ok).starts_with("HTTP/1.1 200 "));
    assert!(answer(Behaviour::Status(503)).starts_with("HTTP/1.1 503 "));
    assert!(!answer(Behaviour::Status(204)).contains("Content-Length"));
    assert!(answer(Behaviour::Redirect("http://there/".into())).contains("\r\nLocation: http://there/\r\n"));
    assert_eq!(answer(Behaviour::Garbage(b"nonsense".to_vec())), "nonsense");
    assert_eq!(answer(Behaviour::EarlyClose), "");
    assert_eq!(exchange(Behaviour::Reset), Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_slow_answer_comes_late() {
    let begin = Instant::now();
    assert!(exchange(Behaviour::Slow(MOMENT)).unwrap().contains("200"));
    assert!(begin.elapsed() >= MOMENT);
}

#[test]
fn a_connection_serves_several_requests_and_the_behaviour_may_change() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let mut stream = send(&destination);
    let mut buffer = [0; 1024];
    let _ = stream.read(&mut buffer).unwrap();
    destination.set_behaviour(Behaviour::Status(429));
    stream.write_all(REQUEST).unwrap();
    let count = stream.read(&mut buffer).unwrap();
    assert!(buffer[..count].starts_with(b"HTTP/1.1 429"));
    assert_eq!((destination.requests().len(), destination.connections()), (2, 1));
    drop(stream);
    wait_until("it is closed", LIMIT, || destination.open_connections() == 0);
}

#[test]
fn a_hang_answers_nothing_or_a_head_alone() {
    for (behaviour, head) in [
        (Behaviour::HangBeforeHead, ""),
        (Behaviour::HangAfterHead, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
    ] {
        let destination = FakeDestination::start(behaviour);
        let mut stream = send(&destination);
        destination.wait_for_requests(1, LIMIT);
        let mut read = vec![0; head.len()];
        stream.read_exact(&mut read).unwrap();
        assert_eq!(read, head.as_bytes());
        stream.set_read_timeout(Some(MOMENT)).unwrap();
        let error = stream.read(&mut [0]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    }
}

#[test]
fn an_endless_body_goes_on() {
    let destination = FakeDestination::start(Behaviour::EndlessBody);
    let stream = send(&destination);
    let read = std::io::copy(&mut stream.take(64 * 1024 * 1024), &mut std::io::sink()).unwrap();
    assert_eq!(read, 64 * 1024 * 1024);
}

#[test]
fn broken_tls_answers_a_greeting_with_something_else() {
    let destination = FakeDestination::start(Behaviour::BrokenTls);
    assert!(destination.url().starts_with("https://127.0.0.1:"));
    let mut answer = String::new();
    send(&destination).read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "this is not TLS\r\n");
    assert!(destination.requests().is_empty());
}

#[test]
fn nobody_listens_at_the_refused_url() {
    let address = refused_url().replace("http://", "").replace('/', "");
    let error = TcpStream::connect(address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_drop_ends_every_connection_at_once() {
    for behaviour in [
        Behaviour::Ok,
        Behaviour::HangBeforeHead,
        Behaviour::EndlessBody,
        Behaviour::Slow(Duration::from_secs(600)),
    ] {
        let destination = FakeDestination::start(behaviour);
        let _unread: Vec<TcpStream> = (0..3).map(|_| send(&destination)).collect();
        destination.wait_for_requests(3, LIMIT);
        let address = destination.address();
        let begin = Instant::now();
        drop(destination);
        assert!(begin.elapsed() < LIMIT);
        assert!(TcpStream::connect(address).is_err());
    }
}

#[test]
fn a_request_that_does_not_come_fails_the_wait_and_says_what_did() {
    let destination = FakeDestination::start(Behaviour::Ok);
    send(&destination);
    destination.wait_for_requests(1, LIMIT);
    let wait = AssertUnwindSafe(|| destination.wait_for_requests(2, MOMENT));
    let message = *catch_unwind(wait).unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("not 2 requests") && message.contains("POST /events"), "{message}");
}

#[test]
fn a_request_of_more_than_a_mebibyte_is_refused() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let mut stream = TcpStream::connect(destination.address()).unwrap();
    let head = b"POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n";
    let body = vec![b'x'; 9_999_999];
    let sent = stream.write_all(head).and_then(|()| stream.write_all(&body));
    assert!(sent.is_err() || stream.read(&mut [0]).is_err());
    assert!(destination.requests().is_empty());
}

#[test]
fn two_destinations_work_side_by_side() {
    let both = [Behaviour::Ok, Behaviour::HangBeforeHead].map(FakeDestination::start);
    thread::scope(|scope| {
        for destination in &both {
            scope.spawn(|| (0..20).for_each(|_| drop(send(destination))));
        }
    });
    assert!(both.iter().all(|destination| destination.wait_for_requests(20, LIMIT).len() == 20));
}
