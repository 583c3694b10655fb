//! Connections that go back to their pool only in the state in which they came from it.
//!
//! Every statement runs in a transaction that makes its own settings: behind a pooler that hands out sessions by
//! transaction, a session's settings would be those of whoever had it before. Where no such pooler is between, those who
//! store events make their settings once in a session, which spares each batch three answers of PostgreSQL.
//!
//! Statements that share a round trip are joined by functions that start them in the order in which they stand.

use std::future::ready;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Client, ClientWrapper, Object};
use futures_util::future::{join, join3};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Statement};

use super::lost_statements::advice;
use super::routed_sql::RoutedSql;
use crate::receiver::store::{Fault, StoreError};

/// Name of the database in errors.
pub(super) const NAME: &str = "PostgreSQL";

/// How long PostgreSQL may take to answer on a connection that was abandoned before the idle ones are closed.
const TRUSTED_FOR: Duration = Duration::from_millis(250);

/// How long such a connection keeps its place in the pool after that, before it is set aside.
const HELD_FOR: Duration = Duration::from_millis(750);

/// A connection that goes back to its pool only if its call has succeeded. A call that failed or was
/// abandoned may have left a transaction open, so its connection is closed.
pub(super) struct Connection {
    /// `None` once it was given back.
    client: Option<Client>,
    settings: &'static str,
    /// Whether the session has the settings, so that a transaction need not make them.
    is_set: bool,
    /// Whether its statements have to say of which instances they are.
    is_distributed: bool,
    aside: Arc<Semaphore>,
}

impl Connection {
    /// A client of a pool whose connections make these settings. A permit of `aside` is needed to set it aside.
    pub(super) fn new(client: Client, settings: &'static str, aside: Arc<Semaphore>) -> Self {
        Self { client: Some(client), settings, is_set: false, is_distributed: false, aside }
    }

    /// Makes the transactions of this connection have other settings.
    pub(super) fn with_settings(mut self, settings: &'static str) -> Self {
        (self.settings, self.is_set) = (settings, false);
        self
    }

    /// Makes the settings in the session, unless an earlier call did.
    pub(super) async fn set_session(&mut self) -> Result<(), Error> {
        if self.client.as_ref().is_some_and(|client| Object::metrics(client).recycle_count == 0) {
            // The last argument of `set_config` is whether a setting ends with the transaction.
            self.batch_execute(&self.settings.replace(", true)", ", false)")).await?;
        }
        self.is_set = true;
        Ok(())
    }

    /// Makes the statements of this connection fit tables that are distributed, or not.
    pub(super) fn with_tables_distributed(mut self, is_distributed: bool) -> Self {
        self.is_distributed = is_distributed;
        self
    }

    /// Whether its statements are for tables that are distributed.
    pub(super) fn is_distributed(&self) -> bool {
        self.is_distributed
    }

    /// A statement in the form that fits the tables.
    pub(super) fn form<'a>(&self, sql: &'a RoutedSql) -> &'a str {
        sql.form(self.is_distributed)
    }

    pub(super) fn give_back(mut self) {
        self.client.take();
    }

    /// Closes the connection, on which nothing is under way.
    pub(super) fn discard(mut self) {
        drop(self.client.take().map(Object::take));
    }

    pub(super) async fn prepared(&self, sql: &str) -> Result<Statement, Error> {
        self.prepare_cached(sql).await
    }

    /// The same of a statement in two forms.
    pub(super) async fn routed(&self, sql: &RoutedSql) -> Result<Statement, Error> {
        self.prepared(self.form(sql)).await
    }

    pub(super) async fn begin(&self) -> Result<(), Error> {
        self.begin_with(ready(Ok(()))).await
    }

    pub(super) async fn commit(&self) -> Result<(), Error> {
        self.batch_execute("commit").await
    }

    /// Begins a transaction in the round trip of its first statement. The first failure is returned, not one that
    /// follows from it.
    pub(super) async fn begin_with<T>(
        &self,
        first: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if self.is_set {
            let (begun, done) = join(self.batch_execute("begin"), first).await;
            begun?;
            return done;
        }
        // Before the join: a statement that is being prepared would fall behind the first one.
        let settings = self.prepared(self.settings).await?;
        let (begun, set, done) = join3(self.batch_execute("begin"), self.query(&settings, &[]), first).await;
        begun?;
        set?;
        done
    }

    /// Commits in the round trip of the last statement, which has to be prepared already: one that is being prepared
    /// would run after the end of the transaction.
    pub(super) async fn commit_with<T>(
        &self,
        last: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let (done, committed) = join(last, self.commit()).await;
        let done = done?;
        committed?;
        Ok(done)
    }

    /// Runs one statement as a transaction of its own, and returns its rows.
    pub(super) async fn rows_alone(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        self.alone(sql, |statement| async move { self.query(&statement, parameters).await }).await
    }

    /// Runs one statement as a transaction of its own, and returns the number of rows that it changed.
    pub(super) async fn run_alone(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        self.alone(sql, |statement| async move { self.execute(&statement, parameters).await }).await
    }

    /// Prepares a statement and runs it as a transaction of its own, which one with the settings of its session is by
    /// itself.
    async fn alone<T, Done: Future<Output = Result<T, Error>>>(
        &self,
        sql: &str,
        run: impl FnOnce(Statement) -> Done,
    ) -> Result<T, Error> {
        if self.is_set {
            return run(self.prepared(sql).await?).await;
        }
        let run = async { self.commit_with(run(self.prepared(sql).await?)).await };
        self.begin_with(run).await
    }

    /// [`rows_alone`](Self::rows_alone), after which the connection goes back.
    pub(super) async fn rows(
        self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let rows = self.rows_alone(sql, parameters).await.map_err(failed)?;
        self.give_back();
        Ok(rows)
    }

    /// [`run_alone`](Self::run_alone), after which the connection goes back.
    pub(super) async fn run(self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, StoreError> {
        let count = self.run_alone(sql, parameters).await.map_err(failed)?;
        self.give_back();
        Ok(count)
    }
}

impl Deref for Connection {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        self.client.as_ref().expect("the client is taken only when this value is dropped")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        match Handle::try_current() {
            Ok(runtime) if !client.is_closed() => drop(runtime.spawn(close(client, self.aside.clone()))),
            _ => drop(Object::take(client)),
        }
    }
}

/// Closes a connection once PostgreSQL has answered whatever was asked on it. A commit that waits for a synchronous standby
/// does not notice that nobody waits for it any more: if its place in the pool were free at once, each further try would
/// leave another process of PostgreSQL behind.
///
/// As many connections as the pool holds are set aside, so that others take their place: a server that hangs may have
/// been replaced by another one. No request cancels the commit: PostgreSQL would then finish it without the standby.
async fn close(client: Client, aside: Arc<Semaphore>) {
    let set_aside = async {
        tokio::time::sleep(TRUSTED_FOR).await;
        // What keeps this one from answering may have cut off the idle ones too, each of which would cost a call its whole
        // time.
        if let Some(pool) = Object::pool(&client) {
            pool.retain(|_, _| false);
        }
        tokio::time::sleep(HELD_FOR).await;
        aside.acquire().await.ok()
    };
    let permit = tokio::select! {
        // A failure has closed the connection.
        _ = client.batch_execute("rollback") => None,
        permit = set_aside => permit,
    };
    let client = Object::take(client);
    if permit.is_some() {
        let _ = client.batch_execute("rollback").await;
    }
}

/// Sorts errors: PostgreSQL refuses some values for good, and everything else may succeed later. The only
/// check in the tables is that a row has a partition.
pub(super) fn failed(error: Error) -> StoreError {
    let code = error.code().cloned();
    let fault = Fault::new(advice(&error).unwrap_or(NAME), error);
    match code {
        Some(code) if code == SqlState::CHECK_VIOLATION => StoreError::NotYet(fault),
        Some(code) if matches!(&code.code()[..2], "22" | "23") => StoreError::Refused(fault),
        _ => StoreError::Unavailable(fault),
    }
}
