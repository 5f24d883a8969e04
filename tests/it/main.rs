//! Every test that needs two crates or the running gateway; one file per promise.
#![cfg(test)]

mod authz;
mod chat;
mod control;
mod escape;
mod isolation;
mod lifecycle;
mod records_crash;
mod sdk;
mod tidy;
mod tokens;
