//! More calls than any host makes, as fast as threads can.

use std::thread;
use std::time::Instant;

use actix_web::web::{self, Path};
use deployment_telemetry::{License, LicenseChanged, Telemetry};
use futures_util::future::join_all;

use super::Handle;

const THREADS: u64 = 8;

/// The key of the license that is told by a call of a flood; the last call tells the last one.
pub(crate) fn key(call: u64) -> String {
    format!("license {call} of a flood")
}

/// Floods by `handle`, `message` or `send_now`, so often altogether; answers with the nanoseconds of one call.
pub(super) async fn flood(telemetry: Handle, order: Path<(String, u64)>) -> String {
    let (way, calls) = order.into_inner();
    let flooded = web::block(move || {
        let telemetry = telemetry.as_ref().as_ref()?;
        let began = Instant::now();
        match way.as_str() {
            "handle" => (0..calls).for_each(|call| telemetry.license_changed(license(call))),
            "message" => messages(telemetry, calls),
            _ => updates(telemetry, calls),
        }
        Some(began.elapsed().as_nanos() / u128::from(calls))
    });
    flooded.await.ok().flatten().unwrap_or_default().to_string()
}

fn license(call: u64) -> License {
    License::new(Some(key(call).into()), call % 2 == 1)
}

/// As the actors of a host send them, from several threads; the last one after all others.
fn messages(telemetry: &Telemetry, calls: u64) {
    let each = (calls - 1) / THREADS;
    thread::scope(|scope| {
        for number in 0..THREADS {
            let recipient = telemetry.license_recipient();
            scope.spawn(move || {
                (number * each..(number + 1) * each)
                    .for_each(|call| recipient.do_send(LicenseChanged(license(call))));
            });
        }
    });
    telemetry.license_recipient().do_send(LicenseChanged(license(calls - 1)));
}

/// All at once from each of several threads; returns when all are answered.
fn updates(telemetry: &Telemetry, calls: u64) {
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let calls = (0..calls / THREADS).map(|_| telemetry.send_now());
                actix_web::rt::System::new().block_on(join_all(calls));
            });
        }
    });
}
