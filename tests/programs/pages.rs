//! Every page in a real browser.

use std::process::Command;

#[test]
fn every_page_holds_in_a_browser() {
    let output = Command::new(env!("CARGO_BIN_EXE_pages")).arg("check").output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
}
