//! A primary with a synchronous standby, and the loss of either.

use std::time::Duration;

use test_support::{BlackHole, TestCluster, TestDatabase, wait_until};

use super::load::Load;
use super::{PostgresFleetStore, WRITERS};
use crate::receiver::store::suite::{at, runtime};
use crate::receiver::store::{Queries, Schema, within};

/// How long the writer waits for the store.
const PATIENCE: Duration = Duration::from_secs(4);

/// A primary and its synchronous standby, and the URL of the docs.
fn pair() -> (TestCluster, TestCluster, String) {
    let primary = TestCluster::start_durable();
    let standby = primary.standby();
    primary.wait_for_standbys();
    let url = format!(
        "postgresql://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        primary.port(),
        standby.port()
    );
    runtime().block_on(async {
        let store = PostgresFleetStore::from_url(&url).unwrap();
        store.migrate().await.unwrap();
        store.make_room(at(0)).await.unwrap();
    });
    (primary, standby, url)
}

#[test]
fn a_standby_that_is_promoted_has_every_acknowledged_event_once() {
    let (mut primary, standby, url) = pair();
    let load = Load::run(&url, 16, PATIENCE, |load| {
        load.wait_for_more(500);
        primary.kill();
        standby.promote();
        load.wait_for_more(500);
    });
    load.assert_stored_once(&standby.url("postgres"));
}

/// Its kernel still accepts connections, and nothing answers on them.
#[test]
fn a_primary_that_hangs_is_left_for_the_standby_that_was_promoted() {
    let (mut primary, standby, url) = pair();
    let load = Load::run(&format!("{url}&load_balance_hosts=random"), 16, PATIENCE, |load| {
        load.wait_for_more(500);
        primary.pause();
        standby.promote();
        load.wait_for_more(500);
    });
    load.assert_stored_once(&standby.url("postgres"));
}

/// The URL says nothing of how long to wait for a host.
#[test]
fn a_host_that_swallows_packets_is_left_for_the_next_one_in_time() {
    let (hole, database) = (BlackHole::new(), TestDatabase::new());
    let hosts = format!("@{},", hole.address);
    let url = format!("{}?target_session_attrs=read-write", database.url().replacen('@', &hosts, 1));
    runtime().block_on(async {
        let store = PostgresFleetStore::from_url(&url).unwrap();
        store.migrate().await.expect("the second host is reached");
    });
}

#[test]
fn commits_that_wait_for_a_standby_leave_no_pile_of_connections() {
    let (primary, mut standby, url) = pair();
    // Senders that give up soon abandon many commits.
    let load = Load::run(&url, 16, Duration::from_millis(200), |load| {
        load.wait_for_more(100);
        standby.stop();
        let watch = TestWatch(&primary);
        wait_until("every writer waits for the standby", PATIENCE * 5, || watch.waiting() > WRITERS);
        let (tries, acknowledged) = (load.tries(), load.acknowledged());
        let mut most = 0;
        wait_until("the senders tried again and again", PATIENCE * 10, || {
            most = most.max(watch.at_work());
            load.tries() >= tries + 300
        });
        // As many are set aside as the pool holds.
        assert_eq!(most, 2 * (WRITERS + 1));
        assert_eq!(load.acknowledged(), acknowledged, "nobody confirms a commit");
        runtime().block_on(async {
            let other = PostgresFleetStore::from_url(&url).unwrap();
            within(PATIENCE, other.summary(at(0))).await.expect("queries are answered");
        });
        standby.start_again();
        load.wait_for_more(100);
    });
    load.assert_stored_once(&primary.url("postgres"));
}

/// Looks at the connections of the receiver that is under load.
struct TestWatch<'a>(&'a TestCluster);

impl TestWatch<'_> {
    /// Those that are in a transaction, beside those of queries that wait to be used again.
    fn at_work(&self) -> usize {
        self.count("state <> 'idle'")
    }

    fn waiting(&self) -> usize {
        self.count("wait_event = 'SyncRep'")
    }

    fn count(&self, which: &str) -> usize {
        let sql = format!(
            "select count(*) from pg_stat_activity
             where application_name = 'deployment-telemetry-receiver' and {which}"
        );
        self.0.query_one_text(&sql).and_then(|count| count.parse().ok()).unwrap()
    }
}
