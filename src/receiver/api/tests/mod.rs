//! The API as its clients see it.

mod adoption;
mod description;
mod instance;
mod keys;
mod lists;
mod refusals;
mod server;

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::Value;

use crate::receiver::fixture::Answer;

fn assert_problem(answer: &Answer, status: StatusCode, field: Option<&str>) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json();
    assert_eq!(problem["status"], status.as_u16());
    assert_eq!(problem.get("field").and_then(Value::as_str), field, "{problem}");
}

/// A request that makes a key.
fn new_key(body: impl ToString) -> TestRequest {
    TestRequest::post()
        .uri("/fleet/api/keys")
        .insert_header(("content-type", "application/json; charset=utf-8"))
        .set_payload(body.to_string())
}
