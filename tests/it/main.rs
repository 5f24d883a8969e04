//! Every test that needs two crates or the running gateway; one file per promise.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests start programs, spawn and wait")]

mod authz;
mod chat;
mod control;
mod cron;
mod escape;
mod exhaustion;
mod flood;
mod front;
mod hooks;
mod isolation;
mod lifecycle;
mod neighbours;
mod node_host;
mod privilege;
mod reconnect;
mod records_crash;
mod rootless;
mod schema;
mod sdk;
mod settings;
mod socket;
mod tidy;
mod tokens;
mod tui;
mod victims;
