//! The queries of people and programs as text: what selects instances, in which order they are listed, and where a page of
//! a list goes on. The API and the pages read them from addresses, mutes are kept as such texts.

pub(crate) mod cursor;
pub(crate) mod flag;
pub(crate) mod heard;
pub(crate) mod instances;
