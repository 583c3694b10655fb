//! A simulated fleet. [`Fleet`] decides which events its instances send and when, [`Sender`] writes a request as the real
//! sender does, [`Webhook`] posts it, and [`Rules`] say what is true of each instance at any time.
//!
//! Everything except the posting is pure: the same seed gives the same fleet.

#![forbid(unsafe_code)]

mod character;
mod delivery;
mod instance;
mod plan;
mod sender;
mod tally;
mod truth;
mod webhook;

pub use delivery::{Delivery, License};
pub use instance::Instance;
pub use plan::{Fleet, Plan};
pub use sender::{Request, Sender, SigningSecret};
pub use tally::Tally;
pub use truth::{Rules, State, Truth};
pub use webhook::{Answer, Webhook};
