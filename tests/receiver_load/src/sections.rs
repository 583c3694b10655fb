//! The sections, one per file.

pub(crate) mod adoption;
pub(crate) mod beside;
pub(crate) mod distributed;
pub(crate) mod forgetting;
pub(crate) mod hostile;
pub(crate) mod ingest;
pub(crate) mod keys;
pub(crate) mod kills;
pub(crate) mod open_loop;
pub(crate) mod overload;
pub(crate) mod pages;
pub(crate) mod queries;
