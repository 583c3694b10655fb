//! The fleets that the pages are looked at with.

mod dozen;
mod hostile;
mod thousand;

pub(crate) use dozen::dozen;
pub(crate) use hostile::hostile;
pub(crate) use thousand::thousand;
