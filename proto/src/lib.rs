//! Generated from `proto/*.proto`: the two languages spoken across the process boundary.
#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::excessive_nesting,
    missing_docs,
    reason = "generated code"
)]

/// What the supervisor asks of a worker.
pub mod worker {
    tonic::include_proto!("openclawmu.worker.v1");
}

/// What a worker may ask of the supervisor: one service per power.
pub mod host {
    tonic::include_proto!("openclawmu.host.v1");
}
