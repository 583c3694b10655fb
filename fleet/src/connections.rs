//! Limits of connections. There may be as many as a fleet opens that starts all at once, if the system allows it; the
//! cost of each is bounded.

use std::any::Any;
use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::body::{BodyStream, BoxBody, MessageBody};
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::middleware::Next;
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use actix_web::{Error, HttpResponse};
use futures_util::stream::iter;
use socket2::{Domain, SockRef, Socket, Type};

/// Maximum number of connections per worker. More wait unaccepted, which costs no memory in this process. It is so high
/// that a thousand slow clients do not lock out others.
const MAX_PER_WORKER: usize = 8192;

/// Maximum number of connections that wait to be accepted. The system may allow fewer.
const BACKLOG: i32 = 4096;

/// Number of open files other than connections of senders: those of the store, the log and the runtime.
const OTHER_FILES: usize = 100;

/// Time after which a connection is closed whose client acknowledges no data of an answer.
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(30);

/// Maximum number of requests per connection; nginx has the same.
const MAX_REQUESTS: u32 = 1000;

/// Number of requests that came over a connection.
struct Requests(Cell<u32>);

/// Prepares a connection that was accepted.
pub(crate) fn accepted(connection: &dyn Any, data: &mut Extensions) {
    data.insert(Requests(Cell::new(0)));
    #[cfg(target_os = "linux")]
    if let Some(stream) = connection.downcast_ref::<TcpStream>()
        && let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_LIMIT))
    {
        tracing::debug!("a connection has no limit for unacknowledged data: {error}");
    }
}

/// Middleware that bounds the number of requests per connection. The last one is answered with `connection: close`.
/// Another one can come only from a client that pipelines, perhaps without reading any answer, so that requests and
/// answers pile up in memory. Such a connection is dropped: actix does so when the body of an answer fails.
pub(crate) async fn limit(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let count = request.conn_data::<Requests>().map_or(0, |Requests(count)| {
        count.set(count.get().saturating_add(1));
        count.get()
    });
    if count > MAX_REQUESTS {
        let failing =
            BodyStream::new(iter([Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionAborted))]));
        return Ok(request.into_response(HttpResponse::ServiceUnavailable().body(failing)));
    }
    let mut answer = next.call(request).await?.map_into_boxed_body();
    if count == MAX_REQUESTS {
        answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(answer)
}

pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Connections of a previous process may still be closing.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Maximum number of connections per worker: fewer than [`MAX_PER_WORKER`] where the system limits the open files of the
/// process. Raises that limit as far as allowed.
pub(crate) fn max_per_worker(workers: usize) -> usize {
    let files = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(
                "the limit of open files is not known; it may be lower than the {} connections needed: {error}",
                MAX_PER_WORKER * workers
            );
            return MAX_PER_WORKER;
        }
    };
    let allowed = usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(OTHER_FILES) / workers;
    let max = allowed.clamp(1, MAX_PER_WORKER);
    if max < MAX_PER_WORKER {
        tracing::info!(
            "at most {} connections at a time instead of {}, because the system allows {files} open files",
            max * workers,
            MAX_PER_WORKER * workers
        );
    }
    max
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_connection_has_a_limit_for_unacknowledged_data() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut data = Extensions::new();
        accepted(&stream, &mut data);
        assert!(data.contains::<Requests>());
        assert_eq!(SockRef::from(&stream).tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED_LIMIT));
    }
}
