//! The program as its operators use it: started, asked over HTTP, stopped and killed.

mod instances;
mod keys;
mod lifecycle;
mod login;
mod program;
mod settings;
