//! Judging: the decision about an instance at a moment (receiver §3), and the actor that makes it for instances that are
//! due.

pub(crate) mod judge;
pub(crate) mod judgement;
mod marking;
pub(crate) mod muting;
#[cfg(all(test, feature = "sqlite"))]
mod wrong_clocks;
