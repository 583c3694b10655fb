//! What the others are compared with.

use std::io;

#[actix_web::main]
async fn main() -> io::Result<()> {
    server::run().await
}
