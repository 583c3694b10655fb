//! Poolers between the receiver and PostgreSQL.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Error, SimpleQueryMessage, Statement};
use uuid::Uuid;

use super::connection::{Connection, failed};
use super::lost_statements::{ADVICE, advice};
use crate::receiver::store::{Fault, StoreError};

/// Time limit for another server connection. A pooler that has only one gives none, and then loses no statement either.
const LIMIT: Duration = Duration::from_secs(1);

/// Refuses a database behind a pooler that loses prepared statements. Most statements would find theirs, so that the
/// receiver would seem to work. Behind a pooler that is busy the loss may not show; it does in the errors that follow.
pub(super) async fn refuse_unfit(one: &Connection, other: Connection) -> Result<(), StoreError> {
    let refused = |error: Error| {
        // The argument does not fit the statement of another client that was taken for one's own.
        let is_foreign = error.code() == Some(&SqlState::INVALID_BINARY_REPRESENTATION);
        match is_foreign || advice(&error).is_some() {
            true => StoreError::Refused(Fault::new(ADVICE, error)),
            false => failed(error),
        }
    };
    match keeps_statements(one, other).await.map_err(refused)? {
        true => Ok(()),
        false => Err(StoreError::Refused(ADVICE.into())),
    }
}

/// Whether a statement that `one` has prepared is still there when `other` holds the server connection on which it was
/// prepared: a pooler hands out first what was given back last.
async fn keeps_statements(one: &Connection, other: Connection) -> Result<bool, Error> {
    // Both the text and the argument are its own: under the same name another receiver may have the same statement, or
    // one that changes something, which no text for an argument fits.
    let (own, argument) = (Uuid::new_v4(), Uuid::new_v4());
    let statement = one.prepare(&format!("select '{own}'::text || $1::text")).await?;
    let expected = format!("{own}{argument}");
    let argument = argument.to_string();
    if ask(one, &statement, &argument).await? != expected {
        return Ok(false);
    }
    let Ok(begun) = timeout(LIMIT, other.begin()).await else { return Ok(true) };
    begun?;
    let again = timeout(LIMIT, ask(one, &statement, &argument)).await;
    other.batch_execute("rollback").await?;
    other.give_back();
    match again {
        Ok(again) => Ok(again? == expected),
        Err(_) => Ok(true),
    }
}

/// Number of times that a session is looked for with another one in a transaction. Behind a pooler that others keep busy,
/// chance may give the same session back, but not every time.
const LOOKS: usize = 3;

/// Whether each of two connections is one session of PostgreSQL throughout. Behind a pooler that hands out sessions by
/// transaction, `one` meets another session while `other` is in a transaction, or none.
pub(super) async fn keeps_sessions(one: Connection, other: Connection) -> Result<bool, Error> {
    for _ in 0..LOOKS {
        let before = session(&one).await?;
        let Ok(begun) = timeout(LIMIT, other.batch_execute("begin")).await else { return Ok(false) };
        begun?;
        let Ok(meanwhile) = timeout(LIMIT, session(&one)).await else { return Ok(false) };
        other.batch_execute("rollback").await?;
        if meanwhile? != before {
            return Ok(false);
        }
    }
    // They have no settings in their sessions, and to those who come after them they would not be new.
    one.discard();
    other.discard();
    Ok(true)
}

/// The process that serves a connection. Asked without a prepared statement, which a pooler may lose.
async fn session(connection: &Connection) -> Result<Option<String>, Error> {
    let rows = connection.simple_query("select pg_backend_pid()").await?;
    Ok(rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

async fn ask(connection: &Connection, statement: &Statement, argument: &String) -> Result<String, Error> {
    connection.query_one(statement, &[argument]).await?.try_get(0)
}

#[cfg(test)]
mod tests {
    use test_support::{Pooler, TestDatabase};

    use super::super::connections::connect;
    use super::super::load::Load;
    use super::*;
    use crate::receiver::store::suite::{RETENTION, at, by, runtime};
    use crate::receiver::store::{
        Census, ChangeFilter, Changes, Doomed, EventFilter, Forgetting, InstanceFilter, Keys, Mending, Mute,
        Muted, Mutes, Outages, Outbox, PostgresFleetStore, Queries, Schema, Sort, State,
    };

    const PATIENCE: Duration = Duration::from_secs(4);

    /// Fewer connections to the server than the receiver has, so that they pass from one to another.
    const BY_TRANSACTION: [&str; 3] =
        ["pool_mode = transaction", "max_prepared_statements = 200", "default_pool_size = 5"];

    fn prepare(url: &str) -> Result<(), StoreError> {
        runtime().block_on(async {
            let store = PostgresFleetStore::from_url(url).unwrap();
            store.migrate().await?;
            store.make_room(at(0)).await
        })
    }

    /// Does what a receiver does beside storing events and judging.
    async fn do_everything_else(url: &str) -> Result<(), StoreError> {
        let store = PostgresFleetStore::from_url(url).unwrap();
        let now = at(60);
        store.mark(by(now), Duration::from_secs(30)).await?;
        store.mend(by(now), Duration::from_secs(30), false).await?;
        store.take_census(now).await?;
        store.tidy(now, RETENTION).await?;
        let mute = Mute {
            id: Uuid::new_v4(),
            of: Muted::Instance(Uuid::from_u128(1)),
            reason: "moves".to_owned(),
            until: at(3_600),
            created_at: now,
        };
        assert!(store.add_mutes(std::slice::from_ref(&mute)).await?);
        assert!(store.remove_mute(mute.id).await?);
        store.keys().await?;
        store.take_digest(now, &|_| at(120), 10).await?;
        let up = InstanceFilter { states: vec![State::Up], ..InstanceFilter::default() };
        assert_eq!(store.instances(&up, Sort::Worst, None, 10).await?.len(), 8);
        store.events(&EventFilter::default(), None, 10).await?;
        let changes = store.latest_changes(&ChangeFilter::default(), None, 10).await?;
        assert_eq!(changes.len(), 8);
        let doomed = Doomed::One(Uuid::from_u128(1));
        assert_eq!(store.forget(&doomed, now, None, true).await?.forgotten, 1);
        Ok(())
    }

    /// What those who store events find outside of transactions, with a connection that is new and with the same one again;
    /// and what one statement finds.
    fn settings_of_session(url: &str) -> [String; 3] {
        runtime().block_on(async {
            let store = PostgresFleetStore::from_url(url).unwrap();
            let outside = async || {
                let connection = connect(&store.writers).await.unwrap();
                let shown = connection.simple_query("show plan_cache_mode").await.unwrap();
                let SimpleQueryMessage::Row(row) = &shown[1] else { panic!("{shown:?}") };
                let value = row.get(0).unwrap().to_owned();
                connection.give_back();
                value
            };
            let (first, again) = (outside().await, outside().await);
            let connection = connect(&store.writers).await.unwrap();
            let alone = connection.rows("select current_setting('plan_cache_mode')", &[]).await.unwrap();
            [first, again, alone[0].get(0)]
        })
    }

    #[test]
    fn settings_are_made_in_sessions_where_a_connection_keeps_one() {
        let database = TestDatabase::new();
        let [of_session, of_transaction] =
            [["force_generic_plan"; 3], ["auto", "auto", "force_generic_plan"]];
        assert_eq!(settings_of_session(database.url()), of_session);
        for (pooling, found) in [
            (&["pool_mode = session"][..], of_session),
            (&["pool_mode = transaction"], of_transaction),
            // It has only one session to hand out, and lets the second connection wait.
            (&["pool_mode = transaction", "default_pool_size = 1"], of_transaction),
        ] {
            let pooler = Pooler::start(database.url(), pooling);
            assert_eq!(settings_of_session(&pooler.url()), found, "{pooling:?}");
        }
    }

    fn works_behind(settings: &[&str]) {
        let database = TestDatabase::new();
        let pooler = Pooler::start(database.url(), settings);
        let url = pooler.url();
        prepare(&url).unwrap();
        let load = Load::run(&url, 8, PATIENCE, |load| load.wait_for_more(800));
        assert!(load.errors().is_empty(), "{:?}", load.errors());
        load.assert_stored_once(database.url());
        runtime().block_on(async {
            do_everything_else(&url).await.unwrap();
            // No setting is left behind for others.
            let connection = PostgresFleetStore::from_url(&url).unwrap().connect().await.unwrap();
            for (setting, value) in [("statement_timeout", "0"), ("jit", "on"), ("enable_seqscan", "on")] {
                let left = connection.query_one(&format!("show {setting}"), &[]).await.unwrap();
                assert_eq!(left.get::<_, &str>(0), value, "{setting}");
            }
        });
    }

    fn is_refused_behind(settings: &[&str]) {
        let database = TestDatabase::new();
        let pooler = Pooler::start(database.url(), settings);
        for _ in 0..3 {
            let refused = prepare(&pooler.url()).unwrap_err();
            assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
            assert_eq!(refused.to_string(), format!("the store refused: {ADVICE}"));
        }
    }

    #[test]
    fn a_pooler_of_sessions_changes_nothing() {
        works_behind(&["pool_mode = session"]);
    }

    #[test]
    fn a_pooler_of_transactions_that_loses_prepared_statements_is_refused() {
        match Pooler::carries_prepared_statements() {
            true => is_refused_behind(&["pool_mode = transaction", "max_prepared_statements = 0"]),
            false => is_refused_behind(&["pool_mode = transaction"]),
        }
    }

    #[test]
    #[ignore = "needs PgBouncer 1.21 or later, named by TEST_PGBOUNCER: cargo test --all-features --lib -- --ignored pooler"]
    fn a_pooler_of_transactions_that_carries_prepared_statements_changes_nothing() {
        works_behind(&BY_TRANSACTION);
    }

    #[test]
    fn a_pooler_of_statements_is_refused() {
        is_refused_behind(&["pool_mode = statement"]);
    }

    #[test]
    fn a_pooler_that_is_killed_loses_no_acknowledged_event() {
        let database = TestDatabase::new();
        let mut pooler = Pooler::start(database.url(), &["pool_mode = session"]);
        let url = pooler.url();
        prepare(&url).unwrap();
        let load = Load::run(&url, 8, PATIENCE, |load| {
            for _ in 0..3 {
                load.wait_for_more(200);
                pooler.restart();
            }
            load.wait_for_more(200);
        });
        load.assert_stored_once(database.url());
    }
}
