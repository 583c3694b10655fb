//! What was counted of releases.

use serde_json::{Value, json};

use crate::receiver::fixture::Fixture;

#[actix_rt::test]
async fn adoption_is_told_of_what_was_counted() {
    let fixture = Fixture::with(5).await;
    let day = &fixture.now.to_string()[..10];
    let ask = async |query: &str| fixture.get(&format!("/fleet/api/adoption?{query}")).await.json();
    let adoption = ask(&format!("from={day}&to={day}")).await;
    assert_eq!(
        (&adoption["from"], &adoption["to"], &adoption["counted_on"]),
        (&json!(day), &json!(day), &json!(day))
    );
    assert_eq!(adoption["active"], json!([5]));
    assert_eq!(
        adoption["bands"],
        json!([
            {"name": "2.0", "servers": [2], "share": [0.4]},
            {"name": "1.0", "servers": [3], "share": [0.6]},
        ])
    );
    assert_eq!(adoption["figures"]["active"]["now"], 5);
    assert_eq!(adoption["figures"]["newest_three"]["now"], 1.0);
    assert_eq!(adoption["figures"]["versions"]["now"], 2);
    assert_eq!(adoption["figures"]["upgrades"], json!({"now": 0, "before": null}));
    assert_eq!(adoption["releases"][1]["license_invalid"], 1);
    assert_eq!(adoption["releases"][0]["versions"], json!([{"version": "2.0", "servers": 2}]));
    assert_eq!(adoption["systems"], json!([{"os": "linux", "arch": "amd64", "servers": 5, "share": 1.0}]));
    assert_eq!(
        adoption["behind"],
        json!({
            "newest": "2.0",
            "older_than_newest": 3,
            "pre_releases": 0,
            "older_than": "1.0",
            "servers": 0,
            "keys": [{
                "key_id": "00000000-0000-0000-0000-000000000063",
                "older_than_newest": 3,
                "servers": 0,
                "of": 5,
                "releases": ["1.0"],
                "releases_total": 1,
            }],
            "keys_total": 1,
        })
    );
    assert_eq!(adoption["uptake"], json!([]));
    assert_eq!(
        (&adoption["counted_since"], &adoption["newest"]),
        (&json!(day), &json!({"release": "2.0", "servers": 2, "share": 0.4, "days": null, "before": null}))
    );
    let file = fixture.get(&format!("/fleet/api/adoption.csv?to={day}")).await;
    assert_eq!(file.body, format!("day,name,servers,share\r\n{day},2.0,2,0.4\r\n{day},1.0,3,0.6\r\n"));

    let key = uuid::Uuid::from_u128(99);
    let same = ask(&format!("from={day}&to={day}&by=version&key={key}&product=example-server")).await;
    assert_eq!(same, adoption);
    let nobody = ask(&format!("from={day}&to={day}&product=other")).await;
    assert_eq!((&nobody["active"], &nobody["releases"]), (&json!([0]), &json!([])));
    assert_eq!(ask("from=2027-02-02&to=2027-02-01").await["active"], json!([]));
    let usual = ask("").await;
    assert_eq!(usual["active"].as_array().unwrap().len(), 90);
    let before = ask("from=2001-01-01&to=2001-01-02").await;
    assert_eq!((&before["counted_on"], &before["active"]), (&Value::Null, &json!([null, null])));
}
