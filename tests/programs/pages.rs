//! Every page in a real browser.

use crate::output_of;

#[test]
fn every_page_holds_in_a_browser() {
    assert!(output_of("pages", &["check"]).contains(" checks, 0 faults, "));
}
