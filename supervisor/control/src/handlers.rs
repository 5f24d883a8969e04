//! What each operation does. Every function here is called with a permit for its row.

mod boundary;
pub(crate) mod egress;
pub(crate) mod gateway;
pub(crate) mod keys;
pub(crate) mod tenants;
pub(crate) mod terminals;
pub(crate) mod tokens;
mod views;
