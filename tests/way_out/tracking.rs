//! `DO_NOT_TRACK`.

use deployment_telemetry::Telemetry;
use test_support::{Behaviour, FakeDestination};

use crate::child::{in_a_child_with, is_child};
use crate::host::{self, MemoryStore, block_on, wait_for_attempts};

#[test]
fn do_not_track_keeps_a_real_run_from_the_vendor() {
    if is_child() {
        let vendor = deployment_telemetry::Vendor::new(std::env::var("VENDOR").unwrap());
        let product = deployment_telemetry::Product::new("Sirveo");
        let builder = Telemetry::builder(product, host::build_info(), MemoryStore::new()).vendor(vendor);
        let telemetry = builder.start().unwrap();
        assert_eq!(telemetry.status().destinations.len(), 1);
        assert!(telemetry.status().do_not_track);
        wait_for_attempts(&telemetry, 1);
        block_on(telemetry.stop());
        return;
    }
    let (operator, vendor) = (FakeDestination::start(Behaviour::Ok), FakeDestination::start(Behaviour::Ok));
    in_a_child_with(
        &[
            ("SIRVEO_TELEMETRY_MODE", "both"),
            ("SIRVEO_TELEMETRY_URL", &operator.url()),
            ("DO_NOT_TRACK", "1"),
            ("VENDOR", &vendor.url()),
        ],
        "tracking::do_not_track_keeps_a_real_run_from_the_vendor",
    );
    assert_eq!((operator.requests().len(), vendor.connections()), (2, 0));
}
