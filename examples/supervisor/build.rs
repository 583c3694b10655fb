//! Embeds what every telemetry payload says of the build: the commit and the time.
//!
//! In a release build both are exact. A debug build is stamped when a file of this package has changed, so that not
//! every `cargo run` compiles anew.

use shadow_rs::{CARGO_TREE, SHORT_COMMIT, ShadowBuilder, default_deny};

fn main() {
    let mut not_needed = default_deny();
    not_needed.insert(CARGO_TREE);
    let build = ShadowBuilder::builder().deny_const(not_needed).build().expect("the build can be described");
    // The time is that of SOURCE_DATE_EPOCH where it is set; the commit is empty outside of git.
    println!("cargo:rustc-env=SIRVEO_BUILD_TIME={}", to_the_second(&build.map["BUILD_TIME_3339"].v));
    println!("cargo:rustc-env=SIRVEO_BUILD_COMMIT={}", build.map[SHORT_COMMIT].v);
}

/// RFC 3339 without the fraction of the second.
fn to_the_second(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, rest)) => seconds.to_owned() + rest.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => time.to_owned(),
    }
}
