//! Connections: how many there may be, which are those of a fleet that starts at once and no more than the machine allows,
//! and what one of them may cost.

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

/// For each worker. Beyond it connections wait unaccepted, which costs no memory here; below it a thousand slow clients
/// keep nobody out.
const MOST: usize = 8192;

/// Connections that wait unaccepted. The machine may allow less.
const MOST_UNACCEPTED: i32 = 4096;

/// Open files besides connections of senders: the store's, the log's, and those of the runtime.
const OTHER_FILES: usize = 100;

/// Whoever takes none of its answers for so long is cut off.
const MOST_UNTAKEN: Duration = Duration::from_secs(30);

/// A connection ends after so many requests, as it does with nginx.
const MOST_REQUESTS: u32 = 1000;

/// How many requests came over a connection.
struct Requests(Cell<u32>);

/// For each connection, once.
pub(crate) fn accepted(connection: &dyn Any, data: &mut Extensions) {
    data.insert(Requests(Cell::new(0)));
    #[cfg(target_os = "linux")]
    if let Some(stream) = connection.downcast_ref::<TcpStream>()
        && let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(MOST_UNTAKEN))
    {
        tracing::debug!("a connection has no limit for answers that are not taken: {error}");
    }
}

/// Around each request. The last one of a connection is answered with `connection: close`; one more can only come from
/// somebody who asks ahead, perhaps without taking any answer, for which answers and requests pile up in memory. A body that
/// fails is what makes actix drop the connection, with all of that.
pub(crate) async fn limit(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let count = request.conn_data::<Requests>().map_or(0, |Requests(count)| {
        count.set(count.get().saturating_add(1));
        count.get()
    });
    if count > MOST_REQUESTS {
        let failing =
            BodyStream::new(iter([Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionAborted))]));
        return Ok(request.into_response(HttpResponse::ServiceUnavailable().body(failing)));
    }
    let mut answer = next.call(request).await?.map_into_boxed_body();
    if count == MOST_REQUESTS {
        answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(answer)
}

pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Connections of the process before this one may still be about to end.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(MOST_UNACCEPTED)?;
    Ok(socket.into())
}

/// For each worker: as many as are worth it, or as the machine lets a process have open files, whose limit is raised as far
/// as it may be.
pub(crate) fn most(workers: usize) -> usize {
    let files = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(
                "the limit on open files is not known, and may be below {}: {error}",
                MOST * workers
            );
            return MOST;
        }
    };
    let allowed = usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(OTHER_FILES) / workers;
    let most = allowed.clamp(1, MOST);
    if most < MOST {
        tracing::info!(
            "{} connections at a time instead of {}, for the machine allows {files} open files",
            most * workers,
            MOST * workers
        );
    }
    most
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_connection_has_a_limit_for_answers_that_are_not_taken() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut data = Extensions::new();
        accepted(&stream, &mut data);
        assert!(data.contains::<Requests>());
        assert_eq!(SockRef::from(&stream).tcp_user_timeout().unwrap(), Some(MOST_UNTAKEN));
    }
}
