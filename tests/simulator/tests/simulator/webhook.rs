//! The connections to a webhook.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use jiff::Timestamp;
use simulator::{Fleet, Request, Sender, Webhook};

fn request() -> Request {
    let delivery = Fleet { seed: 1, instances: 1, outage: None }.plan().next().unwrap();
    Sender { speed: 1.0, token: None, secret: None }.request(&delivery, Timestamp::now())
}

/// A server that answers `per_connection` requests on each of its connections, and then closes it. It sends the number of
/// each request's connection.
fn server(per_connection: usize) -> (Webhook, Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/webhooks/key", listener.local_addr().unwrap()).parse().unwrap();
    let (requests, received) = channel();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = BufReader::new(stream.unwrap());
            for _ in 0..per_connection {
                if !answer(&mut stream) || requests.send(number).is_err() {
                    break;
                }
            }
        }
    });
    (Webhook::new(url, 1).unwrap(), received)
}

/// Whether there was a request to answer.
fn answer(stream: &mut BufReader<TcpStream>) -> bool {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return false;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length]).unwrap();
    stream.get_mut().write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nfull").is_ok()
}

#[actix_web::test]
async fn a_connection_is_used_for_many_requests() {
    let (webhook, received) = server(3);
    for _ in 0..3 {
        let answer = webhook.post(&request()).await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (503, &b"full"[..]));
    }
    assert_eq!(received.iter().take(3).collect::<Vec<_>>(), [0, 0, 0]);
}

#[actix_web::test]
async fn a_connection_that_the_server_closed_is_replaced() {
    let (webhook, received) = server(1);
    for number in 0..3 {
        // The server closes the connection before it takes the next one; a request that meets the closing fails and is
        // not sent again, as with the real sender.
        while webhook.post(&request()).await.is_err() {}
        assert_eq!(received.recv().unwrap(), number);
    }
}

#[actix_web::test]
async fn a_server_that_does_not_listen_is_an_error() {
    let webhook = Webhook::new(test_support::refused_url().parse().unwrap(), 1).unwrap();
    assert!(webhook.post(&request()).await.is_err());
}
