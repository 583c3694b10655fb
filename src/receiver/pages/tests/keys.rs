//! Keys that are made, shown once, changed and revoked.

use actix_web::App;
use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::scope;
use serde_json::json;

use super::{assert_page, form, new_key};
use crate::receiver::fixture::{Answer, Fixture, instance_id};

/// A page that shows a secret, with the address of this server.
fn assert_made(answer: &Answer, status: StatusCode) {
    let body = answer.body.replace("http://localhost/fleet/webhooks/", "");
    assert_page(&Answer { status: answer.status, headers: answer.headers.clone(), body }, status);
}

#[actix_rt::test]
async fn keys_are_made_shown_once_rotated_and_revoked() {
    let fixture = Fixture::with(0).await;
    let made = fixture.ask(form("/fleet/server/keys", "name=%3Cb%3Eone&rate=&signed=on")).await;
    assert_made(&made, StatusCode::CREATED);
    for shown in [
        "<h1>The key <bdi>&#60;b&#62;one</bdi>: copy it now</h1>",
        "SIRVEO_TELEMETRY_URL=http://localhost/fleet/webhooks/",
        "SIRVEO_TELEMETRY_SIGNING_SECRET=whsec_",
        "curl -i &#39;http://localhost/fleet/webhooks/",
    ] {
        assert!(made.body.contains(shown), "{shown} is not in {}", made.body);
    }
    assert_eq!(made.header("cache-control"), "no-store");
    for (body, status) in [
        ("name=%3Cb%3Eone", StatusCode::CONFLICT),
        ("name=", StatusCode::BAD_REQUEST),
        ("name=two&rate=0", StatusCode::BAD_REQUEST),
        ("name=two&signed=yes", StatusCode::BAD_REQUEST),
        ("name=two&more=1", StatusCode::BAD_REQUEST),
    ] {
        assert_page(&fixture.ask(form("/fleet/server/keys", body)).await, status);
    }
    let refused = fixture.ask(form("/fleet/server/keys", "name=two&rate=0")).await;
    assert!(refused.body.contains("Go back, correct the form, and send it again."), "{}", refused.body);
    let page = fixture.get("/fleet/server").await;
    assert_page(&page, StatusCode::OK);
    assert!(page.body.contains("&#60;b&#62;one") && !page.body.contains("whsec_"), "{}", page.body);
    let id = fixture.get("/fleet/api/keys").await.json()["keys"][0]["id"].as_str().unwrap().to_owned();
    let rotated = fixture.ask(form(&format!("/fleet/server/keys/{id}/secrets"), "")).await;
    assert_page(&rotated, StatusCode::OK);
    assert!(!rotated.body.contains("curl"), "{}", rotated.body);
    assert!(rotated.body.contains("whsec_"));
    // As by a second click, or a reload.
    let again = fixture.ask(form(&format!("/fleet/server/keys/{id}/secrets"), "")).await;
    assert_page(&again, StatusCode::CONFLICT);
    assert!(fixture.get("/fleet/server").await.body.contains("a signature, two secrets"));
    let of_key = fixture.get(&format!("/fleet/server/keys/{id}")).await;
    assert_page(&of_key, StatusCode::OK);
    assert!(of_key.body.contains("<h1>Key <bdi>&#60;b&#62;one</bdi></h1>"), "{}", of_key.body);
    assert!(of_key.body.contains("Keep only the new secret"), "{}", of_key.body);
    for (change, to) in [("finish", format!("../{id}")), ("revoke", "../../../server#keys".to_owned())] {
        let changed = fixture.ask(form(&format!("/fleet/server/keys/{id}/{change}"), "")).await;
        assert_eq!((changed.status, changed.header("location")), (StatusCode::SEE_OTHER, to.as_str()));
    }
    let revoked = fixture.get(&format!("/fleet/server/keys/{id}")).await;
    assert_page(&revoked, StatusCode::OK);
    assert!(
        revoked.body.contains("It is revoked") && !revoked.body.contains("Revoke for good"),
        "{}",
        revoked.body
    );
    assert!(fixture.get("/fleet/server").await.body.contains("<summary>1 revoked key</summary>"));
    assert_page(
        &fixture.ask(form(&format!("/fleet/server/keys/{id}/revoke"), "")).await,
        StatusCode::NOT_FOUND,
    );
}

#[actix_rt::test]
async fn limits_of_keys_are_changed_and_the_key_in_the_url_replaced() {
    let fixture = Fixture::with(0).await;
    let made = fixture.ask(form("/fleet/server/keys", "name=one&new_per_hour=any&any_frequency=on")).await;
    assert_made(&made, StatusCode::CREATED);
    let row = async || fixture.get("/fleet/api/keys").await.json()["keys"][0].clone();
    assert_eq!(
        (row().await["new_per_hour"].as_i64(), row().await["any_frequency"].as_bool()),
        (None, Some(true))
    );
    let page = fixture.get("/fleet/server").await;
    assert_page(&page, StatusCode::OK);
    assert!(page.body.contains("only the URL, any frequency"), "{}", page.body);
    assert!(
        page.body.contains("<td class=\"num\">no limit</td><td class=\"num\">no limit</td></tr>"),
        "{}",
        page.body
    );
    let id = row().await["id"].as_str().unwrap().to_owned();
    let at = |change: &str| format!("/fleet/server/keys/{id}/{change}");
    for body in ["new_per_hour=0", "new_per_hour=many", "any_frequency=yes", "more=1"] {
        assert_page(&fixture.ask(form(&at("limits"), body)).await, StatusCode::BAD_REQUEST);
    }
    let changed = fixture.ask(form(&at("limits"), "new_per_hour=25")).await;
    assert_eq!((changed.status, changed.header("location")), (StatusCode::SEE_OTHER, &*format!("../{id}")));
    assert_eq!(
        (row().await["new_per_hour"].as_i64(), row().await["any_frequency"].as_bool()),
        (Some(25), Some(false))
    );
    let of_key = async || fixture.get(&format!("/fleet/server/keys/{id}")).await;
    let page = of_key().await;
    assert_page(&page, StatusCode::OK);
    assert!(page.body.contains("value=\"25\""), "{}", page.body);
    assert!(!page.body.contains("End the old URL"), "{}", page.body);

    assert_page(&fixture.ask(form(&at("replace"), "keep_hours=745")).await, StatusCode::BAD_REQUEST);
    let replaced = fixture.ask(form(&at("replace"), "keep_hours=24")).await;
    assert_made(&replaced, StatusCode::OK);
    assert!(replaced.body.contains("localhost/fleet/webhooks/"), "{}", replaced.body);
    assert_eq!(replaced.header("cache-control"), "no-store");
    assert_eq!(fixture.get(&at("replace")).await.status, StatusCode::SEE_OTHER);
    let page = of_key().await;
    assert_page(&page, StatusCode::OK);
    assert!(page.body.contains("is valid for another 23 h 59 min"), "{}", page.body);
    assert!(page.body.contains("End the old URL now"), "{}", page.body);
    assert_eq!(fixture.ask(form(&at("end-old"), "")).await.status, StatusCode::SEE_OTHER);
    assert!(!of_key().await.body.contains("End the old URL now"));

    for change in ["limits", "replace", "end-old"] {
        let foreign = form(&at(change), "").insert_header(("sec-fetch-site", "cross-site"));
        assert_eq!(fixture.ask(foreign).await.status, StatusCode::FORBIDDEN, "{change}");
    }
    fixture.ask(form(&at("revoke"), "")).await;
    for change in ["limits", "replace", "end-old"] {
        assert_page(&fixture.ask(form(&at(change), "")).await, StatusCode::NOT_FOUND);
    }
}

/// Does what a command of a page says, and returns the status.
async fn run(fixture: &Fixture, page: &str) -> u16 {
    let command = page.split("aria-label=\"Command\">").nth(1).unwrap().split("</pre>").next().unwrap();
    let command = command.replace("&#39;", "'").replace("&#34;", "\"").replace("&#38;", "&");
    // As a shell takes it apart: nothing of it has a quotation mark within.
    let words: Vec<&str> = command.split('\'').collect();
    let [_, url, rest @ ..] = &words[..] else { panic!("{command}") };
    let mut request = TestRequest::post().uri(url.strip_prefix("http://localhost").unwrap());
    for option in rest.chunks_exact(2) {
        request = match option[0].trim_matches([' ', '\\', '\n']) {
            "-H" => request.insert_header(option[1].split_once(": ").unwrap()),
            "-d" => request.set_payload(option[1].to_owned()),
            other => panic!("{other} in {command}"),
        };
    }
    let app = App::new().service(scope("/fleet").configure(fixture.receiver.webhooks()));
    call_service(&init_service(app).await, request.to_request()).await.status().as_u16()
}

#[actix_rt::test]
async fn the_command_of_a_new_key_sends_what_is_taken_and_alarms_nobody() {
    let fixture = Fixture::with(0).await;
    let first = fixture.ask(form("/fleet/first", "name=one")).await;
    assert_made(&first, StatusCode::CREATED);
    assert_eq!(run(&fixture, &first.body).await, 200);
    let made = fixture.ask(form("/fleet/server/keys", "name=two&signed=on&token=on")).await;
    assert_made(&made, StatusCode::CREATED);
    assert_eq!(run(&fixture, &made.body).await, 200);
    assert_eq!(run(&fixture, &made.body.replace("Bearer ", "Bearer x")).await, 401);
    assert_eq!(run(&fixture, &made.body.replace("try-out", "try-in")).await, 401);
    fixture.receiver.judge().await.unwrap();
    let listed = fixture.get("/fleet/api/instances").await.json();
    let servers: Vec<_> = listed["instances"].as_array().unwrap().iter().collect();
    assert_eq!(servers.len(), 2);
    for server in servers {
        assert_eq!((&server["custom_id"], &server["state"]), (&json!("try-out"), &json!("ended")));
    }
    let page = fixture.get("/fleet/first").await;
    assert!(page.body.contains("It has arrived:</b>") && page.body.contains(">try-out<"), "{}", page.body);
    assert_eq!(fixture.get("/fleet/api/alerts").await.json()["waiting"], 0);
}

#[actix_rt::test]
async fn a_key_leads_to_its_servers_that_are_down_late_or_have_ended() {
    let fixture = Fixture::with(1).await;
    let key = new_key(&fixture, "one").await;
    let path = format!("/fleet/instances/{}/owner", instance_id(1));
    let moved = fixture.ask(form(&path, "").set_payload(format!("key={}", key.id))).await;
    assert_eq!(moved.status, StatusCode::SEE_OTHER);
    let page = fixture.get("/fleet/server").await;
    assert_page(&page, StatusCode::OK);
    let counts = format!(
        "<td class=\"num\"><a href=\"./?key={id}\">1</a></td><td class=\"num\"><a href=\"./?key={id}&amp;state=down\">1</a></td>\
         <td class=\"num\"><span class=\"quiet\">0</span></td><td class=\"num\"><span class=\"quiet\">0</span></td>",
        id = key.id
    );
    assert!(page.body.contains(&counts), "{counts} is not in {}", page.body);
    let states = json!({ "down": 1, "late": 0, "up": 0, "ended": 0 });
    assert_eq!(fixture.get("/fleet/api/keys").await.json()["keys"][0]["states"], states);
    let csv = fixture.get("/fleet/api/keys.csv").await.body;
    assert!(csv.contains(",down,late,up,ended\r\n") && csv.ends_with(",1,0,1,0,0,0\r\n"), "{csv}");
}

#[actix_rt::test]
async fn of_many_keys_a_page_lists_some_and_leads_to_the_others() {
    let fixture = Fixture::with(60).await;
    let before = fixture.get("/fleet/api/keys").await.json()["keys"].as_array().unwrap().len();
    for number in (0..120).rev() {
        new_key(&fixture, &format!("Customer {number:03}")).await;
    }
    let keys = fixture.get("/fleet/api/keys").await.json();
    let of_name = |name: &str| {
        let keys = keys["keys"].as_array().unwrap();
        keys.iter().find(|key| key["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
    };
    for page in ["", "adoption"] {
        let shown = fixture.get(&format!("/fleet/{page}")).await;
        assert_page(&shown, StatusCode::OK);
        assert!(
            shown.body.contains("name=\"key-name\"") && !shown.body.contains("Customer "),
            "{}",
            shown.body
        );
        assert!(shown.body.len() <= 60_000, "{} bytes", shown.body.len());
        let filtered = fixture.get(&format!("/fleet/{page}?key={}", of_name("Customer 050"))).await;
        assert_page(&filtered, StatusCode::OK);
        let field =
            "name=\"key-name\" maxlength=\"256\" placeholder=\"its name, or a part\" value=\"Customer 050\">";
        assert!(filtered.body.contains(field), "{}", filtered.body);
        // What is typed is one key, whose filter is then in the address beside the others.
        for typed in ["Customer+050", "+cUSTOMER+050", "r+050"] {
            let found = fixture.get(&format!("/fleet/{page}?key-name={typed}&product=p")).await;
            assert_eq!(found.status, StatusCode::SEE_OTHER, "{typed}");
            let location = found.header("location").to_owned();
            assert!(location.contains(&format!("key={}&product=p", of_name("Customer 050"))), "{location}");
        }
        for typed in ["Customer", "nobody"] {
            let refused = fixture.get(&format!("/fleet/{page}?key-name={typed}")).await;
            assert_page(&refused, StatusCode::BAD_REQUEST);
            assert!(refused.body.contains("a part of it that no other name has"), "{}", refused.body);
        }
    }
    let revoked = of_name("Customer 119");
    let path = format!("/fleet/server/keys/{revoked}/revoke");
    assert_eq!(fixture.ask(form(&path, "")).await.status, StatusCode::SEE_OTHER);
    for page in ["", "adoption"] {
        let filtered = fixture.get(&format!("/fleet/{page}?key={revoked}")).await.body;
        assert!(filtered.contains("value=\"Customer 119\">"), "{filtered}");
        let found = fixture.get(&format!("/fleet/{page}?key-name=customer+119")).await;
        assert!(found.header("location").contains(&revoked), "{}", found.header("location"));
    }
    let server = fixture.get("/fleet/server").await;
    assert_page(&server, StatusCode::OK);
    assert!(
        server.body.contains(&format!("The first 100 of {}. Each server", before + 119)),
        "{}",
        server.body
    );
    assert!(server.body.contains(">Customer 000</bdi>") && !server.body.contains(">Customer 118</bdi>"));
    assert!(server.body.contains("<summary>1 revoked key</summary>"), "{}", server.body);
    let found = fixture.get("/fleet/server?key=customer+11").await;
    assert_page(&found, StatusCode::OK);
    assert!(found.body.contains(&format!("9 of {} match. Each server", before + 119)), "{}", found.body);
    assert!(found.body.contains(">Customer 118</bdi>") && !found.body.contains(">Customer 109</bdi>"));
    assert!(found.body.contains("<a class=\"btn\" href=\"server#keys\">All keys</a>"), "{}", found.body);
    let none = fixture.get("/fleet/by-key?key=customer").await;
    assert!(none.body.contains("No key with servers has that in its name."), "{}", none.body);
    let typed = form(&format!("/fleet/instances/{}/owner", instance_id(3)), "key-name=CUSTOMER+007");
    assert_eq!(fixture.ask(typed).await.status, StatusCode::SEE_OTHER);
    let owner = fixture.get(&format!("/fleet/instances/{}/owner", instance_id(3))).await;
    assert_page(&owner, StatusCode::OK);
    assert!(owner.body.contains("maxlength=\"256\" required placeholder"), "{}", owner.body);
    // What belongs to a revoked key is found by its name.
    let path = format!("/fleet/server/keys/{}/revoke", of_name("Customer 007"));
    fixture.ask(form(&path, "")).await;
    let by_key = fixture.get("/fleet/by-key?key=customer+007").await;
    assert!(by_key.body.contains("<bdi>Customer 007, revoked</bdi>"), "{}", by_key.body);
    for page in ["server", "by-key"] {
        assert_page(&fixture.get(&format!("/fleet/{page}?name=a")).await, StatusCode::BAD_REQUEST);
    }
}
