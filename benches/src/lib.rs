//! Benchmarks: what the gateway costs beside the provider called directly and beside the least
//! that a proxy with one gRPC hop can cost, measured in one run.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark fails by panicking, starts programs, waits, and divides"
)]

pub mod archive;
pub mod backup;
pub mod callee;
pub mod floor;
pub mod limits;
pub mod load;
pub mod money;
pub mod pairs;
pub mod provider;
pub mod rewrite;
pub mod sockets;
pub mod stats;
pub mod system;
pub mod tools;
pub mod trail;
pub mod wake;
