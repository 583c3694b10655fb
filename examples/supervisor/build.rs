//! Embeds the commit and the time of the build, which every telemetry payload contains.
//!
//! A release build has the exact values. A debug build has those of the last change of a file in this package, so that
//! `cargo run` does not compile it every time.

use shadow_rs::{CARGO_TREE, SHORT_COMMIT, ShadowBuilder, default_deny};

fn main() {
    let mut not_needed = default_deny();
    not_needed.insert(CARGO_TREE);
    let build = ShadowBuilder::builder().deny_const(not_needed).build().expect("the build can be described");
    // SOURCE_DATE_EPOCH, if set, is the time; outside of a git repository the commit is empty.
    println!("cargo:rustc-env=SIRVEO_BUILD_TIME={}", to_the_second(&build.map["BUILD_TIME_3339"].v));
    println!("cargo:rustc-env=SIRVEO_BUILD_COMMIT={}", build.map[SHORT_COMMIT].v);
}

/// The time without the fraction of its second, in RFC 3339.
fn to_the_second(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, rest)) => seconds.to_owned() + rest.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => time.to_owned(),
    }
}
