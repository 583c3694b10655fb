//! The page "Licenses".

use actix_web::http::StatusCode;
use uuid::Uuid;

use super::super::page::short;
use super::{assert_page, new_key, post_license};
use crate::receiver::fixture::Fixture;
use crate::wire::license::LicenseState;

#[actix_rt::test]
async fn licenses_are_counted_shared_lost_and_found() {
    let nobody = Fixture::with(0).await.get("/fleet/licenses").await;
    assert_page(&nobody, StatusCode::OK);
    assert!(nobody.body.contains("<h1>No server has reported yet</h1>"), "{}", nobody.body);

    let fixture = Fixture::with(0).await;
    let key = new_key(&fixture, "<b>one").await;
    let (shared, lost) = ("5a".repeat(32), "0f".repeat(32));
    let report = async |server, hash: Option<&String>, is_valid| {
        let license = LicenseState::new(hash.cloned(), is_valid);
        assert_eq!(post_license(&fixture, &key.key, server, &license).await, 200);
        fixture.receiver.judge().await.unwrap();
    };
    report(1, Some(&shared), true).await;
    report(2, Some(&shared), true).await;
    report(3, Some(&lost), true).await;
    report(4, None, false).await;
    report(3, Some(&lost), false).await;

    let page = async |query: &str| fixture.get(&format!("/fleet/licenses?{query}")).await;
    let all = page("hash=").await;
    assert_page(&all, StatusCode::OK);
    let link = |number| {
        let id = Uuid::from_u128(number);
        format!("<a href=\"instances/{id}\"><bdi>{}</bdi></a>", short(&id))
    };
    let count = |license: &str, servers| {
        let query = format!("./?state=down%2Clate%2Cup&amp;license={license}");
        format!("<dt>{license}</dt><dd><a href=\"{query}\">{servers}</a>")
    };
    let on_two = format!(
        "<code title=\"{shared}\">5a5a5a5a5a5a…</code></a></th><td class=\"num\"><a href=\"./?state=down%2Clate%2Cup&amp;license-hash={shared}\">2</a></td><td>{} (<bdi>&#60;b&#62;one</bdi>), {} (<bdi>&#60;b&#62;one</bdi>)</td></tr>",
        link(1),
        link(2)
    );
    let of_key = |license: &str| {
        let key = key.id;
        format!(
            "<td class=\"num\"><a href=\"./?state=down%2Clate%2Cup&amp;license={license}&amp;key={key}\">1</a></td>"
        )
    };
    let whose = format!(
        "<tr><th scope=\"row\"><a href=\"./?key={}\"><bdi>&#60;b&#62;one</bdi></a></th>{}{}<td class=\"num\">4</td></tr>",
        key.id,
        of_key("invalid"),
        of_key("none")
    );
    for shown in [
        "<h1>1 server has an invalid license, 1 license key is on 2 servers</h1>",
        "<p>1 server lost a valid license within the last week.",
        "<h2 id=\"shared\">License keys on more than one server</h2>",
        "<a href=\"api/instances.csv?state=down%2Clate%2Cup\">CSV</a>",
        &count("invalid", 1),
        &count("none", 1),
        &count("valid", 2),
        &on_two,
        &whose,
        &format!("<tr><th scope=\"row\">{}</th><td><time", link(3)),
        "\"><bdi>&#60;b&#62;one</bdi></a></td></tr>",
    ] {
        assert!(all.body.contains(shown), "{shown} is not in {}", all.body);
    }

    let found = page("hash=5A5A5A5A").await;
    assert_page(&found, StatusCode::OK);
    let (list, _) = found.body.split_once("id=\"whose\"").unwrap();
    assert!(list.contains("Servers with the license key <code>5a5a5a5a</code>"), "{list}");
    assert!([1, 2].iter().all(|number| list.contains(&link(*number))), "{list}");
    assert_eq!(list.matches("<tr><th scope=\"row\">").count(), 2, "{list}");
    let none = page("hash=0123456789abcdef").await;
    assert_page(&none, StatusCode::OK);
    assert!(none.body.contains("No server reports a key with this hash"), "{}", none.body);
    assert_page(&page("hash=xyz").await, StatusCode::BAD_REQUEST);
}
