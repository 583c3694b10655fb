//! What failed logins are followed by.

use std::time::Duration;

use actix_web::http::StatusCode;

use super::{BASIC, ask, get, log_in, login, post, with_password};
use crate::receiver::fixture::Fixture;

#[actix_rt::test]
async fn failures_pause_the_network_but_no_session() {
    let (fixture, login) = (Fixture::with(0).await, login());
    let wrong = || post("login", "user=fleet&password=wrong");
    tokio::time::pause();
    for _ in 0..8 {
        assert_eq!(ask(&fixture, &login, wrong()).await.status, StatusCode::UNAUTHORIZED);
    }
    // The eighth was followed by a pause of a second, which its penalty has outlasted; the ninth is by one of two.
    assert_eq!(ask(&fixture, &login, wrong()).await.status, StatusCode::UNAUTHORIZED);
    let paused = ask(&fixture, &login, with_password("")).await;
    assert_eq!((paused.status, paused.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
    assert!(paused.body.contains("Try again in 1 second."), "{}", paused.body);
    let basic = get("own").insert_header(("authorization", BASIC));
    assert_eq!(ask(&fixture, &login, basic).await.status, StatusCode::TOO_MANY_REQUESTS);
    tokio::time::advance(Duration::from_secs(1)).await;
    let cookie = log_in(&fixture, &login).await;
    for _ in 0..20 {
        assert_eq!(ask(&fixture, &login, wrong()).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(ask(&fixture, &login, get("own").insert_header(cookie.clone())).await.status, 200);
    }
    log_in(&fixture, &login).await;
}
