//! Pools of connections, one for each kind of work.

use std::sync::Arc;

use tokio::sync::{OnceCell, Semaphore};

use super::connection::{Connection, NAME, failed};
use super::pooler;
use crate::postgres::Database;
use crate::receiver::store::{Fault, StoreError};

/// A pool of connections for one kind of work.
pub(super) struct Connections {
    database: Database,
    /// SQL that makes the settings of a transaction of this work.
    pub(super) settings: &'static str,
    /// Whether a connection is one session throughout, which keeps its settings. Asked before the first connection is
    /// handed out, and where none of it is made in sessions, never.
    pub(super) keep_sessions: Option<OnceCell<bool>>,
    /// A permit for each connection that can be set aside.
    aside: Arc<Semaphore>,
}

impl Connections {
    /// As many connections as the pool holds can be set aside.
    pub(super) fn new(database: Database, number: usize, settings: &'static str) -> Self {
        Self { database, settings, keep_sessions: None, aside: Arc::new(Semaphore::new(number)) }
    }

    /// Makes the settings in sessions where sessions are kept.
    pub(super) fn in_sessions(mut self) -> Self {
        self.keep_sessions = Some(OnceCell::new());
        self
    }

    /// Whether the settings are made in sessions.
    async fn are_of_sessions(&self) -> Result<bool, StoreError> {
        let Some(keep_sessions) = &self.keep_sessions else { return Ok(false) };
        let ask = async || {
            let (one, other) = (connect_by_transaction(self).await?, connect_by_transaction(self).await?);
            pooler::keeps_sessions(one, other).await.map_err(failed)
        };
        keep_sessions.get_or_try_init(ask).await.copied()
    }
}

/// A connection whose transactions find their settings, be it in their session or each by itself.
pub(super) async fn connect(connections: &Connections) -> Result<Connection, StoreError> {
    let are_of_sessions = connections.are_of_sessions().await?;
    let mut connection = connect_by_transaction(connections).await?;
    if are_of_sessions {
        connection.set_session().await.map_err(failed)?;
    }
    Ok(connection)
}

/// A connection whose transactions each make their settings, which may be [other](Connection::with_settings) ones.
pub(super) async fn connect_by_transaction(connections: &Connections) -> Result<Connection, StoreError> {
    let database = &connections.database;
    let pool = database.pool().await.map_err(|error| StoreError::Unavailable(Fault::new(NAME, error)))?;
    let client = pool
        .get()
        .await
        .map_err(|error| StoreError::Unavailable(Fault::new(NAME, database.explain(error))))?;
    Ok(Connection::new(client, connections.settings, connections.aside.clone()))
}
