//! What a database keeps after a trial, in a few words: two databases that keep the same have the same.

use postgres::{Client, NoTls};

/// Tables, and the columns of each that time and chance do not change.
const TABLES: [(&str, &str); 4] = [
    (
        "telemetry_instance",
        "instance_id, state_rank, state_since, crashed, several_runs, restarting, cloned, losses, last_loss_at, untold,
         first_seen_at, last_seen_at, frequency, build_version, license_key_hash, license_valid, custom_id, release",
    ),
    (
        "telemetry_run",
        "instance_id, run_id, first_seen_at, last_seen_at, ended_at, last_sequence, lost_at, forked_at, updates",
    ),
    // The ids of keys are drawn by chance.
    (
        "telemetry_transition",
        "instance_id, at, change, case when change <> 'key' then \"from\" end, case when change <> 'key' then \"to\" end",
    ),
    ("telemetry_alert", "instance_id, at, change, \"from\", \"to\", custom_id, build_version"),
];

/// The number of rows in each table, and a digest of what they say.
pub(crate) fn kept(url: &str) -> Result<String, postgres::Error> {
    let mut client = Client::connect(url, NoTls)?;
    client.batch_execute("set timezone = 'UTC'")?;
    let mut words = Vec::new();
    for (table, columns) in TABLES {
        let sql = format!(
            "select count(*), md5(coalesce(string_agg(said, chr(10) order by said), ''))
             from (select row({columns})::text as said from {table}) as rows"
        );
        let row = client.query_one(&sql, &[])?;
        let (count, digest): (i64, String) = (row.get(0), row.get(1));
        words.push(format!("{table}: {count} rows, {digest}"));
    }
    Ok(words.join("\n"))
}
