//! The pictures of adoption, as numbers that a template prints: areas stacked on each other, and curves. Their shapes are
//! stretched to the width that there is; axes and labels stand beside them in percent, as text of its usual size.

mod area;
mod curves;
mod days;
mod path;
mod scale;

pub(super) use area::{Area, Layer, layers};
pub(super) use curves::Curves;
