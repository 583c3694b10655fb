//! Makes a large fleet of a smaller one: each server is stored many times over, with another id and another name.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, params_from_iter};

/// The tables with what is known of servers.
const TABLES: [&str; 4] = ["telemetry_instance", "telemetry_run", "telemetry_event", "telemetry_transition"];

/// Multiplies the servers in a database by `times`, in which no receiver is at work.
pub(crate) fn multiply(file: &Path, times: u16) -> rusqlite::Result<()> {
    let mut database = Connection::open(file)?;
    // As much memory as the file needs.
    database.pragma_update(None, "cache_size", -1_000_000)?;
    let transaction = database.transaction()?;
    for table in TABLES {
        multiply_rows(&transaction, table, times)?;
    }
    transaction.commit()
}

fn multiply_rows(transaction: &Transaction<'_>, table: &str, times: u16) -> rusqlite::Result<()> {
    let mut select = transaction.prepare(&format!("select * from {table}"))?;
    let columns: Vec<String> = select.column_names().into_iter().map(str::to_owned).collect();
    let read = |row: &rusqlite::Row<'_>| (0..columns.len()).map(|column| row.get(column)).collect();
    let rows: Vec<Vec<Value>> = select.query_map([], read)?.collect::<Result<_, _>>()?;
    let places = vec!["?"; columns.len()].join(", ");
    let mut insert = transaction.prepare(&format!("insert into {table} values ({places})"))?;
    for copy in 1..times {
        for row in &rows {
            let values = columns.iter().zip(row).map(|(column, value)| of_copy(copy, column, value));
            insert.execute(params_from_iter(values))?;
        }
    }
    Ok(())
}

/// The value of a column in the row of a copy.
fn of_copy(copy: u16, column: &str, value: &Value) -> Value {
    match (column, value) {
        ("instance_id", Value::Blob(id)) => {
            let mut id = id.clone();
            // Zero in the ids of all servers that are played.
            id[4..6].copy_from_slice(&copy.to_be_bytes());
            Value::Blob(id)
        }
        ("custom_id" | "searched", Value::Text(name)) => Value::Text(format!("{name}.{copy}")),
        (_, value) => value.clone(),
    }
}
