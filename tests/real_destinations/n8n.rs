//! n8n.

use deployment_telemetry::Outcome;
use serde_json::Value;

use crate::{
    replay::{recorded, send},
    run::{begin, whole_run},
    running::Running,
};

#[test]
#[ignore = "installs 2 GB in some minutes and needs Node.js 24: cargo test --all-features --test real_destinations -- --ignored n8n"]
fn the_workflow_of_n8n_takes_every_event() {
    let n8n = Running::start("n8n");
    // It listens before its workflows are active.
    n8n.wait_for_line(|line| line.contains("Editor is now accessible"));
    whole_run(n8n.recipe.settings()).assert_answered(200);

    // What leaves its last node is the answer, which the library does not read.
    let request = recorded(n8n.recipe.settings(), "/webhook/telemetry");
    let (status, body) = send(n8n.port(), &request.raw);
    let left: Value = serde_json::from_str(&body).unwrap();
    let sent: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((status, left), (200, sent));

    let stranger = n8n.recipe.settings().auth("another-token");
    assert_eq!(begin(stranger), Outcome::Status(403));
}
