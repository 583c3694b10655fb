//! The page of the login, and the way to it and back.

use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;

use super::{PAGE, ask, get, log_in, login, post, with_password};
use crate::receiver::fixture::Fixture;

#[actix_rt::test]
async fn a_browser_is_led_to_the_login_and_back() {
    let (fixture, login) = (Fixture::with(0).await, login());
    for (path, to) in [
        ("", "login"),
        ("events?reason=end", "login?next=events%3Freason%3Dend"),
        ("instances/1/forget", "../../login?next=instances%2F1%2Fforget"),
        ("nowhere/", "../login?next=nowhere%2F"),
    ] {
        let answer = ask(&fixture, &login, get(path).insert_header(PAGE)).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, to), "{path}");
        assert_eq!(answer.header("www-authenticate"), "");
    }
    let page = ask(&fixture, &login, get("login?next=events%3Freason%3Dend")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.header("content-security-policy").starts_with("default-src 'none';"));
    assert!(page.body.contains("name=\"next\" value=\"events?reason=end\""), "{}", page.body);
    let answer = ask(&fixture, &login, with_password("&next=events%3Freason%3Dend")).await;
    assert_eq!(answer.header("location"), "./events?reason=end");
    // Whoever is logged in goes on at once.
    let cookie = log_in(&fixture, &login).await;
    let answer = ask(&fixture, &login, get("login?next=events").insert_header(cookie)).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "./events"));
    // The style sheet is for the page of the login as well; nothing else is.
    assert_eq!(ask(&fixture, &login, get("pages.css")).await.status, StatusCode::OK);
    for path in ["pages.css/", "./pages.css/../server", "pages.js", "live"] {
        assert_eq!(ask(&fixture, &login, get(path)).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[actix_rt::test]
async fn a_link_of_another_site_leads_to_the_page_of_whoever_is_logged_in() {
    let (fixture, login) = (Fixture::with(0).await, login());
    let linked = get("events?reason=end").insert_header(PAGE).insert_header(("sec-fetch-site", "cross-site"));
    let answer = ask(&fixture, &login, linked).await;
    assert_eq!(answer.status, StatusCode::OK);
    let refresh = "<meta http-equiv=\"refresh\" content=\"0; url=login?next=events%3Freason%3Dend\">";
    assert!(answer.body.contains(refresh), "{}", answer.body);
}

#[actix_rt::test]
async fn the_login_leads_to_no_other_server() {
    let (fixture, login) = (Fixture::with(0).await, login());
    for next in [
        "//evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "%2F%2Fevil.example",
        "%2F%5Cevil.example",
        "../other",
        "%2e%2e%2fother",
        "a%0d%0aset-cookie:%20a=b",
        "%09//evil.example",
    ] {
        let answer = ask(&fixture, &login, with_password(&format!("&next={next}"))).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "./"), "{next}");
        let page = ask(&fixture, &login, get(&format!("login?next={}", next.replace('\\', "%5C")))).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(!page.body.contains("name=\"next\""), "{next}: {}", page.body);
    }
    for next in ["https://evil.example", "https:evil.example", "javascript:alert(1)"] {
        let answer = ask(&fixture, &login, with_password(&format!("&next={next}"))).await;
        assert_eq!(answer.header("location"), format!("./{next}"), "a path in the scope");
    }
}

#[actix_rt::test]
async fn a_wrong_password_begins_no_session() {
    let (fixture, login) = (Fixture::with(0).await, login());
    for body in ["user=fleet&password=wrong", "user=Fleet&password=a+long%3Apassword", "user=&password=", ""]
    {
        let page = ask(&fixture, &login, post("login", body)).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{body}");
        assert_eq!(page.header("set-cookie"), "");
        assert!(page.header("www-authenticate").starts_with("Cookie "));
        assert!(page.body.contains("The user or the password is wrong."), "{}", page.body);
    }
    let body = "user=%22%3E%3Cscript%3E&password=s3cret&next=events";
    let page = ask(&fixture, &login, post("login", body)).await;
    assert!(page.body.contains("value=\"&#34;&#62;&#60;script&#62;\""), "{}", page.body);
    assert!(page.body.contains("name=\"next\" value=\"events\"") && !page.body.contains("s3cret"));
    for (body, status) in [("user=a&user=b", 400), ("user=fleet&more=1", 400), (&*"x".repeat(20_000), 413)] {
        let page = ask(&fixture, &login, post("login", body)).await;
        assert_eq!(page.status.as_u16(), status);
        assert!(page.body.contains("<h1>"), "{}", page.body);
    }
    let foreign = with_password("").insert_header(("origin", "http://evil.example"));
    assert_eq!(ask(&fixture, &login, foreign).await.status, StatusCode::FORBIDDEN);
    let other = TestRequest::default().method(Method::PUT).uri("/tele/fleet/login");
    assert_eq!(ask(&fixture, &login, other).await.status, StatusCode::METHOD_NOT_ALLOWED);
}
