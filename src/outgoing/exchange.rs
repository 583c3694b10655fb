//! One request and the status of its answer, by awc on a connection that it is given.
//!
//! awc writes the request and reads the answer. What else it can do is switched off, because a
//! destination or a proxy is reached by ways of our own: it is given one connection that is dialled,
//! tunnelled and secured already, and never learns whether that is TLS.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Cursor};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use actix_rt::net::{ActixStream, Ready};
use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::http::Uri;
use awc::{Client, Connector};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf, WriteHalf};

use super::Answer;
use super::explain;
use super::failure::{Cause, Failure};
use super::head::{NoHead, read_head};
use super::request::Request;

/// A connection to a destination, by TCP or by TLS.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + 'static> Wire for T {}

/// A connection as soon as there is one.
pub(crate) type Connecting = LocalBoxFuture<'static, Result<Box<dyn Wire>, Failure>>;

/// The failure of an exchange. awc's errors have no room for it.
type FailureCell = Rc<RefCell<Option<Failure>>>;

/// The date in the head of an answer, which awc is not shown.
type DateCell = Rc<Cell<Option<SystemTime>>>;

/// Sends `request` on the connection that comes of `connecting`, and gives its answer.
pub(crate) async fn exchange(request: &Request, connecting: Connecting) -> Result<Answer, Failure> {
    let (failure, date) = (FailureCell::default(), DateCell::default());
    let client = client(OneConnection {
        connecting: Rc::new(RefCell::new(Some(connecting))),
        failure: failure.clone(),
        date: date.clone(),
    })?;
    let endpoint = &request.endpoint;
    // Without force_close it would say that the connection is kept, and accept compressed answers
    // without no_decompress.
    let mut post = client
        .post(format!("http://{}{}", endpoint.authority(), endpoint.expose_target()))
        .force_close()
        .no_decompress();
    for header in &request.headers {
        post = post.insert_header((header.name, header.expose()));
    }
    match post.send_body(request.body.clone()).await {
        Ok(response) => Ok(Answer { status: response.status().as_u16(), date: date.get() }),
        Err(error) => Err(failure.take().unwrap_or_else(|| {
            Failure::new(Cause::Internal, format!("the HTTP client failed: {error}; please report it"))
        })),
    }
}

/// A client for one request on one connection. Its limits of time are off, because the caller's
/// covers the whole exchange.
fn client(connection: OneConnection) -> Result<Client, Failure> {
    contained(|| {
        Client::builder()
            .disable_timeout()
            .disable_redirects()
            .connector(Connector::new().connector(connection).timeout(Duration::MAX))
            .finish()
    })
}

/// What `build` makes. awc makes its own configuration of TLS also where it is not used, if a crate
/// of the program turns on its roots, and that can panic.
fn contained(build: impl FnOnce() -> Client) -> Result<Client, Failure> {
    catch_unwind(AssertUnwindSafe(build)).map_err(|panic| {
        let message = message(&*panic);
        Failure::new(
            Cause::Internal,
            format!(
                "the HTTP client awc cannot be made: {message}; does a crate of this program turn on \
                 awc's features rustls-0_23-webpki-roots, rustls-0_23-native-roots or hickory-dns?"
            ),
        )
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it panicked")
}

/// Gives awc one connection, whatever the address that it asks for.
#[derive(Clone)]
struct OneConnection {
    connecting: Rc<RefCell<Option<Connecting>>>,
    failure: FailureCell,
    date: DateCell,
}

impl Service<ConnectInfo<Uri>> for OneConnection {
    type Response = Connection<Uri, Exchange>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    actix_service::always_ready!();

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        let connecting = self.connecting.borrow_mut().take();
        let (failure, date) = (self.failure.clone(), self.date.clone());
        Box::pin(async move {
            // It asks once.
            let connected = connecting.ok_or(ConnectError::Unresolved)?.await;
            match connected {
                Ok(wire) => Ok(Connection::new(info.request().clone(), Exchange::on(wire, failure, date))),
                Err(why) => {
                    failure.replace(Some(why));
                    Err(ConnectError::Io(io::ErrorKind::Other.into()))
                }
            }
        })
    }
}

/// A connection as awc sees it, so that every answer counts that has a status:
///
/// - Interim answers are left out; awc would take the first for the answer.
/// - Headers are left out, and so is what follows the head: nothing reads them, and a malformed one
///   would cost the status.
/// - A write that fails is hidden until the reading fails too: a server that refuses a request may
///   answer before it has read all of it.
struct Exchange {
    writing: WriteHalf<Box<dyn Wire>>,
    unwritten: Rc<RefCell<Option<io::Error>>>,
    reading: Reading,
}

enum Reading {
    Head(LocalBoxFuture<'static, io::Result<Vec<u8>>>),
    Answer(Cursor<Vec<u8>>),
}

impl Exchange {
    fn on(wire: Box<dyn Wire>, failure: FailureCell, date: DateCell) -> Self {
        let (reading, writing) = tokio::io::split(wire);
        let unwritten: Rc<RefCell<Option<io::Error>>> = Rc::default();
        let write_error = unwritten.clone();
        let head = async move {
            match read_head(&mut BufReader::new(reading)).await {
                Ok(line) => {
                    date.set(line.date);
                    Ok([line.bytes, b"\r\n".to_vec()].concat())
                }
                Err(why) => {
                    let told = match write_error.take() {
                        Some(error) => explain::io_error(&error),
                        None => unanswered(why),
                    };
                    failure.replace(Some(told));
                    Err(io::ErrorKind::Other.into())
                }
            }
        };
        Self { writing, unwritten, reading: Reading::Head(head.boxed_local()) }
    }

    /// Takes what could not be written for written.
    fn hidden<T>(&self, written: io::Result<T>, all: T) -> Poll<io::Result<T>> {
        Poll::Ready(Ok(written.unwrap_or_else(|error| {
            self.unwritten.borrow_mut().get_or_insert(error);
            all
        })))
    }
}

const NOT_HTTP: &str = "the answer is not HTTP; are the scheme and the port of the URL right?";

fn unanswered(why: NoHead) -> Failure {
    match why {
        NoHead::Closed => explain::disconnected(),
        NoHead::NotHttp => Failure::new(Cause::InvalidResponse, NOT_HTTP),
        NoHead::TooLong => {
            Failure::new(Cause::InvalidResponse, "the head of the answer is longer than 64 KiB")
        }
        NoHead::Io(error) => explain::io_error(&error),
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

impl AsyncRead for Exchange {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match &mut self.reading {
                Reading::Head(head) => {
                    let answer = ready!(head.as_mut().poll(cx))?;
                    self.reading = Reading::Answer(Cursor::new(answer));
                }
                Reading::Answer(answer) => return Pin::new(answer).poll_read(cx, into),
            }
        }
    }
}

impl AsyncWrite for Exchange {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.writing).poll_write(cx, bytes));
        self.hidden(written, bytes.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.writing).poll_flush(cx));
        self.hidden(flushed, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writing).poll_shutdown(cx)
    }
}

/// awc asks for it, and never calls it.
impl ActixStream for Exchange {
    fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::READABLE))
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::WRITABLE))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::running::clock::fake::start_of_tests;
    use crate::sender::config::DestinationName;
    use crate::sender::simulation::fakes;
    use crate::wire::payload::Reason;

    fn request() -> Request {
        let to = fakes::destination(DestinationName::Custom);
        fakes::run().compose(&to, &fakes::event(Reason::Begin, 1), start_of_tests())
    }

    /// What becomes of `request` where the server, once it has seen a byte of it, does `answer`.
    async fn sent<A: AsyncFnOnce(&mut TcpStream)>(request: &Request, answer: A) -> Result<Answer, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connecting: Connecting =
            Box::pin(
                async move { Ok(Box::new(TcpStream::connect(address).await.unwrap()) as Box<dyn Wire>) },
            );
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.peek(&mut [0]).await.unwrap();
            answer(&mut stream).await;
        };
        let exchanged = tokio::time::timeout(crate::outgoing::TIME_LIMIT, exchange(request, connecting));
        tokio::join!(exchanged, serving).0.expect("it ends by itself")
    }

    /// The server reads the request, sends `bytes`, and waits for the client to close.
    async fn answered(bytes: &[u8]) -> Result<Answer, Failure> {
        let answer = async |stream: &mut TcpStream| {
            stream.write_all(bytes).await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        };
        sent(&request(), answer).await
    }

    #[actix_rt::test]
    async fn every_answer_counts_that_has_a_status() {
        let many_headers = [&b"HTTP/1.1 202 x\r\n"[..], &b"a: b\r\n".repeat(200), b"\r\n"].concat();
        for (bytes, status) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nrest"[..], 200),
            (b"HTTP/1.0 204\r\n\r\n", 204),
            (b"HTTP/1.1 503 \nno: carriage return\n\n", 503),
            (b"HTTP/1.1 200 OK\nmixed: ends\n\r\n", 200),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n\r\n", 201),
            (b"HTTP/1.1 103 Early Hints\r\nlink: y\r\n\r\nHTTP/1.1 401 x\r\n\r\n", 401),
            (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n", 101),
            (b"HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:1/\r\n\r\n", 307),
            (b"HTTP/1.1 200 x\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\nzz", 200),
            (b"HTTP/1.1 200 x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 200),
            (b"HTTP/1.1 999 x\r\nnot a header\r\n\r\n", 999),
            (&many_headers, 202),
        ] {
            let answer = answered(bytes).await;
            assert_eq!(answer, Ok(Answer { status, date: None }), "{}", bytes.escape_ascii());
        }
    }

    #[actix_rt::test]
    async fn the_date_of_an_answer_is_given_with_its_status() {
        let answer =
            answered(b"HTTP/1.1 401 x\r\ndate: Thu, 01 Jan 1970 00:00:07 GMT\r\n\r\n").await.unwrap();
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(7);
        assert_eq!(answer, Answer { status: 401, date: Some(date) });
    }

    #[actix_rt::test]
    async fn what_is_no_answer_is_told_at_once() {
        let endless = b"HTTP/1.1 200 OK\r\n".iter().chain(b"a: b\r\n".iter().cycle().take(66_000));
        for (bytes, words) in [
            (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), NOT_HTTP),
            (b"\0\0\x12\x04\0\0\0\0\0".to_vec(), NOT_HTTP),
            (b"HTTP/2 200\r\n\r\n".to_vec(), NOT_HTTP),
            (b"HTTP/1.1 099 x\r\n\r\n".to_vec(), NOT_HTTP),
            (endless.copied().collect(), "the head of the answer is longer than 64 KiB"),
        ] {
            let failure = answered(&bytes).await.unwrap_err();
            assert_eq!((failure.cause, &*failure.message), (Cause::InvalidResponse, words), "{bytes:?}");
        }
    }

    #[actix_rt::test]
    async fn a_connection_that_ends_without_an_answer_is_told() {
        let closes = async |stream: &mut TcpStream| {
            let request = stream.read(&mut [0; 65_536]).await.unwrap();
            assert!(request > 0);
        };
        let interim = async |stream: &mut TcpStream| {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        };
        let failures = [sent(&request(), closes).await, sent(&request(), interim).await];
        for failure in failures {
            assert_eq!(failure, Err(explain::disconnected()));
        }
    }

    #[actix_rt::test]
    async fn an_answer_counts_also_where_the_request_could_not_be_written() {
        // More than the buffers of two sockets hold.
        let large = Request { body: vec![b' '; 64 * 1024 * 1024], ..request() };
        let refuses = async |stream: &mut TcpStream| {
            stream.write_all(b"HTTP/1.1 413 Too Large\r\n\r\n").await.unwrap();
        };
        assert_eq!(sent(&large, refuses).await, Ok(Answer { status: 413, date: None }));
        let resets = async |_: &mut TcpStream| {};
        assert_eq!(sent(&large, resets).await, Err(explain::disconnected()));
    }

    #[actix_rt::test]
    async fn a_failure_to_connect_keeps_its_words() {
        let failure = Failure::new(Cause::Dns, "the name cannot be resolved");
        let connecting = std::future::ready(Err(failure.clone())).boxed_local();
        assert_eq!(exchange(&request(), connecting).await, Err(failure));
    }

    #[test]
    fn a_client_that_panics_in_the_making_is_told_with_what_may_have_done_it() {
        let failure = contained(|| panic!("no process-level CryptoProvider")).err().unwrap();
        assert_eq!(failure.cause, Cause::Internal);
        assert!(failure.message.contains("cannot be made: no process-level CryptoProvider; does a crate"));
    }
}
