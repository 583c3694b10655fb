//! Alerting: the destination of alerts, and the actor that delivers them (receiver §5).

pub(crate) mod alerter;
pub(crate) mod board;
pub(crate) mod destination;
