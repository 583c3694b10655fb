//! httpbin: a status of every kind.

use deployment_telemetry::Outcome;
use test_support::wait_until;

use crate::{
    host::SOON,
    run::{begin, whole_run},
    running::Running,
};

#[test]
fn httpbin_answers_as_the_table_says() {
    let httpbin = Running::start("httpbin");
    whole_run(httpbin.recipe.settings()).assert_answered(200);
    let logged = |text: &str| httpbin.output().iter().filter(|line| line.contains(text)).count();
    wait_until("every event is in its log", SOON, || logged("\"POST /post HTTP/1.1\" 200") == 4);

    let table = httpbin.recipe.table();
    assert!(!table.is_empty(), "the recipe has a table of outcomes");
    for (path, documented) in table {
        let url = format!("http://127.0.0.1:{}{path}", httpbin.port());
        let outcome = begin(httpbin.recipe.settings().url(url));
        let outcome = match outcome {
            Outcome::Failed(failure) => format!("cause={}", failure.cause),
            status => status.to_string(),
        };
        assert_eq!(outcome, documented, "{path}");
    }
    assert_eq!((logged("/redirect-to"), logged("GET /get")), (2, 0), "no redirect is followed");
}
