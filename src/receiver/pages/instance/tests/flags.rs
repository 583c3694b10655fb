//! The page of a server with a flag.

use super::*;

#[actix_rt::test]
async fn several_runs() {
    let page = page_of(&[
        vec![report(1, 1, 120, "begin")],
        vec![report(2, 1, 90, "begin")],
        vec![report(1, 2, 60, "update"), report(2, 2, 30, "update")],
        vec![report(1, 3, 5, "update")],
    ])
    .await;
    assert_shows(
        &page,
        &[
            "<section class=\"box alarm late\"",
            "Replicas that share one database do that",
            "run <code>0002</code> began while <code>0001</code> was alive<small>a replica, or a copy of its database</small>",
            "1.0 · 0002, beside 0001",
        ],
    );
}

#[actix_rt::test]
async fn cloned() {
    let mut copy = report(1, 2, 20, "update");
    (copy.id, copy.data) = (Uuid::from_u128(copy.id.as_u128() + 1), "{}".to_owned());
    let page =
        page_of(&[vec![report(1, 1, 90, "begin")], vec![report(1, 2, 30, "update")], vec![copy]]).await;
    assert_shows(
        &page,
        &[
            "A number of a run came again with another content, at ",
            "<span class=\"tag late\">number used twice</span>",
        ],
    );
}

#[actix_rt::test]
async fn restarting() {
    let begins = (0..12).map(|number| vec![report(number + 1, 1, 59 - 5 * i64::from(number), "begin")]);
    let page = page_of(&begins.collect::<Vec<_>>()).await;
    assert_shows(
        &page,
        &[
            "<section class=\"box alarm late\"",
            "A process keeps dying and being started again",
            "<title>eu-west 3 is up, restarting · Telemetry</title>",
            "up</span>, <span class=\"st late\">restarting</span>: 12 begins in the last hour</h1>",
            "12 runs; times are UTC. 12 runs, version 1.0, began one after the other from ",
            "1.0 · 12 runs since ",
        ],
    );
}
