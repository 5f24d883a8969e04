//! Evidence of a tenant's boundary: what the kernel says of its worker beside what was declared, and
//! what attempts from inside got, as one signed document that anybody can check without a gateway.
//!
//! It gathers nothing and asks nobody: reports are made of what others saw. But for the key's file it
//! does no I/O.

mod check;
mod document;
mod envelope;
mod erasure;
mod hex;
mod key;
mod layers;
mod page;
mod report;
#[cfg(test)]
mod testing;
mod witness;

pub use check::{Complaint, MIN_PROBES, check};
pub use document::{Error, MAX_DOCUMENT, Opened, open, seal};
pub use erasure::{
    ERASURE_SCHEMA, Erasure, MAX_ERASURE, OpenedErasure, open_erasure, seal_erasure,
};
pub use key::{Key, KeyError, PublicKey};
pub use layers::layers;
pub use page::page;
pub use report::{
    AuditHead, Declared, Depth, Held, Host, Layer, Lost, Probe, Report, SCHEMA, Standing, Versions,
};
pub use witness::{Nobody, Pending, Witness};
