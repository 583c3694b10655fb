//! A request of the library's, recorded and sent again by hand.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
};

use deployment_telemetry::Config;
use test_support::{Behaviour, FakeDestination, ReceivedRequest};

use crate::{host::SOON, run::begin};

/// A `begin` by these settings, as it is on the wire.
pub(crate) fn recorded(settings: Config, path: &str) -> ReceivedRequest {
    let destination = FakeDestination::start(Behaviour::Ok);
    let url = format!("http://{}{path}", destination.address());
    begin(settings.url(url));
    destination.wait_for_requests(1, SOON).remove(0)
}

/// The status and the body that a program on `port` answers with.
pub(crate) fn send(port: u16, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(request).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}
