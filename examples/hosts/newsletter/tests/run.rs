#[path = "../../run.rs"]
mod run;

#[test]
fn it_begins_changes_and_ends() {
    let database = test_support::TestDatabase::new();
    let program = env!("CARGO_BIN_EXE_newsletter");
    run::begins_changes_and_ends(program, "NEWSLETTER", &[("DATABASE_URL", database.url())]);
}
