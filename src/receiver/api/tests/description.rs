//! The description is that of what is there.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::Value;

use crate::receiver::api::OPEN_API;
use crate::receiver::fixture::Fixture;
use crate::receiver::http::problem::{Cause, TYPE_PREFIX};

#[actix_rt::test]
async fn every_path_of_the_description_is_there() {
    let fixture = Fixture::with(0).await;
    let description = fixture.get("/fleet/api/openapi.json").await.json();
    let paths = description["paths"].as_object().unwrap();
    // The webhook is mounted by itself.
    for path in paths.keys().filter(|path| !path.starts_with("/webhooks/")) {
        let answer =
            fixture.ask(TestRequest::patch().uri(&format!("/fleet{}", path.replace(['{', '}'], "")))).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let mut allow: Vec<_> =
            answer.header("allow").split(", ").filter(|method| *method != "HEAD").collect();
        let mut described: Vec<_> =
            paths[path].as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        allow.sort_unstable();
        described.sort_unstable();
        assert_eq!(allow, described, "{path}");
    }
}

#[test]
fn every_cause_has_a_word_of_its_own_and_is_described() {
    let description: Value = serde_json::from_str(OPEN_API).unwrap();
    let described = &description["components"]["schemas"]["Problem"]["properties"]["type"]["enum"];
    let described: Vec<_> = described.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let types: Vec<_> = Cause::ALL.iter().map(|cause| format!("{TYPE_PREFIX}{}", cause.word())).collect();
    assert_eq!(types, described);
    assert_eq!(types.iter().collect::<BTreeSet<_>>().len(), types.len(), "one word, one cause");
    let titles: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.title()).collect();
    assert_eq!(titles.len(), types.len(), "one title, one cause");
    for cause in Cause::ALL {
        let status = cause.status();
        assert!(status.is_client_error() || status.is_server_error(), "{cause:?}");
        let is_temporary = matches!(status.as_u16(), 429 | 503);
        assert_eq!(cause.retry_after().is_some(), is_temporary, "{cause:?}");
    }
}
