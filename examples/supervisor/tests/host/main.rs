//! The example as its users run it: started, asked over HTTP, stopped and killed.

mod api;
mod command_line;
mod fleet;
mod license;
mod lifecycle;
mod login;
mod loopback;
mod program;
mod settings;
