//! A simulated fleet. [`Fleet`] decides which events its instances send and when, [`Sender`] writes a request as the real
//! sender does, [`Webhook`] posts it, and [`Rules`] say what is true of each instance at any time.
//!
//! [`scenarios`] are stories of single instances with the truth beside them, and [`trial`] plays them against a receiver in
//! this process, in simulated time. [`host`] is that receiver, for whoever wants one with a past.
//!
//! Everything except the posting is pure: the same seed gives the same fleet.

#![forbid(unsafe_code)]

mod character;
mod delivery;
pub mod host;
mod instance;
mod plan;
pub mod scenarios;
mod sender;
mod tally;
pub mod trial;
mod truth;
mod webhook;

pub use delivery::{Delivery, License};
pub use instance::Instance;
pub use plan::{Fleet, Plan};
pub use sender::{Request, Sender, SigningSecret};
pub use tally::Tally;
pub use truth::{Rules, State, Truth};
pub use webhook::{Answer, Webhook};
