//! What takes a minute or more, side by side, for most of it waits: the programs that the README names, as short as they
//! can be, so that none of them rots; and a server that boots in 1970.

mod clock;
mod load;
mod pages;
mod reliability;

use std::process::Command;

use test_support::programs;

/// What a program prints, which must succeed.
#[track_caller]
fn output_of(program: &str, arguments: &[&str]) -> String {
    let file = programs::of_workspace(program).expect("the program can be built");
    let output = Command::new(file).args(arguments).output().expect("the program can be started");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    printed
}
