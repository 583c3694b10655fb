//! The recipes whose program is not run: what is sent to it, byte by byte where it matters.

use test_support::{Behaviour, FakeDestination};

use crate::{host::SOON, recipe::Recipe, run::begin};

/// Title, block with the settings, block with what is sent, where the recipe has its destination.
const NOT_RUN: [(&str, &str, &str, &str); 6] = [
    ("Splunk", "settings", "sent", "https://splunk.example:8088"),
    ("Fluent Bit", "settings of http", "sent to http", "127.0.0.1:9880"),
    ("Fluent Bit", "settings of splunk", "sent to splunk", "127.0.0.1:8088"),
    ("Vector", "settings of http_server", "sent to http_server", "127.0.0.1:8686"),
    ("Vector", "settings of splunk_hec", "sent to splunk_hec", "127.0.0.1:8088"),
    ("OpenTelemetry Collector", "settings", "sent", "127.0.0.1:8088"),
];

#[test]
fn what_is_not_run_is_sent_what_is_documented() {
    for (title, settings, sent, documented) in NOT_RUN {
        let recipe = Recipe::of(title);
        assert!(recipe.row().contains("not run; request checked"), "{}", recipe.row());

        let destination = FakeDestination::start(Behaviour::Ok);
        let here = match documented.split_once("://") {
            Some(_) => format!("http://{}", destination.address()),
            None => destination.address().to_string(),
        };
        // No file of the reader's is on this machine.
        let mut config = recipe.with(documented, &here).settings_named(settings);
        config.ca_file = None;
        begin(config);

        let request = destination.wait_for_requests(1, SOON).remove(0);
        let arrived = match request.header("authorization") {
            Some(authorization) => format!("{}\nAuthorization: {authorization}\n", request.request_line()),
            None => format!("{}\n", request.request_line()),
        };
        assert_eq!(arrived, Recipe::of(title).block(sent), "{title}");
    }
}
