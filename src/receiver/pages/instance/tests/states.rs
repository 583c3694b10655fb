//! The page of a server in each of its states.

use super::*;

#[actix_rt::test]
async fn down_with_a_run_that_was_lost() {
    let page = page_of(&[
        vec![report(1, 1, 4_000, "begin")],
        vec![report(1, 2, 3_940, "update")],
        vec![report(2, 1, 3_600, "begin")],
        vec![report(2, 2, 3_540, "update")],
    ])
    .await;
    assert_shows(
        &page,
        &[
            "<title>eu-west 3 is down · Telemetry</title>",
            "<h1><bdi>eu-west 3</bdi> <span class=\"st down\">",
            "Silent for 2 days 11 h. It reports every 1 h, and last did ",
            "; counted as down since ",
            "<section class=\"box alarm down\"",
            "<h2 id=\"what\">What to look at</h2>\n<ol class=\"steps\">",
            "<p><b>It cannot be known from here.</b> No other server was heard since it was, so ",
            "1 run was lost in the last 7 days, the last ",
            "went down: nothing heard for two intervals<small>late for 1 h</small>",
            "<p><small>Nothing else is known to have changed since <time",
            "</time>, when it was first seen.</small></p>",
            "run <code>0001</code> was lost: no end was heard<small>after ",
            "<li><b>Is the machine up, and the server on it?</b> If not, start it",
            "/forget\">Forget it</a>",
            "<dt>Was due</dt>",
            "1.0 · 0001, lost ",
            "1.0 · 0002, silent since ",
        ],
    );
    let (changes, facts) = (page.find("What happened</h2>"), page.find("Identity</h2>"));
    assert!(changes.is_some() && changes < facts, "what happened comes before what does not change");
    for word in ["begin", "update", "lost: no end was heard", "late", "down"] {
        assert!(has_mark(&page, word), "{word}");
    }
    assert!(!has_mark(&page, "end") && !page.contains("the receiver itself was away"));
}

#[actix_rt::test]
async fn down_while_another_one_of_its_product_is_up() {
    let mut other = report(7, 1, 20, "begin");
    (other.instance_id, other.facts.custom_id) = (instance_id(4), Some("<b>eu-west 4".to_owned()));
    let fixture = Fixture::of(&[vec![report(1, 1, 300, "begin")], vec![other]], Duration::ZERO).await;
    let body = page(&fixture).await;
    assert_shows(
        &body,
        &[
            "<p><b>It is the server or its network, not the receiver.</b> 1 other server was heard since it was: <a href=\"",
            "<bdi>&#60;b&#62;eu-west 4</bdi></a> with the same product is up, and was heard ",
            " UTC. Its key is not known. Server or network: which of the two cannot be known from here.</p>",
        ],
    );
    let answer = fixture.get(&format!("/fleet/api/instances/{}", instance_id(SERVER))).await.json();
    let evidence = &answer["evidence"];
    assert_eq!((&evidence["others"], &evidence["at_least"]), (&1.into(), &false.into()));
    assert_eq!(
        (&evidence["witness"]["shares"], evidence["witness"]["instance_id"].as_str()),
        (&"product".into(), Some(&*instance_id(4).to_string()))
    );
    let well = fixture.get(&format!("/fleet/api/instances/{}", instance_id(4))).await.json();
    assert!(well["evidence"].is_null(), "{well}");
}

#[actix_rt::test]
async fn down_while_something_sends_in_its_name() {
    let fixture = Fixture::of(&[vec![report(1, 1, 4_000, "begin")]], Duration::ZERO).await;
    let key = fixture.receiver.keys().create(NewKey::named("<b>Acme")).await.unwrap();
    for _ in 0..2 {
        post_name(&fixture, &key.key, instance_id(SERVER)).await;
    }
    let page = page(&fixture).await;
    assert_shows(
        &page,
        &[
            "What to look at</h2>\n<ol class=\"steps\">\n<li><b>Look into the log of the server: it may be alive.</b> Requests in its name come with another key, <bdi>&#60;b&#62;Acme</bdi>, and are refused for <a href=\"../refused#",
            "/owner\">move it there</a>. Else look for what sends them, by the key and the times.</li>",
            "</li>\n<li><b>Is the machine up, and the server on it?</b>",
            "<p><b>Something sends in its name</b>: 2 requests that name it were refused, the last <time",
            "</time>. Why, and what to do: <a href=\"../refused#",
            "<p><b>If it does not send these, it cannot be known from here.</b>",
            "Some or all came with another key: <bdi>&#60;b&#62;Acme</bdi>. The server belongs to <bdi>not known</bdi>.",
        ],
    );
    assert!(!page.contains("warnings with <code>[telemetry:custom]"), "{page}");
    assert!(!page.contains("Does its own log say"), "{page}");
}

#[actix_rt::test]
async fn late() {
    let page = page_of(&[vec![report(1, 1, 130, "begin")], vec![report(1, 2, 70, "update")]]).await;
    assert_shows(
        &page,
        &[
            "<title>eu-west 3 is late · Telemetry</title>",
            "Silent for 1 h 10 min. It reports every 1 h, and was due ",
            "Unless it is heard, it counts as down from ",
            "<section class=\"box alarm late\"",
            "late: its report did not come in time<small>up for 2 h",
            "<dt>Grace</dt><dd>5 min</dd>",
        ],
    );
}

#[actix_rt::test]
async fn up_and_new_and_without_anything_to_look_at() {
    let page = page_of(&[vec![report(1, 1, 130, "begin")], vec![report(1, 2, 10, "update")]]).await;
    assert_shows(
        &page,
        &[
            "<title>eu-west 3 is up · Telemetry</title>",
            " datetime=\"",
            "10 min ago</time>, and up for ",
            "first seen</span>",
            "<dt>Due</dt>",
            ", of the newest release</dd>",
            "1 run; times are UTC. Run 0001, version 1.0, began ",
            "it is alive.</p>",
        ],
    );
    assert!(!page.contains("What to look at"), "{page}");
}

#[actix_rt::test]
async fn ended() {
    let page = page_of(&[vec![report(1, 1, 500, "begin")], vec![report(1, 2, 400, "end")]]).await;
    assert_shows(
        &page,
        &[
            "<title>eu-west 3 has ended · Telemetry</title>",
            "its last run was stopped in good order, and nothing is expected of it.",
            "ended: its last run said so<small>late for 35 min</small>",
            "1.0 · 0001, ended ",
        ],
    );
    assert!(
        has_mark(&page, "end") && !page.contains("What to look at") && !page.contains("ue</dt>"),
        "{page}"
    );
}
