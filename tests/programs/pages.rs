//! Every page in a real browser.

use crate::output_of;

#[test]
fn every_page_holds_in_a_browser() {
    let printed = output_of("pages", &["check"]);
    assert!(printed.contains(" checks, 0 faults, ") && !printed.starts_with("0 checks"), "{printed}");
}
