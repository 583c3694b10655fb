//! How the tables are created.

use futures_util::future::join_all;

use super::*;

suite! {
    migrating_again_changes_nothing
    receivers_that_start_at_the_same_time_agree_on_the_tables
}

async fn migrating_again_changes_nothing(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    store.migrate().await.unwrap();
    database.store().migrate().await.unwrap();
    assert_eq!(all_events(&store).await.len(), 1);
}

async fn receivers_that_start_at_the_same_time_agree_on_the_tables(database: &impl Database) {
    let start = async |number| {
        let store = started(database).await;
        store.append(&[event(1, 1, number, 0, "begin")]).await.unwrap()
    };
    assert_eq!(join_all((1..=8).map(start)).await, vec![[New]; 8]);
}
