//! The ten lines of Python.

use test_support::programs;

use crate::{run::whole_run, running::Running};

#[test]
fn ten_lines_of_python_show_every_event() {
    programs::debian("python3", "python3");
    let look = Running::start("Ten lines of Python");
    assert_eq!(look.recipe.block("look.py").lines().count(), 10);

    whole_run(look.recipe.settings()).assert_answered(204);

    let seen = look.recipe.block("seen");
    let last = seen.lines().last().unwrap();
    look.wait_for_line(|line| line == last);
    let shown: Vec<String> =
        look.output().into_iter().filter(|line| !line.starts_with("127.0.0.1")).collect();
    assert_eq!(shown, seen.lines().collect::<Vec<_>>());
}
