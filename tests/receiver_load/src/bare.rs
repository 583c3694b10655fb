//! A handler that reads a body and answers 200, to measure the cost of HTTP alone.

use std::net::{Ipv4Addr, TcpListener};

use actix_web::web::Bytes;
use actix_web::{App, HttpResponse, HttpServer, web};

/// Serves until the process is killed.
pub(crate) fn serve() -> std::io::Result<()> {
    actix_web::rt::System::new().block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        println!("listening on http://{}", listener.local_addr()?);
        let app = || App::new().default_service(web::to(async |_: Bytes| HttpResponse::Ok().finish()));
        HttpServer::new(app).listen(listener)?.run().await
    })
}
