//! Every test that needs two crates or the running gateway; one file per promise.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests start programs, spawn and wait")]
#![expect(clippy::cognitive_complexity, reason = "every .await and assertion counts as a branch")]

mod approvals;
mod audit;
mod authz;
mod books;
mod books_crash;
mod chat;
mod clients;
mod control;
mod control_ui;
mod cron;
mod egress;
mod egress_rules;
mod escape;
mod evidence;
mod exhaustion;
mod flood;
mod front;
mod gateway_call;
mod heartbeat;
mod hooks;
mod hostile;
mod isolation;
mod libraries;
mod lifecycle;
mod limits;
mod neighbours;
mod node_host;
mod operator_terminal;
mod privilege;
mod quota_bills;
mod quota_kill;
mod quota_race;
mod quota_routes;
mod quota_steady;
mod reconnect;
mod records_crash;
mod rootless;
mod schema;
mod sdk;
mod settings;
mod socket;
mod tidy;
mod tokens;
mod tool_escape;
mod tools;
mod tui;
mod victims;
mod web_terminal;
