//! How a pooler is recognised that loses prepared statements.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// What to do about a pooler that loses prepared statements.
pub(super) const ADVICE: &str = "a pooler between the receiver and PostgreSQL hands out connections by transaction or statement and \
     does not carry prepared statements; in PgBouncer set pool_mode = session, or, from version 1.21 on, \
     pool_mode = transaction with max_prepared_statements = 200";

/// The advice for an error that only a pooler causes which loses prepared statements.
pub(super) fn advice(error: &Error) -> Option<&'static str> {
    let error = error.as_db_error()?;
    loses_statements(error.code(), error.message()).then_some(ADVICE)
}

/// Whether an error means that a prepared statement was lost or met another one of its name. Poolers answer with
/// `PROTOCOL_VIOLATION` for much else, such as a server that is down.
fn loses_statements(code: &SqlState, message: &str) -> bool {
    const OF_PROTOCOL: [&str; 2] =
        ["bind message supplies", "transaction blocks not allowed in statement pooling mode"];
    *code == SqlState::INVALID_SQL_STATEMENT_NAME
        || *code == SqlState::DUPLICATE_PSTATEMENT
        || (*code == SqlState::PROTOCOL_VIOLATION
            && OF_PROTOCOL.iter().any(|start| message.starts_with(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lost_statements_lead_to_the_advice() {
        for (code, message, is_lost) in [
            (SqlState::INVALID_SQL_STATEMENT_NAME, "prepared statement \"s7\" does not exist", true),
            (SqlState::DUPLICATE_PSTATEMENT, "prepared statement \"s7\" already exists", true),
            (SqlState::PROTOCOL_VIOLATION, "bind message supplies 9 parameters, but prepared …", true),
            (SqlState::PROTOCOL_VIOLATION, "transaction blocks not allowed in statement pooling mode", true),
            (SqlState::PROTOCOL_VIOLATION, "query_wait_timeout", false),
            (SqlState::CONNECTION_FAILURE, "server conn crashed?", false),
            (SqlState::READ_ONLY_SQL_TRANSACTION, "cannot execute INSERT in a read-only transaction", false),
        ] {
            assert_eq!(loses_statements(&code, message), is_lost, "{message}");
        }
    }
}
