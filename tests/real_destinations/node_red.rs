//! Node-RED.

use deployment_telemetry::Outcome;

use crate::{
    run::{begin, whole_run},
    running::Running,
};

#[test]
fn the_flow_of_node_red_keeps_every_event() {
    let node_red = Running::start("Node-RED");
    // It listens before its flows do.
    node_red.wait_for_line(|line| line.contains("Started flows"));

    let run = whole_run(node_red.recipe.settings());
    run.assert_answered(204);
    run.assert_arrived(&node_red.file("telemetry.jsonl"));

    let stranger = node_red.recipe.settings().auth("another-token");
    assert_eq!(begin(stranger), Outcome::Status(401));
    run.assert_arrived(&node_red.file("telemetry.jsonl"));
}
