//! What people see (receiver §4).
