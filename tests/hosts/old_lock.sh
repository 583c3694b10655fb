#!/usr/bin/env bash
# A server whose Cargo.lock is a year or more old adds the library and compiles, without a `cargo update` by hand.
# Needs the package registry.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
host=$(mktemp -d)
trap 'rm -rf "$host"' EXIT
mkdir "$host/src"
cat >"$host/src/main.rs" <<'RUST'
use actix_web::{App, HttpServer};
use deployment_telemetry::{BuildInfo, Config, License, PostgresStateStore, Product, Telemetry};

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let _pool = deadpool_postgres::Config::new();
    let _tls = rustls::crypto::ring::default_provider();
    let build = BuildInfo::new("0.1.0").with_time("2024-02-16T23:06:23+02:00");
    let store = PostgresStateStore::from_url("postgres://localhost/host").expect("it is a URL");
    let telemetry = Telemetry::builder(Product::new("Host"), build, store)
        .config(Config::new())
        .license(License::none())
        .start_or_disabled();
    telemetry.during(HttpServer::new(App::new).bind("127.0.0.1:0")?.run()).await
}
RUST
cat >"$host/Cargo.toml" <<'TOML'
[package]
name = "host"
version = "0.1.0"
edition = "2021"

[workspace]

[dependencies]
actix-rt = "2"
actix-web = "4"
deadpool-postgres = "0.14"
rustls = { version = "0.23", default-features = false, features = ["ring", "std", "tls12"] }
tokio = { version = "1", features = ["rt-multi-thread"] }
tokio-postgres = "0.7"
TOML
cd "$host"
cargo generate-lockfile
# In the order in which they let go of each other.
for pin in actix-web@4.9.0 actix-server@2.5.0 actix-http@3.9.0 actix-rt@2.10.0 deadpool-postgres@0.14.1 \
    tokio-postgres@0.7.12 postgres-types@0.2.8 postgres-protocol@0.6.7 tokio-util@0.7.12 tokio@1.41.1 rustls@0.23.12 \
    serde_json@1.0.128 uuid@1.10.0; do
    name=${pin%@*}
    if grep -q "name = \"$name\"" Cargo.lock; then
        cargo update "$name" --precise "${pin#*@}" || echo "not moved: $pin"
    fi
done
cp Cargo.lock before.lock
echo "deployment-telemetry = { path = \"$root\" }" >>Cargo.toml
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/old-lock cargo check
echo "Moved by the library:"
diff <(paste -sd ' \n' <(grep -A1 '^name' before.lock | grep -v '^--')) \
    <(paste -sd ' \n' <(grep -A1 '^name' Cargo.lock | grep -v '^--')) | grep '^<' || true
