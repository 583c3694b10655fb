//! A newsletter on actix-web and sqlx. What telemetry adds stands between two comments, and in `build.rs`.

use std::env;
use std::error::Error;
use std::net::TcpListener;

use actix_web::web::{Data, post, put};
use actix_web::{App, HttpResponse, HttpServer};
use deployment_telemetry::{License, Product, SqlStateStore, Telemetry, build_info};
use sqlx::PgPool;
use tracing_actix_web::TracingLogger;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_ansi(false).init();
    let pool = PgPool::connect(&env::var("DATABASE_URL")?).await?;
    sqlx::query("create table if not exists subscription (email text primary key)").execute(&pool).await?;
    let listener = TcpListener::bind(env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8000".into()))?;
    let address = listener.local_addr()?;

    // Telemetry, from here
    let telemetry_pool = pool.clone();
    let store = SqlStateStore::postgres(move |sql, arguments| {
        let pool = telemetry_pool.clone();
        let query = arguments.into_iter().fold(sqlx::query_scalar(sql), |query, text| query.bind(text));
        async move { query.fetch_optional(&pool).await }
    });
    let telemetry = Telemetry::builder(Product::new("Newsletter"), build_info!("licensed"), store)
        .license(env::var("LICENSE").map_or_else(|_| License::none(), License::valid))
        .start_or_disabled();
    // to here.

    let (pool, handle) = (Data::new(pool), Data::new(telemetry.clone()));
    let server = HttpServer::new(move || {
        App::new()
            .wrap(TracingLogger::default())
            .app_data(pool.clone())
            .app_data(handle.clone())
            .route("/subscriptions", post().to(subscribe))
            .route("/license", put().to(change_license))
    });
    tracing::info!("listening on http://{address}");
    telemetry.during(server.listen(listener)?.run()).await?;
    Ok(())
}

async fn subscribe(pool: Data<PgPool>, email: String) -> HttpResponse {
    let sql = "insert into subscription (email) values ($1) on conflict do nothing";
    match sqlx::query(sql).bind(email).execute(pool.as_ref()).await {
        Ok(_) => HttpResponse::NoContent().finish(),
        Err(error) => {
            tracing::error!("{error}");
            HttpResponse::InternalServerError().finish()
        }
    }
}

async fn change_license(telemetry: Data<Telemetry>, key: String) -> HttpResponse {
    telemetry.license_changed(License::valid(key));
    HttpResponse::NoContent().finish()
}
