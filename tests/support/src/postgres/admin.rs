//! SQL that prepares and checks what a test uses.

use std::{error::Error, sync::mpsc, thread, time::Duration};

use postgres::{Client, NoTls, SimpleQueryMessage};

const LIMIT: Duration = Duration::from_secs(30);

/// Runs `sql` over a connection of its own and returns the first column of the first row.
///
/// The client drives a runtime of its own, which a thread that already drives one refuses: hence a thread.
pub(super) fn query(url: &str, sql: &str) -> Result<Option<String>, String> {
    let (sender, answer) = mpsc::channel();
    let (owned_url, owned_sql) = (url.to_owned(), sql.to_owned());
    thread::Builder::new()
        .name("test-sql".into())
        .spawn(move || sender.send(run(&owned_url, &owned_sql)))
        .map_err(|error| error.to_string())?;
    match answer.recv_timeout(LIMIT) {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => Err(format!("{sql}: {}", with_source(&error))),
        Err(_) => Err(format!("{sql}: no answer within {LIMIT:?}")),
    }
}

fn run(url: &str, sql: &str) -> Result<Option<String>, postgres::Error> {
    let mut client = Client::connect(url, NoTls)?;
    let messages = client.simple_query(sql)?;
    client.close()?;
    Ok(messages
        .iter()
        .find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
            _ => None,
        })
        .flatten())
}

fn with_source(error: &postgres::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
