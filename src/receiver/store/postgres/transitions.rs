//! Writing transitions, and the alerts that tell of them.

use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::connection::Connection;
use crate::receiver::store::{Judgement, Transition};

/// Transitions of many instances, one list for each column.
#[derive(Default)]
pub(super) struct TransitionColumns<'a> {
    instance_ids: Vec<Uuid>,
    times: Vec<Timestamp>,
    changes: Vec<&'static str>,
    from: Vec<Option<&'a str>>,
    to: Vec<&'a str>,
}

impl<'a> TransitionColumns<'a> {
    pub(super) fn push(&mut self, instance_id: Uuid, transition: &'a Transition) {
        self.instance_ids.push(instance_id);
        self.times.push(transition.at);
        self.changes.push(transition.change.as_str());
        self.from.push(transition.from.as_deref());
        self.to.push(&transition.to);
    }
}

pub(super) async fn insert_transitions(
    connection: &Connection,
    columns: &TransitionColumns<'_>,
) -> Result<(), tokio_postgres::Error> {
    if columns.to.is_empty() {
        return Ok(());
    }
    let insert = "insert into telemetry_transition (instance_id, at, change, \"from\", \"to\")
                  select * from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[])
                  on conflict do nothing";
    let insert = connection.prepared(insert).await?;
    let TransitionColumns { instance_ids, times, changes, from, to } = columns;
    connection.execute(&insert, &[instance_ids, times, changes, from, to]).await?;
    Ok(())
}

pub(super) async fn write_transitions(
    connection: &Connection,
    judgements: &[(Uuid, Judgement)],
) -> Result<(), tokio_postgres::Error> {
    let mut columns = TransitionColumns::default();
    for (id, judgement) in judgements {
        judgement.transitions.iter().for_each(|transition| columns.push(*id, transition));
    }
    insert_transitions(connection, &columns).await
}

pub(super) async fn write_alerts(
    connection: &Connection,
    judgements: &[(Uuid, Judgement)],
) -> Result<(), tokio_postgres::Error> {
    let mut columns = TransitionColumns::default();
    let (mut custom_ids, mut versions) = (Vec::new(), Vec::new());
    for (id, judgement) in judgements {
        for transition in &judgement.alerts {
            columns.push(*id, transition);
            custom_ids.push(judgement.facts.custom_id.as_deref());
            versions.push(judgement.facts.build_version.as_str());
        }
    }
    if columns.to.is_empty() {
        return Ok(());
    }
    let insert = "insert into telemetry_alert (instance_id, id, at, change, \"from\", \"to\", custom_id, build_version)
                  select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[],
                      $7::text[], $8::text[])";
    let insert = connection.prepared(insert).await?;
    let ids: Vec<Uuid> = columns.to.iter().map(|_| Uuid::new_v4()).collect();
    let TransitionColumns { instance_ids, times, changes, from, to } = &columns;
    let parameters: [&(dyn ToSql + Sync); 8] =
        [instance_ids, &ids, times, changes, from, to, &custom_ids, &versions];
    connection.execute(&insert, &parameters).await?;
    Ok(())
}
