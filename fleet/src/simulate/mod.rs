//! A fleet that is made up: [`Fleet`] says what its instances send and when, [`Sender`] writes it as the real sender does,
//! [`Connection`] posts it, and [`Rules`] says what must be true of each instance at any time.
//!
//! All but the posting is pure: the same seed is the same fleet.

mod character;
mod connection;
mod delivery;
mod instance;
mod plan;
mod sender;
mod truth;

pub use connection::{Answer, Connection, Webhook};
pub use delivery::{Delivery, License};
pub use instance::Instance;
pub use plan::{Fleet, Plan};
pub use sender::{Request, Sender, SigningSecret};
pub use truth::{Rules, State, Tally, Truth};
