//! Starts a cluster, prints its server's process id and its directory, and holds it until killed.

use std::thread;

use test_support::TestCluster;

fn main() {
    let cluster = TestCluster::start();
    let server = cluster.process_id().expect("it runs");
    println!("{server} {}", cluster.directory().display());
    loop {
        thread::park();
    }
}
