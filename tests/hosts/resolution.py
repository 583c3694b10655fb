#!/usr/bin/env python3
"""Resolves the library beside what hosts depend on: `cargo generate-lockfile` for each host and each set of features.

It needs the package registry, compiles nothing, and takes some minutes. Exits with 1 where the outcome is not the
expected one.
"""
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[2]

FEATURES = {
    "none": ["tls-ring"],
    "postgres": ["postgres", "tls-ring"],
    "sqlite": ["sqlite", "tls-ring"],
    "all": ["postgres", "sqlite", "receiver", "tls-ring"],
}


def crate(name, version, *features, default=False):
    listed = ", ".join(f'"{feature}"' for feature in features)
    return f'{name} = {{ version = "{version}", default-features = {str(default).lower()}, features = [{listed}] }}'


HOSTS = {
    "sqlx 0.8, PostgreSQL": crate("sqlx", "0.8", "postgres", "runtime-tokio"),
    "sqlx 0.8, SQLite": crate("sqlx", "0.8", "sqlite", "runtime-tokio"),
    "sqlx 0.9, PostgreSQL": crate("sqlx", "0.9", "postgres", "runtime-tokio"),
    "sqlx 0.9, SQLite": crate("sqlx", "0.9", "sqlite", "runtime-tokio"),
    "sea-orm 1.1, PostgreSQL": crate("sea-orm", "1.1", "sqlx-postgres", "runtime-tokio"),
    "sea-orm 1.1, SQLite": crate("sea-orm", "1.1", "sqlx-sqlite", "runtime-tokio"),
    "sea-orm 2, PostgreSQL": crate("sea-orm", "2", "sqlx-postgres", "runtime-tokio"),
    "sea-orm 2, SQLite": crate("sea-orm", "2", "sqlx-sqlite", "runtime-tokio"),
    "rusqlite 0.30": crate("rusqlite", "0.30"),
    "rusqlite 0.31": crate("rusqlite", "0.31"),
    "rusqlite 0.32": crate("rusqlite", "0.32"),
    "rusqlite 0.36": crate("rusqlite", "0.36"),
    "rusqlite 0.37": crate("rusqlite", "0.37"),
    "rusqlite 0.39": crate("rusqlite", "0.39"),
    "rusqlite 0.40": crate("rusqlite", "0.40"),
    "rusqlite 0.41": crate("rusqlite", "0.41"),
    "rusqlite 0.42": crate("rusqlite", "0.42"),
    "diesel 2.3, SQLite": crate("diesel", "2.3", "sqlite"),
    "diesel 2.3, PostgreSQL": crate("diesel", "2.3", "postgres"),
    "diesel-async, PostgreSQL": crate("diesel-async", "0.6", "postgres", "deadpool"),
    "tokio-postgres 0.7": crate("tokio-postgres", "0.7", default=True),
    "deadpool-postgres 0.14": crate("deadpool-postgres", "0.14", default=True),
    "reqwest 0.12": crate("reqwest", "0.12", "rustls-tls"),
    "reqwest 0.13": crate("reqwest", "0.13", default=True),
    "awc 3": crate("awc", "3", "rustls-0_23"),
    "actix-web 4": crate("actix-web", "4", "macros", "rustls-0_23", default=True),
    "actix 0.13": crate("actix", "0.13", default=True),
}

# What a build may have one of is the C library behind: `links = "sqlite3"`.
REFUSED = {("rusqlite 0.30", "sqlite"), ("rusqlite 0.30", "all"), ("rusqlite 0.42", "sqlite"), ("rusqlite 0.42", "all")}


def resolve(case):
    host, features = case
    listed = ", ".join(f'"{feature}"' for feature in FEATURES[features])
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "src").mkdir()
        (Path(folder) / "src/main.rs").write_text("fn main() {}\n")
        (Path(folder) / "Cargo.toml").write_text(
            f"""[package]
name = "host"
version = "0.1.0"
edition = "2024"

[workspace]

[dependencies]
{HOSTS[host]}
deployment-telemetry = {{ path = "{LIBRARY}", default-features = false, features = [{listed}] }}
"""
        )
        done = subprocess.run(["cargo", "generate-lockfile"], cwd=folder, capture_output=True, text=True)
        return done.returncode == 0, done.stderr


def main():
    cases = [(host, features) for host in HOSTS for features in FEATURES]
    with ThreadPoolExecutor(4) as pool:
        outcomes = dict(zip(cases, pool.map(resolve, cases)))
    wrong = 0
    print(f"| {'host has':26} | " + " | ".join(f"{name:8}" for name in FEATURES) + " |")
    for host in HOSTS:
        cells = []
        for features in FEATURES:
            resolves, message = outcomes[host, features]
            cells.append("ok" if resolves else "refused")
            if resolves == ((host, features) in REFUSED):
                wrong += 1
                print(f"unexpected: {host}, {features}\n{message}", file=sys.stderr)
        print(f"| {host:26} | " + " | ".join(f"{cell:8}" for cell in cells) + " |")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
