//! The login as a whole, in front of the pages.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::body::to_bytes;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, init_service};
use actix_web::web::{self, scope};
use actix_web::{App, HttpRequest, HttpResponse};

use super::Login;
use super::gate::Kind;
use crate::receiver::fixture::{Answer, Fixture, event_id, instance_id};

const PASSWORD: &str = "a long:password";

/// `fleet:a long:password`.
const BASIC: &str = "basic ZmxlZXQ6YSBsb25nOnBhc3N3b3Jk";

/// Address that all requests come from.
const NETWORK: [u8; 4] = [192, 0, 2, 7];

/// What a browser sends with a link.
const PAGE: (&str, &str) = ("accept", "text/html,*/*;q=0.8");

fn login() -> Login {
    Login::new("fleet", PASSWORD).unwrap()
}

/// Sends a request to the pages at `/tele/fleet`, behind the login.
async fn ask(fixture: &Fixture, login: &Login, request: TestRequest) -> Answer {
    let own_page = async |request: HttpRequest| {
        HttpResponse::Ok().body(Login::form_token(&request).unwrap_or_else(|| "none".to_owned()))
    };
    let own_form = async |body: web::Bytes| HttpResponse::Ok().body(body);
    let own = web::resource("/own").route(web::get().to(own_page)).route(web::post().to(own_form));
    let deeper = scope("/deeper").configure(fixture.receiver.fleet());
    let guarded = scope("/tele/fleet").wrap(login.guard()).service(own).service(deeper);
    let guarded = guarded.configure(fixture.receiver.fleet());
    let app = init_service(App::new().service(guarded)).await;
    let request = request.peer_addr(SocketAddr::from((NETWORK, 40_000)));
    let response: ServiceResponse = app.call(request.to_request()).await.unwrap().map_into_boxed_body();
    let (status, headers) = (response.status(), response.headers().clone());
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(headers.get(name).unwrap(), value, "{status}");
        assert_eq!(headers.get_all(name).count(), 1, "{status}: {name}");
    }
    let body = to_bytes(response.into_body()).await.unwrap();
    Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(&format!("/tele/fleet/{path}")).insert_header(("host", "fleet.example"))
}

fn post(path: &str, body: impl Into<String>) -> TestRequest {
    TestRequest::post()
        .uri(&format!("/tele/fleet/{path}"))
        .insert_header(("host", "fleet.example"))
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload(body.into())
}

fn with_password(more: &str) -> TestRequest {
    post("login", format!("user=fleet&password=a+long%3Apassword{more}"))
}

/// Logs in, and returns the cookie as a browser sends it.
async fn log_in(fixture: &Fixture, login: &Login) -> (&'static str, String) {
    let answer = ask(fixture, login, with_password("")).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "./"));
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!(answer.header("set-cookie"), format!("{cookie}; HttpOnly; SameSite=Strict"));
    assert!(cookie.starts_with("telemetry=") && cookie.len() == 53, "{cookie}");
    ("cookie", cookie)
}

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
async fn programs_are_asked_for_basic_and_browsers_are_not() {
    let (fixture, login) = (Fixture::with(0).await, login());
    let asked = ask(&fixture, &login, get("metrics")).await;
    assert_eq!(asked.status, StatusCode::UNAUTHORIZED);
    assert!(asked.header("www-authenticate").starts_with("Basic realm="), "{:?}", asked.headers);
    for sign in [
        ("sec-fetch-site", "same-origin"),
        ("origin", "http://fleet.example"),
        ("referer", "http://fleet.example/tele/fleet/"),
        ("cookie", "telemetry=gone"),
    ] {
        let refused = ask(&fixture, &login, get("api/fleet").insert_header(sign)).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert!(refused.header("www-authenticate").starts_with("Cookie "), "{sign:?}");
    }
    let right = || get("api/fleet").insert_header(("authorization", BASIC));
    assert_eq!(ask(&fixture, &login, right()).await.status, StatusCode::OK);
    for wrong in ["Basic ZmxlZXQ6YQ==", "Basic Zg==", "Basic !", "Bearer ZmxlZXQ6YQ==", "Basic"] {
        let refused = ask(&fixture, &login, get("api/fleet").insert_header(("authorization", wrong))).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{wrong}");
    }
    let key = || post("server/keys", "name=one").insert_header(("authorization", BASIC));
    let foreign = key().insert_header(("sec-fetch-site", "cross-site"));
    assert_eq!(ask(&fixture, &login, foreign).await.status, StatusCode::FORBIDDEN);
    assert_eq!(ask(&fixture, &login, key()).await.status, StatusCode::CREATED, "it needs no token");
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

#[actix_rt::test]
async fn a_session_lasts_until_the_logout() {
    let (fixture, login) = (Fixture::with(0).await, login());
    let cookie = log_in(&fixture, &login).await;
    for path in ["", "api/fleet", "metrics"] {
        let page = ask(&fixture, &login, get(path).insert_header(cookie.clone())).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!page.body.contains("telemetry="), "{path}");
    }
    let token = ask(&fixture, &login, get("own").insert_header(cookie.clone())).await.body;
    let by_link = ask(&fixture, &login, get("logout").insert_header(cookie.clone())).await;
    assert_eq!(by_link.status, StatusCode::METHOD_NOT_ALLOWED);
    let out = post("logout", format!("csrf={token}")).insert_header(cookie.clone());
    let out = ask(&fixture, &login, out).await;
    assert_eq!((out.status, out.header("location")), (StatusCode::SEE_OTHER, "login"));
    assert!(out.header("set-cookie").starts_with("telemetry=; Max-Age=0; "), "{:?}", out.headers);
    let after = ask(&fixture, &login, get("").insert_header(PAGE).insert_header(cookie.clone())).await;
    assert_eq!((after.status, after.header("location")), (StatusCode::SEE_OTHER, "login"));
    let page = ask(&fixture, &login, get("login").insert_header(cookie.clone())).await;
    assert!(page.body.contains("Your session has ended."), "{}", page.body);
    // What a form sends then is not done, and its address may show nothing.
    let lost = post("instances/1/mute", "reason=x").insert_header(PAGE).insert_header(cookie);
    let lost = ask(&fixture, &login, lost).await;
    assert_eq!((lost.status, lost.header("location")), (StatusCode::SEE_OTHER, "../../login"));
    assert_eq!(
        ask(&fixture, &login, post("logout", "").insert_header(PAGE)).await.header("location"),
        "login"
    );
}

#[actix_rt::test]
async fn a_login_begins_a_new_session_and_ends_the_one_before() {
    let (fixture, login) = (Fixture::with(0).await, login());
    let planted = ("cookie", "telemetry=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    let answer = ask(&fixture, &login, with_password("").insert_header(planted)).await;
    assert!(!answer.header("set-cookie").contains("AAECAwQFBgcICQ"), "{:?}", answer.headers);
    assert_eq!(ask(&fixture, &login, get("metrics").insert_header(planted)).await.status, 401);
    let first = log_in(&fixture, &login).await;
    let second = ask(&fixture, &login, with_password("").insert_header(first.clone())).await;
    let second = second.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!(ask(&fixture, &login, get("metrics").insert_header(first)).await.status, 401);
    assert_eq!(ask(&fixture, &login, get("metrics").insert_header(("cookie", second))).await.status, 200);
}

#[actix_rt::test]
async fn a_session_ends_by_itself() {
    let fixture = Fixture::with(0).await;
    let login = login().session_limits(Duration::from_secs(100), Duration::from_secs(250));
    let cookie = log_in(&fixture, &login).await;
    tokio::time::pause();
    let status =
        async || ask(&fixture, &login, get("own").insert_header(cookie.clone())).await.status.as_u16();
    for expected in [200, 200, 401] {
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(status().await, expected);
    }
}

/// What a page that is open asks for by itself.
fn unattended() -> [TestRequest; 3] {
    let head = |path: &str| TestRequest::default().method(Method::HEAD).uri(&format!("/tele/fleet/{path}"));
    let listening = ("accept", "text/event-stream");
    [
        head("live").insert_header(listening),
        head("deeper/live").insert_header(listening),
        head("first?unattended"),
    ]
}

#[actix_rt::test]
async fn a_page_that_is_open_does_not_keep_its_session() {
    let fixture = Fixture::with(0).await;
    let login = login().session_limits(Duration::from_secs(100), Duration::from_secs(1000));
    tokio::time::pause();
    for number in 0..unattended().len() {
        let cookie = log_in(&fixture, &login).await;
        for expected in [200, 401] {
            tokio::time::advance(Duration::from_secs(90)).await;
            let request = unattended().into_iter().nth(number).unwrap().insert_header(cookie.clone());
            assert_eq!(ask(&fixture, &login, request).await.status.as_u16(), expected, "{number}");
        }
    }
}

#[actix_rt::test]
async fn a_page_that_is_open_does_not_keep_its_network_known() {
    let day = Duration::from_secs(24 * 3600);
    let fixture = Fixture::with(0).await;
    let login = login().session_limits(30 * day, 30 * day);
    let Kind::Password(door) = &login.0.kind else { panic!("it has a password") };
    let is_known = || door.attempts.enter(Some(NETWORK.into()), door.clock.monotonic()).unwrap().is_known();
    let cookie = log_in(&fixture, &login).await;
    tokio::time::pause();
    tokio::time::advance(5 * day).await;
    for request in unattended() {
        assert_eq!(ask(&fixture, &login, request.insert_header(cookie.clone())).await.status, 200);
    }
    assert!(is_known());
    tokio::time::advance(3 * day).await;
    assert!(!is_known());
    assert_eq!(ask(&fixture, &login, get("own").insert_header(cookie)).await.status, 200);
    assert!(is_known());
}

#[actix_rt::test]
async fn a_form_of_a_session_needs_the_token_of_the_session() {
    let (fixture, login) = (Fixture::with(0).await, login());
    let (mine, other) = (log_in(&fixture, &login).await, log_in(&fixture, &login).await);
    let token = ask(&fixture, &login, get("own").insert_header(mine.clone())).await.body;
    let of_other = ask(&fixture, &login, get("own").insert_header(other)).await.body;
    assert!(token.len() == 64 && token != of_other, "{token}");
    assert_eq!(ask(&fixture, &login, get("own").insert_header(("authorization", BASIC))).await.body, "none");
    let send = async |body: String| {
        let answer = ask(&fixture, &login, post("own", body).insert_header(mine.clone())).await;
        (answer.status.as_u16(), answer.body)
    };
    for body in [
        String::new(),
        "csrf=".to_owned(),
        format!("csrf={of_other}"),
        format!("csrf={}", &token[1..]),
        format!("xcsrf={token}"),
        format!("csrf=&csrf={token}"),
        format!("a=csrf={token}"),
    ] {
        let (status, answer) = send(body.clone()).await;
        assert_eq!(status, 403, "{body}");
        assert!(answer.contains("urn:deployment-telemetry:problem:form-token"), "{answer}");
    }
    let body = format!("a=1&csrf={token}&b=2");
    assert_eq!(send(body.clone()).await, (200, body), "the body is there for the handler");
    assert_eq!(send("x".repeat(70_000)).await.0, 413);
    // The pages of the receiver take the field as well.
    let made = post("server/keys", format!("csrf={token}&name=one")).insert_header(mine.clone());
    assert_eq!(ask(&fixture, &login, made).await.status, StatusCode::CREATED);
    let refused = post("server/keys", "name=two").insert_header(mine.clone()).insert_header(PAGE);
    let refused = ask(&fixture, &login, refused).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.body.contains("<h1>The form is not of this session</h1>"), "{}", refused.body);
    let foreign = post("own", format!("csrf={token}")).insert_header(mine.clone());
    let foreign = foreign.insert_header(("sec-fetch-site", "same-site"));
    assert_eq!(ask(&fixture, &login, foreign).await.status, StatusCode::FORBIDDEN);
}

#[actix_rt::test]
async fn every_form_of_the_pages_has_the_token() {
    let (fixture, login) = (Fixture::with(2).await, login());
    let cookie = log_in(&fixture, &login).await;
    let token = ask(&fixture, &login, get("own").insert_header(cookie.clone())).await.body;
    let made = post("server/keys", format!("csrf={token}&name=one&signed=on")).insert_header(cookie.clone());
    assert_eq!(ask(&fixture, &login, made).await.status, StatusCode::CREATED);
    let mute = format!("csrf={token}&filter=state%3Ddown&seconds=3600&reason=x");
    let muted = ask(&fixture, &login, post("mutes", mute).insert_header(cookie.clone())).await;
    assert_eq!(muted.status, StatusCode::SEE_OTHER, "{}", muted.body);
    let instance = format!("instances/{}", instance_id(1));
    for path in [
        "mute?state=down".to_owned(),
        "first".to_owned(),
        "server".to_owned(),
        "alerts".to_owned(),
        "forget?all=true".to_owned(),
        format!("{instance}/forget"),
        format!("{instance}/events/{}/delete", event_id(1)),
        format!("{instance}/mute"),
    ] {
        let page = ask(&fixture, &login, get(&path).insert_header(cookie.clone())).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.body);
        let field = format!("<input type=\"hidden\" name=\"csrf\" value=\"{token}\">");
        let forms = page.body.matches("method=\"post\"").count();
        assert!(forms >= 2, "{path}: one of its own, and the logout");
        assert_eq!(page.body.matches(&field).count(), forms, "{path}: {}", page.body);
        let root = "../".repeat(path.split('?').next().unwrap().matches('/').count());
        assert!(page.body.contains(&format!("action=\"{root}logout\"")), "{path}: {}", page.body);
        let by_basic = ask(&fixture, &login, get(&path).insert_header(("authorization", BASIC))).await;
        assert!(!by_basic.body.contains("csrf") && !by_basic.body.contains("logout"), "{path}");
    }
}

#[test]
fn every_form_in_the_templates_has_the_token() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/receiver/pages");
    let mut forms = 0;
    for entry in folder.read_dir().unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "html") {
            continue;
        }
        let template = std::fs::read_to_string(&file).unwrap();
        for after in template.split("method=\"post\"").skip(1) {
            let (_, content) = after.split_once('>').unwrap();
            let has_token = content.starts_with("{% include \"form_token.html\" %}");
            assert!(has_token, "{}: {}", file.display(), after.lines().next().unwrap_or_default());
            forms += 1;
        }
    }
    assert!(forms > 15, "{forms}");
}

#[actix_rt::test]
async fn what_no_form_can_send_needs_no_token() {
    let (fixture, login) = (Fixture::with(0).await, login());
    let cookie = log_in(&fixture, &login).await;
    let token = ask(&fixture, &login, get("own").insert_header(cookie.clone())).await.body;
    let send = async |request: TestRequest| {
        ask(&fixture, &login, request.insert_header(cookie.clone())).await.status.as_u16()
    };
    let keys = |kind: &'static str| {
        let request = TestRequest::post().uri("/tele/fleet/api/keys").insert_header(("content-type", kind));
        request.insert_header(("host", "fleet.example")).set_payload("{\"name\": \"one\"}")
    };
    assert_eq!(send(keys("text/plain")).await, 403);
    assert_eq!(send(keys("multipart/form-data; boundary=x")).await, 403);
    assert_eq!(send(keys("application/json; charset=utf-8")).await, 201);
    assert_eq!(send(keys("text/plain").insert_header(("x-csrf-token", token))).await, 415);
    let delete = TestRequest::delete().uri("/tele/fleet/api/instances/1");
    assert_eq!(send(delete).await, 404);
}

#[actix_rt::test]
async fn where_the_way_is_https_the_cookie_is_for_it_alone() {
    let fixture = Fixture::with(0).await;
    let login = login().https();
    let answer = ask(&fixture, &login, with_password("")).await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Secure-telemetry="), "{cookie}");
    assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
    let by_http = with_password("").insert_header(("origin", "http://fleet.example"));
    assert_eq!(ask(&fixture, &login, by_http).await.status, StatusCode::FORBIDDEN);
    let by_https = with_password("").insert_header(("origin", "https://fleet.example"));
    assert_eq!(ask(&fixture, &login, by_https).await.status, StatusCode::SEE_OTHER);
    // Whoever sends this header says nothing that counts.
    let claimed = with_password("").insert_header(("x-forwarded-proto", "https"));
    let answer = ask(&fixture, &self::login(), claimed).await;
    assert!(answer.header("set-cookie").starts_with("telemetry="));
}

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

#[actix_rt::test]
async fn without_a_password_it_answers_to_its_own_names_only() {
    let (fixture, login) = (Fixture::with(0).await, Login::without_password());
    let asked = |host: &'static str| TestRequest::get().uri("/tele/fleet/own").insert_header(("host", host));
    assert_eq!(ask(&fixture, &login, asked("localhost:8080")).await.body, "none");
    assert_eq!(ask(&fixture, &login, asked("evil.example")).await.status, StatusCode::MISDIRECTED_REQUEST);
    let own = |origin: &'static str| {
        let request = TestRequest::post().uri("/tele/fleet/own").insert_header(("host", "localhost:8080"));
        request.insert_header(("origin", origin))
    };
    assert_eq!(ask(&fixture, &login, own("http://localhost:8080")).await.status, StatusCode::OK);
    assert_eq!(ask(&fixture, &login, own("http://localhost:8081")).await.status, StatusCode::FORBIDDEN);
}
