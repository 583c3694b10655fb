//! The program as its operators meet it, and the receiver beside a fleet of which the truth is known.

mod keys;
mod lifecycle;
mod login;
mod program;
mod settings;
mod simulate;
mod truth;
