//! Real programs take the events: the recipes of `docs/destinations.md`, read out of it and run as they stand there.

#[path = "../host/mod.rs"]
mod host;
mod httpbin;
mod n8n;
mod node_red;
mod not_run;
mod postgrest;
mod python;
mod recipe;
mod replay;
mod run;
mod running;
mod signatures;
mod webhook;
