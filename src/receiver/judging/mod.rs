//! What the runs of an instance mean at a moment (receiver §3), and the actor that asks it of whoever
//! is due.

pub(crate) mod judge;
pub(crate) mod judgement;
