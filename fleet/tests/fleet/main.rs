//! The program as its operators use it: started, asked over HTTP, stopped and killed.

mod import;
mod instances;
mod keys;
mod lifecycle;
mod login;
mod operator;
mod program;
mod settings;
