//! The same as JSON, for machines (receiver §5).
