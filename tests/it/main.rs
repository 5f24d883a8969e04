//! Every test that needs two crates or the running gateway; one file per promise.
#![cfg(test)]

mod authz;
mod chat;
mod control;
mod isolation;
mod lifecycle;
mod tokens;
